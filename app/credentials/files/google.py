"""What Google gives out as JSON or text: a service account, or what is mistaken for one.

Sources: "Authorize send requests" and "Migrate from legacy FCM APIs to HTTP v1", Firebase; the
types of credentials are google-auth's.
"""

import json
import re
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from app.credentials.files.apple import MAX_BITS, MIN_BITS, fingerprint_of
from app.credentials.files.parsed_file import PRODUCTION, ParsedFile
from app.credentials.files.refusals import reject
from app.fcm.account import ServiceAccount

KIND: Final = "google_service_account"
TOKEN_URI: Final = "https://oauth2.googleapis.com/token"  # noqa: S105 - an address
UNIVERSE: Final = "googleapis.com"
MARKS: Final = {
    "private_key_id", "client_email", "project_info", "refresh_token", "installed", "web",
    "service_account_impersonation_url", "credential_source",
}  # fmt: skip
_OF_ACCOUNT: Final = ("private_key_id", "client_email")
_LEGACY_KEY: Final = re.compile(r"AAAA[A-Za-z0-9_-]{7}:APA91b[A-Za-z0-9_-]{20,400}")
_API_KEY: Final = re.compile(r"AIza[A-Za-z0-9_-]{35}")
_PROJECT: Final = re.compile(r"[a-z0-9][a-z0-9.:\-]{1,62}")
_EMAIL: Final = re.compile(r"[A-Za-z0-9_.+\-]{1,64}@[A-Za-z0-9.\-]{1,190}")
_KEY_ID: Final = re.compile(r"[A-Za-z0-9]{8,128}")
_DOMAIN: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}")


def document(text: str) -> dict[str, Any] | None:
    """A JSON object of a kind that Google gives out; its strings may hold raw line ends.

    It may stand in another text, as a variable's value or in a list. Raises Refused for what was a
    service account and is no JSON now.
    """
    account = all(word in text for word in _OF_ACCOUNT)
    if not account and not text.lstrip().startswith("{"):
        return None
    why = "nothing of it is"
    try:
        found = json.loads(text[text.find("{") : text.rfind("}") + 1], strict=False)
    except RecursionError:
        found = None
    except ValueError as error:
        found, why = None, str(error)
    if isinstance(found, dict) and MARKS & found.keys():
        return found
    if account:
        raise reject("google_unreadable", why=why)
    return None


def refuse_text(text: str) -> None:
    """Refuse keys that were pasted as text: those that FCM knew once, or an API's."""
    stripped = text.strip()
    if _LEGACY_KEY.fullmatch(stripped):
        raise reject("google_legacy_key", what="a server key of FCM's legacy API")
    if _API_KEY.fullmatch(stripped):
        raise reject("google_legacy_key", what="an API key of Google's")


def understand(found: dict[str, Any], notes: tuple[str, ...]) -> ParsedFile:
    """The service account that this is. Raises Refused, with what it is instead."""
    if "project_info" in found:
        raise reject("google_services_json")
    if "refresh_token" in found or found.get("type") == "authorized_user":
        raise reject("google_user_credential")
    if "installed" in found or "web" in found:
        raise reject("google_oauth_client")
    if found.get("type") != "service_account":
        raise reject("google_external_account", kind=_shown(found.get("type")))
    if (domain := found.get("universe_domain") or UNIVERSE) != UNIVERSE:
        raise reject("google_other_universe", domain=_domain(domain))
    wanted = {
        "project_id": _PROJECT, "client_email": _EMAIL, "private_key_id": _KEY_ID,
    }  # fmt: skip
    values = {name: str(found.get(name) or "") for name in wanted}
    for name, pattern in wanted.items():
        if pattern.fullmatch(values[name]) is None:
            raise reject("google_incomplete", name=name)
    key = _key(found.get("private_key"))
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    account = ServiceAccount(
        values["project_id"], values["client_email"], values["private_key_id"], pem.decode()
    )
    fingerprint = fingerprint_of(key.public_key())
    if found.get("token_uri") not in (None, TOKEN_URI):
        notes += ("Its token_uri is not Google's: the address that this server is set to is used.",)
    return ParsedFile(
        kind=KIND,
        form="JSON",
        app_id=None,
        topics=(),
        environments=(PRODUCTION,),
        team_id=None,
        key_id=account.key_id,
        project_id=account.project_id,
        subject=account.client_email,
        serial=None,
        fingerprint=fingerprint,
        key_fingerprint=fingerprint,
        not_before=None,
        not_after=None,
        notes=notes,
        private=account.sealed(),
    )


def _key(pem: object) -> rsa.RSAPrivateKey:
    if not isinstance(pem, str) or not pem.strip():
        raise reject("google_incomplete", name="private_key")
    text = pem.replace("\\n", "\n").encode("utf-8", "replace")
    try:
        key = serialization.load_pem_private_key(text, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, rsa.RSAPrivateKey) and MIN_BITS <= key.key_size <= MAX_BITS:
            key = serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise reject("unusable_key") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise reject("google_incomplete", name="private_key")
    if not MIN_BITS <= key.key_size <= MAX_BITS:
        raise reject("weak_key", bits=key.key_size)
    return key


def _shown(value: object) -> str:
    known = {"external_account", "impersonated_service_account", "gdch_service_account"}
    return str(value) if value in known else "of no type that Ringline knows"


def _domain(value: object) -> str:
    known = isinstance(value, str) and _DOMAIN.fullmatch(value)
    return str(value) if known else "another universe_domain"
