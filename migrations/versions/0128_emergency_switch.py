"""since when a tenant has stopped all new ringing

Revision ID: 0128
Revises: 0127
"""

import sqlalchemy as sa
from alembic import op

revision = "0128"
down_revision = "0127"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.add_column("tenants", sa.Column("ringing_stopped_at", moment, nullable=True))


def downgrade() -> None:
    op.drop_column("tenants", "ringing_stopped_at")
