"""A push service's checks of a push. Sources: RFC 8030 section 5, RFC 8292 sections 2 to 4."""

import json
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from devkit.simulator.webpush.answers import Refusal
from devkit.simulator.webpush.subscriber import from_text

PATH = re.compile(r"/push/([0-9a-f]{32})")
LIMIT = 4_096
A_DAY = 24 * 3_600
LEEWAY = 60
_TOPIC = re.compile(r"[A-Za-z0-9_\-]{1,32}")
_URGENCIES = {"very-low", "low", "normal", "high"}
_VAPID = re.compile(r"vapid\s+t=([^,\s]+)\s*,\s*k=([^,\s]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a message is to be kept: `ttl` in seconds, `topic` empty for none."""

    ttl: int
    topic: str


def read(fields: dict[str, str], size: int) -> Asked:
    """Check a push's header fields and its size. Raises Refusal."""
    ttl = fields.get("ttl", "")
    if not (ttl.isascii() and ttl.isdigit()):
        raise Refusal("NoTtl")
    if fields.get("urgency", "normal") not in _URGENCIES:
        raise Refusal("BadUrgency")
    topic = fields.get("topic", "")
    if topic and _TOPIC.fullmatch(topic) is None:
        raise Refusal("BadTopic")
    if fields.get("content-encoding") != "aes128gcm":
        raise Refusal("BadEncoding")
    if size > LIMIT:
        raise Refusal("TooLarge")
    return Asked(int(ttl), topic)


def authenticate(authorization: str | None, audience: str, now: float) -> tuple[str, str]:
    """Give the key of a VAPID header and its `sub`. Raises Refusal."""
    found = _VAPID.fullmatch(authorization or "")
    if found is None:
        raise Refusal("NoAuthorization")
    token, key = found.groups()
    try:
        claims = _verified(token, key)
    except (ValueError, InvalidSignature):
        raise Refusal("BadToken") from None
    ends, subject = claims.get("exp"), claims.get("sub")
    if claims.get("aud") != audience:
        raise Refusal("WrongAudience")
    if not isinstance(ends, int) or not now - LEEWAY <= ends <= now + A_DAY + LEEWAY:
        raise Refusal("TokenExpired")
    if not isinstance(subject, str) or not subject.startswith(("mailto:", "https:")):
        raise Refusal("NoSubject")
    return key, subject


def _verified(token: str, key: str) -> dict[str, Any]:
    signed, _, signature = token.rpartition(".")
    head, _, claims = signed.partition(".")
    raw = from_text(signature)
    if json.loads(from_text(head)).get("alg") != "ES256" or len(raw) != 64:
        raise ValueError("not ES256")
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), from_text(key))
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    public.verify(der, signed.encode(), ec.ECDSA(hashes.SHA256()))
    found = json.loads(from_text(claims))
    if not isinstance(found, dict):
        raise ValueError("no claims")  # noqa: TRY004
    return found
