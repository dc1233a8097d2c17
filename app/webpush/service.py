"""Web Push as a sender: what the registry knows of it."""

from collections.abc import Callable, Sequence
from typing import Final

from app.core.payload import (
    ENDS,
    AlertTexts,
    Prepared,
    RingFacts,
    Template,
    web_payload,
)
from app.core.push import TokenKind
from app.infra.addresses import is_public
from app.infra.safe_http import anyone
from app.infra.sender import Alike, OutgoingPush, Secret
from app.infra.settings import Settings
from app.webpush import message, policy
from app.webpush.sender import WebPushSender
from app.webpush.vapid import VapidKey


class WebPush:
    """See `app.infra.sender.Service`."""

    name: Final = "webpush"
    title: Final = "The push service"
    label: Final = "Web Push"
    token_kinds: Final = frozenset({TokenKind.WEBPUSH})
    ring_kinds: Final = token_kinds
    alert_kinds: Final = token_kinds
    shown_kinds: Final = token_kinds
    """A browser insists that each push shows something."""
    stop_kinds: Final = {TokenKind.WEBPUSH: TokenKind.WEBPUSH}
    activated_kinds: Final = token_kinds
    environments: Final = ("production",)
    credential_kinds: Final = frozenset({"vapid"})
    device_refusals: Final = policy.DEVICE_REFUSALS
    proofs: Final = frozenset[str]()
    elsewhere: Final = frozenset[str]()

    def topic(self, kind: TokenKind, app_id: str) -> str:  # noqa: ARG002 - there is one kind
        return app_id

    def key_of(self, token: str) -> str | None:
        """The VAPID key that a subscription was made with: no other may push to it."""
        return token.partition(" ")[0]

    def open(
        self,
        secret: Secret,
        environment: str,  # noqa: ARG002 - there is one
        settings: Settings,
        wall_clock: Callable[[], float],
        *,
        connections: int | None = None,
    ) -> WebPushSender:
        return WebPushSender(
            VapidKey.of(secret.material),
            ca_file=settings.webpush_ca_file,
            wall_clock=wall_clock,
            judge=anyone if settings.webpush_allow_private else is_public,
            max_connections=connections or settings.webpush_connections,
        )

    def ring_payload(
        self,
        profile: str,  # noqa: ARG002 - there is one
        facts: RingFacts,
        template: Template | None,  # noqa: ARG002
    ) -> Prepared:
        return web_payload("ring", None, facts)

    def stop_payload(
        self,
        kind: TokenKind,  # noqa: ARG002
        profile: str,  # noqa: ARG002
        facts: RingFacts,
        reason: int,
        template: Template | None,  # noqa: ARG002
    ) -> bytes:
        return web_payload(ENDS[reason], None, facts).for_token("")

    def alert_payload(self, event: str, texts: AlertTexts | None, facts: RingFacts) -> Prepared:
        return web_payload(event, texts, facts)

    request = staticmethod(message.message_of)

    def alike(self, push: OutgoingPush) -> Alike | None:  # noqa: ARG002 - a Service's
        """What a message says of its push lies within it: each is made by itself."""
        return None

    react = staticmethod(policy.react)
    row_of_stored = staticmethod(policy.row_of_stored)

    def probe(self, app_id: str, topics: Sequence[str]) -> None:  # noqa: ARG002
        """There is nobody to ask: a push service knows a key by its subscriptions alone."""
        return


WEBPUSH: Final = WebPush()
