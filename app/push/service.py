"""Push: what workers do. `Dispatcher` claims, sends and records; one worker sweeps at a time."""

from collections.abc import Awaitable, Callable

from app.infra.runtime import Runtime
from app.push import worker_store
from app.push.dispatch import Dispatcher

__all__ = ["Dispatcher", "as_only_sweeper"]


async def as_only_sweeper(runtime: Runtime, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` unless another worker is at it.

    An advisory lock of a transaction: PostgreSQL lets it go when its holder dies, and when it
    freezes, since it ends transactions that idle (see `app.infra.db`).
    """
    async with runtime.database.transaction() as session:
        if await worker_store.try_sweep_lock(session):
            await work()
