"""Taking an erased user out of pushes."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, Row, many, one
from app.push import batches

OPEN_STOP = "p.purpose = 'stop' AND p.state IN ('pending', 'sending')"
BURY = """
    UPDATE pushes p SET user_id = :tombstone, token = '', is_open = p.state = 'sending',
        state = CASE WHEN p.state <> 'pending' THEN p.state WHEN p.inherited THEN 'expired'
            ELSE 'dropped' END
    WHERE p.tenant_id = :tenant AND p.user_id = :user AND p.ring IN ({rings}) AND NOT ({stop})
"""
BURY_IN = text(
    BURY.format(
        stop=OPEN_STOP,
        rings="SELECT r.uuid FROM rings r WHERE r.session_id = ANY(CAST(:calls AS uuid[]))",
    )
)
OF_TOMBSTONE = """
    SELECT r.uuid FROM members m
    JOIN rings r ON r.session_id = m.session_id AND r.user_id = :tombstone
    WHERE m.tenant_id = :tenant AND m.user_id = :tombstone
"""
BURY_REST = text(BURY.format(stop=OPEN_STOP, rings=OF_TOMBSTONE))
CALLS_OF_TOMBSTONE = text("""
    SELECT DISTINCT session_id FROM members WHERE tenant_id = :tenant AND user_id = :tombstone
""")
OPEN_STOPS = text(f"""
    SELECT count(*) AS n FROM pushes p
    WHERE p.ring IN ({OF_TOMBSTONE}) AND {OPEN_STOP}
""")  # noqa: S608  (constants)
"""Also those past their deadline: until the sweep has ended them, they name the user."""


async def bury_in(session: Connection, erasure: Row, calls: Sequence[UUID]) -> None:
    """Take an erased user and their tokens out of the pushes of these calls.

    What is unsent is dropped, but not the stops: a phone that rings is to be told that it is over.
    """
    await batches.bury(session, _erased(erasure), calls)
    await session.execute(BURY_IN, _erased(erasure) | {"calls": list(calls)})


async def bury(session: Connection, erasure: Row) -> int:
    """The same for what has been sent since; returns how many stops were under way before it.

    Comes after members and rings have the tombstone: by them the pushes are found. The stops are
    counted first: of one that is taken between two statements, whoever buries first has seen it
    under way, and whoever counts then would not, so that it named the user for good.
    """
    values = _erased(erasure)
    row = await one(session, OPEN_STOPS, {name: values[name] for name in ("tenant", "tombstone")})
    assert row is not None
    await batches.bury(session, values, await _calls_of(session, values))
    await session.execute(BURY_REST, values)
    return int(row["n"])


async def _calls_of(session: Connection, erased: Row) -> list[UUID]:
    rows = await many(session, CALLS_OF_TOMBSTONE, {k: erased[k] for k in ("tenant", "tombstone")})
    return [row["session_id"] for row in rows]


def _erased(erasure: Row) -> dict[str, Any]:
    return {
        "tenant": erasure["tenant_id"],
        "user": erasure["user_id"],
        "tombstone": erasure["tombstone"],
    }
