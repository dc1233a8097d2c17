"""What an id may be: users, devices and calls, at every entry point.

A user's id is another system's: a Matrix id, a mail address, a path of Azure's, `auth0|...`. Left
out is only what separates ids where several stand together (comma, space) and what a URL, HTML or a
shell line reads as something else. `.` and `..` are no ids: every client takes them out of a path.
"""

import re
from collections.abc import Sequence
from typing import Final

_ID: Final = r"[!$&'()*+\-./0-9:;=@A-Z\[\]\^_`a-z{|}~]"
USER_ID_PATTERN: Final = rf"^(?!\.{{1,2}}$){_ID}{{1,128}}$"
"""Also as JSON Schema reads it (ECMA 262). Printable ASCII without , space " < > \\ % ? #"""
CALL_TYPE_PATTERN: Final = r"^[a-z0-9_\-]{1,64}$"
CALL_NAME_PATTERN: Final = r"^[A-Za-z0-9_\-]{1,64}$"

_USER_ID: Final = re.compile(rf"(?!\.{{1,2}}\Z){_ID}{{1,128}}")
_USER_IDS: Final = re.compile(
    rf"(?!erased~|\.{{1,2}}(?:,|\Z)){_ID}{{1,128}}(?:,(?!erased~|\.{{1,2}}(?:,|\Z)){_ID}{{1,128}})*"
)
_CALL_TYPE: Final = re.compile(CALL_TYPE_PATTERN[1:-1])
_CALL_NAME: Final = re.compile(CALL_NAME_PATTERN[1:-1])


TOMBSTONE: Final = "erased~"
"""What begins the id that stands in an erased user's place; it is nobody's."""


def is_user_id(text: str) -> bool:
    """Whether this may be a user's id."""
    return _USER_ID.fullmatch(text) is not None and not text.startswith(TOMBSTONE)


def are_user_ids(texts: Sequence[str]) -> bool:
    """Whether each of these may be a user's id: of hundreds, at once. None are none."""
    said = ",".join(texts)
    return said.count(",") == len(texts) - 1 and _USER_IDS.fullmatch(said) is not None


def is_device_id(text: str) -> bool:
    """Whether this may be a device's id: as a user's, but for our word for the backend."""
    return _USER_ID.fullmatch(text) is not None and text != "server"


def is_call_type(text: str) -> bool:
    """Whether this may be the type of a call."""
    return _CALL_TYPE.fullmatch(text) is not None


def is_call_name(text: str) -> bool:
    """Whether this may be a call's own id, the second part of its cid."""
    return _CALL_NAME.fullmatch(text) is not None
