"""the pushes of a group in batches of fifty, and views that show them as pushes

Revision ID: 0140
Revises: 0139
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0140"
down_revision = "0139"
branch_labels = None
depends_on = None

FIXED: dict[str, Any] = {
    "push_ids": sa.Uuid(),
    "rings": sa.Uuid(),
    "token_ids": sa.Uuid(),
    "device_rows": sa.Uuid(),
    "users": sa.Text(),
    "tokens": sa.Text(),
    "token_registered_at": sa.DateTime(timezone=True),
    "token_versions": sa.BigInteger(),
}
PUSHES = """
    SELECT id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose, kind, app_id,
        environment, token, token_registered_at, token_version, healed, callkit_reason, created_at,
        deadline, state, is_open, due_at, claimed_by, fence, attempts, status, inherited, repeated,
        reason, sent_at, answered_at, delivered_at, unavailable_at, declined_at
    FROM pushes
"""
PLACES = """
    SELECT u.id, u.ring, b.session_id, b.tenant_id, u.user_id, u.device_row, u.token_id,
        'ring'::text AS purpose, b.kind, b.app_id, b.environment, u.token, u.token_registered_at,
        u.token_version, false AS healed, NULL::integer AS callkit_reason, b.created_at, b.deadline,
        CASE WHEN t.taken THEN 'accepted' WHEN b.claimed_by IS NULL THEN 'pending'
            ELSE 'sending' END AS state,
        NOT t.taken AS is_open, b.due_at, b.claimed_by, b.fence, b.fence AS attempts,
        CASE WHEN t.taken THEN 200 END AS status, false AS inherited, false AS repeated,
        NULL::text AS reason, b.created_at + u.sent_ms * interval '1 millisecond' AS sent_at,
        b.created_at + u.answered_ms * interval '1 millisecond' AS answered_at,
        NULL::timestamptz AS delivered_at, NULL::timestamptz AS unavailable_at,
        NULL::timestamptz AS declined_at
    FROM push_batches b CROSS JOIN LATERAL unnest(
        b.push_ids, b.rings, b.token_ids, b.device_rows, b.users, b.tokens, b.token_registered_at,
        b.token_versions, b.sent_ms, b.answered_ms
    ) WITH ORDINALITY AS u(id, ring, token_id, device_row, user_id, token, token_registered_at,
        token_version, sent_ms, answered_ms, place)
    CROSS JOIN LATERAL (SELECT b.accepted_bits >> (u.place - 1)::integer & 1 = 1 AS taken,
        b.open_bits >> (u.place - 1)::integer & 1 = 1 AS open) t
    WHERE t.taken OR t.open
"""


def upgrade() -> None:
    op.create_table(
        "push_batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        *(sa.Column(name, ARRAY(kind), nullable=False) for name, kind in FIXED.items()),
        sa.Column("claimed_by", sa.Uuid(), nullable=True),
        sa.Column("fence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rev", sa.Integer(), server_default="0", nullable=False),
        sa.Column("open_bits", sa.BigInteger(), nullable=False),
        sa.Column("accepted_bits", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("sent_ms", ARRAY(sa.Integer()), nullable=True),
        sa.Column("answered_ms", ARRAY(sa.Integer()), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_push_batches"),
        postgresql_with={"fillfactor": "45"},
    )
    for name in FIXED:  # beside the row and as they are: no later version copies or squeezes them
        op.execute(f"ALTER TABLE push_batches ALTER COLUMN {name} SET STORAGE EXTERNAL")
    op.create_index("ix_push_batches_session_id", "push_batches", ["session_id"])
    op.create_index("ix_push_batches_created_at", "push_batches", ["tenant_id", "created_at"])
    op.create_index(
        "ix_push_batches_open",
        "push_batches",
        ["due_at"],
        postgresql_where=sa.text("done_at IS NULL"),
    )
    op.execute(f"CREATE VIEW places AS {PLACES}")
    op.execute(f"CREATE VIEW targets AS {PUSHES} UNION ALL SELECT * FROM places")  # noqa: S608
    op.add_column(
        "workers", sa.Column("batches", sa.Boolean(), server_default="false", nullable=False)
    )


def downgrade() -> None:
    op.drop_column("workers", "batches")
    op.execute("DROP VIEW targets")
    op.execute("DROP VIEW places")
    op.drop_table("push_batches")
