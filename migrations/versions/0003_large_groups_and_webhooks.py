"""large groups are told once a second; webhooks, their secrets, deliveries and attempts

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSONB = postgresql.JSONB(astext_type=sa.Text())


def upgrade() -> None:
    op.add_column("calls", sa.Column("told_seq", sa.Integer(), server_default="0", nullable=False))
    op.add_column("calls", sa.Column("update_due_at", TIME, nullable=True))
    op.create_index(
        "ix_calls_update_due_at",
        "calls",
        ["update_due_at"],
        postgresql_where=sa.text("update_due_at IS NOT NULL"),
    )
    # retention asks tenant by tenant
    _index_anew("calls", "ended_at", ["tenant_id", "ended_at"], where="ended_at IS NOT NULL")
    _index_anew("events", "at", ["tenant_id", "at"])
    _index_anew("user_events", "at", ["tenant_id", "at"])
    _webhooks()
    _deliveries()


def _index_anew(table: str, name: str, columns: list[str], where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.drop_index(f"ix_{table}_{name}", table)
    op.create_index(f"ix_{table}_{name}", table, columns, postgresql_where=condition)


def _webhooks() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", JSONB, nullable=False),
        sa.Column("description", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="active", nullable=False),
        sa.Column("disabled_at", TIME, nullable=True),
        sa.Column("disabled_why", sa.Text(), nullable=True),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("resting_until", TIME, nullable=True),
        sa.Column("succeeded_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhooks")),
        sa.ForeignKeyConstraint(
            ["tenant_id"],
            ["tenants.id"],
            name=op.f("fk_webhooks_tenant_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_webhooks_tenant_id", "webhooks", ["tenant_id"])
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
        sa.ForeignKeyConstraint(
            ["webhook_id"],
            ["webhooks.id"],
            name=op.f("fk_webhook_secrets_webhook_id"),
            ondelete="CASCADE",
        ),
    )
    op.create_index("ix_webhook_secrets_webhook_id", "webhook_secrets", ["webhook_id"])


def _deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("call_id", sa.Uuid(), nullable=True),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.PrimaryKeyConstraint("webhook_id", "event_id", name=op.f("pk_deliveries")),
    )
    for name, columns, where in (
        ("due_at", ["webhook_id", "due_at"], "state = 'pending'"),
        ("open", ["webhook_id", "call_id", "seq"], "state IN ('pending', 'sending')"),
        ("sending", ["webhook_id", "claimed_by"], "state = 'sending'"),
        ("webhook_id", ["webhook_id", "created_at"], None),
        ("created_at", ["tenant_id", "created_at"], None),
    ):
        condition = sa.text(where) if where else None
        op.create_index(f"ix_deliveries_{name}", "deliveries", columns, postgresql_where=condition)
    op.create_table(
        "delivery_attempts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("webhook_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempts")),
    )
    for name, columns in (
        ("webhook_id", ["webhook_id", "id"]),
        ("event_id", ["event_id"]),
        ("finished_at", ["tenant_id", "finished_at"]),
    ):
        op.create_index(f"ix_delivery_attempts_{name}", "delivery_attempts", columns)


def downgrade() -> None:
    for table in ("delivery_attempts", "deliveries", "webhook_secrets", "webhooks"):
        op.drop_table(table)
    _index_anew("user_events", "at", ["at"])
    _index_anew("events", "at", ["at"])
    _index_anew("calls", "ended_at", ["ended_at"], where="ended_at IS NOT NULL")
    op.drop_index("ix_calls_update_due_at", "calls")
    op.drop_column("calls", "update_due_at")
    op.drop_column("calls", "told_seq")
