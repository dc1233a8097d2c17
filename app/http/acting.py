"""What a request has to do with: the process's runtime, and who acts, for the audit log."""

from fastapi import Request

from app.audit.log import Actor
from app.infra.runtime import Runtime
from app.tenants.caller import Caller


def runtime_of(request: Request) -> Runtime:
    """What its process lives by: settings, database, queue, keys."""
    runtime: Runtime = request.app.state.runtime
    return runtime


def source_of(request: Request) -> str:
    """The address that a request came from, as far as it can be believed (trusted_proxies)."""
    return request.client.host if request.client else "unknown"


def actor_of(request: Request, caller: Caller) -> Actor:
    """An API key by its id and name; a user, whose name the log keeps apart."""
    if caller.kind == "user":
        return Actor("user", id=caller.user_id, source=source_of(request))
    return Actor("api_key", id=str(caller.key_id), name=caller.key_name, source=source_of(request))
