"""who was erased and when: tokens signed before that are good for nothing

Revision ID: 0112
Revises: 0111
"""

import sqlalchemy as sa
from alembic import op

revision = "0112"
down_revision = "0111"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tombstone", sa.Text(), nullable=False),
        sa.Column("erased_at", moment, nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("horizon", sa.BigInteger(), nullable=True),
        sa.Column("due_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_erasures_digest", "erasures", ["tenant_id", "digest", "erased_at"])
    op.create_index("ix_erasures_erased_at", "erasures", ["tenant_id", "erased_at"])
    op.create_index(
        "ix_erasures_due_at",
        "erasures",
        ["due_at"],
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_table("erasures")
