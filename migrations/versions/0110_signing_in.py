"""tries to sign in by known browsers, one-time passwords that expire, forwarders not trusted

Revision ID: 0110
Revises: 0102
"""

import sqlalchemy as sa
from alembic import op

revision = "0110"
down_revision = "0102"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("admins", sa.Column("one_time_until", TIME, nullable=True))
    op.execute("UPDATE admins SET one_time_until = now() + interval '1 day' WHERE one_time")
    op.execute("DELETE FROM sign_in_tries WHERE NOT failed")
    op.drop_column("sign_in_tries", "failed")
    op.add_column("sign_in_tries", sa.Column("browser", sa.Text(), nullable=True))
    op.create_index(
        "ix_sign_in_tries_browser",
        "sign_in_tries",
        ["browser", "at"],
        postgresql_where=sa.text("browser IS NOT NULL"),
    )
    op.create_table(
        "untrusted_forwarders",
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("address", name="pk_untrusted_forwarders"),
    )


def downgrade() -> None:
    op.drop_table("untrusted_forwarders")
    op.drop_index("ix_sign_in_tries_browser", "sign_in_tries")
    op.drop_column("sign_in_tries", "browser")
    op.add_column(
        "sign_in_tries",
        sa.Column("failed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
    )
    op.alter_column("sign_in_tries", "failed", server_default=None)
    op.drop_column("admins", "one_time_until")
