"""whether an app has a phone in an environment is one look-up

Revision ID: 0102
Revises: 0101
"""

import sqlalchemy as sa
from alembic import op

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_tokens_environment",
        "tokens",
        ["tenant_id", "bundle_id", "environment"],
        postgresql_where=sa.text("kind = 'voip' AND retired_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_tokens_environment", "tokens")
