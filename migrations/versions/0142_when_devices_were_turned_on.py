"""when a device's tokens were turned on, for the sweep to find rings that passed them by

Revision ID: 0142
Revises: 0141
"""

import sqlalchemy as sa
from alembic import op

revision = "0142"
down_revision = "0141"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tokens", sa.Column("turned_on_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_tokens_turned_on_at",
        "tokens",
        ["turned_on_at"],
        postgresql_where=sa.text("turned_on_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_tokens_turned_on_at", "tokens")
    op.drop_column("tokens", "turned_on_at")
