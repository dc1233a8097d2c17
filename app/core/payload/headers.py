"""APNs request headers of a push ("Sending notification requests to APNs")."""

from typing import Final, Literal

from app.core.app_id import VOIP, without_voip

Kind = Literal["voip", "background", "alert"]

_PRIORITY: Final[dict[Kind, str]] = {"voip": "10", "background": "5", "alert": "10"}


def topic(kind: Kind, app_id: str) -> str:
    """`com.example.app.voip` for a VoIP push, `com.example.app` for any other.

    A bundle id that comes with the suffix (it is read off a certificate, or typed so) does not get
    a second one: `.voip.voip` is refused by Apple as DeviceTokenNotForTopic.
    """
    base = without_voip(app_id)
    return base + VOIP if kind == "voip" else base


def headers(
    kind: Kind, app_id: str, *, apns_id: str | None = None, keep_until_ms: int | None = None
) -> dict[str, str]:
    """The headers of one push, in lower case and in a fixed order.

    `apns_id` is the push row's UUID, the same on each retry. `keep_until_ms` is the ring's deadline
    in Unix milliseconds when Apple may store the push for a phone that is off; without it the
    expiration is literally `0`: try once, now. The deadline is rounded down, so that nothing is
    delivered after it for the rounding's sake. There is no collapse id: a VoIP push with one is
    refused, and two rings must never become one.
    """
    result = {
        "apns-push-type": kind,
        "apns-topic": topic(kind, app_id),
        "apns-priority": _PRIORITY[kind],
        "apns-expiration": "0" if keep_until_ms is None else str(max(keep_until_ms // 1000, 0)),
    }
    if apns_id is not None:
        result["apns-id"] = apns_id.lower()
    return result
