"""Plain new calls in one round trip: a function of the database writes them and all that is theirs.

It is called outside of a transaction, so it commits by itself. Inside it are the statements of the
long way (`app.calls.apply.start`), in their order and made of the same columns; as it is VOLATILE
and the session READ COMMITTED, each of them sees what was committed when it began. So it is as
with a transaction of its own: who reads feeds has a number by then, and feeds are held last, until
the commit (docs/decisions/0034-a-plain-ring-in-two-round-trips.md).

What is not plain it is not asked to write. It writes nothing where what was found is too old, a
user of the tenant has been erased since, or a key was used before: NULL, and the long way is gone.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.calls import begin_pairs, begin_sql, idempotency, saving
from app.calls.apply import (
    Applied,
    Change,
    as_inserted,
    counted,
    hints_of,
    members_of,
    rings_of,
    to_push,
)
from app.calls.begin_sql import SAID, bound
from app.calls.ring_pushes import ring_pushes
from app.core.call import CallState
from app.core.event import rfc3339
from app.events import store as events
from app.infra.db import Connection, Insert, Row, Shape, as_json, insert_with_sql
from app.infra.statements import answer
from app.push.batches import BATCHED_FROM
from app.push.models import Push
from app.push.new_pushes import OF_PUSH, OF_TOKEN_DATED
from app.webhooks import deliveries

PARTS: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "calls": saving.CALLS,
        "members": saving.MEMBERS,
        "rings": saving.RINGS,
        "pushes": (
            Push.__table__,
            OF_PUSH,
            "",
            OF_TOKEN_DATED,
            ("tenant_id", "created_at", "deadline", "purpose", "due_at"),
        ),
    }
)
"""What is written of new calls, by its name in the document that the function takes."""

_HEARING: Final = """SELECT DISTINCT jsonb_array_elements_text(one -> 'to') AS user_id
            FROM jsonb_array_elements(the_events) one"""
_OF_EVENTS: Final = {
    "rows": "the_events",
    "of_tenant": "the_tenant",
    "happened": "the_moment",
    "tenants": f"ARRAY(SELECT the_tenant FROM ({_HEARING}) hearing)",  # noqa: S608  (constants)
    "users": f"ARRAY({_HEARING})",
}
_TOLD: Final = """
            SELECT u.user_id,
                row_number() OVER (PARTITION BY u.user_id ORDER BY r.place) AS later,
                jsonb_build_object('type', r.type, 'session_id', r.session_id, 'cid', r.cid,
                    'seq', r.seq, 'at', asked ->> 'said', 'data', r.data) AS body
            FROM ROWS FROM (jsonb_to_recordset(the_events)
                    AS (session_id uuid, seq integer, type text, data jsonb, cid text, "to" jsonb)
                ) WITH ORDINALITY AS r(session_id, seq, type, data, cid, heard_by, place)
            CROSS JOIN LATERAL jsonb_array_elements_text(r.heard_by) AS u(user_id)
            WHERE the_feeds ? u.user_id"""
_LEFT: Final = """
        SELECT jsonb_agg(one ORDER BY place) INTO the_events
        FROM jsonb_array_elements(the_events) WITH ORDINALITY AS all_of_them(one, place)
        WHERE CAST(one ->> 'session_id' AS uuid) = ANY (the_taken);"""


def statements() -> dict[str, str]:
    """The statements of the function that every ring needs, without where their rows go."""
    rows = {f"rows{n}": f"asked -> '{name}'" for n, name in enumerate(PARTS)}
    said = {
        f"same{n}_{name}": SAID[name] for n, shape in enumerate(PARTS.values()) for name in shape[4]
    }
    written = insert_with_sql(tuple(PARTS.values()), "session_id")
    body, last = written.rsplit(" SELECT id FROM i0", 1)
    assert not last
    told = bound(f"{events.ADD_EVENTS}, d AS ({deliveries.ADD_OF_CALLS})", _OF_EVENTS)
    return {
        "write": f"{bound(body, rows | said)}\n    SELECT array_agg(id) FROM i0",  # noqa: S608
        "tell": f"""WITH {told}
    SELECT (SELECT jsonb_agg(DISTINCT webhook_id) FROM d),
        (SELECT jsonb_object_agg(user_id, seq) FROM f)""",  # noqa: S608  (names of ours)
    }


def function() -> str:
    """The SQL that makes the function, as a migration has it word for word.

    A column more that a new call's row has is a migration that makes it anew, by this.
    """
    write, tell = statements().values()
    write = write.replace("SELECT array_agg(id) FROM", "SELECT array_agg(id) INTO the_taken FROM")
    return begin_sql.function(
        "begin_calls",
        declared="\n    the_events jsonb := asked -> 'events';",
        write=write,
        left=_LEFT,
        hold=f"{tell} INTO the_webhooks, the_feeds",
        told=_TOLD,
    )


BEGIN: Final = text("SELECT begin_calls(CAST(:asked AS jsonb))")


def is_plain(change: Change, now: datetime) -> bool:
    """Whether a function may write it: a small call that rings all whom it is to ring, now.

    Of what became of an order, once all that it names was read; what an order tells before that is
    `at_once.may_be_at_once`, which spares reading in vain. `begin_pairs` asks for a shape alone.
    """
    decision = change.decision
    return (
        decision.call.state is CallState.RINGING
        and not decision.settled
        and change.stored.owed is None
        and len(decision.rings) < BATCHED_FROM
        and all(member.suppressed is None for member in decision.members)
        and all(event.at == now for event in decision.events)
    )


async def begin(
    session: Connection,
    changes: Sequence[Change],
    now: datetime,
    tokens: Sequence[Row],
    keys: Sequence[Row] = (),
) -> tuple[set[UUID], Applied] | None:
    """Write new calls of one tenant, as `apply.start` does, and commit; outside of a transaction.

    `now` and `tokens` are as they were found; `keys`: the answers to keep, for those that are
    taken. None: nothing is written, and the long way is left.
    """
    if not all(is_plain(one, now) for one in changes):
        return None
    function, asked = begin_pairs.BEGIN, begin_pairs.document(changes, now, tokens)
    if asked is None:
        function, asked = BEGIN, document(changes, now, tokens)
    if asked is None:
        return None
    if keys:
        asked["keys"] = idempotency.in_order(keys)
    _, rows = await answer(session, function, {"asked": as_json(asked)})
    done = rows[0][0]
    if done is None:
        return None
    added = {UUID(one) for one in done["taken"]}
    taken = [change for change in changes if change.decision.call.id in added]
    applied = Applied(hints=hints_of(taken, ()), events=counted(taken))
    applied.webhooks = {UUID(one) for one in done.get("webhooks") or ()}
    tenant = changes[0].stored.tenant_id
    applied.news = [(tenant, user, seq) for user, seq in (done.get("feeds") or {}).items()]
    return added, applied


def document(
    changes: Sequence[Change], now: datetime, tokens: Sequence[Row]
) -> dict[str, Any] | None:
    """What the function is asked to write; None where calls differ in what it takes once."""
    pushes = ring_pushes(to_push(changes), now, tokens)
    parts = {
        "calls": saving.calls_as_rows([as_inserted(change) for change in changes]),
        "members": saving.members_as_rows(members_of(changes)),
        "rings": saving.rings_as_rows(rings_of(changes)),
        "pushes": pushes[0] if pushes else Insert(Push.__table__, ()),
    }
    same: dict[str, Any] = {"created_at": now}
    for part in parts.values():
        for name, value in part.same.items():
            if same.setdefault(name, value) != value:
                return None
    asked: dict[str, Any] = {name: part.rows for name, part in parts.items()}
    for repeats in pushes[1:]:
        asked["pushes"] = [*asked["pushes"], *repeats.rows]
    return asked | {
        "tenant_id": same["tenant_id"],
        "now": now,
        "said": rfc3339(now),
        "deadline": same.get("deadline"),
        "events": _events(changes),
    }


def _events(changes: Sequence[Change]) -> list[Row]:
    return [
        {
            "session_id": change.decision.call.id,
            "seq": seq,
            "type": event.type.value,
            "data": event.data,
            "cid": change.decision.call.cid,
            "to": event.to,
        }
        for change in changes
        for seq, event in enumerate(change.decision.events, 1)
    ]
