"""The first of several tries that succeeds: a silent one holds up no other (RFC 8305, 5)."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from app.infra.tasks import Tasks

Made = TypeVar("Made")
Try = Callable[[], Coroutine[Any, Any, Made]]


class AllFailed(Exception):
    """None has succeeded: why, in the order of their ends."""

    def __init__(self, causes: Sequence[BaseException]) -> None:
        super().__init__(*causes)
        self.causes = causes


async def first_of(
    tries: Sequence[Try[Made]],
    another_after: float,
    drop: Callable[[Made], object],
    tasks: Tasks,
) -> Made:
    """What the first of these gives; `drop` gets what others give all the same.

    They are tasks of `tasks`. The next is begun when one fails, or has not ended after so many
    seconds. Raises AllFailed.
    """
    left, trying = list(tries), set[asyncio.Task[Made]]()
    causes: list[BaseException] = []
    try:
        while left or trying:
            if left:
                trying.add(tasks.spawn("dial", left.pop(0)(), awaited=True))
            done, trying = await asyncio.wait(
                trying,
                timeout=another_after if left else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for one in done:
                error = one.exception()
                if error is None:
                    trying |= done - {one}
                    return one.result()
                causes.append(error)
        raise AllFailed(causes)
    finally:
        for one in trying:
            one.add_done_callback(lambda late: _drop(late, drop))
            one.cancel()


def _drop(late: asyncio.Task[Made], drop: Callable[[Made], object]) -> None:
    if not late.cancelled() and late.exception() is None:
        drop(late.result())
