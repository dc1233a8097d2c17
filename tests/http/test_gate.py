"""What the gate remembers of an API key: for a second, and not past what takes it back."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from app.http import auth
from app.http.auth import REMEMBERED, Gate

KEY = "Bearer rl_sk_" + "a" * 40
ROW = {"tenant_id": UUID(int=1), "settings": {}, "scopes": ["*"], "id": UUID(int=2), "name": "k"}


class Place:
    """A gate before a database that has one key; `now` is its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.reads = 0
        self.open = asyncio.Event()
        self.open.set()
        self.fault: Exception | None = None
        self.gate = Gate(SimpleNamespace(autocommit=self.autocommit), None, None)
        monkeypatch.setattr(auth, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(auth.store, "key_by_digest", self.key_by_digest)

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[None]:
        yield

    async def key_by_digest(self, *_: Any) -> dict[str, Any]:
        self.reads += 1
        await self.open.wait()
        if self.fault is not None:
            raise self.fault
        return ROW

    async def later(self, seconds: float) -> None:
        """Let time pass, and what is read be read."""
        self.now += seconds
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(monkeypatch)


async def test_a_key_in_use_is_read_anew_before_its_second_is_over(place: Place) -> None:
    assert place.gate.known(KEY) is None
    await place.gate.recognise(KEY)
    for seconds, reads in ((0.4, 1), (0.2, 2), (0.45, 2), (0.2, 3)):
        await place.later(seconds)
        assert place.gate.known(KEY) is not None, (seconds, place.reads)
        await place.later(0)
        assert place.reads == reads
    await place.later(REMEMBERED)
    assert place.gate.known(KEY) is None
    assert place.reads == 3, "who is not there any more is not read"


async def test_many_who_ask_have_it_read_once(place: Place) -> None:
    await place.gate.recognise(KEY)
    await place.later(0.6)
    for _ in range(50):
        assert place.gate.known(KEY) is not None
    await place.later(0)
    assert place.reads == 2


@pytest.mark.parametrize("taken_back", ["forget", "settings_changed"])
async def test_what_was_read_before_it_was_taken_back_is_not_kept(
    place: Place, taken_back: str
) -> None:
    await place.gate.recognise(KEY)
    await place.later(0.6)
    place.open.clear()
    assert place.gate.known(KEY) is not None
    await place.later(0)
    assert place.reads == 2
    if taken_back == "forget":
        place.gate.forget()
    else:
        place.gate.settings_changed(ROW["tenant_id"])
    place.open.set()
    await place.later(0)
    assert place.gate.known(KEY) is None


async def test_what_cannot_be_read_anew_holds_for_its_second_and_fails_unheard(
    place: Place,
) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    await place.gate.recognise(KEY)
    await place.later(0.6)
    place.fault = OSError("away")
    assert place.gate.known(KEY) is not None
    await place.later(0)
    assert place.gate.known(KEY) is not None
    await place.later(0.5)
    assert place.gate.known(KEY) is None
    gc.collect()
    assert told == []


async def test_other_credentials_are_nobody_known(place: Place) -> None:
    await place.gate.recognise(KEY)
    for other in ("", "Basic a", "Bearer", "Bearer rl_ct_a", "Bearer rl_sk_b", "bearer x.y.z"):
        assert place.gate.known(other) is None
    assert place.gate.known(KEY.replace("Bearer", "bearer")) is not None
