"""The lab's own tenant, and all that its bench needs of Ringline: a key, certificates, tokens."""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

import httpx

from app.audit.log import Actor
from app.infra.errors import NotFound, Unavailable
from app.infra.runtime import Runtime
from app.tenants import api_keys
from app.tenants import service as tenants
from devkit.lab.apple import SimulatedApple
from devkit.phone.sources import trusted

TENANT: Final = "Lab (simulated phones)"
KEY_NAME: Final = "the lab's own, renewed at its start"
FIRST_KEY: Final = "first key"
ACTOR: Final = Actor("server", name="lab")
BUNDLE_PREFIX: Final = "com.example.ringline-lab."
PROJECT: Final = "ringline-lab"
"""The lab's project at the simulated Google."""
SCOPES: Final = ["*"]
TOKEN_SECONDS: Final = 30 * 24 * 3600
PATIENCE: Final = 10.0
EVERY: Final = 5.0
"""Seconds from one notification that rings to the next."""
# A call of the lab ends soon by itself; `short` is for seeing how one is ended by its length.
LIMITS: Final = {"alone": 10.0, "length": 1_800.0, "away": 30.0, "removed": 60.0}
CALL_TYPES: Final = {"short": {"length": 10.0}}


@dataclass(frozen=True, slots=True)
class Backend:
    """The lab's backend: the public API with the lab's key, as any tenant's backend has it."""

    client: httpx.AsyncClient
    api_key: str = field(repr=False)

    async def ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        """One request; its JSON answer. Raises Refused with the problem, Unavailable."""
        try:
            answer = await self.client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise unreachable(str(self.client.base_url), error) from error
        if answer.status_code == 404 and method == "DELETE":
            return {}
        if not answer.is_success:
            raise Refused(answer)
        found = answer.json() if answer.content else {}
        return found if isinstance(found, dict) else {}


class Refused(Exception):
    """The public API said no; `status` and `problem` are its own words."""

    def __init__(self, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.problem: dict[str, Any] = {}
        with contextlib.suppress(ValueError):
            self.problem = answer.json()
        super().__init__(f"{self.status} {self.problem.get('code')}")


def unreachable(base_url: str, error: Exception) -> Unavailable:
    """Phones and backend reach the API at its public address; that is where they failed."""
    return Unavailable(
        "lab_not_ready",
        f"The lab's phones reach this server at RINGLINE_PUBLIC_URL ({base_url}), and there was no "
        f"answer ({type(error).__name__}); let it be the address at which this server listens.",
    )


async def open_backend(runtime: Runtime) -> Backend:
    """The lab's tenant, made where there is none, with a key that only this process has."""
    try:
        tenant_id = await tenants.find(runtime, TENANT)
    except NotFound:
        tenant_id = (await tenants.create(runtime, TENANT, actor=ACTOR)).id
    for old in await api_keys.every(runtime, tenant_id):
        if old["name"] in {KEY_NAME, FIRST_KEY} and old["revoked_at"] is None:
            await api_keys.revoke(runtime, tenant_id, old["id"], confirm=True, actor=ACTOR)
    key = await tenants.add_key(runtime, tenant_id, KEY_NAME, SCOPES, actor=ACTOR)
    client = httpx.AsyncClient(
        base_url=runtime.settings.public_url,
        headers={"Authorization": f"Bearer {key}"},
        timeout=PATIENCE,
        trust_env=False,
        verify=trusted(),
    )
    return Backend(client, key)


async def ready_backend(
    runtime: Runtime, apple: SimulatedApple, app_ids: list[str], android_app: str
) -> Backend:
    """The same, with all that it pushes with. Raises Refused, with no connection left open."""
    backend = await open_backend(runtime)
    try:
        await install_certificates(backend, apple, app_ids)
        await install_account(backend, apple, android_app)
    except BaseException:
        await backend.client.aclose()
        raise
    return backend


async def install_certificates(backend: Backend, apple: SimulatedApple, app_ids: list[str]) -> None:
    """A VoIP certificate of this simulator for each app; older ones of the lab's apps go: another
    simulator's authority may have signed them."""
    listed = await backend.ask("GET", "/v1/credentials")
    for one in listed["credentials"]:
        if str(one["app_id"]).startswith(BUNDLE_PREFIX):
            await backend.ask("DELETE", f"/v1/credentials/{one['id']}?confirm=true")

    async def install(app_id: str) -> None:
        pem = await apple.voip_certificate(app_id)
        await backend.ask("POST", "/v1/credentials", {"file": pem})

    await asyncio.gather(*map(install, app_ids))


async def install_account(backend: Backend, apple: SimulatedApple, app_id: str) -> None:
    """A service account of this simulator for an Android app, as its owner uploads it."""
    file = await apple.google_account(PROJECT)
    await backend.ask("POST", "/v1/credentials", {"file": file, "app_id": app_id})


async def vapid_key(backend: Backend, origin: str) -> str:
    """The public VAPID key of the lab's page, made where there is none."""
    try:
        found = await backend.ask("GET", f"/v1/web-push/key?app_id={quote(origin)}")
    except Refused as error:
        if error.status != 404:
            raise
        body = {"app_id": origin, "subject": "mailto:lab@example.com"}
        return str((await backend.ask("POST", "/v1/credentials/vapid", body))["key_id"])
    return str(found["public_key"])


async def send_profiles(
    backend: Backend,
    profiles: dict[str, str],
    templates: dict[str, dict[str, Any]],
    alerted: str,
) -> None:
    """Let Ringline send these payload profiles (and custom templates), per bundle id, and ring the
    app `alerted` by notifications."""
    settings = {
        "limits": LIMITS,
        "call_types": CALL_TYPES,
        "profiles": profiles,
        "templates": templates,
        "alert_rings": {alerted: EVERY},
    }
    await backend.ask("PUT", "/v1/settings", settings)


async def user_token(backend: Backend, user_id: str) -> str:
    """A user token, as a backend gives its app."""
    made = await backend.ask("POST", f"/v1/users/{user_id}/tokens", {"expires_in": TOKEN_SECONDS})
    return str(made["token"])
