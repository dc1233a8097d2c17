"""APNs as a sender: what the registry knows of it."""

import secrets
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from uuid import uuid4

from app.apns import policy
from app.apns.credential import CertificateCredential, Credential, KeyCredential
from app.apns.request import PushRequest
from app.apns.sender import Sender
from app.core.app_id import VOIP, spelled
from app.core.payload import (
    RINGING,
    AlertTexts,
    Prepared,
    RingFacts,
    Template,
    alert_payload,
    ring_payload,
    stop_payload,
    topic,
    voip_stop_payload,
)
from app.core.push import Purpose, TokenKind
from app.infra.sender import Alike, OutgoingPush, Secret
from app.infra.settings import Settings


class Apns:
    """See `app.infra.sender.Service`."""

    name: Final = "apns"
    title: Final = "Apple"
    label: Final = "APNs"
    ring_kinds: Final = frozenset({TokenKind.VOIP})
    alert_kinds: Final = frozenset({TokenKind.ALERT})
    stop_kinds: Final = {TokenKind.VOIP: TokenKind.ALERT}
    token_kinds: Final = frozenset({TokenKind.VOIP, TokenKind.ALERT})
    shown_kinds: Final = frozenset[TokenKind]()
    activated_kinds: Final = frozenset[TokenKind]()
    environments: Final = ("production", "sandbox")
    credential_kinds: Final = frozenset({"certificate", "key"})
    device_refusals: Final = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic"})
    proofs: Final = device_refusals | {"Unregistered", "ExpiredToken"}
    elsewhere: Final = frozenset(
        {"BadCertificateEnvironment", "BadEnvironmentKeyInToken", "BadEnvironmentKeyIdInToken"}
    )

    def topic(self, kind: TokenKind, app_id: str) -> str:
        return topic("voip" if kind is TokenKind.VOIP else "background", app_id)

    def key_of(self, token: str) -> str | None:  # noqa: ARG002 - any key of its app
        return None

    def open(
        self,
        secret: Secret,
        environment: str,
        settings: Settings,
        wall_clock: Callable[[], float],
        *,
        connections: int | None = None,
    ) -> Sender:
        sandbox = environment == "sandbox"
        return Sender(
            _credential(secret),
            settings.apns_sandbox_url if sandbox else settings.apns_production_url,
            ca_file=settings.apns_ca_file,
            max_connections=connections or settings.apns_connections,
            wall_clock=wall_clock,
        )

    def ring_payload(self, profile: str, facts: RingFacts, template: Template | None) -> Prepared:
        return ring_payload(profile, facts, template)

    def stop_payload(
        self,
        kind: TokenKind,
        profile: str,
        facts: RingFacts,
        reason: int,
        template: Template | None,
    ) -> bytes:
        if kind is TokenKind.VOIP:
            return voip_stop_payload(profile, facts, reason, template)
        return stop_payload(facts, reason)

    def alert_payload(self, event: str, texts: AlertTexts | None, facts: RingFacts) -> Prepared:
        return alert_payload("apns", event, texts or RINGING.get(event), facts)

    def request(self, push: OutgoingPush) -> PushRequest:
        """`expiration` is 0, "once, now", unless Apple may keep a ring until it is over."""
        voip = push.kind is TokenKind.VOIP
        wanted = _topic(push.kind, push.app_id, tuple(push.topics))
        if push.kind is TokenKind.ALERT and push.purpose is not Purpose.STOP:
            return PushRequest(
                push.token,
                push.payload,
                topic=wanted,
                notification_id=push.id,
                push_type="alert",
                expiration=push.shown_until,
                collapse_key=push.ring,
            )
        return PushRequest(
            push.token,
            push.payload,
            topic=wanted,
            notification_id=push.id,
            push_type="voip" if voip else "background",
            priority=10 if voip else 5,
            expiration=int(push.deadline) if push.keep and push.purpose is Purpose.RING else 0,
        )

    def alike(self, push: OutgoingPush) -> Alike | None:
        """Rings by VoIP pushes; what else there is collapses by its ring, or comes one by one."""
        if push.kind is not TokenKind.VOIP:
            return None
        first = self.request(push)

        def another(push_id: str, token: str, payload: bytes) -> PushRequest:
            return first.another(token, payload, push_id)

        return another

    react = staticmethod(policy.react)
    row_of_stored = staticmethod(policy.row_of_stored)

    def probe(self, app_id: str, topics: Sequence[str]) -> PushRequest:
        """Order of checks as seen of APNs: "BadDeviceToken" is the answer hoped for."""
        wanted = app_id + VOIP
        name = spelled(wanted, topics) or (topics[0] if topics else wanted)
        voip = name.lower().endswith(VOIP)
        return PushRequest(
            secrets.token_hex(32),
            b'{"aps":{},"ringline":"probe"}',
            topic=name,
            notification_id=str(uuid4()),
            push_type="voip" if voip else "background",
            priority=10 if voip else 5,
        )


@lru_cache(maxsize=1_024)
def _topic(kind: TokenKind, app_id: str, topics: tuple[str, ...]) -> str:
    """The topic of pushes to an app's tokens, as a credential of these spells it."""
    wanted = APNS.topic(kind, app_id)
    return spelled(wanted, topics) or wanted


def _credential(secret: Secret) -> Credential:
    if secret.kind == "certificate":
        return CertificateCredential(pem=secret.material)
    assert secret.key_id is not None
    assert secret.team_id is not None
    return KeyCredential(p8=secret.material, key_id=secret.key_id, team_id=secret.team_id)


APNS: Final = Apns()
