"""Plain new calls of two in one round trip: as `app.calls.begin`, of a third of the document.

Of a call that rings one user its members, ring, pushes and events follow from one row of ROW, an
array, which the server reads once and all its inserts take from. To read five tables' rows as
objects was a fifth of what a ring cost PostgreSQL.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects import postgresql

from app.calls import begin_sql, models
from app.calls.apply import Change
from app.core import limits
from app.core.call import CallState, MemberState, Ring, Role
from app.core.details import DETAILS, NO_DETAILS, Details
from app.core.event import EventType, rfc3339
from app.core.person import handle_json, stored_person
from app.core.push import Purpose
from app.infra.db import Row
from app.infra.ids import uuid7
from app.push import alerts
from app.push.new_pushes import OF_TOKEN_DATED, NewRepeat, NewRing
from app.webhooks import deliveries

_COLUMN: Final = models.Call.__table__.c
_DETAILS: Final = tuple(
    (name, _COLUMN[name].type.compile(postgresql.dialect()).lower())  # type: ignore[no-untyped-call]
    for name in DETAILS
)
ROW: Final = (
    ("id", "uuid"), ("name", "text"), ("type", "text"), ("caller_id", "text"),
    ("callee_id", "text"), ("ring", "uuid"), ("push", "uuid"), ("token", "uuid"),
    ("video", "boolean"), ("device_id", "text"), ("monitored", "boolean"), ("caller_name", "text"),
    ("started", "jsonb"), ("ringing", "jsonb"), ("limits", "jsonb"),
    ("avatar_url", "text"), ("handle", "jsonb"), ("person", "jsonb"), ("traceparent", "text"),
    ("deadline", "timestamptz"), ("due_at", "timestamptz"), ("more", "jsonb"), *_DETAILS,
)  # fmt: skip
"""What is said of a call, by its places; from RARE on only where one of those is not as usual.

`started` and `ringing` are the data of its events, `person` what is shown of the callee, `push` and
`token` the first push; the deadline is of the ring, `due_at` of the call. `more` are its other
pushes: id, token, and of notifications that ring again purpose, when it is due and its deadline.
A call's details stand last: with one more, a process of the release before says too little, and
nothing at another's place.
"""
RARE: Final = 15
NAMES: Final = tuple(name for name, _ in ROW)


def _column(place: int, kind: str) -> str:
    if kind == "text":
        return f"c ->> {place}"
    if kind == "jsonb":
        return f"c -> {place}" if place < RARE else f"nullif(c -> {place}, 'null')"
    return f"CAST({'c ->' if kind == 'boolean' else 'c ->>'} {place} AS {kind})"


_COLUMNS: Final = {name: _column(place, kind) for place, (name, kind) in enumerate(ROW)}
_COLUMNS["deadline"] = f"coalesce({_COLUMNS['deadline']}, the_deadline)"
_COLUMNS["due_at"] = f"coalesce({_COLUMNS['due_at']}, {_COLUMNS['deadline']})"
_COLUMNS.update(  # a column that must be something is of JSON
    {name: f"coalesce({_COLUMNS[name]}, '{{}}')" for name in DETAILS if not _COLUMN[name].nullable}
)
_TOKEN: Final = ", ".join(name for name, _ in OF_TOKEN_DATED.columns)
_OF_TOKEN: Final = ", ".join(sql for _, sql in OF_TOKEN_DATED.columns)
# Each part takes from `b`, of those calls alone whose cid was free. A person is shown of the caller
# as the call's first event shows them.
WRITE: Final = f"""WITH r AS MATERIALIZED (
        SELECT {", ".join(f"{sql} AS {name}" for name, sql in _COLUMNS.items())}
        FROM jsonb_array_elements(asked -> 'calls') c
    ), i AS (
        INSERT INTO calls (id, tenant_id, type, name, state, caller_id, video, limits, created_at,
            due_at, event_seq, version, caller_name, caller_avatar_url, caller_handle,
            traceparent, {", ".join(DETAILS)})
        SELECT id, the_tenant, type, name, '{CallState.RINGING.value}', caller_id, video, limits,
            the_moment, due_at, 2, 1, caller_name, avatar_url, handle, traceparent,
            {", ".join(DETAILS)}
        FROM r
        ON CONFLICT (tenant_id, type, name) WHERE ended_at IS NULL DO NOTHING
        RETURNING id
    ), b AS MATERIALIZED (
        SELECT * FROM r WHERE id IN (SELECT id FROM i)
    ), m AS (
        INSERT INTO members (session_id, tenant_id, user_id, role, state, monitored, device_id,
            joined_at, seen_at, ring, person)
        SELECT id, the_tenant, caller_id, '{Role.CALLER.value}', '{MemberState.JOINED.value}',
            monitored, device_id, the_moment, the_moment, NULL, started -> 'caller'
        FROM b
        UNION ALL
        SELECT id, the_tenant, callee_id, '{Role.CALLEE.value}', '{MemberState.RINGING.value}',
            false, NULL, NULL, NULL, ring, person
        FROM b
    ), g AS (
        INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline)
        SELECT ring, id, the_tenant, callee_id, the_moment, deadline FROM b
    ), p AS (
        INSERT INTO pushes (id, ring, session_id, user_id, token_id, tenant_id, created_at,
            deadline, purpose, due_at, {_TOKEN})
        SELECT r.push, r.ring, r.id, r.user_id, r.token_id, the_tenant, the_moment, r.deadline,
            r.purpose, r.due_at, {_OF_TOKEN}
        FROM (
            SELECT push, ring, id, callee_id AS user_id, token AS token_id,
                the_tenant AS tenant_id, deadline, '{Purpose.RING.value}' AS purpose,
                the_moment AS due_at
            FROM b WHERE push IS NOT NULL
            UNION ALL
            SELECT CAST(one ->> 0 AS uuid), ring, id, callee_id, CAST(one ->> 1 AS uuid),
                the_tenant, coalesce(CAST(one ->> 4 AS timestamptz), deadline),
                coalesce(one ->> 2, '{Purpose.RING.value}'),
                coalesce(CAST(one ->> 3 AS timestamptz), the_moment)
            FROM (SELECT * FROM b WHERE more IS NOT NULL OFFSET 0) b
            CROSS JOIN LATERAL jsonb_array_elements(b.more) one
        ) r {OF_TOKEN_DATED.join}
    ), e AS (
        INSERT INTO events (session_id, seq, tenant_id, type, at, data)
        SELECT id, 1, the_tenant, '{EventType.CALL_STARTED.value}', the_moment, started FROM b
        UNION ALL
        SELECT id, 2, the_tenant, '{EventType.RING_STARTED.value}', the_moment, ringing FROM b
        RETURNING session_id, seq, tenant_id, type
    ), d AS ({deliveries.ADD_OF_CALLS})
    SELECT (SELECT array_agg(id) FROM i), (SELECT jsonb_agg(DISTINCT webhook_id) FROM d)"""  # noqa: S608  (constants)
# As `events.ADD_EVENTS` locks them: last, in order of users, as they are when all else is written.
HOLD: Final = """SELECT jsonb_object_agg(user_id, seq) FROM (
        SELECT f.user_id, f.seq FROM feeds f
        WHERE f.tenant_id = the_tenant AND f.user_id = ANY (ARRAY(
            SELECT jsonb_array_elements_text(asked -> 'users')))
        ORDER BY f.user_id FOR NO KEY UPDATE
    ) f"""
# Each event to the one user who hears of it.
_TOLD: Final = f"""
            SELECT u.user_id,
                row_number() OVER (PARTITION BY u.user_id ORDER BY r.place, u.seq) AS later,
                jsonb_build_object('type', u.type, 'session_id', r.id, 'cid',
                    r.type || ':' || r.name, 'seq', u.seq, 'at', asked ->> 'said',
                    'data', u.data) AS body
            FROM (
                SELECT place, {
    ", ".join(
        f"{_COLUMNS[one]} AS {one}"
        for one in ("id", "type", "name", "caller_id", "callee_id", "started", "ringing")
    )
}
                FROM jsonb_array_elements(asked -> 'calls') WITH ORDINALITY AS o(c, place)
            ) r CROSS JOIN LATERAL (VALUES
                (1, '{EventType.CALL_STARTED.value}', r.caller_id, r.started),
                (2, '{EventType.RING_STARTED.value}', r.callee_id, r.ringing)
            ) AS u(seq, type, user_id, data)
            WHERE the_feeds ? u.user_id AND r.id = ANY (the_taken)"""  # noqa: S608  (constants)


def function() -> str:
    """The SQL that makes the function, as a migration has it word for word."""
    return begin_sql.function(
        "begin_pairs",
        write=f"{WRITE} INTO the_taken, the_webhooks",
        hold=f"{HOLD} INTO the_feeds",
        told=_TOLD,
    )


def statements() -> dict[str, str]:
    """The statements of the function that every ring needs, without where their rows go."""
    return {"write_pairs": WRITE, "hold": HOLD}


BEGIN: Final = text("SELECT begin_pairs(CAST(:asked AS jsonb))")


def is_pair(change: Change) -> bool:
    """Whether a row of ROW says all of a plain call (`begin.is_plain`)."""
    decision = change.decision
    if len(decision.rings) != 1 or len(decision.members) != 2 or len(decision.events) != 2:
        return False
    call, (started, ringing) = decision.call, decision.events
    callee = call.members[decision.rings[0].user_id]
    return (
        callee.state is MemberState.RINGING
        and call.members[call.caller_id].state is MemberState.JOINED
        and started.type is EventType.CALL_STARTED
        and ringing.type is EventType.RING_STARTED
    )


def document(
    changes: Sequence[Change], now: datetime, tokens: Sequence[Row]
) -> dict[str, Any] | None:
    """What the function is asked to write, of plain calls of one tenant; None where it is not
    enough, as for a call of more than two."""
    tenant = changes[0].stored.tenant_id
    if not all(one.stored.tenant_id == tenant and is_pair(one) for one in changes):
        return None
    by_user: dict[str, dict[UUID, Row]] = {}
    for token in tokens:
        if token["tenant_id"] == tenant:
            by_user.setdefault(token["user_id"], {})[token["id"]] = token
    # an insert waits for another transaction's of the same cid: all take them in this order
    ordered = sorted(changes, key=lambda one: (one.decision.call.type, one.decision.call.name))
    deadline = ordered[0].decision.rings[0].deadline
    return {
        "tenant_id": tenant,
        "now": now,
        "said": rfc3339(now),
        "deadline": deadline,
        "users": list({user for one in ordered for user in one.decision.call.members}),
        "calls": [_row(one, by_user, deadline) for one in ordered],
    }


def _row(change: Change, tokens: Mapping[str, Mapping[UUID, Row]], usual: datetime) -> list[Any]:
    """ROW of a call; `usual` is the deadline that most have."""
    decision = change.decision
    call, (ring,), (started, ringing) = decision.call, decision.rings, decision.events
    caller = call.members[call.caller_id]
    (push, token, *_), *more = _pushes(change, tokens.get(ring.user_id, {})) or [(None, None)]
    row = [
        call.id, call.name, call.type, call.caller_id, ring.user_id, ring.uuid, push, token,
        call.video, caller.device_id, caller.monitored, call.caller.name, started.data,
        ringing.data, limits.to_json(call.limits),
    ]  # fmt: skip
    rare = _rare(change, ring, usual, more)
    while rare and rare[-1] is None:
        rare.pop()
    return row + rare


def _rare(change: Change, ring: Ring, usual: datetime, more: list[Any]) -> list[Any]:
    call = change.decision.call
    longest = call.created_at + timedelta(seconds=call.limits.length)
    return [
        call.caller.avatar_url,
        handle_json(call.caller.handle),
        stored_person(call.members[ring.user_id].person),
        change.stored.traceparent,
        None if ring.deadline == usual else ring.deadline,
        None if ring.deadline <= longest else longest,
        more or None,
        *(_unless_usual(name, call.details) for name in DETAILS),
    ]


def _unless_usual(name: str, details: Details) -> Any:
    value = getattr(details, name)
    return None if value == getattr(NO_DETAILS, name) else value


def _pushes(change: Change, tokens: Mapping[UUID, Row]) -> list[tuple[Any, ...]]:
    """One push for each token, as `ring_pushes` makes them; then those that ring again."""
    made: list[tuple[Any, ...]] = [(uuid7(), token) for token in tokens]
    for token in tokens.values():
        if token["every"] is not None:
            made += [
                (one["id"], one["token_id"], one["purpose"], one["due_at"], one["deadline"])
                for one in _repeats(change, token)
            ]
    return made


def _repeats(change: Change, token: Row) -> list[NewRepeat]:
    (ring,) = change.decision.rings
    first: NewRing = {
        "id": uuid7(),
        "ring": ring.uuid,
        "session_id": change.decision.call.id,
        "tenant_id": change.stored.tenant_id,
        "user_id": ring.user_id,
        "token_id": token["id"],
        "purpose": Purpose.RING.value,
        "created_at": ring.created_at,
        "deadline": ring.deadline,
    }
    return alerts.repeats(first, token["every"])
