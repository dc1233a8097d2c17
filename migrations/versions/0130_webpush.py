"""find a subscription by its endpoint

Revision ID: 0130
Revises: 0129
"""

import sqlalchemy as sa
from alembic import op

revision = "0130"
down_revision = "0129"
branch_labels = None
depends_on = None


def upgrade() -> None:
    endpoint = sa.text("md5(split_part(token, ' '::text, 4))")
    op.create_index(
        "ix_tokens_endpoint",
        "tokens",
        ["tenant_id", endpoint],
        postgresql_where=sa.text("token LIKE '% %'"),
    )


def downgrade() -> None:
    op.drop_index("ix_tokens_endpoint", table_name="tokens")
