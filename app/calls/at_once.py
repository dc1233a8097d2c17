"""Rings in two round trips, where nothing wants a transaction: one finds, one writes."""

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Generic, TypeVar
from weakref import WeakKeyDictionary

import structlog

from app.calls.apply import Applied
from app.calls.begin import begin
from app.calls.lookup import see_and_find
from app.calls.lost import User, lost_of
from app.calls.ring_request import CidKey, RingRequest
from app.calls.ringing import Rung, answer_of, kept_row, named, ring_new, start_of, stopped
from app.infra.anew import anew
from app.infra.db import Connection, Database
from app.infra.outage import lacks_function
from app.push.batches import BATCHED_FROM

log = structlog.get_logger(__name__)

Made = TypeVar("Made")

LOOK_AGAIN: Final = 60.0
"""Seconds after which a function that was missing is asked for again."""


_asked_again: Final = WeakKeyDictionary[Database, float]()
"""Databases that lacked the function, as after a restore of tables alone, and until when it is not
asked for (`time.monotonic()`)."""


async def ring(database: Database, orders: Sequence[RingRequest]) -> Rung:
    """Start a call for each order of one tenant whose cid is free, and commit.

    In two round trips where that can be; else in one transaction of all that it takes.
    """
    if may_be_at_once(orders) and time.monotonic() >= _asked_again.get(database, 0.0):
        try:
            async with database.autocommit() as session:
                rung = await ring_at_once(session, orders)
        except Exception as error:
            if not lacks_function(error):
                raise
            _asked_again[database] = time.monotonic() + LOOK_AGAIN
            missing = "begin_pairs" if "begin_pairs" in str(error) else "begin_calls"
            log.error("function_missing", function=missing)  # noqa: TRY400
        else:
            if rung is not None:
                return rung
    return await anew(database, partial(ring_new, orders=orders))


def may_be_at_once(orders: Sequence[RingRequest]) -> bool:
    """Whether these want no transaction, by what is known of them: no policy, group or twin."""
    keys = [one.key for one in orders if one.key is not None]
    return len(set(keys)) == len(keys) and not any(
        one.watched or one.notify or one.owed or len(one.callees) >= BATCHED_FROM for one in orders
    )


async def ring_at_once(session: Connection, orders: Sequence[RingRequest]) -> Rung | None:
    """As `ring_new`, of those that `may_be_at_once`; commits, if it is in no transaction.

    None: nothing is written, for something was found that wants the whole way.
    """
    seen, users, pairs = named(orders)
    found = await see_and_find(session, seen, users, pairs)
    if found.stopped:
        return dict.fromkeys(range(len(orders)), stopped()), Applied()
    now, quiet = found.now, found.quiet(found.now)
    lost_users = await lost_of(session, users, found.tokens)
    if quiet or lost_users.silenced:
        return None
    nobody = frozenset[User]()
    started = [start_of(one, now, lost_users, quiet, nobody, ruled=found.ruled) for one in orders]
    first: dict[CidKey, int] = {}
    for n, one in enumerate(orders):
        first.setdefault(one.cid, n)
    begun = [(orders[n], started[n]) for n in first.values()]
    keys = [kept_row(one, change, now) for one, change in begun if one.key is not None]
    told = Meanwhile(lambda: {n: answer_of(orders[n], started[n]) for n in first.values()})
    done = await begin(session, [change for _, change in begun], now, found.tokens, keys)
    if done is None:
        return None
    added, applied = done
    answers = told.made()
    return {n: one for n, one in answers.items() if orders[n].session_id in added}, applied


class Meanwhile(Generic[Made]):
    """What is made in the next turn of the loop, so while a statement that leaves in this one is
    worked on; its answer then waits for less."""

    def __init__(self, make: Callable[[], Made]) -> None:
        self._make = make
        self._made: Made | None = None
        asyncio.get_running_loop().call_soon(self.made)

    def made(self) -> Made:
        """It; made now, if its turn has not come."""
        if self._made is None:
            self._made = self._make()
        return self._made
