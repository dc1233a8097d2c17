"""who is condemned cannot renew; what may have been handed over is repeated once

Revision ID: 0115
Revises: 0114
"""

import sqlalchemy as sa
from alembic import op

revision = "0115"
down_revision = "0114"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in ("inherited", "repeated"):
        op.add_column(
            "pushes", sa.Column(column, sa.Boolean(), nullable=False, server_default="false")
        )
    op.add_column(
        "workers",
        sa.Column(
            "unbroken_since",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
        ),
    )
    op.add_column("workers", sa.Column("dead_at", sa.DateTime(timezone=True)))


def downgrade() -> None:
    op.drop_column("workers", "dead_at")
    op.drop_column("workers", "unbroken_since")
    op.drop_column("pushes", "repeated")
    op.drop_column("pushes", "inherited")
