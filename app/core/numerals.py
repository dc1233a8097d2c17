"""Numbers and ids as others write them: the one strict reader, for addresses, commands and forms.

Python's own takes `1_0`, ` 5`, `+5`, digits of other scripts and a UUID in braces, and makes of
each what nobody may have meant. A number is as JSON writes it (RFC 8259, 6), an id as RFC 9562, 4.
"""

import re
from math import isfinite
from typing import Final
from uuid import UUID

LONGEST: Final = 40
"""Characters of a number: more than any that a database or a float can tell from others."""
WHOLE: Final = re.compile(r"-?(0|[1-9][0-9]*)")
DECIMAL: Final = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
YES_OR_NO: Final = {"true": True, "false": False}


def whole_of(text: str) -> int | None:
    """The whole number that this says; None when it says none."""
    return int(text) if len(text) <= LONGEST and WHOLE.fullmatch(text) else None


def decimal_of(text: str) -> float | None:
    """The number that this says; None when it says none, or one that no float can hold."""
    if len(text) > LONGEST or not DECIMAL.fullmatch(text):
        return None
    found = float(text)
    return found if isfinite(found) else None


def id_of(text: str) -> UUID | None:
    """The UUID that this is, in either case of letters; None when it is none."""
    return UUID(text) if ID.fullmatch(text) else None
