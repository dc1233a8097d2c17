"""what a worker does, if not everything

Revision ID: 0133
Revises: 0132
"""

import sqlalchemy as sa
from alembic import op

revision = "0133"
down_revision = "0132"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("workers", sa.Column("only", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("workers", "only")
