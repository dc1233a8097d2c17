"""What a ring of new calls has to know before it is decided, in one round trip."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.calls.suppressing import RULES, Pair, pair_values, reasons, rules_of
from app.core.frozen import frozen
from app.core.suppression import Why
from app.devices import store as devices
from app.infra import clock
from app.infra.db import Connection, many
from app.infra.horizon import NEXT
from app.push import batches, tokens
from app.push.tokens import User
from app.tenants import store as tenants
from app.users import store as users

_SEE_AND_FIND = (
    f"WITH seen AS ({devices.SEE_USERS.text}) "  # noqa: S608  (constants)
    f"SELECT found.*, {users.RULED} AS ruled, {tenants.STOPPED} AS stopped {{more}} "
    "FROM ({found}) found"
)
_PLAIN = {"found": tokens.RINGABLE.text}
_BY_WAY = {"found": tokens.RINGABLE_BY_WAY.text}
SEE_AND_FIND = text(_SEE_AND_FIND.format(more="", **_PLAIN))
# in the first row alone: there may be hundreds of tokens
_RULES = f", CASE WHEN row_number() OVER () = 1 THEN {RULES} END AS rules"
SEE_FIND_AND_RULE = text(_SEE_AND_FIND.format(more=_RULES, **_PLAIN))
_NUMBER = (
    f", CASE WHEN row_number() OVER () = 1 THEN {NEXT} END AS number"
    f", CASE WHEN row_number() OVER () = 1 THEN ({batches.ALL_READ.text}) END AS batched"
)
_NUMBERED = {
    SEE_AND_FIND: text(_SEE_AND_FIND.format(more=_NUMBER, **_BY_WAY)),
    SEE_FIND_AND_RULE: text(_SEE_AND_FIND.format(more=_RULES + _NUMBER, **_BY_WAY)),
}
"""The same for a transaction that writes by what it finds: it has a number from then on, so that an
erasure which it does not see waits for its end (`app.infra.horizon`), and knows whether pushes may
go in batches."""

MOST_RULED: Final = 10_000
_ruled: Final = set[UUID]()
"""Tenants with preferences or blocks at the last look. It says which statement is worth asking,
never what holds: who has none pays nothing for rules, who has some no further round trip."""


@frozen
class Found:
    """The database's clock, and the tokens of those who are to be rung.

    `ruled`: somebody of their tenants has preferences or blocks; `stopped`: a tenant of theirs has
    stopped all new ringing. `rules`: what those who are rung have, by the place of a pair.
    `batched`: whether all workers take pushes in batches; asked in a transaction alone.
    """

    now: datetime
    tokens: list[dict[str, Any]]
    ruled: bool
    stopped: bool
    pairs: Sequence[Pair]
    rules: list[Any]
    batched: bool

    def quiet(self, now: datetime) -> Mapping[Pair, Why]:
        """Those who are not to be rung at `now`, and why."""
        return reasons(self.pairs, self.rules, now)


async def see_and_find(
    session: Connection,
    seen: Collection[User],
    rung: Collection[User],
    pairs: Iterable[Pair],
    *,
    numbered: bool = False,
) -> Found:
    """Make the rows of users seen for the first time, and find what rings those of `pairs`.

    `numbered`: in a transaction, which has its number then.
    """
    wanted = sorted(rung)
    values: dict[str, Any] = devices.seen(seen) | tokens.wanted(wanted)
    whose = {tenant for tenant, _ in wanted}
    expected = not whose.isdisjoint(_ruled)
    by_whom = sorted(set(pairs)) if expected else []
    if expected:
        values |= pair_values(by_whom, clock.now())
    statement = SEE_FIND_AND_RULE if expected else SEE_AND_FIND
    rows = await many(session, _NUMBERED[statement] if numbered else statement, values)
    now, found = tokens.clock_and_tokens(rows)
    ruled, stopped = bool(rows[0]["ruled"]), bool(rows[0]["stopped"])
    rules = rows[0]["rules"] or [] if expected else []
    if ruled and not expected:
        by_whom = sorted(set(pairs))
        rules = await rules_of(session, by_whom, now)
    if ruled is not expected:
        _remember(whose, ruled=ruled)
    return Found(now, found, ruled, stopped, by_whom, rules, bool(rows[0].get("batched")))


OWED = text(
    "SELECT found.*, CASE WHEN row_number() OVER () = 1 "  # noqa: S608  (constants)
    f"THEN ({batches.ALL_READ.text}) END AS batched FROM ({tokens.RINGABLE_BY_WAY.text}) found"
)


async def find_owed(
    session: Connection, users: Sequence[User]
) -> tuple[datetime, list[dict[str, Any]], bool]:
    """For a later slice of a call: the database's clock, the tokens at which these can be rung,
    and whether all workers take pushes in batches."""
    rows = await many(session, OWED, tokens.wanted(users))
    return *tokens.clock_and_tokens(rows), bool(rows[0]["batched"])


def _remember(whose: Collection[UUID], *, ruled: bool) -> None:
    if len(_ruled) >= MOST_RULED:
        _ruled.clear()
    (_ruled.update if ruled else _ruled.difference_update)(whose)
