"""credentials that live: probes, health, requests; a tenant's events; the audit log

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
JSONB = postgresql.JSONB(astext_type=sa.Text())

APPEND_ONLY = """
    CREATE FUNCTION ringline_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'the table % is append-only', TG_TABLE_NAME
            USING ERRCODE = 'insufficient_privilege';
    END $$
"""
# ALWAYS: also in a session that has turned ordinary triggers off (session_replication_role)
GUARDS = (
    """CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit
       FOR EACH ROW EXECUTE FUNCTION ringline_append_only()""",
    """CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON audit
       FOR EACH STATEMENT EXECUTE FUNCTION ringline_append_only()""",
    "ALTER TABLE audit ENABLE ALWAYS TRIGGER append_only",
    "ALTER TABLE audit ENABLE ALWAYS TRIGGER append_only_whole",
)


def upgrade() -> None:
    _credentials()
    op.create_table(
        "tenant_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tenant_events")),
    )
    op.create_index("ix_tenant_events_tenant_id", "tenant_events", ["tenant_id", "id"])
    op.create_index("ix_tenant_events_at", "tenant_events", ["at"])
    op.create_table(
        "audit",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("actor", JSONB, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("detail", JSONB, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_tenant_id", "audit", ["tenant_id", "id"])
    op.execute(APPEND_ONLY)
    for statement in GUARDS:
        op.execute(statement)


def _credentials() -> None:
    for column in (
        sa.Column("key_fingerprint", sa.Text(), server_default="", nullable=False),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("refused", JSONB, server_default="{}", nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("probe", JSONB, server_default="{}", nullable=False),
        sa.Column("probed_at", TIME, nullable=True),
        sa.Column("probe_due_at", TIME, nullable=True),
        sa.Column("alarmed_days", sa.Integer(), nullable=True),
        sa.Column("replaced_at", TIME, nullable=True),
    ):
        op.add_column("credentials", column)
    op.create_index("ix_credentials_key", "credentials", ["tenant_id", "key_fingerprint"])
    op.create_index(
        "ix_credentials_probe_due_at",
        "credentials",
        ["probe_due_at"],
        postgresql_where=sa.text("probe_due_at IS NOT NULL"),
    )
    op.create_unique_constraint(
        "uq_credentials_fingerprint", "credentials", ["tenant_id", "bundle_id", "fingerprint"]
    )


def downgrade() -> None:
    op.drop_table("audit")
    op.execute("DROP FUNCTION ringline_append_only()")
    op.drop_table("tenant_events")
    op.drop_constraint("uq_credentials_fingerprint", "credentials")
    op.drop_index("ix_credentials_probe_due_at", "credentials")
    op.drop_index("ix_credentials_key", "credentials")
    # What was only requested means nothing to the tables as they were before.
    op.execute("DELETE FROM credentials WHERE state = 'requested'")
    for name in (
        "replaced_at",
        "alarmed_days",
        "probe_due_at",
        "probed_at",
        "probe",
        "failing_since",
        "refused",
        "request",
        "key_fingerprint",
    ):
        op.drop_column("credentials", name)
