"""since when a tenant is deleted, and its rows are being removed

The column is NULL for all: no row is written. The index, of those alone, is made beside writers.

Revision ID: 0152
Revises: 0151
"""

from alembic import op

from migrations.beside import in_a_moment, index_beside_writers

revision = "0152"
down_revision = "0151"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.get_context().autocommit_block():
        in_a_moment("ALTER TABLE tenants ADD COLUMN IF NOT EXISTS deleted_at timestamptz")
        index_beside_writers("ix_tenants_deleted_at", "tenants (id) WHERE deleted_at IS NOT NULL")


def downgrade() -> None:
    op.drop_index("ix_tenants_deleted_at", "tenants")
    op.drop_column("tenants", "deleted_at")
