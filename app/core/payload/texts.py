"""What a tenant has a notification say, and what is said without."""

from typing import Final

from app.core.frozen import frozen


@frozen
class AlertTexts:
    """What a tenant has a notification say. `badge`: it carries how many missed calls are unseen.

    `title_key` and `body_key` name texts of the app's; the args are theirs, and may hold holes.
    """

    title: str | None = None
    body: str | None = None
    title_key: str | None = None
    title_args: tuple[str, ...] = ()
    body_key: str | None = None
    body_args: tuple[str, ...] = ()
    sound: str | None = None
    category: str | None = None
    channel: str | None = None
    badge: bool = True


ENGLISH: Final = {
    "ring": AlertTexts(title="{{call_label}}", body="Incoming call"),
    "video_ring": AlertTexts(title="{{call_label}}", body="Incoming video call"),
    "notify": AlertTexts(title="{{call_label}}", body="A call is on"),
    "failed": AlertTexts(title="{{call_label}}", body="Call failed"),
    "ended": AlertTexts(title="{{call_label}}", body="Call ended"),
    "missed": AlertTexts(title="{{call_label}}", body="Missed call"),
    "answered_elsewhere": AlertTexts(title="{{call_label}}", body="Answered on another device"),
    "declined_elsewhere": AlertTexts(title="{{call_label}}", body="Declined on another device"),
    "activation": AlertTexts(title="Calls ring here", body="This browser is ready for calls"),
}
"""What is said of an event without words of the tenant's."""
