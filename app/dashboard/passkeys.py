"""Passkeys of administrators (Web Authentication): making them, and what they sign. Commits."""

import base64
import secrets
from typing import Any, Final
from uuid import UUID

import orjson
import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from app.audit.log import Actor
from app.core.text import clean_name
from app.dashboard import store_factors
from app.dashboard.admins import Visitor, note
from app.dashboard.recovery_codes import first_codes
from app.infra import vault
from app.infra.errors import Conflict, Invalid, NotFound
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.urls import http_url

MOST_PASSKEYS: Final = 20
NAME: Final = "Ringline"


def relying_party(runtime: Runtime) -> tuple[str, str] | None:
    """(id, origin) that passkeys are bound to: the host of the public URL; None where it is an IP.

    A page of another origin, such as a look-alike, gets no signature.
    """
    url = http_url(runtime.settings.public_url)
    if url.host.replace(".", "").isdigit() or ":" in url.host:
        return None
    return url.host, url.origin_header


def _party(runtime: Runtime) -> tuple[str, str]:
    found = relying_party(runtime)
    if found is None:
        raise Conflict(
            "no_passkeys", "RINGLINE_PUBLIC_URL names an address: passkeys need a host's name."
        )
    return found


async def options_for(runtime: Runtime, visitor: Visitor, mark: str) -> str:
    """What the browser is to make a passkey of, as JSON; `mark`: the session's cookie."""
    rp_id, _ = _party(runtime)
    challenge = secrets.token_bytes(32)
    async with runtime.database.transaction() as session:
        known = await store_factors.passkeys(session, visitor.id)
        await store_factors.add_challenge(session, challenge_mark(mark), visitor.id, challenge)
    if len(known) >= MOST_PASSKEYS:
        raise Conflict("too_many_passkeys", f"{MOST_PASSKEYS} passkeys are enough; remove one.")
    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name=NAME,
        user_name=visitor.email,
        user_id=visitor.id.bytes,
        challenge=challenge,
        exclude_credentials=[PublicKeyCredentialDescriptor(one["credential_id"]) for one in known],
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.PREFERRED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
    )
    return webauthn.options_to_json(options)


async def add_passkey(
    runtime: Runtime, visitor: Visitor, mark: str, name: str, credential: str, *, actor: Actor
) -> list[str]:
    """Keep the passkey that the browser has made; recovery codes if there were none.

    Raises Invalid for what does not fit the options that were given.
    """
    rp_id, origin = _party(runtime)
    async with runtime.database.transaction() as session:
        row = await store_factors.challenge_of(session, challenge_mark(mark))
        await store_factors.use_challenge(session, challenge_mark(mark))
    if row is None or row["admin_id"] != visitor.id:
        raise Invalid("no_challenge", "That took too long; try again.")
    try:
        made = webauthn.verify_registration_response(
            credential=_read(credential),
            expected_challenge=row["challenge"],
            expected_rp_id=rp_id,
            expected_origin=origin,
        )
    except (WebAuthnException, ValueError, KeyError, TypeError) as error:
        raise Invalid(
            "wrong_passkey", "The browser's answer is no passkey for this page."
        ) from error
    values = {
        "id": uuid7(),
        "admin": visitor.id,
        "name": clean_name(name)[:100] or "passkey",
        "credential_id": made.credential_id,
        "public_key": made.credential_public_key,
        "sign_count": made.sign_count,
    }
    async with runtime.database.transaction() as session:
        if not await store_factors.add_passkey(session, values):
            raise Conflict("passkey_exists", "This passkey is kept already.")
        await note(session, actor, "admin.passkey_add", visitor.email, name=values["name"])
    return await first_codes(runtime, visitor, actor)


async def remove_passkey(
    runtime: Runtime, visitor: Visitor, passkey_id: UUID, *, actor: Actor
) -> None:
    """Forget a passkey. Raises NotFound."""
    async with runtime.database.transaction() as session:
        name = await store_factors.forget_passkey(session, visitor.id, passkey_id)
        if name is None:
            raise NotFound("passkey_not_found", "There is no such passkey.")
        await note(session, actor, "admin.passkey_remove", visitor.email, name=name)


def _read(credential: str) -> dict[str, Any]:
    """What the browser has sent. Raises ValueError, also if nested without end, or TypeError."""
    found = orjson.loads(credential)
    if not isinstance(found, dict):
        raise TypeError("a passkey's answer is an object")
    return found


def challenge_mark(mark: str) -> bytes:
    """How a challenge is known: by the cookie of the browser that was given it."""
    return vault.digest("challenge|" + mark)


async def signed(runtime: Runtime, row: dict[str, Any], credential: str) -> bool:
    """Whether a passkey of this administrator has signed the challenge."""
    rp_id, origin = _party(runtime)
    async with runtime.database.autocommit() as session:
        known = await store_factors.passkeys(session, row["admin_id"])
    try:
        read = _read(credential)
        said = base64.urlsafe_b64decode(str(read["id"]) + "==")
        one = next(key for key in known if key["credential_id"] == said)
        done = webauthn.verify_authentication_response(
            credential=read,
            expected_challenge=row["challenge"],
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=one["public_key"],
            credential_current_sign_count=one["sign_count"],
        )
    except (WebAuthnException, ValueError, KeyError, TypeError, StopIteration):
        return False
    async with runtime.database.transaction() as session:
        await store_factors.passkey_used(session, one["id"], done.new_sign_count)
    return True
