"""A sender against the simulator, and the check that a fault has left nothing behind."""

import asyncio
import os
import secrets
import socket
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.apns import (
    CertificateCredential,
    Credential,
    KeyCredential,
    PushOutcome,
    PushRequest,
    Sender,
    Timing,
)
from devkit.simulator import Simulator

BUNDLE = "com.example.app"
TOPIC = "com.example.app.voip"
TCP_CLOSE, TCP_LISTEN = 7, 10
"""States of a socket, as Linux counts them."""
PAYLOAD = b'{"aps":{"alert":{"cid":"default:abc","user_ids":"alice"}},"ring":{"v":1}}'

QUICK = Timing(
    connect=1.0,
    ping_idle=30.0,
    ping_busy=0.3,
    ping_timeout=0.3,
    stall=0.5,
    body=0.3,
    backoff_first=0.02,
    backoff_most=0.2,
)
"""For tests of silence and of what is waited for."""

PATIENT = replace(QUICK, connect=30.0, ping_busy=30.0, ping_timeout=30.0, stall=30.0, body=30.0)
"""For all others: a machine that stands still for a second is no silence of Apple's."""


def some_token() -> str:
    return secrets.token_hex(32)


def push_to(token: str, **fields: Any) -> PushRequest:
    return PushRequest(token, fields.pop("payload", PAYLOAD), **({"topic": TOPIC} | fields))


def certificate(sim: Simulator) -> CertificateCredential:
    return CertificateCredential(pem=sim.voip_certificate(BUNDLE).pem)


def provider_key(sim: Simulator, **fields: Any) -> KeyCredential:
    made = sim.provider_key(**fields)
    return KeyCredential(p8=made.p8.encode(), key_id=made.key_id, team_id=made.team_id)


class Rig:
    """One sender, one simulator, and what tests do with them."""

    def __init__(self, sim: Simulator, sender: Sender) -> None:
        self.sim = sim
        self.sender = sender
        self.loop = asyncio.get_running_loop()
        self.metronome = Metronome()

    async def push(
        self,
        token: str | None = None,
        *,
        within: float = 20.0,
        deadline: float | None = None,
        **fields: Any,
    ):
        """One push, and a check of what must hold for every outcome."""
        deadline = self.loop.time() + within if deadline is None else deadline
        request = push_to(token or self.live(), **fields)
        outcome = await self.sender.send(request, deadline)
        return checked(outcome, request, deadline, grace=0.25 + self.metronome.worst)

    async def warm(self) -> None:
        """A connection is there: what follows may be held to a time without a handshake's."""
        assert await self.sender.warm(60)

    def live(self) -> str:
        token = some_token()
        self.sim.live(token, topic=TOPIC)
        return token

    async def settled(self) -> None:
        """No push, stream, future or timer is left; the server agrees; the next push works."""
        await until(lambda: not self.sender.pool.in_flight)
        stats = self.sender.stats()
        assert (stats.streams, stats.waiting) == (0, 0)
        assert len(self.sender.pool.deadlines) == 0
        assert all(not x.streams.blocked for x in self.sender.pool.manager.sockets)
        self.sim.end_fault()
        assert (await self.push(within=5.0)).code == 200
        await until(lambda: not self.sim.statistics()["open_streams"])
        await until(lambda: not self.sender.stats().leaving)
        assert self.sender.stats().slots == sum(x.free() for x in self.sender.pool.connections)
        assert self.sim.statistics()["violations"] == []


def checked(
    outcome: PushOutcome, request: PushRequest, deadline: float, *, grace: float = 0.25
) -> PushOutcome:
    """An outcome is one of the kinds, within the deadline, and says so completely.

    `grace` is what a busy machine may make of the deadline.
    """
    assert outcome.notification_id == request.notification_id
    assert bool(outcome.code) != (outcome.no_answer is not None)
    assert outcome.is_successful == (outcome.code == 200)
    assert outcome.started <= outcome.ended <= max(deadline, outcome.started) + grace
    if outcome.no_answer is not None:
        assert outcome.cause
    return outcome


@asynccontextmanager
async def rig_on(
    sim: Simulator, credential: Credential | None = None, *, deaf: bool = False, **options: Any
):
    """A rig whose sender is closed at the end, and all its sockets with it.

    `deaf`: the server has stopped reading and so will not see that; it is closed by force.
    """
    url = options.pop("url", sim.production_url)
    port = urlsplit(url).port or 443
    descriptors = open_descriptors(port)
    settings = {"ca_file": sim.ca_file, "timing": PATIENT} | options
    sender = Sender(credential or certificate(sim), url, **settings)
    made = Rig(sim, sender)
    try:
        yield made
    finally:
        made.metronome.stop()
        sim.end_fault()
        await sender.close()
        assert not sender.pool.manager.sockets
        assert sender.pool.in_flight == 0
        if deaf:
            sim.close_connections(how="rst")
        await until(lambda: not sim.statistics()["open_connections"])
        await until(lambda: open_descriptors(port) <= descriptors)
        left = [x for x in asyncio.all_tasks() if x is not asyncio.current_task()]
        assert not [x for x in left if "manager" in repr(x.get_coro())]


async def holding(rig: Rig, count: int) -> tuple[int, list[asyncio.Task]]:
    """So many pushes at the server, unanswered, on one connection."""
    token = rig.live()
    hold = rig.sim.fault(token=token, hold=True)
    pushes = [asyncio.create_task(rig.push(token, within=5.0)) for _ in range(count)]
    await rig.sim.arrived(count, token=token)
    return hold, pushes


def raw(*frames: tuple[int, int, int, bytes]) -> str:
    """Frames (type, flags, stream, payload) as the simulator's `raw` takes them."""
    return b"".join(
        len(p).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + p
        for kind, flags, stream, p in frames
    ).hex()


class Metronome:
    """How late this event loop has been, in seconds: the machine's share.

    `worst`: at the worst; `lost`: in all.
    """

    def __init__(self) -> None:
        self.worst = self.lost = 0.0
        self._loop = asyncio.get_running_loop()
        self._tick(self._loop.time())

    def _tick(self, due: float) -> None:
        now = self._loop.time()
        self.worst = max(self.worst, now - due)
        self.lost += now - due
        self._timer = self._loop.call_at(now + 0.01, self._tick, now + 0.01)

    def stop(self) -> None:
        self._timer.cancel()


async def until(condition, within: float = 60.0) -> None:
    """Wait for a condition that comes about by itself."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within
    while not condition():
        assert loop.time() < end, "it did not come about"
        await asyncio.sleep(0.005)


def open_descriptors(port: int = 0) -> int:
    """How many files, and sockets from or to `port`, this process has open; 0 where not known.

    Without what event loops open for themselves when they first need it, and without what the
    rest of this process is connected to: other tests' houses come and go meanwhile.
    """
    path = Path("/proc/self/fd")
    if not path.is_dir():
        return 0
    count = 0
    for descriptor in path.iterdir():
        with suppress(OSError):  # the one that lists them is gone by now
            name = str(descriptor.readlink())
            own = name.startswith(("anon_inode:", "pipe:", "/dev/null"))
            of_others = name.startswith("socket:") and _is_of_others(int(descriptor.name), port)
            count += not own and not of_others
    return count


def _is_of_others(descriptor: int, port: int) -> bool:
    """Whether it is a socket with neither end at `port`. Who is cut off has no ends.

    Asked of the socket itself: the kernel's tables hold every socket of the machine.
    """
    with socket.socket(fileno=os.dup(descriptor)) as one:
        if one.family not in {socket.AF_INET, socket.AF_INET6}:
            return one.family == socket.AF_UNIX
        if one.type != socket.SOCK_STREAM:
            return False
        state = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
        if state == TCP_CLOSE:
            return False
        ends = (
            [one.getsockname()] if state == TCP_LISTEN else [one.getsockname(), one.getpeername()]
        )
        return port not in {end[1] for end in ends}
