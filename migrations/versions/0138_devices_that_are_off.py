"""whether a device is rung, and of its tokens the same

Revision ID: 0138
Revises: 0137
"""

import sqlalchemy as sa
from alembic import op

revision = "0138"
down_revision = "0137"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("devices", "tokens"):
        op.add_column(
            table, sa.Column("rings", sa.Boolean(), server_default="true", nullable=False)
        )


def downgrade() -> None:
    for table in ("tokens", "devices"):
        op.drop_column(table, "rings")
