"""What a `Retry-After` asks, as every service's and every webhook's answer is read."""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST: Final = 86_400.0
LONGEST_DATE: Final = 64
SECONDS: Final = re.compile(r"[0-9]+")


def seconds_asked(retry_after: str, now: datetime) -> float | None:
    """How long to wait, a day at most: seconds, or an HTTP date (RFC 9110, 10.2.3).

    None where it says neither: fractions, lists and negative numbers are no such thing.
    """
    text = retry_after.strip(" \t")
    if SECONDS.fullmatch(text):
        digits = text.lstrip("0")
        return min(float(digits or 0), LONGEST) if len(digits) < 10 else LONGEST
    if len(text) > LONGEST_DATE:
        return None
    try:
        at = parsedate_to_datetime(text)
        if at.tzinfo is None:  # `-0000`, which is UTC
            at = at.replace(tzinfo=UTC)
        return min(max(0.0, (at - now).total_seconds()), LONGEST)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
