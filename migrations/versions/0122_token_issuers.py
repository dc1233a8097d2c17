"""whose user tokens are a tenant's: found by issuer and audience

Revision ID: 0122
Revises: 0121
"""

import sqlalchemy as sa
from alembic import op

revision = "0122"
down_revision = "0121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "token_issuers",
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("issuer", "audience"),
    )
    op.create_index("ix_token_issuers_tenant_id", "token_issuers", ["tenant_id"])


def downgrade() -> None:
    op.drop_table("token_issuers")
