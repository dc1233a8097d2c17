"""One simulator for all tests of a process, cleared between them, and clients for it."""

import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import jwt
import pytest

from devkit.simulator import Conduct, Issued, ProviderCredential, Simulator
from tests.devkit.simulator.raw_client import TOPIC, RawClient, connected

BUNDLE = "com.example.app"


@pytest.fixture(scope="session")
def running_simulator() -> Iterator[Simulator]:
    with Simulator.running() as simulator:
        yield simulator


@pytest.fixture
def sim(running_simulator: Simulator) -> Iterator[Simulator]:
    yield running_simulator
    running_simulator.end_fault()
    running_simulator.close_connections(how="rst")
    running_simulator.clear()
    defaults = Conduct()
    running_simulator.set_conduct(
        **{name: getattr(defaults, name) for name in Conduct.__dataclass_fields__}
    )


@pytest.fixture(scope="session")
def certificate(running_simulator: Simulator) -> Issued:
    return running_simulator.voip_certificate(BUNDLE)


@pytest.fixture(scope="session")
def key(running_simulator: Simulator) -> ProviderCredential:
    return running_simulator.provider_key()


@pytest.fixture
def token(sim: Simulator) -> str:
    """A live VoIP token of the production environment."""
    made = secrets.token_hex(32)
    sim.live(made, topic=TOPIC)
    return made


def bearer_of(key: ProviderCredential, issued_at: float | None = None, **claims: object) -> str:
    """Sign a provider token."""
    moment = int(time.time()) if issued_at is None else issued_at
    payload = {"iss": key.team_id, "iat": moment, **claims}
    return jwt.encode(payload, key.p8, "ES256", headers={"kid": key.key_id})


@pytest.fixture
def bearer(key: ProviderCredential) -> str:
    return bearer_of(key)


ContextMaker = Callable[..., ssl.SSLContext]


@pytest.fixture
def context(sim: Simulator, tmp_path: Path) -> ContextMaker:
    """Make a client's TLS context, with a certificate or without."""

    def make(issued: Issued | None = None, alpn: tuple[str, ...] = ("h2",)) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=str(sim.ca_file))
        if alpn:
            made.set_alpn_protocols(list(alpn))
        if issued is not None:
            made.load_cert_chain(pem_file(issued, tmp_path))
        return made

    return make


def pem_file(issued: Issued, folder: Path) -> Path:
    """Write certificate and key where OpenSSL can read them."""
    path = folder / f"{issued.certificate.serial_number}.pem"
    path.write_bytes(issued.pem)
    return path


Connect = Callable[..., AbstractAsyncContextManager[RawClient]]


@pytest.fixture
def connect(sim: Simulator, context: ContextMaker) -> Connect:
    """Connect a raw client: `async with connect(certificate, environment="sandbox") as client`."""

    def make(
        issued: Issued | None = None, *, environment: str = "production"
    ) -> AbstractAsyncContextManager[RawClient]:
        port = sim.sandbox_port if environment == "sandbox" else sim.production_port
        return connected(port, context(issued))

    return make


@pytest.fixture
async def client(connect: Connect, certificate: Issued) -> AsyncIterator[RawClient]:
    """A production client with a good certificate."""
    async with connect(certificate) as made:
        await made.ready()
        yield made
