"""The control API's second half: devices, keys, faults, connections, certificates, counts."""

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, ConfigDict

from devkit.simulator import push_certificates
from devkit.simulator.devices import Environment, GoneReason
from devkit.simulator.faults import CloseHow, ConnectionFault, Goaway, RequestFault, named_settings
from devkit.simulator.provider_tokens import UpdateScope

if TYPE_CHECKING:
    from devkit.simulator.connection import ApnsConnection
    from devkit.simulator.server import Server


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LiveDevices(_Body):
    """Tokens to make live; `topics` null: any, `environment` null: both."""

    tokens: list[str]
    topics: list[str] | None = None
    environment: Environment | None = "production"


class GoneDevice(_Body):
    """Since when a token is gone, in milliseconds since 1970; null: now."""

    since: int | None = None
    reason: GoneReason = "Unregistered"


class OnlineDevice(_Body):
    """Whether a device is switched on."""

    online: bool


class NewKey(_Body):
    """A provider key to register; without `public_key` one is made and its `.p8` given."""

    team_id: str = push_certificates.TEAM
    key_id: str | None = None
    public_key: str | None = None
    environment: Environment | None = None
    topics: list[str] | None = None


class NewCertificate(_Body):
    """A VoIP Services certificate to issue, for a CSR (PEM) or with a new key."""

    app_id: str
    team_id: str = push_certificates.TEAM
    uid: str | None = None
    environments: push_certificates.Environments = "both"
    csr: str | None = None


class ConductChange(_Body):
    """Parts of the conduct to change."""

    accept_unknown: bool | None = None
    max_concurrent_streams: int | None = None
    clock_offset: float | None = None
    provider_token_scope: UpdateScope | None = None


def router(server: "Server") -> APIRouter:
    """Make the routes."""
    made = APIRouter()
    _general(made, server)
    _devices(made, server)
    _credentials(made, server)
    _certificates(made, server)
    _faults(made, server)
    _connections(made, server)
    return made


def _general(made: APIRouter, server: "Server") -> None:
    apple = server.apple

    @made.get("/")
    async def where() -> dict[str, object]:
        return server.as_dict()

    @made.get("/healthz")
    async def alive() -> dict[str, str]:
        """This process runs."""
        return {"status": "ok"}

    @made.get("/readyz")
    async def ready() -> JSONResponse:
        """Both environments take connections; a fault that refuses them makes this 503."""
        refusing = server.refusing()
        body = {"status": "refusing" if refusing else "ready", "refusing": refusing}
        return JSONResponse(body, 503 if refusing else 200)

    @made.get("/ca.pem", response_class=PlainTextResponse)
    async def authority() -> str:
        return apple.authority.pem.decode()

    @made.get("/statistics")
    async def statistics() -> dict[str, object]:
        return apple.status()

    @made.patch("/conduct")
    async def conduct(change: ConductChange) -> dict[str, object]:
        apple.change_conduct(change.model_dump(exclude_none=True))
        return {name: getattr(apple.conduct, name) for name in ConductChange.model_fields}

    @made.post("/clear")
    async def clear() -> dict[str, object]:
        """Forget arrivals, faults, tokens and counts."""
        await server.clear()
        return {}

    @made.delete("/arrivals")
    async def clear_arrivals() -> dict[str, object]:
        apple.arrivals.clear()
        return {}


def _devices(made: APIRouter, server: "Server") -> None:
    apple = server.apple

    @made.get("/devices")
    async def devices() -> dict[str, object]:
        return {"devices": [device.as_dict() for device in apple.devices.all()]}

    @made.post("/devices")
    async def live(body: LiveDevices) -> dict[str, object]:
        apple.live(body.tokens, topics=body.topics, environment=body.environment)
        return {}

    @made.post("/devices/{token}/gone")
    async def gone(token: str, body: GoneDevice) -> dict[str, object]:
        apple.gone(token, since=body.since, reason=body.reason)
        return {}

    @made.post("/devices/{token}/online")
    async def online(token: str, body: OnlineDevice) -> dict[str, object]:
        apple.set_online(token, online=body.online)
        return {}

    @made.delete("/devices/{token}")
    async def forget(token: str) -> dict[str, object]:
        apple.devices.forget(token)
        return {}


def _credentials(made: APIRouter, server: "Server") -> None:
    apple = server.apple

    @made.post("/keys")
    async def key(body: NewKey) -> dict[str, object]:
        p8: str | None = None
        key_id, pem = body.key_id, body.public_key
        if pem is None:
            credential = apple.tokens.make(body.team_id, key_id)
            key_id, p8 = credential.key_id, credential.p8
            pem = p8
        if key_id is None:
            raise ValueError("a public key needs its key_id")
        apple.tokens.register(
            body.team_id,
            key_id,
            pem.encode(),
            environment=body.environment,
            topics=body.topics,
        )
        return {"team_id": body.team_id, "key_id": key_id, "p8": p8}

    @made.delete("/keys/{key_id}")
    async def revoke(key_id: str) -> dict[str, object]:
        apple.tokens.revoke(key_id)
        return {}


def _certificates(made: APIRouter, server: "Server") -> None:
    apple = server.apple

    @made.post("/certificates/voip")
    async def certificate(body: NewCertificate) -> dict[str, object]:
        issued = push_certificates.voip(
            apple.authority,
            body.app_id,
            team_id=body.team_id,
            uid=body.uid,
            environments=body.environments,
            csr_pem=body.csr.encode() if body.csr else None,
        )
        return {
            "certificate": issued.certificate.public_bytes(serialization.Encoding.PEM).decode(),
            "key": issued.key_pem.decode() if issued.key is not None else None,
        }


def _faults(made: APIRouter, server: "Server") -> None:
    apple = server.apple

    @made.get("/faults")
    async def faults() -> dict[str, object]:
        return {"faults": [scripted.as_dict() for scripted in apple.faults.all()]}

    @made.post("/faults/connections")
    async def connection_fault(fault: ConnectionFault) -> dict[str, object]:
        return {"id": await server.add_fault(fault)}

    @made.post("/faults/requests")
    async def request_fault(fault: RequestFault) -> dict[str, object]:
        return {"id": await server.add_fault(fault)}

    @made.post("/faults/{number}/release")
    async def release(number: int, count: int | None = None) -> dict[str, object]:
        return {"released": apple.faults.get(number).release(count)}

    @made.delete("/faults/{number}")
    async def remove(number: int) -> dict[str, object]:
        await server.remove_fault(number)
        return {}

    @made.delete("/faults")
    async def remove_all() -> dict[str, object]:
        await server.remove_fault()
        return {}


def _connections(made: APIRouter, server: "Server") -> None:
    apple = server.apple

    @made.get("/connections")
    async def connections() -> dict[str, object]:
        return {"connections": [c.as_dict() for c in apple.connections.values()]}

    @made.post("/connections/{number}/settings")
    async def settings(number: int, values: dict[str, int]) -> dict[str, object]:
        connection = _find(server, number)
        connection.send_settings(named_settings(values))
        connection.flush()
        return {}

    @made.post("/connections/{number}/goaway")
    async def goaway(number: int, order: Goaway) -> dict[str, object]:
        connection = _find(server, number)
        connection.goaway(order, above=1)
        connection.flush()
        return {}

    @made.post("/connections/{number}/ping")
    async def ping(number: int, timeout: float = 5) -> dict[str, object]:
        return {"seconds": await _find(server, number).ping(timeout)}

    @made.post("/connections/{number}/close")
    async def close(number: int, how: CloseHow = "tls") -> dict[str, object]:
        _find(server, number).close(how)
        return {}


def _find(server: "Server", number: int) -> "ApnsConnection":
    return server.apple.connections[number]
