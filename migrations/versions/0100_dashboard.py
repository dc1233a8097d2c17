"""administrators, their sessions and tries to sign in, counts by the minute

Revision ID: 0100
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0100"
down_revision = "0004"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    op.create_table(
        "admins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("one_time", sa.Boolean(), nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("signed_in_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_admins"),
        sa.UniqueConstraint("email", name="uq_admins_email"),
    )
    op.create_table(
        "admin_sessions",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("admin_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, server_default=NOW, nullable=False),
        sa.Column("seen_at", TIME, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_admin_sessions"),
        sa.ForeignKeyConstraint(
            ["admin_id"], ["admins.id"], name="fk_admin_sessions_admin_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_admin_sessions_admin_id", "admin_sessions", ["admin_id"])
    op.create_index("ix_admin_sessions_created_at", "admin_sessions", ["created_at"])
    op.create_table(
        "sign_in_tries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("at", TIME, server_default=NOW, nullable=False),
        sa.Column("failed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_sign_in_tries"),
    )
    op.create_index("ix_sign_in_tries_email", "sign_in_tries", ["email", "at"])
    op.create_index("ix_sign_in_tries_source", "sign_in_tries", ["source", "at"])
    op.create_index("ix_sign_in_tries_at", "sign_in_tries", ["at"])
    op.create_table(
        "minute_counts",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("minute", TIME, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "minute", "what", "name", name="pk_minute_counts"),
    )
    op.create_index("ix_minute_counts_minute", "minute_counts", ["minute"])
    op.create_table(
        "counted_until",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_counted_until"),
    )
    op.create_index(
        "ix_users_beginning",
        "users",
        ["tenant_id", "id"],
        postgresql_ops={"id": "text_pattern_ops"},
    )
    # a token is looked for by its last digits
    op.create_index("ix_tokens_ending", "tokens", ["tenant_id", sa.text('"right"(token, 4)')])


def downgrade() -> None:
    op.drop_index("ix_tokens_ending", "tokens")
    op.drop_index("ix_users_beginning", "users")
    for table in (
        "counted_until", "minute_counts", "sign_in_tries", "admin_sessions", "admins",
    ):  # fmt: skip
        op.drop_table(table)
