"""room beside a member's row, so that what commands change of it needs no new index entry

Revision ID: 0132
Revises: 0131
"""

from alembic import op

revision = "0132"
down_revision = "0131"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE members SET (fillfactor = 50)")


def downgrade() -> None:
    op.execute("ALTER TABLE members RESET (fillfactor)")
