"""Test push: ring a user's phones once, marked as a test, and see what the service says of each.

It goes straight there, past calls and workers: no call is made, nothing is tried again later,
no token is retired or healed by it. The phone shows a call that it finds to be over when it looks.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from app import senders
from app.audit.log import SERVER, Actor, record
from app.core.event import milliseconds
from app.core.identifiers import is_device_id, is_user_id
from app.core.payload import PayloadError, RingFacts
from app.core.push import ENVIRONMENTS, TOKEN_KINDS, Environment, Purpose
from app.core.push_policy import Signal
from app.credentials import store
from app.credentials.decrypt import decrypt
from app.credentials.probe import converse, sender_for, unreachable
from app.credentials.usable import Usable, pick
from app.devices.store import devices_of
from app.infra.db import Row
from app.infra.errors import Invalid, NotFound
from app.infra.runtime import Runtime
from app.infra.sender import OutgoingPush, Sender
from app.infra.vault import VaultError
from app.push import tokens as push_tokens
from app.push.preparing import profile_for
from app.tenants import store as tenants
from app.tenants.schemas import TenantSettings, tenant_settings

SECONDS = 10.0
"""For which the test rings, and within which Apple must answer."""
HINTS = {
    "BadDeviceToken": "The token belongs to the other environment (Xcode builds: sandbox; "
    "TestFlight and App Store: production), or is no token of this app.",
    "DeviceTokenNotForTopic": "The token is of another app, or not a VoIP token of this one.",
    "Unregistered": "The app was removed from the phone, or has a new token it did not register.",
    "ExpiredToken": "The phone has a new token that the app did not register.",
    "TopicDisallowed": "The credential is not for this app.",
}
"""What to look at when Apple answers so."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One phone's answer, which is Apple's. `says`: `accepted`, `refused` or `unknown`."""

    device_id: str
    name: str | None
    token: Row
    credential: Usable | None
    says: str
    status: int | None = None
    words: str | None = None
    seconds: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """As admins read it: of the token its last four digits."""
        return {
            "device_id": self.device_id,
            "name": self.name,
            "app_id": self.token["app_id"],
            "environment": self.token["environment"],
            "token": f"...{self.token['token'][-4:]}",
            "credential_id": None if self.credential is None else str(self.credential.id),
            "says": self.says,
            "status": self.status,
            "words": self.words,
            "hint": HINTS.get(self.words or ""),
            "milliseconds": None if self.seconds is None else round(self.seconds * 1000, 1),
        }


async def ring_phones(
    runtime: Runtime,
    tenant_id: UUID,
    user_id: str,
    device_id: str | None = None,
    *,
    actor: Actor = SERVER,
) -> list[Tried]:
    """Ring every phone of a user, or the one `device_id`, once. Takes up to 10 s.

    Raises NotFound (`nothing_to_ring`) when there is no live token, Invalid when the tenant's
    payload profile cannot make a payload.
    """
    if not is_user_id(user_id):
        raise Invalid("invalid_user_id", "user_id: this is not the id of a user")
    if device_id is not None and not is_device_id(device_id):
        raise Invalid("invalid_device_id", "device_id: this is not the id of a device")
    async with runtime.database.transaction() as session:
        now, tokens = await push_tokens.pushable(session, (tenant_id, user_id))
        known = await devices_of(session, tenant_id, user_id, device_id)
        tenant = await tenants.tenant_by_id(session, tenant_id)
        names = {one["id"]: one for one in known}
        tokens = [token for token in tokens if token["device_row"] in names]
        if not tokens or tenant is None:
            raise NotFound(
                "nothing_to_ring", "There is no phone with a live token to ring, or it is off."
            )
        rows = await store.for_apps(session, {(tenant_id, t["app_id"]) for t in tokens})
        detail = {"devices": sorted({str(t["device_row"]) for t in tokens}), "tokens": len(tokens)}
        act = "credential.test_push"
        await record(session, actor, tenant_id, act, "user", detail, at=now, user=user_id)
    settings = tenant_settings(tenant["settings"], tenant_id)
    body = _Body(settings, runtime.settings.public_url, user_id, milliseconds(now))
    opened = _Senders(runtime)
    try:
        tries = (_try(opened, rows, token, names[token["device_row"]], body) for token in tokens)
        return list(await asyncio.gather(*tries))
    except PayloadError as error:
        raise Invalid("payload", f"the tenant's payload cannot be made: {error}") from None
    finally:
        await opened.close()


@dataclass(frozen=True, slots=True)
class _Body:
    settings: TenantSettings
    public_url: str
    user_id: str
    now_ms: int

    def outgoing(self, token: Row, topics: Sequence[str]) -> OutgoingPush:
        kind, app_id = TOKEN_KINDS[token["kind"]], token["app_id"]
        profile, template = profile_for(self.settings, kind, app_id)
        ring, call = uuid4(), uuid4()
        facts = RingFacts(
            uuid=str(ring),
            cid=f"test:{call}",
            session_id=str(call),
            caller_id="ringline-test",
            caller_name="Ringline test",
            receiver_id=self.user_id,
            user_ids=("ringline-test",),
            video=False,
            sent_at_ms=self.now_ms,
            expires_at_ms=self.now_ms + int(SECONDS * 1000),
            state_url=f"{self.public_url}/v1/calls/{call}",
            custom={"ringline_test": True},
        )
        payload = senders.serving(kind).ring_payload(profile, facts, template).for_token("")
        now = self.now_ms / 1000
        return OutgoingPush(
            str(uuid4()), str(ring), Purpose.RING, kind, app_id, token["token"], payload,
            now + SECONDS, now, topics=topics,
        )  # fmt: skip


class _Senders:
    """One connection for each credential and environment that the test needs."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._senders: dict[tuple[UUID, Environment], Sender] = {}

    def get(self, credential: Usable, environment: Environment) -> Sender:
        key = (credential.id, environment)
        if key not in self._senders:
            opened = decrypt(self._runtime.keyring, credential)
            self._senders[key] = sender_for(opened, environment, self._runtime.settings)
        return self._senders[key]

    async def close(self) -> None:
        await asyncio.gather(*(sender.close() for sender in self._senders.values()))


async def _try(opened: _Senders, rows: list[Usable], token: Row, device: Row, body: _Body) -> Tried:
    app_id, environment = token["app_id"], ENVIRONMENTS[token["environment"]]
    kind = TOKEN_KINDS[token["kind"]]
    credential = pick(rows, token["tenant_id"], app_id, environment, kind, token["token"])

    def tried(says: str, **more: Any) -> Tried:
        return Tried(device["device_id"], device["name"], token, credential, says, **more)

    if credential is None:
        return tried("refused", words="there is no credential for this app and environment")
    try:
        request = credential.service.request(body.outgoing(token, credential.topics))
        sender = opened.get(credential, environment)
    except PayloadError:
        raise
    except (ValueError, VaultError) as error:
        return tried("refused", words=str(error))
    loop = asyncio.get_running_loop()
    outcome, signal = await converse(credential.service, sender, request, loop.time() + SECONDS)
    if outcome is None:
        return tried("unknown", words=unreachable(sender).words)
    seconds = outcome.ended - outcome.started
    if 200 <= outcome.code < 300:
        return tried("accepted", status=outcome.code, seconds=seconds)
    final = outcome.code in range(400, 500) or signal is Signal.REFUSED
    return tried(
        "refused" if final else "unknown",
        status=outcome.code or None,
        words=outcome.reason or outcome.cause,
        seconds=seconds,
    )
