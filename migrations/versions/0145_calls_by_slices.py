"""whom a call that is written by slices is yet to ring

Revision ID: 0145
Revises: 0144
"""

from alembic import op

from migrations.beside import in_a_moment, index_beside_writers

revision = "0145"
down_revision = "0144"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        in_a_moment("ALTER TABLE calls ADD COLUMN IF NOT EXISTS owed text")
        # written once and read once or twice: to pack it costs more than it saves
        in_a_moment("ALTER TABLE calls ALTER COLUMN owed SET STORAGE EXTERNAL")
        index_beside_writers("ix_calls_owed", "calls (tenant_id) WHERE owed IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_calls_owed", "calls")
    op.drop_column("calls", "owed")
