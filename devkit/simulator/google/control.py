"""The control API's part about Google."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from devkit.simulator.server import Server


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewAccount(_Body):
    """A service account to make, in this project."""

    project_id: str = "demo-project"


class AccountChange(_Body):
    """Whether an account is disabled, and whether it has the role that sending needs."""

    disabled: bool | None = None
    may_send: bool | None = None


class LiveRegistrations(_Body):
    """Registration tokens to make live; `project` null: any."""

    tokens: list[str]
    project: str | None = None


class OnlineRegistration(_Body):
    """Whether a phone is switched on."""

    online: bool


def router(server: "Server") -> APIRouter:
    """Make the routes."""
    made = APIRouter(prefix="/google")
    apple = server.apple

    @made.post("/accounts")
    async def account(body: NewAccount) -> dict[str, object]:
        """Make a service account; `json` is the file that its owner downloads."""
        found = apple.google.accounts.make(body.project_id, server.google_token_url)
        return {
            "project_id": found.project_id,
            "client_email": found.client_email,
            "json": found.json,
        }

    @made.patch("/accounts/{email}")
    async def change(email: str, body: AccountChange) -> dict[str, object]:
        apple.google.accounts.change(email, disabled=body.disabled, may_send=body.may_send)
        return {}

    @made.delete("/access-tokens")
    async def end_access() -> dict[str, object]:
        """Let every access token end now."""
        apple.google.accounts.end_access()
        return {}

    @made.post("/registrations")
    async def live(body: LiveRegistrations) -> dict[str, object]:
        apple.google.live(*body.tokens, project=body.project)
        return {}

    @made.post("/registrations/{token}/gone")
    async def gone(token: str) -> dict[str, object]:
        apple.google.gone(token)
        return {}

    @made.post("/registrations/{token}/online")
    async def online(token: str, body: OnlineRegistration) -> dict[str, object]:
        apple.set_registration_online(token, online=body.online)
        return {}

    return made
