"""service accounts of Google's, and what Android apps report of their phones

Revision ID: 0126
Revises: 0125
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0126"
down_revision = "0125"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("project_id", sa.Text(), nullable=True))
    op.add_column("devices", sa.Column("report", JSONB(), nullable=False, server_default="{}"))


def downgrade() -> None:
    op.execute("DELETE FROM tokens WHERE kind = 'fcm'")
    op.execute("DELETE FROM credentials WHERE kind = 'google_service_account'")
    op.drop_column("devices", "report")
    op.drop_column("credentials", "project_id")
