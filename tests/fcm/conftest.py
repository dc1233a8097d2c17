"""One simulator for the module; a sender per test, checked for what it leaves behind."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
import pytest

from app.apns import Timing
from app.core.outcome import Ended
from app.core.push import Purpose, TokenKind
from app.fcm.account import ServiceAccount
from app.fcm.message import message_of
from app.fcm.sender import FcmSender
from app.infra.sender import OutgoingPush
from devkit.simulator import Simulator
from devkit.simulator.google.accounts import Account
from tests.apns.rig import PATIENT, QUICK, until

PROJECT = "demo-project"


@pytest.fixture(scope="session")
def google(simulator: Simulator) -> tuple[Simulator, Account]:
    """The process's simulator, and an account: to make its key takes a while."""
    return simulator, simulator.google_account(PROJECT)


def account_of(text: str) -> ServiceAccount:
    """A service account of its owner's file."""
    found = orjson.loads(text)
    return ServiceAccount(
        found["project_id"], found["client_email"], found["private_key_id"], found["private_key"]
    )


def some_token() -> str:
    return f"{secrets.token_urlsafe(16)}:APA91b{secrets.token_urlsafe(100)}"


def push_to(token: str, *, purpose: Purpose = Purpose.RING, lives: float = 30.0) -> OutgoingPush:
    now = time.time()
    return OutgoingPush(
        secrets.token_hex(8), "ring", purpose, TokenKind.FCM, "com.example.app", token,
        b'{"call_cid":"default:abc"}', now + lives, now,
    )  # fmt: skip


class Rig:
    """One sender, one fake Google, and what tests do with them."""

    def __init__(self, sim: Simulator, sender: FcmSender, made: Account) -> None:
        self.sim, self.sender, self.email = sim, sender, made.client_email
        self.account = account_of(made.json)
        self.loop = asyncio.get_running_loop()
        self._violations = sim.statistics()["violations"]

    def live(self) -> str:
        token = some_token()
        self.sim.fcm_live(token, project=PROJECT)
        return token

    async def push(
        self, token: str | None = None, *, within: float = 2.0, late: float = 0.25
    ) -> Ended:
        deadline = self.loop.time() + within
        request = message_of(push_to(token or self.live()))
        outcome: Ended = await self.sender.send(request, deadline)
        assert bool(outcome.code) != (outcome.no_answer is not None)
        assert outcome.started <= outcome.ended <= deadline + late
        assert bool(outcome.cause) == (outcome.no_answer is not None)
        return outcome

    def token_requests(self) -> int:
        return sum(one.topic == "oauth" for one in self.sim.arrivals())

    async def settled(self) -> None:
        """Nothing is left behind, and the next push works."""
        await until(lambda: not self.sender.pool.in_flight)
        assert len(self.sender.pool.deadlines) == 0
        self.sim.end_fault()
        assert (await self.push(within=5.0)).code == 200
        await until(lambda: not self.sender.stats().leaving)
        assert self.sim.statistics()["violations"] == self._violations


@pytest.fixture
async def rig(google: tuple[Simulator, Account]) -> AsyncIterator[Rig]:
    async with opened(google, PATIENT) as made:
        yield made


@pytest.fixture
async def quick_rig(google: tuple[Simulator, Account]) -> AsyncIterator[Rig]:
    """For tests of what is waited for."""
    async with opened(google, QUICK) as made:
        yield made


@asynccontextmanager
async def opened(google: tuple[Simulator, Account], timing: Timing) -> AsyncIterator[Rig]:
    sim, made = google
    sim.clear_arrivals()
    sender = FcmSender(
        account_of(made.json), sim.fcm_url, sim.google_token_url,
        ca_file=sim.ca_file, wall_clock=time.time, timing=timing,
    )  # fmt: skip
    try:
        yield Rig(sim, sender, made)
    finally:
        sim.change_account(made.client_email, disabled=False, may_send=True)
        sim.end_fault()
        sim.set_access_token_life(3_599)
        await sender.close()
        assert not sender.pool.manager.sockets
        assert sender.pool.in_flight == 0
