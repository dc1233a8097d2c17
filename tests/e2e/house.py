"""A whole Ringline for tests: real API and worker processes, a database, a broker, a fake Apple."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from app.access import sign_user_token
from app.core.frozen import replace
from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.infra.connections import SHORT
from app.infra.db import many
from app.infra.outage import ended_for_another, is_transient
from app.infra.runtime import Runtime, open_runtime
from app.infra.settings import Settings
from app.tenants import service as tenants
from devkit.simulator import Simulator
from tests import forks
from tests.declared import declared

ROOT = Path(__file__).resolve().parents[2]
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of `http` alone: to read whom this machine trusts costs each 30 ms of CPU."""
BUNDLE = "com.example.app"
SECRET_KEY = "zH3kP0q8sV5tB1nM7wXe4yRu2aJc6LdF"
STARTING = 240
TROUBLES = {
    "claims_given_back",
    "database_error",
    "push_failed",
    "push_task_failed",
    "results_not_written",
    "round_failed",
    "row_left_aside",
    "sweep_step_failed",
    "task_failed",
}
"""Events of our logs that mean a bug, or a fault that the test has made."""
PATIENT = replace(SHORT, idle=120.0)
"""For transactions of tests, which rest while others are served: one of the product's ends after five
seconds of that, and a busy machine may serve nobody for as long."""
AFTER_FROST = {"round_failed", "sweep_step_failed", "task_failed"}
"""What a process may say of that once it has been frozen: its transaction was ended meanwhile, or a
statement of its own. `statement_timeout` goes on between what asyncpg sends for one that is new, to
prepare it and to run it."""
MANY_PHONES = """
    WITH given AS (
        SELECT * FROM unnest(CAST(:users AS text[]), CAST(:devices AS text[]), CAST(:tokens AS text[]))
            AS g(user_id, device_id, token)
    ), made AS (
        INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT CAST(md5(token) AS uuid), CAST(:tenant AS uuid), user_id, device_id, now(), now()
        FROM given
    )
    INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
        registered_at, expires_at)
    SELECT gen_random_uuid(), CAST(:tenant AS uuid), user_id, CAST(md5(token) AS uuid), 'voip', :app,
        'production', token, now(), now() + interval '9 days'
    FROM given
"""

AS_THE_FIRST = """
    UPDATE credentials k SET probe = asked.probe, environments = asked.environments,
        probed_at = asked.probed_at, probe_due_at = asked.probe_due_at
    FROM credentials asked WHERE asked.tenant_id = :asked AND k.tenant_id = ANY(:others)
"""


class Process:
    """`python -m WORDS`, whose output goes to a file."""

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        env: Mapping[str, str],
        log: Path,
        keep_open: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.was_frozen = False
        with log.open("ab") as output:
            self._child = forks.start(
                *words, env=env, stdout=output.fileno(), stderr=output.fileno(), keep_open=keep_open
            )

    @property
    def pid(self) -> int:
        return self._child.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def send(self, what: signal.Signals) -> None:
        self._child.send_signal(what)

    def kill(self) -> None:
        """SIGKILL; returns when it is dead."""
        self._child.kill()
        self._child.wait(10)

    def freeze(self) -> None:
        self.was_frozen = True
        self.send(signal.SIGSTOP)

    def troubles(self, may_log: Set[str]) -> list[str]:
        """Lines that it logged of what must not happen, but for these."""
        bad = TROUBLES - may_log - (AFTER_FROST if self.was_frozen else set())
        lines = (line for line in self.output().splitlines() if line.startswith("{"))
        return [line for line in lines if json.loads(line)["event"] in bad]

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def stop(self, within: float = 15) -> None:
        """SIGTERM, and SIGKILL if that takes too long."""
        if self._child.poll() is None:
            self.thaw()
            self._child.terminate()
        try:
            self._child.wait(within)
        except subprocess.TimeoutExpired:
            self.kill()

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Return when it is ready; an error with its output when it ends or takes too long."""
        end = time.monotonic() + STARTING
        while not ready():
            if self._child.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{self.name} did not start:\n{self.output()[-3000:]}")
            time.sleep(0.02)


class Api(Process):
    """One API process; `url` is where it listens."""

    def __init__(
        self, number: int, env: Mapping[str, str], folder: Path, given: socket.socket | None = None
    ) -> None:
        with given or listening() as listener:
            self.url = url_of(listener)
            command = ["uvicorn", "--factory", "app.main:create_app"]
            command += ["--fd", str(listener.fileno()), "--no-access-log"]
            command += ["--timeout-keep-alive", "75"]
            super().__init__(
                f"api {number}", command, env, folder / f"api-{number}.log", [listener.fileno()]
            )

    def wait_ready(self) -> None:
        self.wait_until(lambda: "startup complete" in self.output())


def listening() -> socket.socket:
    """A listening socket on a port of its own, for an API to be.

    Linux hands its option on: uvicorn takes what it is given by number for a Unix socket, and each
    answer of two writes then waited 40 ms for the client's acknowledgement.
    """
    listener = socket.socket()
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    listener.set_inheritable(True)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where an API on this socket is reached."""
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


class Worker(Process):
    """One worker process."""

    app = "workers.main"

    def __init__(self, number: int, env: Mapping[str, str], folder: Path) -> None:
        command = ["celery", "-A", self.app, "worker"]
        command += ["--without-gossip", "--without-mingle", "-n", f"w{number}@%h"]
        super().__init__(f"worker {number}", command, env, folder / f"worker-{number}.log")

    def wait_ready(self) -> None:
        self.wait_until(lambda: " ready." in self.output())


@dataclass
class House:
    """Everything one Ringline needs; its processes end with `close`."""

    database_url: str
    redis_url: str
    sim: Simulator
    folder: Path
    extra: dict[str, str] = field(default_factory=dict)
    apis: list[Api] = field(default_factory=list)
    workers: list[Worker] = field(default_factory=list)
    may_log: set[str] = field(default_factory=set)
    listener: socket.socket | None = None
    """For the first API: made beforehand where its address must be known to all processes."""
    at_once: int = 1
    """Tenants that are made together, where many tests come for one: half the CPU of each."""
    ready: list[tenants.NewTenant] = field(default_factory=list)
    _settings: Settings | None = None

    @property
    def env(self) -> dict[str, str]:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("RINGLINE_")}
        return inherited | {
            "RINGLINE_DATABASE_URL": self.settings().database_url,
            "RINGLINE_REDIS_URL": self.redis_url,
            "RINGLINE_SECRET_KEY": SECRET_KEY,
            "RINGLINE_STOP_DELAY": "0",
            "RINGLINE_APNS_PRODUCTION_URL": self.sim.production_url,
            "RINGLINE_APNS_SANDBOX_URL": self.sim.sandbox_url,
            "RINGLINE_APNS_CA_FILE": str(self.sim.ca_file),
            "RINGLINE_FCM_URL": self.sim.fcm_url,
            "RINGLINE_GOOGLE_TOKEN_URL": self.sim.google_token_url,
            "RINGLINE_GOOGLE_CA_FILE": str(self.sim.ca_file),
            "RINGLINE_WEBPUSH_CA_FILE": str(self.sim.ca_file),
            "RINGLINE_WEBPUSH_ALLOW_PRIVATE": "true",
            **self.extra,
        }

    def settings(self) -> Settings:
        """Read once: each time would cost 5 ms of CPU, and every tenant asks for them."""
        if self._settings is None:
            self._settings = self._read_settings()
        return self._settings

    def _read_settings(self) -> Settings:
        return Settings(
            database_url=self.database_url.replace("postgresql+asyncpg", "postgresql"),
            redis_url=self.redis_url,
            secret_key=SECRET_KEY,  # type: ignore[arg-type]
            apns_production_url=self.sim.production_url,
            apns_sandbox_url=self.sim.sandbox_url,
            apns_ca_file=self.sim.ca_file,
            fcm_url=self.sim.fcm_url,
            google_token_url=self.sim.google_token_url,
            google_ca_file=self.sim.ca_file,
            webpush_ca_file=self.sim.ca_file,
            webpush_allow_private=True,
            database_pool=20,
            direct_hints=False,  # what a test does in its own process it does itself
        )

    def start(self, *, apis: int = 0, workers: int = 0, wait: bool = True) -> None:
        """Start so many more processes, at once, and wait until they are ready."""
        new: list[Api | Worker] = []
        for _ in range(apis):
            given, self.listener = self.listener, None
            self.apis.append(Api(len(self.apis), self.env, self.folder, given))
            new.append(self.apis[-1])
        for _ in range(workers):
            self.workers.append(Worker(len(self.workers), self.env, self.folder))
            new.append(self.workers[-1])
        for one in new if wait else ():
            one.wait_ready()

    def close(self) -> None:
        everyone = [*self.workers, *self.apis]
        for one in everyone:
            with contextlib.suppress(ProcessLookupError):
                one.thaw()
                one.send(signal.SIGTERM)
        for one in everyone:
            one.stop()

    def troubles(self) -> list[str]:
        """Lines that the processes logged of what must not happen, unless the test said so."""
        everyone = (*self.apis, *self.workers)
        return [line for one in everyone for line in one.troubles(self.may_log)]

    @contextlib.asynccontextmanager
    async def runtime(self) -> AsyncIterator[Runtime]:
        """Ringline's own doors, in this process: for services, and to look at rows."""
        runtime = open_runtime(self.settings(), patience=PATIENT)
        try:
            yield runtime
        finally:
            await runtime.close()


@dataclass
class Phone:
    """A device as its tokens: what the simulator and the API know of it."""

    user: str
    device_id: str
    voip: str
    alert: str | None


@dataclass
class Tenant:
    """A tenant of this test alone, with a credential, and clients of the API."""

    house: House
    runtime: Runtime
    id: UUID
    key: str
    kid: str
    secret: str
    clients: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def api(self) -> httpx.AsyncClient:
        """The first API process, with the tenant's key."""
        return self.clients[0]

    @property
    def sim(self) -> Simulator:
        return self.house.sim

    def token_for(self, user: str, expires_in: float = 600) -> str:
        now = time.time()
        return sign_user_token(
            self.secret.encode(), self.kid, user, now=now, expires=now + expires_in
        )

    def as_user(self, user: str) -> dict[str, str]:
        return bearer(self.token_for(user))

    async def phone(
        self, user: str, device_id: str | None = None, *, alert: bool = True, api: int = 0
    ) -> Phone:
        """Register a new phone; its tokens are live at the simulator."""
        phone = Phone(
            user,
            device_id or f"d-{secrets.token_hex(4)}",
            secrets.token_hex(32),
            secrets.token_hex(32) if alert else None,
        )
        self.sim.live(phone.voip, topic=f"{BUNDLE}.voip")
        if phone.alert:
            self.sim.live(phone.alert, topic=BUNDLE)
        answer = await self.register(phone, api=api)
        assert answer.status_code == 200, answer.text
        return phone

    async def phones(self, *users: str) -> list[Phone]:
        """A phone for each of these users, who may come again, as rows.

        Where many are needed and how they register is not the question: by the API each is a
        request of its own.
        """
        made = [
            Phone(user, f"d-{secrets.token_hex(4)}", secrets.token_hex(32), None) for user in users
        ]
        self.sim.live(*(one.voip for one in made), topic=f"{BUNDLE}.voip")
        await self.execute(
            MANY_PHONES, tenant=self.id, app=BUNDLE, users=list(users),
            devices=[one.device_id for one in made], tokens=[one.voip for one in made],
        )  # fmt: skip
        return made

    async def register(self, phone: Phone, *, api: int = 0, **more: Any) -> httpx.Response:
        tokens = [{"kind": "voip", "token": phone.voip, "app_id": BUNDLE}]
        if phone.alert:
            tokens.append({"kind": "alert", "token": phone.alert, "app_id": BUNDLE})
        body = {"user_id": phone.user, "device_id": phone.device_id, "tokens": tokens, **more}
        return await self.clients[api].post("/v1/devices", json=body)

    async def ring(
        self, *callees: str, caller: str = "alice", api: int = 0, **more: Any
    ) -> dict[str, Any]:
        """Ring these users; returns the call."""
        answer = await self.clients[api].post(
            "/v1/calls",
            json={"caller": {"id": caller}, "callees": list(callees), **more},
        )
        assert answer.status_code == 202, answer.text
        call: dict[str, Any] = answer.json()
        return call

    async def act(
        self, call: dict[str, Any], what: str, user: str | None = None, device: str | None = None
    ) -> httpx.Response:
        """Accept, decline, ... with the tenant's key."""
        body = {"user_id": user, "device_id": device}
        body = {name: value for name, value in body.items() if value is not None}
        return await self.api.post(f"/v1/calls/{call['session_id']}/{what}", json=body)

    async def read(self, call: dict[str, Any]) -> dict[str, Any]:
        answer = await self.api.get(f"/v1/calls/{call['session_id']}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def becomes(self, call: dict[str, Any], user: str, state: str) -> None:
        """Wait until a member of a call is in this state."""

        async def known() -> bool:
            return str(member(await self.read(call), user)["state"]) == state

        await eventually(known)

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Rows of the database, as they are; `:tenant` is this tenant. One statement."""
        async with self.runtime.database.autocommit() as session:
            return await many(session, text(sql), {"tenant": self.id, **values})

    async def season_workers(self) -> None:
        """Let the workers count as unbroken for long: only such may condemn another."""

        async def all_there() -> bool:
            found = await self.rows("SELECT pid FROM workers")
            return {one.pid for one in self.house.workers} <= {row["pid"] for row in found}

        await eventually(all_there)
        await self.execute("UPDATE workers SET unbroken_since = unbroken_since - interval '1 hour'")

    async def execute(self, sql: str, **values: Any) -> None:
        async with self.runtime.database.transaction() as session:
            await session.execute(text(sql), values)


@contextlib.asynccontextmanager
async def new_tenant(house: House) -> AsyncIterator[Tenant]:
    """A tenant of a house, with a VoIP certificate, and one client per API process."""
    async with contextlib.AsyncExitStack() as stack:
        runtime = await stack.enter_async_context(house.runtime())
        if not house.ready:
            house.ready = await _made(house, runtime, house.at_once)
        made = house.ready.pop()
        tenant = Tenant(house, runtime, made.id, made.api_key, made.kid, made.signing_secret)
        for api in house.apis:
            client = httpx.AsyncClient(
                base_url=api.url,
                headers=bearer(made.api_key),
                timeout=30,
                limits=httpx.Limits(max_connections=100, keepalive_expiry=2),
                event_hooks={"response": [declared]},
                verify=NO_TLS,
            )
            tenant.clients.append(await stack.enter_async_context(client))
        yield tenant


async def _made(house: House, runtime: Runtime, count: int) -> list[tenants.NewTenant]:
    """So many tenants with a certificate each.

    Apple is asked about the first one's, and says the same of each: to ask is half of what a tenant
    costs, two handshakes by TLS.
    """
    made = []
    for n in range(count):
        made.append(await tenants.create(runtime, f"t-{secrets.token_hex(6)}"))
        upload = Upload(data=house.sim.voip_certificate(BUNDLE).pem)
        await credentials.add(runtime, made[-1].id, upload, probe_now=n == 0)
    asked, *others = (one.id for one in made)
    if others:
        async with runtime.database.autocommit() as session:
            await session.execute(text(AS_THE_FIRST), {"asked": asked, "others": others})
    return made


async def unless_busy(work: Awaitable[Any]) -> Any:
    """What it returns; None where it met a bound of the product's own, as on a busy machine: a lock
    or a connection that did not come in time, to a client 503. Who was ended for another raises."""
    try:
        return await work
    except Exception as error:
        if ended_for_another(error) or not is_transient(error):
            raise
        return None


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


async def eventually(
    check: Callable[[], Awaitable[Any]], *, timeout: float = 60, every: float | None = None
) -> Any:
    """What `check` answers, as soon as that is true in the sense of Python.

    It asks `every` so many seconds, or at first often and then ever less: to ask costs more than to wait.
    """
    began = time.monotonic()
    while True:
        found = await check()
        if found:
            return found
        waited = time.monotonic() - began
        if waited > timeout:
            raise TimeoutError(f"not within {timeout} s")
        await asyncio.sleep(every or min(max(waited / 6, 0.03), 0.4))


def member(call: dict[str, Any], user: str) -> dict[str, Any]:
    """One member of a call as the API reads it."""
    found: dict[str, Any] = next(one for one in call["members"] if one["user_id"] == user)
    return found


@contextlib.contextmanager
def running_house(
    database_url: str,
    redis_url: str,
    sim: Simulator,
    folder: Path,
    *,
    apis: int = 1,
    workers: int = 1,
    listener: socket.socket | None = None,
    **extra: str,
) -> Iterator[House]:
    """A house with its processes, closed at the end of the block."""
    house = House(database_url, redis_url, sim, folder, extra, listener=listener)
    try:
        house.start(apis=apis, workers=workers)
        yield house
    finally:
        house.close()
    troubles = house.troubles()
    assert not troubles, "\n".join(line[:2_000] for line in troubles[:5])
