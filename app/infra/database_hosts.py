"""A connection to whichever of several database hosts serves: a silent one holds up no other."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import asyncpg

ANOTHER_AFTER: Final = 0.5
"""Seconds for which one host is waited for before the next is tried beside it (as RFC 8305, 5)."""


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
    left = [
        partial(asyncpg.connect, host=at, port=on, timeout=timeout, **options) for at, on in places
    ]
    trying: set[asyncio.Task[asyncpg.Connection]] = set()
    failed: list[BaseException] = []
    try:
        async with asyncio.timeout(timeout):
            while left or trying:
                if left:
                    trying.add(asyncio.ensure_future(left.pop(0)()))
                done, _ = await asyncio.wait(
                    trying,
                    timeout=ANOTHER_AFTER if left else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                for one in done:
                    trying.discard(one)
                    error = one.exception()
                    if error is None:
                        return one.result()
                    failed.append(error)
    finally:
        for one in trying:
            one.add_done_callback(_drop)
            one.cancel()
    trouble = (
        one for one in failed if not isinstance(one, asyncpg.TargetServerAttributeNotMatched)
    )
    raise next(trouble, failed[0])


def _drop(late: "asyncio.Task[asyncpg.Connection]") -> None:
    """Another host was faster."""
    if not late.cancelled() and late.exception() is None:
        late.result().terminate()
