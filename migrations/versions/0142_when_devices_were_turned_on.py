"""when a device's tokens were turned on, for the sweep to find rings that passed them by

Revision ID: 0142
Revises: 0141
"""

from alembic import op

from migrations.beside import in_a_moment, index_beside_writers

revision = "0142"
down_revision = "0141"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        in_a_moment("ALTER TABLE tokens ADD COLUMN IF NOT EXISTS turned_on_at timestamptz")
        index_beside_writers(
            "ix_tokens_turned_on_at", "tokens (turned_on_at) WHERE turned_on_at IS NOT NULL"
        )


def downgrade() -> None:
    op.drop_index("ix_tokens_turned_on_at", "tokens")
    op.drop_column("tokens", "turned_on_at")
