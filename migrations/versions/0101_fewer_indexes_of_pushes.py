"""pushes and attempts of a call, or a user, are found by their rings: three indexes less to write

Revision ID: 0101
Revises: 0100
"""

from alembic import op

revision = "0101"
down_revision = "0100"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_pushes_call_id", "pushes")
    op.drop_index("ix_pushes_user", "pushes")
    op.drop_index("ix_attempts_call_id", "attempts")


def downgrade() -> None:
    op.create_index("ix_attempts_call_id", "attempts", ["call_id"])
    op.create_index("ix_pushes_user", "pushes", ["tenant_id", "user_id"])
    op.create_index("ix_pushes_call_id", "pushes", ["call_id"])
