"""What each client library makes of a payload: the phone model's own verdicts, as JSON."""

from typing import Any, Final

from devkit.phone import PROFILES, parse

LIMIT: Final = 5_120
"""Bytes that Apple takes in a VoIP push."""

# `custom` is the tenant's own app, which nobody but the tenant can judge.
LIBRARIES: Final = tuple(name for name in PROFILES if name != "custom")


def verdict_of(profile: str, payload: bytes) -> dict[str, Any]:
    """One library's verdict."""
    found = parse(profile, payload)
    return {
        "profile": profile,
        "outcome": found.outcome.value,
        "reason": found.reason,
        "notes": list(found.notes),
    }


def verdicts(payload: bytes) -> list[dict[str, Any]]:
    """The eight libraries' verdicts."""
    return [verdict_of(profile, payload) for profile in LIBRARIES]
