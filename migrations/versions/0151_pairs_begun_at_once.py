"""a function that writes plain new calls of two, from a smaller document than 0150's

Whoever knows nothing of it goes on by 0150's, as do all with calls of more. It takes no lock.

Revision ID: 0151
Revises: 0150
"""

from alembic import op

revision = "0151"
down_revision = "0150"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION begin_pairs(asked jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    the_number CONSTANT xid8 := pg_current_xact_id();
    the_tenant CONSTANT uuid := CAST(asked ->> 'tenant_id' AS uuid);
    the_moment CONSTANT timestamptz := CAST(asked ->> 'now' AS timestamptz);
    the_deadline CONSTANT timestamptz := CAST(asked ->> 'deadline' AS timestamptz);
    the_kept bigint;
    the_taken uuid[];
    the_webhooks jsonb;
    the_feeds jsonb;
BEGIN
    IF clock_timestamp() > the_moment + interval '5 seconds' OR EXISTS (
        SELECT FROM erasures WHERE tenant_id = the_tenant AND erased_at >= the_moment
    ) THEN
        RETURN NULL;
    END IF;
    IF asked ? 'keys' THEN
        WITH kept AS (INSERT INTO idempotency (owner, key, body_digest, session_id, answer,
            tenant_id, created_at) SELECT r.owner, r.key, r.body_digest, r.session_id, r.answer,
            r.tenant_id, r.created_at FROM (SELECT r.owner, r.key, r.body_digest, r.session_id,
            r.answer, coalesce(r.tenant_id, CAST(the_tenant AS UUID)) AS tenant_id,
            coalesce(r.created_at, CAST(the_moment AS TIMESTAMP WITH TIME ZONE)) AS created_at
            FROM jsonb_to_recordset(CAST(asked -> 'keys' AS jsonb)) AS r(owner TEXT, key TEXT,
            body_digest BYTEA, session_id UUID, answer JSONB, tenant_id UUID, created_at TIMESTAMP
            WITH TIME ZONE) ) AS r  ON CONFLICT (tenant_id, owner, key) DO NOTHING RETURNING key)
        SELECT count(*) INTO the_kept FROM kept;
        IF the_kept < jsonb_array_length(asked -> 'keys') THEN
            DELETE FROM idempotency WHERE session_id = ANY (ARRAY(
                SELECT k.session_id FROM jsonb_to_recordset(asked -> 'keys') AS k(session_id uuid)
                ));
            RETURN NULL;
        END IF;
    END IF;
    WITH r AS MATERIALIZED (
        SELECT CAST(c ->> 0 AS uuid) AS id, c ->> 1 AS name, c ->> 2 AS type, c ->> 3 AS
            caller_id, c ->> 4 AS callee_id, CAST(c ->> 5 AS uuid) AS ring, CAST(c ->> 6 AS uuid)
            AS push, CAST(c ->> 7 AS uuid) AS token, CAST(c -> 8 AS boolean) AS video, c ->> 9 AS
            device_id, CAST(c -> 10 AS boolean) AS monitored, c ->> 11 AS caller_name, c -> 12 AS
            started, c -> 13 AS ringing, c -> 14 AS limits, c ->> 15 AS avatar_url, nullif(c ->
            16, 'null') AS handle, nullif(c -> 17, 'null') AS person, c ->> 18 AS traceparent,
            coalesce(CAST(c ->> 19 AS timestamptz), the_deadline) AS deadline, coalesce(CAST(c ->>
            20 AS timestamptz), coalesce(CAST(c ->> 19 AS timestamptz), the_deadline)) AS due_at,
            nullif(c -> 21, 'null') AS more, c ->> 22 AS title, coalesce(nullif(c -> 23, 'null'),
            '{}') AS custom
        FROM jsonb_array_elements(asked -> 'calls') c
    ), i AS (
        INSERT INTO calls (id, tenant_id, type, name, state, caller_id, video, limits, created_at,
            due_at, event_seq, version, caller_name, caller_avatar_url, caller_handle,
            traceparent, title, custom)
        SELECT id, the_tenant, type, name, 'ringing', caller_id, video, limits,
            the_moment, due_at, 2, 1, caller_name, avatar_url, handle, traceparent,
            title, custom
        FROM r
        ON CONFLICT (tenant_id, type, name) WHERE ended_at IS NULL DO NOTHING
        RETURNING id
    ), b AS MATERIALIZED (
        SELECT * FROM r WHERE id IN (SELECT id FROM i)
    ), m AS (
        INSERT INTO members (session_id, tenant_id, user_id, role, state, monitored, device_id,
            joined_at, seen_at, ring, person)
        SELECT id, the_tenant, caller_id, 'caller', 'joined',
            monitored, device_id, the_moment, the_moment, NULL, started -> 'caller'
        FROM b
        UNION ALL
        SELECT id, the_tenant, callee_id, 'callee', 'ringing',
            false, NULL, NULL, NULL, ring, person
        FROM b
    ), g AS (
        INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline)
        SELECT ring, id, the_tenant, callee_id, the_moment, deadline FROM b
    ), p AS (
        INSERT INTO pushes (id, ring, session_id, user_id, token_id, tenant_id, created_at,
            deadline, purpose, due_at, device_row, kind, app_id, environment, token,
                token_registered_at, token_version, state)
        SELECT r.push, r.ring, r.id, r.user_id, r.token_id, the_tenant, the_moment, r.deadline,
            r.purpose, r.due_at, t.device_row, t.kind, t.app_id, t.environment, t.token,
                t.registered_at, t.version, 'pending'
        FROM (
            SELECT push, ring, id, callee_id AS user_id, token AS token_id,
                the_tenant AS tenant_id, deadline, 'ring' AS purpose,
                the_moment AS due_at
            FROM b WHERE push IS NOT NULL
            UNION ALL
            SELECT CAST(one ->> 0 AS uuid), ring, id, callee_id, CAST(one ->> 1 AS uuid),
                the_tenant, coalesce(CAST(one ->> 4 AS timestamptz), deadline),
                coalesce(one ->> 2, 'ring'),
                coalesce(CAST(one ->> 3 AS timestamptz), the_moment)
            FROM (SELECT * FROM b WHERE more IS NOT NULL OFFSET 0) b
            CROSS JOIN LATERAL jsonb_array_elements(b.more) one
        ) r JOIN LATERAL (SELECT * FROM tokens t WHERE t.id = r.token_id LIMIT 1) t
        ON t.tenant_id = r.tenant_id AND t.user_id = r.user_id
    ), e AS (
        INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT id, 1, the_tenant, 'call.started', the_moment, started FROM b
        UNION ALL
        SELECT id, 2, the_tenant, 'ring.started', the_moment, ringing FROM b
        RETURNING session_id, seq, tenant_id, type
    ), d AS (
    INSERT INTO deliveries
        (webhook_id, event_id, tenant_id, type, session_id, seq, created_at, due_at)
    SELECT w.id, 'evt_' || replace(CAST(e.session_id AS text), '-', '') || '_' || e.seq,
           e.tenant_id, e.type, e.session_id, e.seq, clock_timestamp(), clock_timestamp()
    FROM e JOIN webhooks w ON w.tenant_id = e.tenant_id AND w.state = 'active'
        AND (w.events ? e.type OR e.type NOT IN ('member.ringing')
            AND w.events ?| ARRAY['*', split_part(e.type, '.', 1) || '.*'])
    RETURNING webhook_id
)
    SELECT (SELECT array_agg(id) FROM i), (SELECT jsonb_agg(DISTINCT webhook_id) FROM d) INTO
        the_taken, the_webhooks;
    IF cardinality(the_taken) = jsonb_array_length(asked -> 'calls') THEN
        NULL;
    ELSE
        IF asked ? 'keys' THEN
            DELETE FROM idempotency WHERE session_id = ANY (ARRAY(
                SELECT k.session_id FROM jsonb_to_recordset(asked -> 'keys') AS k(session_id uuid)
                WHERE k.session_id <> ALL (coalesce(the_taken, '{}'))));
        END IF;
        IF the_taken IS NULL THEN
            RETURN '{"taken": []}';
        END IF;
    END IF;
    SELECT jsonb_object_agg(user_id, seq) FROM (
        SELECT f.user_id, f.seq FROM feeds f
        WHERE f.tenant_id = the_tenant AND f.user_id = ANY (ARRAY(
            SELECT jsonb_array_elements_text(asked -> 'users')))
        ORDER BY f.user_id FOR NO KEY UPDATE
    ) f INTO the_feeds;
    IF the_feeds IS NOT NULL THEN
        WITH told AS (
            SELECT u.user_id,
                row_number() OVER (PARTITION BY u.user_id ORDER BY r.place, u.seq) AS later,
                jsonb_build_object('type', u.type, 'session_id', r.id, 'cid',
                    r.type || ':' || r.name, 'seq', u.seq, 'at', asked ->> 'said',
                    'data', u.data) AS body
            FROM (
                SELECT place, CAST(c ->> 0 AS uuid) AS id, c ->> 2 AS type, c ->> 1 AS name, c ->>
                    3 AS caller_id, c ->> 4 AS callee_id, c -> 12 AS started, c -> 13 AS ringing
                FROM jsonb_array_elements(asked -> 'calls') WITH ORDINALITY AS o(c, place)
            ) r CROSS JOIN LATERAL (VALUES
                (1, 'call.started', r.caller_id, r.started),
                (2, 'ring.started', r.callee_id, r.ringing)
            ) AS u(seq, type, user_id, data)
            WHERE the_feeds ? u.user_id AND r.id = ANY (the_taken)
        ), kept AS (
            INSERT INTO user_events (tenant_id, user_id, seq, at, body)
            SELECT the_tenant, t.user_id, CAST(the_feeds ->> t.user_id AS bigint) + t.later,
                the_moment, t.body
            FROM told t
        ), moved AS (
            UPDATE feeds f SET seq = CAST(the_feeds ->> f.user_id AS bigint) + n.later
            FROM (SELECT user_id, max(later) AS later FROM told GROUP BY user_id) n
            WHERE f.tenant_id = the_tenant AND f.user_id = n.user_id
            RETURNING f.user_id, f.seq
        )
        SELECT jsonb_object_agg(user_id, seq) INTO the_feeds FROM moved;
    END IF;
    RETURN jsonb_build_object(
        'taken', to_jsonb(the_taken), 'webhooks', the_webhooks, 'feeds', the_feeds);
END $$
"""


def upgrade() -> None:
    op.get_bind().exec_driver_sql(FUNCTION)


def downgrade() -> None:
    op.execute("DROP FUNCTION begin_pairs(jsonb)")
