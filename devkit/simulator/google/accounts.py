"""Service accounts: their keys, their assertions, and the access tokens that they were given.

Source: "Using OAuth 2.0 for server to server applications".
"""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import parse_qsl

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from devkit.simulator.certificates import make_key, private_pem
from devkit.simulator.google.answers import GoogleAnswer, Refusal

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SCOPES = {
    "https://www.googleapis.com/auth/firebase.messaging",
    "https://www.googleapis.com/auth/cloud-platform",
}
WELL_KNOWN = "https://oauth2.googleapis.com/token"
"""The audience that Google's own libraries name, wherever a file's `token_uri` leads."""
LEEWAY = 300
"""Seconds that an assertion's times may be off; Google names no figure."""
LIVES = 3_599
"""Seconds of an access token."""


@dataclass(slots=True, eq=False)
class Account:
    """A service account; `json` is the file that its owner downloads."""

    project_id: str
    client_email: str
    json: str
    keys: dict[str, rsa.RSAPublicKey] = field(default_factory=dict)
    disabled: bool = False
    may_send: bool = True


class Denied(Exception):
    """The token endpoint refuses: an OAuth error and its description."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(error)
        body = json.dumps({"error": error, "error_description": description})
        self.answer = GoogleAnswer(status, error, body=body.encode())


class Accounts:
    """All accounts, by e-mail, and the access tokens that live."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._access: dict[str, tuple[Account, float]] = {}
        self.lives: Any = LIVES

    def make(self, project_id: str, token_url: str) -> Account:
        """Make an account with a key, and its file."""
        key = cast("rsa.RSAPrivateKey", make_key("rsa"))
        email = f"ringline-{secrets.token_hex(4)}@{project_id}.iam.gserviceaccount.com"
        key_id = secrets.token_hex(20)
        content = {
            "type": "service_account",
            "project_id": project_id,
            "private_key_id": key_id,
            "private_key": private_pem(key).decode(),
            "client_email": email,
            "client_id": str(secrets.randbelow(10**21)),
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_url,
            "universe_domain": "googleapis.com",
        }
        account = Account(project_id, email, json.dumps(content, indent=2))
        account.keys[key_id] = key.public_key()
        self._accounts[email] = account
        return account

    def change(
        self, email: str, *, disabled: bool | None = None, may_send: bool | None = None
    ) -> None:
        """Disable an account, or take away its role; KeyError when it is not known."""
        account = self._accounts[email]
        account.disabled = account.disabled if disabled is None else disabled
        account.may_send = account.may_send if may_send is None else may_send

    def end_access(self) -> None:
        """Let every access token end now."""
        self._access.clear()

    def grant(self, form: bytes, token_url: str, now: float) -> GoogleAnswer:
        """Answer a request of the token endpoint. Raises Denied."""
        fields = dict(parse_qsl(form.decode("utf-8", "replace")))
        if fields.get("grant_type") != GRANT:
            raise Denied(
                "unsupported_grant_type", f"Invalid grant_type: {fields.get('grant_type')}"
            )
        account = self._whose(fields.get("assertion", ""), token_url, now)
        token = "ya29.c." + secrets.token_urlsafe(700)
        self._access[token] = (account, now + float(self.lives))
        content = {"access_token": token, "expires_in": self.lives, "token_type": "Bearer"}
        return GoogleAnswer(content=content)

    def authenticate(self, authorization: str | None, project_id: str, now: float) -> Account:
        """Whose access token this is, if it may send for the project. Raises Refusal."""
        scheme, _, token = (authorization or "").partition(" ")
        account, until = self._access.get(token, (None, 0.0))
        if scheme.lower() != "bearer" or account is None or until <= now:
            raise Refusal("UNAUTHENTICATED")
        if account.project_id != project_id or not account.may_send:
            refusal = Refusal("PERMISSION_DENIED")
            refusal.answer.message = refusal.answer.message.format(project=project_id)
            raise refusal
        return account

    def _whose(self, assertion: str, token_url: str, now: float) -> Account:
        try:
            head, claims, signature = _parts(assertion)
        except (ValueError, binascii.Error):
            raise Denied("invalid_grant", "Invalid JWT: malformed assertion.") from None
        account = self._accounts.get(str(claims.get("iss")))
        if account is None:
            raise Denied("invalid_grant", "Invalid grant: account not found")
        if account.disabled:
            raise Denied("invalid_grant", "Invalid grant: account is disabled")
        key = account.keys.get(str(head.get("kid")))
        if head.get("alg") != "RS256" or key is None or not _signed(key, assertion, signature):
            raise Denied("invalid_grant", "Invalid JWT Signature.")
        if claims.get("aud") not in {token_url, WELL_KNOWN}:
            raise Denied("invalid_grant", "Invalid JWT: the audience is not this endpoint.")
        issued, ends = claims.get("iat"), claims.get("exp")
        timely = isinstance(issued, int) and isinstance(ends, int) and (
            issued - LEEWAY <= now <= ends + LEEWAY and 0 < ends - issued <= 3_600
        )  # fmt: skip
        if not timely:
            raise Denied(
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable "
                "timeframe. Check your iat and exp values in the JWT claim.",
            )
        if not SCOPES & set(str(claims.get("scope", "")).split()):
            raise Denied("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return account


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    head, claims, signature = assertion.split(".")
    parsed = json.loads(_bytes(head)), json.loads(_bytes(claims))
    if not all(isinstance(one, dict) for one in parsed):
        raise ValueError("not objects")
    return *parsed, _bytes(signature)


def _signed(key: rsa.RSAPublicKey, assertion: str, signature: bytes) -> bool:
    signed = assertion.rpartition(".")[0].encode()
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _bytes(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))
