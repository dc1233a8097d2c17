"""Who is calling, as every service sees it: one value, whatever it was recognised by."""

from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from app.infra.errors import Forbidden, Invalid
from app.tenants.schemas import TenantSettings


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling. `user_id` is set for every kind but `server`; times in Unix seconds.

    `scopes`: of a key or a user token; `*` is all that its kind may do.
    """

    kind: Literal["server", "user", "call", "member"]
    tenant_id: UUID
    settings: TenantSettings = field(repr=False, default_factory=TenantSettings)
    user_id: str | None = None
    scopes: tuple[str, ...] = ()
    key_id: UUID | None = None
    key_name: str | None = None
    ring: UUID | None = None
    device_row: UUID | None = None
    session_id: UUID | None = None
    device_id: str | None = None
    expires: float | None = None
    issued: float | None = None

    def acting_for(self, user_id: str | None) -> str:
        """The user on whose behalf this call is made.

        A user token acts for its subject only (403 otherwise); a key must name the user.
        """
        if self.kind == "user":
            assert self.user_id is not None
            if user_id is not None and user_id != self.user_id:
                raise Forbidden(
                    "wrong_user", "user_id: this user token cannot act for another user"
                )
            return self.user_id
        if user_id is None:
            raise Invalid("missing_field", "user_id: an API key must say for which user")
        return user_id


def require_server_or_user(caller: Caller) -> None:
    """Refuse (403) a call or member token."""
    if caller.kind not in {"server", "user"}:
        raise Forbidden("not_allowed", "this needs an API key or a user token")


def require_scope(caller: Caller, scope: str) -> None:
    """Refuse (403) a key or a user token that was not given this scope."""
    scoped = caller.kind in {"server", "user"}
    if scoped and "*" not in caller.scopes and scope not in caller.scopes:
        what = "API key" if caller.kind == "server" else "user token"
        raise Forbidden("missing_scope", f"this {what} lacks the scope `{scope}`")
