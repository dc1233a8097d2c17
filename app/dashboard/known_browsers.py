"""Browsers in which an administrator has signed in before.

Whoever guesses passwords uses up the tries of an account and of an address. Those limits are not
for a browser that has shown before that it is its owner's: it keeps a signed cookie that says so,
and has tries of its own. The cookie lets nobody in. (OWASP: "Slow Down Online Guessing Attacks with
Device Cookies".)
"""

import base64
import binascii
import secrets
import struct
from uuid import UUID

from app.infra.vault import Keyring

PURPOSE = b"ringline known browser|"
GOOD_FOR = 180 * 86_400
MAC = 16
INSIDE = struct.Struct(">16s8sI")


def mark(keyring: Keyring, admin_id: UUID, now: float) -> str:
    """A cookie for a browser in which this administrator has signed in; `now` in Unix seconds."""
    inside = INSIDE.pack(admin_id.bytes, secrets.token_bytes(8), int(now) + GOOD_FOR)
    raw = inside + keyring.token_mac(PURPOSE + inside, MAC)
    return base64.urlsafe_b64encode(raw).decode()


def known(keyring: Keyring, cookie: str | None, admin_id: UUID, now: float) -> str | None:
    """The name of a browser that this administrator has used; None if the cookie says no such."""
    try:
        raw = base64.b64decode(cookie or "", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    inside, mac = raw[:-MAC], raw[-MAC:]
    if len(inside) != INSIDE.size or not keyring.token_mac_valid(PURPOSE + inside, mac):
        return None
    owner, name, until = INSIDE.unpack(inside)
    return name.hex() if owner == admin_id.bytes and until > now else None
