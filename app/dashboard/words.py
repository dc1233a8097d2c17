"""Words for people: times, numbers, what was done, and what states and outcomes are called."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from app import senders
from app.core.push import TOKEN_KINDS
from app.core.words import DELIVERIES, DISABLED, SAID, UNSENT, of_push, of_retired

__all__ = ["DELIVERIES", "DISABLED", "SAID", "of_push", "of_retired"]  # for the templates

DONE = {
    "signed_out": "You have signed out.",
    "session_ended": "Signed out there.",
    "nothing_saved": "Your session had ended, and nothing was saved. Sign in and do it again.",
    "factor_removed": "The second factor is removed.",
    "password_changed": "Your password was changed; other browsers were signed out.",
    "credential_stored": "The credential is stored, sealed. The service's answer is below.",
    "probed": "The service was asked just now; its answer is below.",
    "activated": "This credential is in use from now on.",
    "retired": "This credential is retired; it can be brought back.",
    "credential_deleted": "The credential and its private key are deleted.",
    "device_removed": "The device is removed: it will not ring again.",
    "device_off": "The device is off: it is not rung until it is turned on again.",
    "device_on": "The device is on: the next ring reaches it.",
    "ringing_stopped": "No new ring begins from now on; calls that live go on.",
    "handles_saved": "Saved. Calls that name these handles ring this user.",
    "ringing_resumed": "New calls ring again.",
    "blocked": "They do not ring this user any more, and are not told so.",
    "unblocked": "They may ring this user again.",
    "preferences_saved": "Saved. The next ring obeys it.",
    "preferences_cleared": "This user is rung as one who has set nothing.",
    "user_revoked": "Every token of this user is revoked; within two seconds none is good.",
    "user_erased": "The user is erased; past calls keep a tombstone in their place.",
    "cancelled": "The call is over; every phone was told to stop.",
    "secret_revoked": "The signing secret is revoked; within two seconds no token of it is good.",
    "token_rules_saved": "Saved. Within a second user tokens are judged by it.",
    "key_revoked": "The API key is revoked; it works for one more second at most.",
    "settings_saved": "Saved. Calls that live keep the limits they began with.",
    "profile_saved": "Saved. The next ring uses this payload.",
    "profile_removed": "Removed: this app gets the default payload again.",
    "notification_saved": "Saved. The next one says this.",
    "notification_removed": "Removed: nothing is said of this any more.",
    "tenant_deleted": "Deleted: its keys are refused and its phones stop. Its rows go by and by.",
    "role_changed": "The role was changed.",
    "admin_removed": "The administrator was removed and signed out.",
    "webhook_off": "The webhook is off; nothing is sent to it.",
    "webhook_deleted": "The webhook is deleted.",
    "webhook_enabled": "The webhook is enabled again.",
    "resent": "The delivery is sent again.",
}
ERROR_TITLES = {
    401: "Sign in first",
    403: "Not allowed",
    404: "Not found",
    409: "That cannot be now",
    410: "It is over",
    413: "Too large",
    422: "Something is not right yet",
    429: "Too many tries",
    503: "Not available just now",
}
HEALTH = {
    "working": ("good", "Working"),
    "failing": ("bad", "The service refuses it"),
    "expiring": ("warn", "Expires soon"),
    "expired": ("bad", "Expired"),
    "unproven": ("plain", "Not proven yet"),
    "requested": ("warn", "Waits for its certificate"),
    "retired": ("plain", "Retired"),
}
STATES = {"requested": "Requested", "standby": "Standby", "active": "In use", "retired": "Retired"}
CALLS = {
    "ringing": ("live", "Ringing"),
    "active": ("good", "Active"),
    "completed": ("plain", "Completed"),
    "cancelled": ("plain", "Cancelled"),
    "declined": ("warn", "Declined"),
    "busy": ("warn", "Busy"),
    "missed": ("bad", "Missed"),
    "unreachable": ("bad", "Nobody could be reached"),
    "alone": ("plain", "Left alone"),
    "max_duration": ("plain", "Time was up"),
    "ended_by_server": ("plain", "Ended by the server"),
    "failed": ("bad", "Failed"),
}
MEMBERS = {
    "ringing": ("live", "Ringing"),
    "joined": ("good", "In the call"),
    "away": ("warn", "Silent"),
    "left": ("plain", "Left"),
    "declined": ("warn", "Declined"),
    "busy": ("warn", "Busy"),
    "missed": ("bad", "Missed"),
    "unreachable": ("bad", "Could not be reached"),
    "suppressed": ("plain", "Not rung"),
}
PUSHES = {
    "pending": ("plain", "Waiting"),
    "sending": ("live", "On its way"),
    "accepted": ("good", "Accepted"),
    "refused": ("bad", "Refused"),
    "expired": ("bad", "Too late"),
    "dropped": ("plain", "Not sent"),
}
LIMITS = {
    "ring": ("Ring time", "seconds", "How long a phone rings before the call is missed."),
    "unconfirmed": (
        "Unconfirmed after",
        "seconds",
        "Until a ring without a word of a phone reads so.",
    ),
    "away": ("Away after", "seconds", "Silence of a joined phone until it counts as away."),
    "removed": ("Removed after", "seconds", "Silence until it is taken out of the call."),
    "alone": ("Alone", "seconds", "How long one who is left alone waits."),
    "length": ("Call length", "seconds", "The longest that a call may last."),
    "members": ("Members", "people", "Of one call, the caller included."),
    "devices": ("Devices of a user", "devices", "Beyond these the oldest goes."),
}
RATES = {
    "rings_per_key": ("Rings of one API key", "Of all that it rings, whoever calls whom."),
    "rings_per_caller": ("Rings of one caller", "By a key or by the user's own token."),
    "rings_per_callee": ("Rings of one who is called", "From all callers together."),
    "registrations_per_user": ("Registrations of one user", "Of devices, refreshed ones too."),
    "streams_per_user": (
        "Streams of one user",
        "That are opened; how many are open is another thing.",
    ),
    "streams_per_tenant": ("Streams of all users", "That are opened."),
}
ACTIONS = {
    "credential.add": "added a credential",
    "credential.complete": "brought a certificate",
    "credential.request": "made a signing request",
    "credential.activate": "put a credential to use",
    "credential.retire": "retired a credential",
    "credential.delete": "deleted a credential",
    "credential.probe": "asked its service",
    "key.create": "made an API key",
    "key.revoke": "revoked an API key",
    "settings.change": "changed settings",
    "device.remove": "removed a device",
    "device.change": "turned a device off or on",
    "handles.change": "changed a user's handles",
    "user.erase": "erased a user",
    "call.test": "sent a test ring",
    "call.end": "ended a call",
    "credential.test_push": "pushed a test",
    "webhook.create": "made a webhook",
    "webhook.change": "changed a webhook",
    "webhook.rotate": "changed a webhook's secret",
    "webhook.remove": "deleted a webhook",
    "tenant.create": "made this tenant",
    "tenant.delete": "deleted a tenant",
    "tenant.remove": "removed the last row of a deleted tenant",
    "admin.create": "made an administrator",
    "admin.sign_in": "signed in",
    "admin.sign_in_failed": "failed to sign in",
    "admin.sign_out": "signed out",
    "admin.session_end": "ended sessions of their own",
    "admin.second_failed": "failed at the second factor",
    "admin.totp_add": "added an authenticator app",
    "admin.totp_remove": "removed an authenticator app",
    "admin.passkey_add": "added a passkey",
    "admin.passkey_remove": "removed a passkey",
    "admin.codes": "made recovery codes",
    "admin.code_used": "used a recovery code",
    "vault.rotate": "sealed what is stored under the first key",
    "secret.create": "made a signing secret",
    "secret.revoke": "revoked a signing secret",
    "token.create": "made a user token",
    "call.cancel": "gave up a call",
    "webhook.resend": "sent a delivery again",
    "admin.password": "changed their password",
    "admin.reset": "reset a password",
    "admin.role": "changed a role",
    "admin.remove": "removed an administrator",
}


def service_of_token(kind: str) -> str:
    """Who pushes to tokens of this kind, as people call it."""
    return senders.serving(TOKEN_KINDS[kind]).title


def service_of_credential(kind: str) -> str:
    """For whom a credential of this kind is; a bare certificate is Apple's."""
    return senders.of_credential(kind.removesuffix("_only")).title


HINDRANCES = (
    ("notifications", False, "its notifications are turned off"),
    ("full_screen", False, "it may not show a call over the lock screen, only as a notification"),
    ("battery_optimized", True, "the system may hold its messages back to save power"),
)
"""What an app reports of its phone, and what that means for a ring."""


def hindrances(report: Mapping[str, bool] | None) -> str:
    """What an app has said of its phone that keeps it from ringing well; empty for nothing."""
    said = [words for name, bad, words in HINDRANCES if (report or {}).get(name) is bad]
    return f"Its app has said that {', and '.join(said)}." if said else ""


def rings(kind: str) -> bool:
    """Whether tokens of this kind are rung."""
    return TOKEN_KINDS[kind] in senders.RING_KINDS


def push_tag(state: str, reason: str | None) -> tuple[str, str]:
    """How a push ended. Refused is the service's word alone: what never left here was not sent."""
    if state == "refused" and reason in UNSENT:
        return "warn", "Not sent"
    return PUSHES.get(state, ("plain", state))


def limit(name: str, value: float) -> str:
    """A limit with its unit: `30 h`, `350`."""
    if LIMITS[name][1] != "seconds" or not value:
        return thousands(value)
    return duration(value) if value >= 60 else f"{value:g} s"


def thousands(number: float) -> str:
    """12,345."""
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    """A length of time in the two greatest units: `1 min 5 s`, `320 ms`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for least, size, name, smaller, small in (
        (172_800, 86_400, "d", 3_600, "h"),  # a call lasts at most 30 h, and is set in hours
        (3_600, 3_600, "h", 60, "min"),
        (60, 60, "min", 1, "s"),
    ):
        if whole >= least:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def _time(at: datetime | str) -> datetime:
    return datetime.fromisoformat(at) if isinstance(at, str) else at.astimezone(UTC)


def when(at: datetime | str | None) -> str:
    """A time, in UTC: `21 Nov 2026, 08:05:09`."""
    return "never" if at is None else f"{_time(at):%-d %b %Y, %H:%M:%S}"


def iso(at: datetime | str) -> str:
    """A time for machines."""
    return _time(at).isoformat(timespec="milliseconds")


def ago(at: datetime | str | None, now: datetime) -> str:
    """How long ago: `3 min ago`."""
    if at is None:
        return "never"
    passed = now - _time(at)
    if passed < timedelta(seconds=2):
        return "just now"
    return _rough(passed) + " ago"


def until(at: datetime | str, now: datetime) -> str:
    """How long until: `in 3 days`."""
    left = _time(at) - now
    return f"in {_rough(left)}" if left > timedelta() else ago(at, now)


def _rough(length: timedelta) -> str:
    seconds = length.total_seconds()
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "min"), (1, "s")):
        if seconds >= size:
            count = int(seconds // size)
            plural = "s" if count > 1 and name in {"day", "hour"} else ""
            return f"{count} {name}{plural}"
    return "a moment"
