"""Showing that what is pushed to a token arrives: a token that whoever registers it only names.

An activation push brings a token of ours to the app's service worker, which posts it back. Until
then the push token is not rung. It goes straight to the push service, as a test push does, and
whoever has not got it registers again, which sends another.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from app import access, senders
from app.core.payload import AlertTexts, web_activation
from app.core.push import TOKEN_KINDS, Environment, Purpose
from app.credentials import store as credentials
from app.credentials.decrypt import decrypt
from app.credentials.probe import converse, sender_for, unreachable
from app.credentials.usable import Usable, in_order, pick
from app.devices.schemas import DeviceIn, TokenIn
from app.infra import clock
from app.infra.errors import Invalid
from app.infra.runtime import Runtime
from app.infra.safe_http import check_url
from app.infra.sender import OutgoingPush
from app.infra.vault import VaultError
from app.push import token_activation
from app.tenants import service as tenants
from app.tenants.notifications import EVERY_TYPE

WITHIN: Final = 5.0
"""Seconds within which a push service must answer."""
LIVES: Final = 3_600.0
"""Seconds for which an activation push is kept for a browser that is away, and is good."""
PATH: Final = "/v1/devices/activate"


async def with_keys(runtime: Runtime, tenant_id: UUID, request: DeviceIn) -> DeviceIn:
    """The same registration, each subscription with the VAPID key that it was made with.

    Who does not say which has used the key of the moment. Raises Invalid for a key that is not in
    use, as no push by another would be taken, and for an endpoint that is private as it is written.
    """
    subscribed = [n for n, one in enumerate(request.tokens) if one.subscription]
    if not subscribed:
        return request
    for n in subscribed:
        private, given = runtime.settings.webpush_allow_private, request.tokens[n].subscription
        assert given is not None
        place = f"tokens.{n}.subscription.endpoint"
        check_url(given.endpoint, allow_private=private, field=place)
    async with runtime.database.autocommit() as session:
        apps = {(tenant_id, token.app_id) for token in request.tokens if token.subscription}
        usable = await credentials.for_apps(session, apps)
    tokens = [
        token if token.subscription is None else _with_key(n, token, tenant_id, usable)
        for n, token in enumerate(request.tokens)
    ]
    return request.model_copy(update={"tokens": tokens})


def _with_key(n: int, token: TokenIn, tenant_id: UUID, usable: Sequence[Usable]) -> TokenIn:
    kind, environment = TOKEN_KINDS[token.kind], Environment.PRODUCTION
    known = [row.key_id for row in in_order(usable, tenant_id, token.app_id, environment, kind)]
    if not known:
        raise Invalid(
            "no_vapid_key",
            f"tokens.{n}.app_id: there is no VAPID key for {token.app_id}: make one first",
        )
    given = token.application_server_key
    if given is None:
        return token.model_copy(update={"application_server_key": known[0]})
    if given not in known:
        raise Invalid(
            "unknown_vapid_key",
            f"tokens.{n}.application_server_key: this is no VAPID key that is in use for this app: "
            "subscribe again with the one that `GET /v1/web-push/key` gives",
        )
    return token


async def send(
    runtime: Runtime, tenant_id: UUID, user_id: str, device: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Push an activation token to each token of a device, as clients read it, that waits for one.
    Takes up to 5 s.

    Returns a warning for each that could not be pushed to.
    """
    async with runtime.database.autocommit() as session:
        waiting = await token_activation.not_activated(
            session, (tenant_id, user_id), device["device_id"]
        )
        if not waiting:
            return []
        apps = {(tenant_id, token["app_id"]) for token in waiting}
        usable = await credentials.for_apps(session, apps)
    settings = await tenants.settings_of(runtime, tenant_id)
    texts = settings.alert(EVERY_TYPE, "activation", device["locale"])
    tried = await asyncio.gather(
        *(_push(runtime, tenant_id, usable, one, texts) for one in waiting)
    )
    return [
        {
            "code": "activation_failed",
            "app_id": token["app_id"],
            "detail": f"the activation push was not taken ({why}): until one is, and its token is "
            "posted back, this device does not ring by it",
        }
        for token, why in zip(waiting, tried, strict=True)
        if why is not None
    ]


async def _push(
    runtime: Runtime,
    tenant_id: UUID,
    usable: Sequence[Usable],
    row: Mapping[str, Any],
    texts: AlertTexts | None,
) -> str | None:
    """Why an activation push was not taken; None when it was."""
    kind, app_id, token = TOKEN_KINDS[row["kind"]], row["app_id"], row["token"]
    environment = Environment.PRODUCTION
    credential = pick(usable, tenant_id, app_id, environment, kind, token)
    if credential is None:
        return "there is no credential for it"
    now = clock.unix()
    proof = access.activation_token(
        runtime.keyring, tenant_id=tenant_id, token_row=row["id"], expires=now + LIVES
    )
    body = web_activation(proof, runtime.settings.public_url + PATH, texts)
    push = OutgoingPush(
        str(uuid4()), str(uuid4()), Purpose.RING, kind, app_id, token, body, now + LIVES, now,
        topics=credential.topics,
    )  # fmt: skip
    service = senders.serving(kind)
    try:
        request = service.request(push)
        sender = sender_for(decrypt(runtime.keyring, credential), environment, runtime.settings)
    except (ValueError, VaultError) as error:
        return str(error)
    try:
        deadline = asyncio.get_running_loop().time() + WITHIN
        outcome, _ = await converse(service, sender, request, deadline)
        if outcome is None:
            return unreachable(sender).words
        if 200 <= outcome.code < 300:
            return None
        return outcome.reason or outcome.cause or f"status {outcome.code}"
    finally:
        await sender.close()
