"""Who acts, for the audit log: the caller of a request, and the address it came from."""

from fastapi import Request

from app.audit.log import Actor
from app.tenants.caller import Caller


def source_of(request: Request) -> str:
    """The address that a request came from, as far as it can be believed (trusted_proxies)."""
    return request.client.host if request.client else "unknown"


def actor_of(request: Request, caller: Caller) -> Actor:
    """An API key by its id and name; a user, whose name the log keeps apart."""
    if caller.kind == "user":
        return Actor("user", id=caller.user_id, source=source_of(request))
    return Actor("api_key", id=str(caller.key_id), name=caller.key_name, source=source_of(request))
