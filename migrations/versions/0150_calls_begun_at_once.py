"""a function that writes plain new calls with all that belongs to them

Whoever knows nothing of it goes on as before. It takes no lock.

Revision ID: 0150
Revises: 0149
"""

from alembic import op

revision = "0150"
down_revision = "0149"
branch_labels = None
depends_on = None

FUNCTION = """
CREATE OR REPLACE FUNCTION begin_calls(asked jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    the_number CONSTANT xid8 := pg_current_xact_id();
    the_tenant CONSTANT uuid := CAST(asked ->> 'tenant_id' AS uuid);
    the_moment CONSTANT timestamptz := CAST(asked ->> 'now' AS timestamptz);
    the_deadline CONSTANT timestamptz := CAST(asked ->> 'deadline' AS timestamptz);
    the_events jsonb := asked -> 'events';
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
    WITH i0 AS (INSERT INTO calls (id, type, name, state, reason, caller_id, video, limits,
        active_at, ended_at, alone_since, event_seq, version, caller_name, caller_avatar_url,
        caller_handle, traceparent, owed, title, custom, due_at, tenant_id, created_at) SELECT
        r.id, r.type, r.name, r.state, r.reason, r.caller_id, r.video, r.limits, r.active_at,
        r.ended_at, r.alone_since, r.event_seq, r.version, r.caller_name, r.caller_avatar_url,
        r.caller_handle, r.traceparent, r.owed, r.title, r.custom, r.due_at, r.tenant_id,
        r.created_at FROM (SELECT r.id, r.type, r.name, r.state, r.reason, r.caller_id, r.video,
        r.limits, r.active_at, r.ended_at, r.alone_since, r.event_seq, r.version, r.caller_name,
        r.caller_avatar_url, r.caller_handle, r.traceparent, r.owed, r.title, r.custom, r.due_at,
        coalesce(r.tenant_id, CAST(the_tenant AS UUID)) AS tenant_id, coalesce(r.created_at,
        CAST(the_moment AS TIMESTAMP WITH TIME ZONE)) AS created_at FROM
        jsonb_to_recordset(CAST(asked -> 'calls' AS jsonb)) AS r(id UUID, type TEXT, name TEXT,
        state TEXT, reason TEXT, caller_id TEXT, video BOOLEAN, limits JSONB, active_at TIMESTAMP
        WITH TIME ZONE, ended_at TIMESTAMP WITH TIME ZONE, alone_since TIMESTAMP WITH TIME ZONE,
        event_seq INTEGER, version INTEGER, caller_name TEXT, caller_avatar_url TEXT,
        caller_handle JSONB, traceparent TEXT, owed TEXT, title TEXT, custom JSONB, due_at
        TIMESTAMP WITH TIME ZONE, tenant_id UUID, created_at TIMESTAMP WITH TIME ZONE) ) AS r  ON
        CONFLICT (tenant_id, type, name) WHERE ended_at IS NULL DO NOTHING RETURNING id), i1 AS
        (INSERT INTO members (session_id, ring, user_id, role, state, device_id, monitored,
        joined_at, seen_at, left_at, person, suppressed, tenant_id) SELECT r.session_id, r.ring,
        r.user_id, r.role, r.state, r.device_id, r.monitored, r.joined_at, r.seen_at, r.left_at,
        r.person, r.suppressed, r.tenant_id FROM (SELECT r.session_id, r.ring, r.user_id, r.role,
        r.state, r.device_id, r.monitored, r.joined_at, r.seen_at, r.left_at, r.person,
        r.suppressed, coalesce(r.tenant_id, CAST(the_tenant AS UUID)) AS tenant_id FROM
        jsonb_to_recordset(CAST(asked -> 'members' AS jsonb)) AS r(session_id UUID, ring UUID,
        user_id TEXT, role TEXT, state TEXT, device_id TEXT, monitored BOOLEAN, joined_at
        TIMESTAMP WITH TIME ZONE, seen_at TIMESTAMP WITH TIME ZONE, left_at TIMESTAMP WITH TIME
        ZONE, person JSONB, suppressed TEXT, tenant_id UUID) WHERE r.session_id IN (SELECT id FROM
        i0) OFFSET 0) AS r  ), i2 AS (INSERT INTO rings (uuid, session_id, user_id, tenant_id,
        created_at, deadline) SELECT r.uuid, r.session_id, r.user_id, r.tenant_id, r.created_at,
        r.deadline FROM (SELECT r.uuid, r.session_id, r.user_id, coalesce(r.tenant_id,
        CAST(the_tenant AS UUID)) AS tenant_id, coalesce(r.created_at, CAST(the_moment AS
        TIMESTAMP WITH TIME ZONE)) AS created_at, coalesce(r.deadline, CAST(the_deadline AS
        TIMESTAMP WITH TIME ZONE)) AS deadline FROM jsonb_to_recordset(CAST(asked -> 'rings' AS
        jsonb)) AS r(uuid UUID, session_id UUID, user_id TEXT, tenant_id UUID, created_at
        TIMESTAMP WITH TIME ZONE, deadline TIMESTAMP WITH TIME ZONE) WHERE r.session_id IN (SELECT
        id FROM i0) OFFSET 0) AS r  ), i3 AS (INSERT INTO pushes (id, ring, session_id, user_id,
        token_id, tenant_id, created_at, deadline, purpose, due_at, device_row, kind, app_id,
        environment, token, token_registered_at, token_version, state) SELECT r.id, r.ring,
        r.session_id, r.user_id, r.token_id, r.tenant_id, r.created_at, r.deadline, r.purpose,
        r.due_at, t.device_row, t.kind, t.app_id, t.environment, t.token, t.registered_at,
        t.version, 'pending' FROM (SELECT r.id, r.ring, r.session_id, r.user_id, r.token_id,
        coalesce(r.tenant_id, CAST(the_tenant AS UUID)) AS tenant_id, coalesce(r.created_at,
        CAST(the_moment AS TIMESTAMP WITH TIME ZONE)) AS created_at, coalesce(r.deadline,
        CAST(the_deadline AS TIMESTAMP WITH TIME ZONE)) AS deadline, coalesce(r.purpose,
        CAST('ring' AS TEXT)) AS purpose, coalesce(r.due_at, CAST(the_moment AS TIMESTAMP WITH
        TIME ZONE)) AS due_at FROM jsonb_to_recordset(CAST(asked -> 'pushes' AS jsonb)) AS r(id
        UUID, ring UUID, session_id UUID, user_id TEXT, token_id UUID, tenant_id UUID, created_at
        TIMESTAMP WITH TIME ZONE, deadline TIMESTAMP WITH TIME ZONE, purpose TEXT, due_at
        TIMESTAMP WITH TIME ZONE) WHERE r.session_id IN (SELECT id FROM i0) OFFSET 0) AS r JOIN
        LATERAL (SELECT * FROM tokens t WHERE t.id = r.token_id LIMIT 1) t
        ON t.tenant_id = r.tenant_id AND t.user_id = r.user_id )
    SELECT array_agg(id) INTO the_taken FROM i0;
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
        SELECT jsonb_agg(one ORDER BY place) INTO the_events
        FROM jsonb_array_elements(the_events) WITH ORDINALITY AS all_of_them(one, place)
        WHERE CAST(one ->> 'session_id' AS uuid) = ANY (the_taken);
    END IF;
    WITH e AS (
        INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT r.session_id, r.seq, coalesce(r.tenant_id, CAST(the_tenant AS uuid)), r.type,
            coalesce(r.at, CAST(the_moment AS timestamptz)), r.data
        FROM jsonb_to_recordset(CAST(the_events AS jsonb))
            AS r(session_id uuid, seq integer, tenant_id uuid, type text, at timestamptz,
                 data jsonb)
        RETURNING session_id, seq, tenant_id, type
    ), f AS (
        SELECT f.tenant_id, f.user_id, f.seq
        FROM feeds f
        JOIN unnest(CAST(ARRAY(SELECT the_tenant FROM (SELECT DISTINCT
            jsonb_array_elements_text(one -> 'to') AS user_id
            FROM jsonb_array_elements(the_events) one) hearing) AS uuid[]), CAST(ARRAY(SELECT
                DISTINCT jsonb_array_elements_text(one -> 'to') AS user_id
            FROM jsonb_array_elements(the_events) one) AS text[])) AS w(tenant_id, user_id)
            USING (tenant_id, user_id)
        ORDER BY f.tenant_id, f.user_id
        FOR NO KEY UPDATE OF f
    )
, d AS (
    INSERT INTO deliveries
        (webhook_id, event_id, tenant_id, type, session_id, seq, created_at, due_at)
    SELECT w.id, 'evt_' || replace(CAST(e.session_id AS text), '-', '') || '_' || e.seq,
           e.tenant_id, e.type, e.session_id, e.seq, clock_timestamp(), clock_timestamp()
    FROM e JOIN webhooks w ON w.tenant_id = e.tenant_id AND w.state = 'active'
        AND (w.events ? e.type OR e.type NOT IN ('member.ringing')
            AND w.events ?| ARRAY['*', split_part(e.type, '.', 1) || '.*'])
    RETURNING webhook_id
)
    SELECT (SELECT jsonb_agg(DISTINCT webhook_id) FROM d),
        (SELECT jsonb_object_agg(user_id, seq) FROM f) INTO the_webhooks, the_feeds;
    IF the_feeds IS NOT NULL THEN
        WITH told AS (
            SELECT u.user_id,
                row_number() OVER (PARTITION BY u.user_id ORDER BY r.place) AS later,
                jsonb_build_object('type', r.type, 'session_id', r.session_id, 'cid', r.cid,
                    'seq', r.seq, 'at', asked ->> 'said', 'data', r.data) AS body
            FROM ROWS FROM (jsonb_to_recordset(the_events)
                    AS (session_id uuid, seq integer, type text, data jsonb, cid text, "to" jsonb)
                ) WITH ORDINALITY AS r(session_id, seq, type, data, cid, heard_by, place)
            CROSS JOIN LATERAL jsonb_array_elements_text(r.heard_by) AS u(user_id)
            WHERE the_feeds ? u.user_id
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
    op.execute("DROP FUNCTION begin_calls(jsonb)")
