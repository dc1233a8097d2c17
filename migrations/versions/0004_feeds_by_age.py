"""feeds that nobody has opened for long are found by an index

Revision ID: 0004
Revises: 0003
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_feeds_opened_at", "feeds", ["tenant_id", "opened_at"])


def downgrade() -> None:
    op.drop_index("ix_feeds_opened_at", "feeds")
