"""whom a line of the audit log is about, kept apart, so that it can be forgotten

Revision ID: 0113
Revises: 0112
"""

import sqlalchemy as sa
from alembic import op

revision = "0113"
down_revision = "0112"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_subjects",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_subjects"),
        sa.UniqueConstraint("tenant_id", "user_id", name="uq_audit_subjects_tenant_id_user_id"),
    )
    op.add_column("audit", sa.Column("subject", sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column("audit", "subject")
    op.drop_table("audit_subjects")
