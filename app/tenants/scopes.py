"""What an API key may do: each scope with the sentence that the dashboard says of it."""

import difflib
from collections.abc import Iterable
from typing import Final

from app.infra.errors import Invalid

EVERYTHING: Final = "*"
SCOPES: Final = {
    "calls": "ring, answer, end and read calls",
    "devices": "register and remove phones",
    "users": "make user tokens, erase users",
    "credentials": "certificates and keys",
    "settings": "read and change these settings",
    "webhooks": "endpoints and deliveries",
    "audit": "read the audit log",
    "secrets": "replace and revoke signing secrets",
}


def check_scopes(scopes: Iterable[str]) -> None:
    """Refuse (422) a scope that does not exist, naming the nearest: its key could do nothing."""
    for scope in scopes:
        if scope != EVERYTHING and scope not in SCOPES:
            near = difflib.get_close_matches(scope, SCOPES, n=1)
            meant = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(SCOPES)
            raise Invalid("unknown_scope", f"scope: there is no {scope!r}{meant} Known: {known}.")
