"""What an API key and a user token may do: each scope with a sentence that says it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.core.nearest import nearest
from app.infra.errors import Forbidden, Invalid

EVERYTHING: Final = "*"
SCOPES: Final = {
    "calls": "ring, answer, end and read calls",
    "devices": "register and remove phones",
    "users": "make user tokens, erase users",
    "credentials": "certificates and keys",
    "settings": "read and change these settings",
    "webhooks": "endpoints and deliveries",
    "audit": "read the audit log",
    "secrets": "replace and revoke signing secrets, revoke API keys",
}

USER_SCOPES: Final = {
    "devices": "register and remove own phones",
    "calls": "answer, read and end own calls, and listen to them",
    "ring": "ring others, where the tenant lets its users ring",
    "history": "read own past calls",
}
"""Of a user token, in its claim `scopes`; without that claim it may do all, and erase its user."""
GRANTS: Final = {"devices": ("devices",), "calls": ("calls", "ring", "history")}
"""What a key of this scope may let users do."""


def token_scopes(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """The scopes of a user token. Words of others grant nothing here."""
    said = claims.get("scopes")
    return (EVERYTHING,) if said is None else tuple(one for one in said if one in USER_SCOPES)


def minted_scopes(key: Iterable[str] | None, asked: Iterable[str] | None) -> list[str] | None:
    """The scopes of a token that a key of these scopes makes; None: all. Without a key: as asked.

    Never more than the key's own. Raises Forbidden (403) when more is asked, or nothing is left.
    """
    held = set(key) if key is not None else {EVERYTHING}
    wanted = None if asked is None else sorted(set(asked))
    if EVERYTHING in held:
        return wanted
    may = {scope for name, scopes in GRANTS.items() if name in held for scope in scopes}
    beyond = [scope for scope in wanted or () if scope not in may]
    if beyond or not may:
        what = f"`{beyond[0]}`" if beyond else "anything"
        raise Forbidden(
            "missing_scope", f"this API key may not let a user do {what}: it may not itself"
        )
    return sorted(may) if wanted is None else wanted


def check_scopes(scopes: Iterable[str], known: Mapping[str, str] = SCOPES) -> None:
    """Refuse (422) a scope that does not exist, naming the nearest: its key could do nothing."""
    for scope in scopes:
        if scope not in known and (scope != EVERYTHING or known is not SCOPES):
            near = nearest(scope, known)
            meant = f"; did you mean {near!r}?" if near else "."
            all_ = ", ".join(known)
            raise Invalid("unknown_scope", f"scope: there is no {scope!r}{meant} Known: {all_}.")
