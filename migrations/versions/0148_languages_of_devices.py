"""in which language a device is

Revision ID: 0148
Revises: 0147
"""

import sqlalchemy as sa
from alembic import op

revision = "0148"
down_revision = "0147"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("devices", sa.Column("locale", sa.Text()))


def downgrade() -> None:
    op.drop_column("devices", "locale")
