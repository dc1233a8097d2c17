"""pushes have no index by device: those of a user's devices are found by the user's rings

Revision ID: 0139
Revises: 0138
"""

from alembic import op

revision = "0139"
down_revision = "0138"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_pushes_device_row", "pushes")


def downgrade() -> None:
    op.create_index("ix_pushes_device_row", "pushes", ["device_row", "created_at"])
