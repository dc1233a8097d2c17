"""Connections stay for those who use them, and go with the credential or with time."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import event

from app.credentials import store as credentials
from app.push import senders
from app.push.senders import Senders
from tests.e2e.house import eventually
from tests.push.conftest import Bench
from tests.push.test_trouble import ended
from workers.loop import Loop


async def look(worker: Loop) -> Senders:
    """Have a worker look once which connections it keeps."""
    assert worker.dispatcher is not None
    assert worker.runtime is not None
    loop = worker.dispatcher._loop
    await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(worker.dispatcher.keep_warm(), loop))
    return worker.dispatcher._sending.senders


async def test_what_is_used_stays_open_however_many_are_newer(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "MOST_WARM", 0)  # all others are newer
    await bench.phones(1)
    worker = bench.start_worker()
    for _ in range(2):
        push = await ended(bench, await bench.ring("bob"), timeout=10)
        assert push["state"] == "accepted"
        kept = await look(worker)
        (sender,) = kept._senders.values()
        assert (sender.stats().connections, sender.stats().handshakes) == (1, 1)
    await bench.tenant.execute(
        "UPDATE credentials SET state = 'retired' WHERE tenant_id = :t", t=bench.tenant.id
    )
    await look(worker)
    await eventually(lambda: _gone(kept))


async def test_a_secret_is_read_when_a_connection_is_opened_and_not_again(bench: Bench) -> None:
    await bench.phones(1)
    worker = bench.start_worker()
    assert worker.runtime is not None
    await eventually(lambda: _open(worker))
    asked: list[str] = []

    def note(*about: Any) -> None:
        asked.append(about[2])

    async def looked_without_reading() -> bool:
        asked.clear()
        await look(worker)
        of_credentials = [one for one in asked if "FROM credentials" in one]
        return bool(of_credentials) and not any("sealed" in one for one in of_credentials)

    engine = worker.runtime.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    await eventually(looked_without_reading)  # a look that had begun before may still read it
    event.remove(engine, "before_cursor_execute", note)


async def _open(worker: Loop) -> bool:
    return bool((await look(worker))._senders)


async def _gone(kept: Senders) -> bool:
    return not kept._senders


async def test_what_was_not_used_for_an_hour_goes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "MOST_WARM", 0)
    await bench.phones(1)
    worker = bench.start_worker()
    await ended(bench, await bench.ring("bob"), timeout=10)
    assert (await look(worker))._senders
    monkeypatch.setattr(senders, "KEPT", -1.0)
    assert not (await look(worker))._senders
