"""Whom nothing can ring as a ring begins: the caller is told at once."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from app.core.call import Call, MemberState
from app.core.frozen import frozen
from app.events import store as events
from app.infra.db import Connection, Row, many
from app.infra.statements import planned_once
from app.push.tokens import could_ring, of_user

User = tuple[UUID, str]
SILENCED = planned_once(f"""
    SELECT DISTINCT t.tenant_id, t.user_id
    FROM unnest(CAST(:tenants AS uuid[]), CAST(:users AS text[])) AS w(tenant_id, user_id)
    {of_user("w", f"NOT t.rings AND {could_ring('t')}")}
""")  # noqa: S608  (constants)


@frozen
class Lost:
    """Users who have neither a token that rings nor a live stream's feed.

    `silenced`: those who would have a token, were its device not off: they are kept from the ring
    as by a preference. `unreachable`: the others.
    """

    unreachable: frozenset[User] = frozenset()
    silenced: frozenset[User] = frozenset()


async def lost_of(session: Connection, users: Collection[User], tokens: Sequence[Row]) -> Lost:
    """Those of these users whom nothing can ring; `tokens`: those that ring."""
    missing = set(users) - {(token["tenant_id"], token["user_id"]) for token in tokens}
    if missing:
        missing -= await events.with_feed(session, missing)
    if not missing:
        return Lost()
    off = await _silenced(session, missing)
    return Lost(frozenset(missing - off), frozenset(off))


async def _silenced(session: Connection, users: Collection[User]) -> set[User]:
    ordered = sorted(users)
    values = {"tenants": [one[0] for one in ordered], "users": [one[1] for one in ordered]}
    return {(row["tenant_id"], row["user_id"]) for row in await many(session, SILENCED, values)}


def warnings_of(call: Call, users: Collection[str]) -> list[dict[str, Any]]:
    """What the answer to a ring warns of: callees that nothing can ring."""
    return [
        {
            "code": "unreachable",
            "detail": "this user has no device that could ring: nobody is told of the call",
            "user_id": user,
        }
        for user in users
        if user in call.members and call.members[user].state is MemberState.UNREACHABLE
    ]
