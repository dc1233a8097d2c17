"""The second step of signing in, and authenticator apps (TOTP, RFC 6238). Commits.

Who has one signs in in two steps: the right password makes a challenge that waits five minutes in
this browser, and the factor uses it up. Codes are tried ten times in 15 minutes; a passkey cannot
be guessed, so its tries are not counted, and nobody who knows the password can shut its owner out.
"""

import secrets
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import pyotp
import webauthn
from pyotp.exceptions import OTPVerificationError
from webauthn.helpers.structs import (
    PublicKeyCredentialDescriptor,
    UserVerificationRequirement,
)

from app.audit.log import WHOLE_SERVER, Actor
from app.dashboard import passkeys, store, store_factors
from app.dashboard.admins import Visitor, note
from app.dashboard.passkeys import NAME, challenge_mark
from app.dashboard.recovery_codes import digest_of, first_codes
from app.dashboard.sign_in import WINDOW, Browser, SignedIn, begin_session, too_many
from app.infra import clock, vault
from app.infra.errors import Conflict, Invalid, NotFound, Unauthorized
from app.infra.ids import uuid7
from app.infra.runtime import Runtime
from app.infra.vault import Place

MOST_OF_CODES: Final = 10
WRONG: Final = "This code is not good: it may be mistyped, too old, or used before."


@dataclass(frozen=True, slots=True)
class NewTotp:
    """What an authenticator app is given, this once."""

    secret: str = field(repr=False)
    uri: str = field(repr=False)


# --- an authenticator app ------------------------------------------------------------------------


async def start_totp(runtime: Runtime, visitor: Visitor) -> NewTotp:
    """Make a secret for an app. It counts once a code of it has come. Raises Conflict."""
    secret, row = pyotp.random_base32(), uuid7()
    sealed = vault.seal(runtime.keyring, _place(row), secret.encode())
    values = {"id": row, "tenant": WHOLE_SERVER, "admin": visitor.id, "sealed": sealed}
    async with runtime.database.transaction() as session:
        if not await store_factors.set_totp(session, values):
            raise Conflict("totp_exists", "There is an authenticator app already; remove it first.")
    uri = pyotp.TOTP(secret).provisioning_uri(name=visitor.email, issuer_name=NAME)
    return NewTotp(secret, uri)


async def confirm_totp(runtime: Runtime, visitor: Visitor, code: str, *, actor: Actor) -> list[str]:
    """Let the app count from now on, by a code of it; recovery codes if there were none.

    Raises Invalid.
    """
    async with runtime.database.autocommit() as session:
        row = await store_factors.totp(session, visitor.id)
    if row is None or row["confirmed"]:
        raise Invalid("no_totp", "There is no authenticator app that waits for its first code.")
    step = _step(runtime, row, code)
    if step is None:
        raise Invalid("wrong_code", WRONG)
    async with runtime.database.transaction() as session:
        await store_factors.take_step(session, row["id"], step)
        await note(session, actor, "admin.totp_add", visitor.email)
    return await first_codes(runtime, visitor, actor)


async def remove_totp(runtime: Runtime, visitor: Visitor, *, actor: Actor) -> None:
    """Forget the authenticator app. Raises NotFound."""
    async with runtime.database.transaction() as session:
        if not await store_factors.forget_totp(session, visitor.id):
            raise NotFound("no_totp", "There is no authenticator app.")
        await note(session, actor, "admin.totp_remove", visitor.email)


def _step(runtime: Runtime, row: dict[str, Any], code: str) -> int | None:
    """The 30 s step of a code, which may be one earlier or later than now; None for a wrong one."""
    secret = vault.unseal(runtime.keyring, _place(row["id"]), row["sealed"]).decode()
    try:
        return pyotp.TOTP(secret).verify_and_get_timecode(
            code, for_time=clock.unix(), valid_window=1
        )
    except (OTPVerificationError, ValueError):
        return None


def _place(row: UUID) -> Place:
    return Place(WHOLE_SERVER, row, "admin_totp")


# --- signing in ----------------------------------------------------------------------------------


async def wait(runtime: Runtime, admin_id: UUID) -> str:
    """The password was right: the cookie of a sign-in that waits for its second factor."""
    cookie = secrets.token_urlsafe(32)
    async with runtime.database.transaction() as session:
        await store_factors.add_challenge(
            session, challenge_mark(cookie), admin_id, secrets.token_bytes(32)
        )
    return cookie


async def of(runtime: Runtime, admin_id: UUID) -> dict[str, Any]:
    """The second factors of an administrator: `totp` or None, `passkeys`, `codes` left."""
    async with runtime.database.autocommit() as session:
        totp = await store_factors.totp(session, admin_id)
        return {
            "totp": totp if totp is not None and totp["confirmed"] else None,
            "passkeys": await store_factors.passkeys(session, admin_id),
            "codes": await store_factors.codes_left(session, admin_id),
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a waiting sign-in may be finished with. `passkey`: options for the browser, as JSON."""

    totp: bool
    passkey: str | None


async def waiting(runtime: Runtime, cookie: str) -> Waiting | None:
    """The sign-in of this cookie; None when it is over."""
    async with runtime.database.autocommit() as session:
        row = await store_factors.challenge_of(session, challenge_mark(cookie))
        if row is None:
            return None
        totp = await store_factors.totp(session, row["admin_id"])
        known = await store_factors.passkeys(session, row["admin_id"])
    party = passkeys.relying_party(runtime)
    options = None
    if known and party is not None:
        options = webauthn.options_to_json(
            webauthn.generate_authentication_options(
                rp_id=party[0],
                challenge=row["challenge"],
                allow_credentials=[
                    PublicKeyCredentialDescriptor(one["credential_id"]) for one in known
                ],
                user_verification=UserVerificationRequirement.PREFERRED,
            )
        )
    return Waiting(totp is not None and totp["confirmed"], options)


async def finish(
    runtime: Runtime, cookie: str, browser: Browser, *, code: str, passkey: str
) -> SignedIn:
    """Begin the session of a sign-in that waits, by a code or a passkey's signature.

    Raises Unauthorized (401) for one that is not good or comes too late, TooMany (429).
    """
    async with runtime.database.autocommit() as session:
        row = await store_factors.challenge_of(session, challenge_mark(cookie))
        admin = None if row is None else await store.admin_by_id(session, row["admin_id"])
    if row is None or admin is None:
        raise Unauthorized("too_late", "That took too long; sign in again.")
    actor = Actor("dashboard", id=str(admin["id"]), name=admin["email"], source=browser.source)
    if passkey:
        good = await passkeys.signed(runtime, row, passkey)
    else:
        good = await _code_fits(runtime, admin, code, actor)
    if not good:
        async with runtime.database.transaction() as session:
            await note(session, actor, "admin.second_failed", admin["email"])
        raise Unauthorized("wrong_code", "This passkey is not good." if passkey else WRONG)
    async with runtime.database.transaction() as session:
        if not await store_factors.use_challenge(session, challenge_mark(cookie)):
            raise Unauthorized("too_late", "That took too long; sign in again.")
        return await begin_session(runtime, session, admin, browser)


async def _code_fits(runtime: Runtime, admin: dict[str, Any], code: str, actor: Actor) -> bool:
    """Whether a code is the app's, or a recovery code; neither is good twice."""
    plain = "".join(code.split())
    try_id, whose = uuid7(), f"second:{admin['id']}"
    async with runtime.database.transaction() as session:
        await store.add_try(session, try_id, "", "", whose)
    async with runtime.database.autocommit() as session:
        tries = await store.failures(session, "", "", whose, WINDOW)
        totp = await store_factors.totp(session, admin["id"])
        if tries["browser"] > MOST_OF_CODES:
            await store.forget_try(session, try_id)
            raise too_many()
    good = False
    if plain.isascii() and plain.isdigit() and len(plain) == 6:
        if totp is not None and totp["confirmed"]:
            step = _step(runtime, totp, plain)
            async with runtime.database.transaction() as session:
                good = step is not None and await store_factors.take_step(session, totp["id"], step)
    else:
        async with runtime.database.transaction() as session:
            good = await store_factors.use_code(session, admin["id"], digest_of(code))
            if good:
                await note(session, actor, "admin.code_used", admin["email"])
    if good:
        async with runtime.database.transaction() as session:
            await store.forget_try(session, try_id)
    return good
