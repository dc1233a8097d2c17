"""on which devices' screens a ring is

Revision ID: 0129
Revises: 0128
"""

import sqlalchemy as sa
from alembic import op

revision = "0129"
down_revision = "0128"
branch_labels = None
depends_on = None


def upgrade() -> None:
    none = sa.text("'{}'")
    op.add_column(
        "rings", sa.Column("shown_on", sa.ARRAY(sa.Text()), nullable=False, server_default=none)
    )


def downgrade() -> None:
    op.drop_column("rings", "shown_on")
