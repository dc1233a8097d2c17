"""Commands on a call, in a line of its own in each process: many with one lock, reading and commit.

Who has to wait for a call holds nothing meanwhile: the lock is taken only where it is free, else
the connection goes back and the line looks again a little later, for `PATIENCE` seconds at most.
So one call that somebody holds costs its own commands time, and no other call anything.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.log import Actor, record
from app.calls import slices, store
from app.calls.apply import Applied, Change, apply
from app.calls.notify_after_commit import notify_after_commit
from app.calls.refusals import not_found
from app.calls.rows import Stored
from app.core.call import Command, Decision, Tick, combine, decide
from app.core.frozen import frozen, replace
from app.core.large_calls import whom_they_need
from app.infra.anew import anew
from app.infra.batching import Lanes
from app.infra.db import Connection
from app.infra.errors import Unavailable
from app.infra.outage import is_transient
from app.infra.runtime import Runtime

AT_ONCE = 50
"""Commands decided in one transaction at most: of a large call, some 30 ms of work."""

MOST_WAITING = 2_000
"""Commands that may wait for one call in one process."""

PATIENCE = 3.0
FIRST_LOOK, LONGEST_LOOK = 0.004, 0.06
"""Seconds for which a line waits for a call that another process holds, and between two looks."""

AT_A_STRETCH = 10
"""Commands decided before the loop gets its turn."""

Audited = tuple[Actor, str]
"""Who acts, and the act, as the audit log names it."""

Admit = Callable[[Connection, Stored, Decision, datetime], Awaitable[Any]]


@frozen
class Asked:
    """A command. `admit` is asked before its decision counts: what it gives is the answer instead.

    It sees the call as it was decided on (of a large one perhaps the members alone that commands
    need), in the transaction that holds it. `audited`: who acts, to be written to the audit log if
    the command changes anything. `known`: the call as who asks has just written it, which is
    not read again while it owes rings and nobody else has written it.
    """

    command: Command
    admit: Admit | None = None
    audited: Audited | None = None
    known: Stored | None = None
    since: float = field(default_factory=time.monotonic)


@frozen
class Done:
    """What came of a command: the call as stored and as decided, or `instead`, and no change."""

    stored: Stored
    decision: Decision
    instead: Any = None


Line = tuple[UUID, UUID]
"""(tenant, call)."""


async def carry_out(runtime: Runtime, tenant_id: UUID, session_id: UUID, asked: Asked) -> Done:
    """Have a command decided and written, behind those that wait for the same call.

    Raises NotFound, and Unavailable when the call is held by somebody for too long.
    """

    def make() -> Lanes[Line, Asked, Done]:
        return Lanes(lambda line, batch: _work(runtime, line, batch), AT_ONCE, MOST_WAITING)

    done = await runtime.keep("calls.commands", make).submit((tenant_id, session_id), asked)
    if runtime.traces is not None:
        runtime.traces.acted(done.stored.traceparent)
    return done


async def _work(runtime: Runtime, line: Line, batch: Sequence[Asked]) -> list[Done | Exception]:
    """Rings that the call owes come first, in transactions of their own.

    What these have to tell waits where a command follows, which may stop them.
    """
    follows = any(not isinstance(asked.command, Tick) for asked in batch)
    most = None if follows else slices.NEXT
    untold = list[Applied]()
    known = next((asked.known for asked in batch if asked.known is not None), None)
    end, pause = max(asked.since for asked in batch) + PATIENCE, FIRST_LOOK
    try:
        while True:
            mine, answers, applied, known = await _locked(runtime, line, batch, most, known)
            untold.append(applied)
            if answers is not None:
                return answers
            if mine and follows:
                continue
            _tell(runtime, untold)
            if mine:
                continue
            if time.monotonic() > end:
                return [
                    Unavailable("busy", "another request holds this call; try again") for _ in batch
                ]
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  (spreads the looks)
            pause = min(LONGEST_LOOK, 2 * pause)
    finally:
        _tell(runtime, untold)


def _tell(runtime: Runtime, untold: list[Applied]) -> None:
    for applied in untold:
        notify_after_commit(runtime, applied)
    untold.clear()


Looked = tuple[bool, list[Done | Exception] | None, Applied, Stored | None]
"""Whether the call was free, the answers if there are any yet, what is to be told, and the call as
it is written now if it still owes rings."""


async def _locked(
    runtime: Runtime, line: Line, batch: Sequence[Asked], most: int | None, known: Stored | None
) -> Looked:

    async def work(session: Connection) -> Looked:
        lock = await store.lock_if_free(session, *line)
        if lock is None:
            return False, [not_found() for _ in batch], Applied(), None
        if not lock.mine:
            return False, None, Applied(), known
        as_known = (lock.now, known) if known is not None and lock.leaves(known) else None
        return True, *await _together(session, line[1], batch, most, as_known)

    try:
        return await anew(runtime.database, work)
    except Exception as error:
        if is_transient(error):  # for all who asked
            return False, [error for _ in batch], Applied(), None
        raise  # whose fault it is shows when each is tried alone


async def _together(
    session: Connection,
    session_id: UUID,
    batch: Sequence[Asked],
    most: int | None,
    known: tuple[datetime, Stored] | None,
) -> tuple[list[Done | Exception] | None, Applied, Stored | None]:
    """Each command is decided on the call as the one before it left it; written is the sum.

    No answers: the call owed rings, of which `most` are written now. Who asked for no more than
    that these ring is answered with the last of them.
    """
    users = whom_they_need([asked.command for asked in batch])
    now, stored = known or await store.load_for(session, session_id, users)
    if stored.owed is not None:
        applied, (stored,) = await slices.pay(session, [stored], now, most)
        if stored.owed is not None:
            return None, applied, stored
        ticks = all(isinstance(asked.command, Tick) for asked in batch)
        done = _unchanged(stored, now) if ticks else None
        return None if done is None else [done] * len(batch), applied, None
    call, decisions = stored.call, list[Decision]()
    answers: list[Done | Exception] = []
    for n, asked in enumerate(batch):
        if n % AT_A_STRETCH == AT_A_STRETCH - 1:
            await asyncio.sleep(0)
        before = replace(stored, call=call)
        decision = decide(call, asked.command, now)
        instead = None
        if asked.admit is not None:
            instead = await asked.admit(session, before, decision, now)
        answers.append(Done(before, decision, instead))
        if instead is None:
            if asked.audited is not None and decision.changed and decision.refusal is None:
                who, act = asked.audited
                target = f"call:{session_id}"
                await record(session, who, stored.tenant_id, act, target, at=now)
            call = decision.call
            decisions.append(decision)
    whole = combine(decisions) if decisions else None
    if whole is None or not whole.changed:
        return answers, Applied(), None
    # written even where a command is refused: time may have passed
    return answers, await apply(session, [Change(stored, whole)], now), None


def _unchanged(stored: Stored, now: datetime) -> Done | None:
    """A look at a call that time has not changed; None where it has."""
    decision = decide(stored.call, Tick(), now)
    return None if decision.changed else Done(stored, decision)
