"""an idempotency key belongs to an API key or a user

Keys that were used in the last 24 hours are nobody's from now on: whose they were was not kept.

Revision ID: 0117
Revises: 0116
"""

import sqlalchemy as sa
from alembic import op

revision = "0117"
down_revision = "0116"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency", sa.Column("owner", sa.Text(), server_default="", nullable=False))
    op.drop_constraint("pk_idempotency", "idempotency", type_="primary")
    op.create_primary_key("pk_idempotency", "idempotency", ["tenant_id", "owner", "key"])


def downgrade() -> None:
    op.drop_constraint("pk_idempotency", "idempotency", type_="primary")
    op.execute(
        "DELETE FROM idempotency i USING idempotency o WHERE i.tenant_id = o.tenant_id"
        " AND i.key = o.key AND i.owner < o.owner"
    )
    op.create_primary_key("pk_idempotency", "idempotency", ["tenant_id", "key"])
    op.drop_column("idempotency", "owner")
