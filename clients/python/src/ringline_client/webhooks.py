"""Webhooks: whether one comes from the server (the Standard Webhooks specification)."""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ringline_client.errors import WebhookRefused

TOLERANCE = 300.0
LONGEST_TIME = 15
"""Digits of a time: Python refuses to read a number of thousands, with an error of its own."""


def verify_webhook(
    body: bytes | str,
    headers: Mapping[str, str],
    secret: str | Sequence[str],
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> dict[str, Any]:
    """The event of a webhook, once it is known to be the server's. Raises WebhookRefused.

    `body` is the request's as it came, byte for byte. `secret` is `whsec_...`; while one is being
    rotated, both. `tolerance` in seconds, `now` in Unix seconds. An event may come twice: keep its
    `id`.
    """
    text = body.encode() if isinstance(body, str) else body
    named = {name.lower(): value for name, value in headers.items()}
    try:
        event, at = named["webhook-id"], named["webhook-timestamp"]
        given = named["webhook-signature"]
    except KeyError as error:
        raise WebhookRefused(f"the header {error} is missing") from error
    if not at.isascii() or not at.isdigit() or len(at) > LONGEST_TIME:
        raise WebhookRefused("webhook-timestamp is no number")
    if abs((time.time() if now is None else now) - int(at)) > tolerance:
        raise WebhookRefused("it was signed too long ago, or this clock is wrong")
    secrets = [secret] if isinstance(secret, str) else secret
    signed = f"{event}.{at}.".encode() + text
    good = [hmac.digest(_key(one), signed, hashlib.sha256) for one in secrets]
    if not any(hmac.compare_digest(mac, ours) for mac in _signatures(given) for ours in good):
        raise WebhookRefused("no signature is by this secret")
    found: dict[str, Any] = json.loads(text)
    return found


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix("whsec_"))


def _signatures(given: str) -> list[bytes]:
    found = []
    for one in given.split():
        version, _, text = one.partition(",")
        if version == "v1":
            try:
                found.append(base64.b64decode(text, validate=True))
            except binascii.Error:
                continue
    return found
