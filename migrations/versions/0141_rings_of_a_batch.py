"""the views of pushes in batches say which rings a batch has: one without a ring is not taken apart

Revision ID: 0141
Revises: 0140
"""

from alembic import op

revision = "0141"
down_revision = "0140"
branch_labels = None
depends_on = None

PUSHES = """
    SELECT id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose, kind, app_id,
        environment, token, token_registered_at, token_version, healed, callkit_reason, created_at,
        deadline, state, is_open, due_at, claimed_by, fence, attempts, status, inherited, repeated,
        reason, sent_at, answered_at, delivered_at, unavailable_at, declined_at{of_rows}
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
        NULL::timestamptz AS declined_at{of_batches}
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
    places = PLACES.format(of_batches=", b.rings AS batch_rings")
    rows = PUSHES.format(of_rows=", NULL::uuid[] AS batch_rings")
    op.execute(f"CREATE OR REPLACE VIEW places AS {places}")
    op.execute(f"CREATE OR REPLACE VIEW targets AS {rows} UNION ALL SELECT * FROM places")  # noqa: S608


def downgrade() -> None:
    op.execute("DROP VIEW targets")
    op.execute("DROP VIEW places")
    op.execute(f"CREATE VIEW places AS {PLACES.format(of_batches='')}")
    rows = PUSHES.format(of_rows="")
    op.execute(f"CREATE VIEW targets AS {rows} UNION ALL SELECT * FROM places")  # noqa: S608
