"""FCM as a sender: what the registry knows of it."""

from collections.abc import Callable, Sequence
from typing import Final

from app.core.payload import (
    AlertTexts,
    Prepared,
    RingFacts,
    Template,
    alert_payload,
    android_ring,
    android_stop,
)
from app.core.push import TokenKind
from app.fcm import message, policy
from app.fcm.account import ServiceAccount
from app.fcm.message import FcmMessage
from app.fcm.sender import FcmSender
from app.infra.sender import Alike, OutgoingPush, Secret
from app.infra.settings import Settings


class Fcm:
    """See `app.infra.sender.Service`."""

    name: Final = "fcm"
    title: Final = "Google"
    label: Final = "FCM"
    token_kinds: Final = frozenset({TokenKind.FCM})
    ring_kinds: Final = token_kinds
    alert_kinds: Final = token_kinds
    stop_kinds: Final = {TokenKind.FCM: TokenKind.FCM}
    shown_kinds: Final = frozenset[TokenKind]()
    activated_kinds: Final = frozenset[TokenKind]()
    environments: Final = ("production",)
    credential_kinds: Final = frozenset({"google_service_account"})
    device_refusals: Final = policy.DEVICE_REFUSALS
    proofs: Final = frozenset[str]()
    elsewhere: Final = frozenset[str]()

    def topic(self, kind: TokenKind, app_id: str) -> str:  # noqa: ARG002 - there is one kind
        return app_id

    def key_of(self, token: str) -> str | None:  # noqa: ARG002 - any key of its app
        return None

    def open(
        self,
        secret: Secret,
        environment: str,  # noqa: ARG002 - Google has one
        settings: Settings,
        wall_clock: Callable[[], float],
        *,
        connections: int | None = None,
    ) -> FcmSender:
        return FcmSender(
            ServiceAccount.of(secret.material),
            settings.fcm_url,
            settings.google_token_url,
            ca_file=settings.google_ca_file,
            wall_clock=wall_clock,
            max_connections=connections or settings.fcm_connections,
        )

    def ring_payload(
        self,
        profile: str,
        facts: RingFacts,
        template: Template | None,  # noqa: ARG002 - there is no custom profile for Android
    ) -> Prepared:
        return android_ring(profile, facts)

    def stop_payload(
        self,
        kind: TokenKind,  # noqa: ARG002
        profile: str,  # noqa: ARG002
        facts: RingFacts,
        reason: int,
        template: Template | None,  # noqa: ARG002
    ) -> bytes:
        return android_stop(facts, reason)

    def alert_payload(self, event: str, texts: AlertTexts | None, facts: RingFacts) -> Prepared:
        return alert_payload("fcm", event, texts, facts)

    request = staticmethod(message.message_of)

    def alike(self, push: OutgoingPush) -> Alike | None:  # noqa: ARG002 - a Service's
        """What a message says of its push lies within it: each is made by itself."""
        return None

    react = staticmethod(policy.react)
    row_of_stored = staticmethod(policy.row_of_stored)

    def probe(self, app_id: str, topics: Sequence[str]) -> FcmMessage:  # noqa: ARG002
        """Google asks for the project alone: a message to nobody that it only checks."""
        return message.probe()


FCM: Final = Fcm()
