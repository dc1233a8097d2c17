"""names for screens: a caller's and a member's picture and handle, a call's title

Revision ID: 0123
Revises: 0122
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0123"
down_revision = "0122"
branch_labels = None
depends_on = None

NEW = (
    ("calls", "caller_avatar_url", sa.Text()),
    ("calls", "caller_handle", JSONB()),
    ("calls", "title", sa.Text()),
    ("members", "person", JSONB()),
)


def upgrade() -> None:
    for table, name, kind in NEW:
        op.add_column(table, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for table, name, _ in reversed(NEW):
        op.drop_column(table, name)
