"""Transactions that PostgreSQL ends for another's sake: begun again from their start.

Rows are locked in an order wherever it is known which they will be. A row that another commits
meanwhile, between a transaction's look and its insert, is in no order, and two may come to wait for
each other: PostgreSQL then ends one of them. Nothing of it is left, so it may be done once more.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import structlog

from app.infra.db import Connection, Database
from app.infra.outage import ended_for_another, name_of

log = structlog.get_logger(__name__)

TRIES: Final = 3
"""How often it is begun at most. PostgreSQL looks for who waits for whom after a second
(`deadlock_timeout`), so that whoever asked is answered within some three."""

PAUSE: Final = 0.05
"""Seconds before it is begun again at most, by chance, and half of it at least. Whoever waited for
it has then been woken and has what it let go: else it may be back first, and the two meet again."""

Done = TypeVar("Done")


async def anew(database: Database, work: Callable[[Connection], Awaitable[Done]]) -> Done:
    """Do `work` in a transaction; again, in another one, where PostgreSQL ended it for another's.

    It must leave nothing behind but its rows: what is told or enqueued follows the commit. Raises
    what it raises, and the deadlock where it was ended so each of `TRIES` times.
    """
    left = TRIES
    while True:
        left -= 1
        try:
            async with database.transaction() as session:
                return await work(session)
        except Exception as error:
            if not left or not ended_for_another(error):
                raise
            log.info("transaction_begun_anew", error=name_of(error), left=left)
        await asyncio.sleep(PAUSE * random.uniform(0.5, 1.0))  # noqa: S311  (parts the two)
