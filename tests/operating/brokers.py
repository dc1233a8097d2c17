"""`python -m tests.operating.brokers`: Redis over TLS, and RabbitMQ as Celery's broker.

Debian's servers as plain processes with certificates of our own; a database, a simulated Apple, API
and workers beside them. Each is used, killed, and comes back. What is not installed is said, and
left out. Exits with 1 when something is not so.
"""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any, TypeVar
from uuid import uuid4

from app.doctor import Check, examine
from app.infra import schema
from app.infra.queue import DELIVER, QUEUE, SEND, Queue, make_celery
from app.infra.settings import Settings
from devkit.embedded import running_postgres, running_valkey
from devkit.embedded.children import Child, EmbeddedError, await_ready, server_environment
from devkit.simulator import Simulator
from devkit.simulator.certificates import Authority
from tests.e2e.house import House, Process, Tenant, Worker, eventually, new_tenant
from tests.e2e.test_sentinel import free_ports
from tests.live.listener import listening

T = TypeVar("T")
SECRET = "of-the-servers"
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
"""Past the package's wrapper, which would change to a user of its own."""


class Server:
    """A server on a port of the loopback, that can be killed, frozen and started again."""

    def __init__(
        self, name: str, port: int, command: Sequence[str], folder: Path, **more: str
    ) -> None:
        self.name, self.port = name, port
        self._command, self._folder = command, folder
        self._environment = server_environment() | {"HOME": str(folder)} | more
        self.start()

    def start(self) -> None:
        self._child = Child(
            self._command, cwd=self._folder, log=self._folder / f"{self.name}.log",
            death_signal=SIGKILL, environment=self._environment,
        )  # fmt: skip
        await_ready(self._child, self._answers, name=self.name)

    def _answers(self) -> bool:
        with socket.socket() as tried:
            return tried.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        self._child.end([(SIGKILL, 5.0)])

    def freeze(self) -> None:
        os.kill(self._child.pid, SIGSTOP)

    def thaw(self) -> None:
        os.kill(self._child.pid, SIGCONT)


def certificates(authority: Authority, folder: Path) -> dict[str, str]:
    """Files: `ca`, and `cert` and `key` of a server `localhost`."""
    issued = authority.server(names=("localhost",))
    pems = {"ca": authority.pem, "cert": issued.certificate_pem, "key": issued.key_pem}
    pems["other"] = Authority.create().pem
    for name, pem in pems.items():
        (folder / f"{name}.pem").write_bytes(pem)
    return {name: str(folder / f"{name}.pem") for name in pems}


def redis_by_tls(folder: Path, files: dict[str, str]) -> Server:
    """Debian's Redis, which takes nothing but TLS and a password."""
    (port,) = free_ports(1)
    options = {
        "port": "0", "tls-port": str(port), "bind": "127.0.0.1", "save": "", "dir": str(folder),
        "tls-cert-file": files["cert"], "tls-key-file": files["key"],
        "tls-ca-cert-file": files["ca"], "tls-auth-clients": "no", "requirepass": SECRET,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Server("redis", port, [str(shutil.which("redis-server")), *words], folder)


@contextlib.contextmanager
def rabbitmq(folder: Path, files: dict[str, str]) -> Iterator[tuple[Server, int]]:
    """Debian's RabbitMQ with a user and a virtual host `rings`; and its port for TLS."""
    port, tls_port, between, names = free_ports(4)
    (folder / "rabbit.conf").write_text(
        f"listeners.tcp.local = 127.0.0.1:{port}\nlisteners.ssl.local = 127.0.0.1:{tls_port}\n"
        f"ssl_options.cacertfile = {files['ca']}\nssl_options.certfile = {files['cert']}\n"
        f"ssl_options.keyfile = {files['key']}\n"
        f"default_user = rings\ndefault_pass = {SECRET}\ndefault_vhost = rings\n"
    )
    (folder / "plugins").write_text("[].\n")
    epmd = Server(
        "epmd", names, [str(shutil.which("epmd")), "-port", str(names), "-address", "127.0.0.1"],
        folder,
    )  # fmt: skip
    server = None
    try:
        server = Server(
            "rabbitmq", port, [str(RABBITMQ)], folder,
            ERL_EPMD_PORT=str(names), RABBITMQ_DIST_PORT=str(between),
            RABBITMQ_NODENAME="rings@localhost", RABBITMQ_CONFIG_FILE=str(folder / "rabbit.conf"),
            RABBITMQ_MNESIA_BASE=str(folder / "data"), RABBITMQ_LOG_BASE=str(folder),
            RABBITMQ_LOGS="-", RABBITMQ_ENABLED_PLUGINS_FILE=str(folder / "plugins"),
            RABBITMQ_CONF_ENV_FILE=str(folder / "none"), RUNNING_UNDER_SYSTEMD="true",
        )  # fmt: skip
        yield server, tls_port
    finally:
        if server is not None:
            server.kill()
        epmd.kill()


class TellingWorker(Worker):
    """A worker that says what its broker gives it."""

    app = "tests.operating.telling_worker"


def start_worker(house: House) -> None:
    """One more, by the house's settings of now; returns when it is ready."""
    house.workers.append(TellingWorker(len(house.workers), house.env, house.folder))
    house.workers[-1].wait_ready()


def heard(process: Process, task: str) -> int:
    """How many messages of this task a worker has taken from its broker."""
    return process.output().count(f"given {task}\n")


async def rings(tenant: Tenant, token: str) -> str:
    """Ring bob, whose phone must get it; the call's session."""
    before = len(tenant.sim.arrivals(token))
    call = await tenant.ring("bob", ring_time=30)
    await tenant.sim.arrived(before + 1, token=token)
    return str(call["session_id"])


async def rings_by_the_queue(tenant: Tenant, token: str, worker: Process) -> None:
    """Ring until this worker has heard of a ring from its broker: not by the sweep alone."""
    before = heard(worker, SEND)

    async def reached() -> bool:
        await rings(tenant, token)
        return heard(worker, SEND) > before

    await eventually(reached, every=0.5, timeout=120)


async def doctor(house: House, name: str, **more: str) -> Check:
    """What `ringline doctor` finds of this, in the house's settings and these."""
    kept = dict(os.environ)
    os.environ.update(house.env | more)
    try:
        return next(check for check in await examine() if check.name == name)
    finally:
        os.environ.clear()
        os.environ.update(kept)


async def over_tls(house: House, redis: Server, files: dict[str, str]) -> None:
    """Redis by `rediss://`: trusted by a file, and as one of the system's own."""
    house.extra |= {"RINGLINE_REDIS_CA_FILE": files["ca"], "RINGLINE_DIRECT_HINTS": "false"}
    house.start(apis=1)
    start_worker(house)
    del house.extra["RINGLINE_REDIS_CA_FILE"]
    house.extra["SSL_CERT_FILE"] = files["ca"]
    house.start(apis=1)
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        async with listening(house.apis[1].url, tenant.token_for("bob")) as bob:
            await bob.wait_for("snapshot")
            await rings_by_the_queue(tenant, phone.voip, house.workers[0])
            session = await rings(tenant, phone.voip)
            await bob.wait_for(lambda one: one.data.get("session_id") == session)
        say("redis over TLS: a phone rings, a stream hears of it, the worker is told by the queue")
        house.workers[0].stop()
        start_worker(house)
        await rings_by_the_queue(tenant, phone.voip, house.workers[1])
        say("redis over TLS: so it does where the system trusts the authority")
        found = await doctor(house, "Redis")
        assert found.ok, found
        version = found.found
        wrong = await doctor(house, "Redis", SSL_CERT_FILE=files["other"])
        assert (wrong.ok, "CERTIFICATE_VERIFY_FAILED" in wrong.found) == (False, True), wrong
        redis.kill()
        await rings(tenant, phone.voip)
        redis.start()
        await rings_by_the_queue(tenant, phone.voip, house.workers[1])
        say(f"redis over TLS: rings without it, and by it again when it is back ({version})")


async def by_rabbitmq(house: House, rabbit: Server, files: dict[str, str]) -> None:
    """RabbitMQ by `amqps://` with quorum queues; live news by Valkey."""
    await an_older_queue(house)
    house.extra |= {"RINGLINE_DIRECT_HINTS": "false", "RINGLINE_WORKER_ONLY": "pushes"}
    house.start(apis=1)
    start_worker(house)
    house.extra["RINGLINE_WORKER_ONLY"] = "webhooks"
    start_worker(house)
    pushes, webhooks = house.workers
    async with new_tenant(house) as tenant:
        phone = await tenant.phone("bob")
        async with listening(house.apis[0].url, tenant.token_for("bob")) as bob:
            await bob.wait_for("snapshot")
            await rings_by_the_queue(tenant, phone.voip, pushes)
            session = await rings(tenant, phone.voip)
            await bob.wait_for(lambda one: one.data.get("session_id") == session)
        await each_takes_its_own(house)
        say("rabbitmq: a phone rings, each worker is told what is its own, over TLS")
        await put_nonsense(house, pushes)
        await rings_by_the_queue(tenant, phone.voip, pushes)
        say("rabbitmq: nonsense in a queue ends no worker")
        version = await look(house, rabbit, files)
        rabbit.freeze()
        await rings(tenant, phone.voip)
        rabbit.thaw()
        await rings_by_the_queue(tenant, phone.voip, pushes)
        rabbit.kill()
        await rings(tenant, phone.voip)
        away = await doctor(house, "RabbitMQ")
        assert (away.ok, "refused" in away.found) == (False, True), away
        rabbit.start()
        await rings_by_the_queue(tenant, phone.voip, pushes)
        assert heard(webhooks, SEND) == 0
        say(f"rabbitmq: rings while it is frozen or killed, and by it again ({version})")


def settings_of(house: House, **more: str) -> Settings:
    """The house's own, with its broker."""
    extra = {"broker_url": house.extra["RINGLINE_BROKER_URL"],
             "broker_ca_file": house.extra["RINGLINE_BROKER_CA_FILE"]}  # fmt: skip
    return Settings.model_validate(house.settings().model_dump() | extra | more)


async def each_takes_its_own(house: House) -> None:
    pushes, webhooks = house.workers
    queue = Queue(settings_of(house))
    queue.enqueue(DELIVER, [uuid4()])

    async def told() -> bool:
        return heard(webhooks, DELIVER) > 0

    try:
        await eventually(told)
    finally:
        queue.close()
    assert heard(pushes, DELIVER) == heard(webhooks, SEND) == 0


async def put_nonsense(house: House, worker: Process) -> None:
    """What anybody may put there: no JSON, no task that there is."""
    with make_celery(settings_of(house)).connection_for_write() as connection:
        producer = connection.Producer()
        for body, kind in ((b"{", "application/json"), (b"x", "text/x-none"), (b"{}", None)):
            producer.publish(
                body, exchange=QUEUE, routing_key=QUEUE, content_type=kind, content_encoding="utf-8"
            )

    async def empty() -> bool:
        with make_celery(settings_of(house)).connection_for_write() as connection:
            left = connection.default_channel.queue_declare(QUEUE, passive=True).message_count
            return int(left) == 0

    await eventually(empty)
    os.kill(worker.pid, 0)


async def look(house: House, rabbit: Server, files: dict[str, str]) -> str:
    """What the doctor says of it, right and wrong."""
    found = await doctor(house, "RabbitMQ")
    assert found.ok, found
    right = house.extra["RINGLINE_BROKER_URL"]
    plain = f"amqp://rings:{SECRET}@127.0.0.1:{rabbit.port}"
    for named, more, said in (
        ("password", {"RINGLINE_BROKER_URL": right.replace(SECRET, "another")}, "ACCESS_REFUSED"),
        ("virtual host", {"RINGLINE_BROKER_URL": f"{plain}/none"}, "NOT_ALLOWED"),
        ("authority", {"RINGLINE_BROKER_CA_FILE": files["other"]}, "CERTIFICATE_VERIFY_FAILED"),
    ):
        wrong = await doctor(house, "RabbitMQ", **more)
        assert (wrong.ok, said in wrong.found) == (False, True), (named, wrong)
        assert SECRET not in wrong.found
    return found.found


async def an_older_queue(house: House) -> None:
    """One of Celery's default type, which somebody left: the doctor says so."""
    with make_celery(settings_of(house)).connection_for_write() as connection:
        connection.default_channel.queue_declare(QUEUE, durable=True, auto_delete=False)
        classic = await doctor(house, "RabbitMQ")
        assert (classic.ok, "delete_queue" in classic.mend) == (False, True), classic
        connection.default_channel.queue_delete(QUEUE)


def say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()


def started(make: Callable[[], T]) -> T:
    """What this makes; anew when somebody else has taken a port meanwhile."""
    for _ in range(2):
        with contextlib.suppress(EmbeddedError):
            return make()
    return make()


def run(
    house: House,
    exercise: Callable[[House, Server, dict[str, str]], Coroutine[Any, Any, None]],
    server: Server,
    files: dict[str, str],
) -> None:
    """Exercise a house; its processes end, and must have logged nothing that means a bug."""
    with contextlib.closing(house):
        asyncio.run(exercise(house, server, files))
    assert not house.troubles(), house.troubles()[:5]
    assert not any(SECRET in one.output() for one in (*house.apis, *house.workers))


def main() -> None:
    """All servers end with this process."""
    with (
        contextlib.ExitStack() as stack,
        tempfile.TemporaryDirectory(prefix="ringline-brokers-") as name,
        running_postgres() as postgres,
        running_valkey() as valkey,
        Simulator.running() as sim,
    ):
        folder = Path(name)
        schema.upgrade(postgres.url)
        files = certificates(Authority.create(), folder)
        if shutil.which("redis-server") is None:
            say("not run: there is no redis-server here (Debian's package of that name)")
        else:
            redis = started(lambda: redis_by_tls(folder, files))
            stack.callback(redis.kill)
            url = f"rediss://:{SECRET}@localhost:{redis.port}/0"
            (folder / "tls").mkdir()
            run(House(postgres.url, url, sim, folder / "tls"), over_tls, redis, files)
        if not RABBITMQ.exists():
            say("not run: there is no RabbitMQ here (Debian's package `rabbitmq-server`)")
            return
        rabbit, port = started(lambda: stack.enter_context(rabbitmq(folder, files)))
        extra = {
            "RINGLINE_BROKER_URL": f"amqps://rings:{SECRET}@localhost:{port}/rings",
            "RINGLINE_BROKER_CA_FILE": files["ca"],
        }
        run(House(postgres.url, valkey.url, sim, folder, extra), by_rabbitmq, rabbit, files)


if __name__ == "__main__":
    main()
