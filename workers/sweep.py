"""The sweep: every second on every worker's loop, one at a time, with no beat and no broker."""

from app.calls import service as calls
from app.devices import service as devices
from app.infra.runtime import Runtime
from app.push import service as push
from app.push.service import Dispatcher


async def sweep(runtime: Runtime, dispatcher: Dispatcher) -> None:
    """Go once through all that time brings, unless another worker is at it."""

    async def rounds() -> None:
        await calls.sweep(runtime)
        await calls.ring_late_devices(runtime)
        await calls.tell_large_calls(runtime)
        await dispatcher.sweep()
        await devices.sweep(runtime)

    await push.as_only_sweeper(runtime, rounds)
