"""The control API's part about the push service of browsers."""

from typing import TYPE_CHECKING

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from devkit.simulator.server import Server


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewSubscription(_Body):
    """A subscription to make. A page that makes its keys itself gives them; else they are new."""

    key: str | None = Field(None, description="the VAPID key that alone may push to it; null: any")
    private: str | None = Field(None, description="the subscriber's private key (`d` of a JWK)")
    auth: str | None = Field(None, description="its secret: 16 bytes in base64url")


class OnlineSubscription(_Body):
    """Whether the browser runs."""

    online: bool


def router(server: "Server") -> APIRouter:
    """Make the routes. A subscription's pushes are listed as a device's: `/devices/ID/pushes`."""
    made = APIRouter(prefix="/webpush")
    apple = server.apple

    @made.post("/subscriptions")
    async def subscribe(body: NewSubscription) -> dict[str, object]:
        """Subscribe; gives the `id`, and the `subscription` as a browser would have it."""
        found = apple.push_service.subscribe(body.key, body.private, body.auth)
        return {"id": found.id, "subscription": found.as_dict(server.webpush_url)}

    @made.post("/subscriptions/{subscription}/gone")
    async def gone(subscription: str) -> dict[str, object]:
        """Let it be unsubscribed: 410."""
        apple.push_service.known(subscription).gone = True
        return {}

    @made.delete("/subscriptions/{subscription}")
    async def forget(subscription: str) -> dict[str, object]:
        """Know it no more: 404."""
        apple.push_service.forget(subscription)
        return {}

    @made.post("/subscriptions/{subscription}/online")
    async def online(subscription: str, body: OnlineSubscription) -> dict[str, object]:
        """Let the browser run, or not; what was kept for it is delivered unless it has expired."""
        apple.set_subscriber_online(subscription, online=body.online)
        return {}

    return made
