"""a batch's row holds what changes and pointers to what does not: a version of it is small

Revision ID: 0144
Revises: 0143
"""

from alembic import op

revision = "0144"
down_revision = "0143"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE push_batches SET (toast_tuple_target = 256)")
    for name in ("sent_ms", "answered_ms"):  # which would be squeezed each time
        op.execute(f"ALTER TABLE push_batches ALTER COLUMN {name} SET STORAGE PLAIN")


def downgrade() -> None:
    for name in ("sent_ms", "answered_ms"):
        op.execute(f"ALTER TABLE push_batches ALTER COLUMN {name} SET STORAGE EXTENDED")
    op.execute("ALTER TABLE push_batches RESET (toast_tuple_target)")
