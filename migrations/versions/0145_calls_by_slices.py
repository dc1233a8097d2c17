"""whom a call that is written by slices is yet to ring

Revision ID: 0145
Revises: 0144
"""

import sqlalchemy as sa
from alembic import op

revision = "0145"
down_revision = "0144"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calls", sa.Column("owed", sa.Text()))
    # written once and read once or twice: to pack it costs more than it saves
    op.execute("ALTER TABLE calls ALTER COLUMN owed SET STORAGE EXTERNAL")
    op.create_index(
        "ix_calls_owed", "calls", ["tenant_id"], postgresql_where=sa.text("owed IS NOT NULL")
    )


def downgrade() -> None:
    op.drop_index("ix_calls_owed", "calls")
    op.drop_column("calls", "owed")
