"""The senders that there are, and which of them serves what.

To add one: its package (`docs/guides/a-new-sender.md`), and a name in `SERVICES`.
"""

from typing import Final

from app.apns.service import APNS
from app.core.push import TokenKind
from app.fcm.service import FCM
from app.infra.sender import Service
from app.webpush.service import WEBPUSH

SERVICES: Final[tuple[Service, ...]] = (APNS, FCM, WEBPUSH)
"""In the order in which a phone with several addresses is rung by them."""

_OF_TOKEN: Final = {kind: one for one in SERVICES for kind in one.token_kinds}
_OF_CREDENTIAL: Final = {kind: one for one in SERVICES for kind in one.credential_kinds}

RING_KINDS: Final[tuple[TokenKind, ...]] = tuple(
    kind for one in SERVICES for kind in sorted(one.ring_kinds)
)
"""The kinds of token that are rung, the best first."""
REPEATED_KINDS: Final[tuple[TokenKind, ...]] = tuple(
    kind for one in SERVICES for kind in sorted(one.alert_kinds - one.ring_kinds)
)
"""The kinds by which a device that has no better one is rung where a tenant asks for it: by
notifications, one after the other."""
STOP_KINDS: Final = {ring: stop for one in SERVICES for ring, stop in one.stop_kinds.items()}
"""By which kind of its tokens a device is told to stop that was rung by this one."""

ALERT_KINDS: Final[tuple[TokenKind, ...]] = tuple(
    kind for one in SERVICES for kind in sorted(one.alert_kinds)
)
"""The kinds of token by which a notification is shown, the best first."""
SHOWN_KINDS: Final = frozenset(kind for one in SERVICES for kind in one.shown_kinds)
"""The kinds of token to which each push is a notification, a ring and a stop too."""
ACTIVATED_KINDS: Final = frozenset(kind for one in SERVICES for kind in one.activated_kinds)
"""The kinds of token that count once somebody has shown that pushes to them arrive."""


def serving(kind: TokenKind) -> Service:
    """Who pushes to tokens of this kind."""
    return _OF_TOKEN[kind]


def of_credential(kind: str) -> Service:
    """For whom credentials of this kind are."""
    return _OF_CREDENTIAL[kind]
