"""A connection to whichever of several database hosts serves: a silent one holds up no other."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import asyncpg

from app.infra.first_of import AllFailed, first_of
from app.infra.tasks import Tasks

_tasks = Tasks("database")

ANOTHER_AFTER: Final = 0.5
"""Seconds for which one host is waited for before the next is tried beside it."""


async def connect(
    *, host: Sequence[str] | str | None = None, port: Any = None, timeout: float, **options: Any
) -> asyncpg.Connection:
    """As `asyncpg.connect`, which would spend all its time on the first host if that is silent.

    Hosts are tried in their order, whatever another has said. Raises what the first of them said
    that has trouble, rather than that another is not what `target_session_attrs` asks for;
    TimeoutError after `timeout` seconds.
    """
    places = (
        [(host, port)]
        if host is None or isinstance(host, str)
        else list(zip(host, port, strict=True))
    )
    tries = [partial(_connected, host=at, port=on, timeout=timeout, **options) for at, on in places]
    try:
        async with asyncio.timeout(timeout):
            return await first_of(tries, ANOTHER_AFTER, asyncpg.Connection.terminate, _tasks)
    except AllFailed as failed:
        causes = failed.causes
    trouble = (
        one for one in causes if not isinstance(one, asyncpg.TargetServerAttributeNotMatched)
    )
    raise next(trouble, causes[0])


async def _connected(**options: Any) -> asyncpg.Connection:
    return await asyncpg.connect(**options)
