"""Property lists as Apple's tools write them, and the one inside a provisioning profile."""

import plistlib
import struct
from typing import Any, Final
from xml.parsers.expat import ExpatError

from app.appcheck.findings import AppFileError

NO_PLIST: Final = (
    ValueError, TypeError, AttributeError, LookupError, OverflowError, RecursionError, EOFError,
    struct.error, ExpatError,
)  # fmt: skip
"""All that plistlib is seen to raise for bytes that are no property list."""


def read_plist(data: bytes, what: str) -> dict[str, Any]:
    """A property list, XML or binary, whose top is a dictionary. Raises AppFileError.

    plistlib takes no XML entities of a document's own, so nothing grows when it is read.
    """
    try:
        found = plistlib.loads(data)
    except NO_PLIST as error:
        raise AppFileError(f"{what} is no property list: {type(error).__name__}") from None
    if not isinstance(found, dict):
        raise AppFileError(f"{what} holds no dictionary")
    return found


def read_profile(data: bytes, what: str) -> dict[str, Any]:
    """What a provisioning profile says. Its property list lies whole inside a signed message
    (CMS, RFC 5652), whose signature says nothing that a check of an app needs."""
    begin, end = data.find(b"<?xml"), data.rfind(b"</plist>")
    if not 0 <= begin < end:
        raise AppFileError(f"{what} holds no property list: it is no provisioning profile")
    return read_plist(data[begin : end + len(b"</plist>")], what)


def allowed_by(profile: dict[str, Any]) -> dict[str, Any]:
    """The entitlements that a provisioning profile allows."""
    found = profile.get("Entitlements")
    return found if isinstance(found, dict) else {}


def text_of(plist: dict[str, Any], key: str) -> str:
    """A text of a property list; empty where it is absent or something else."""
    found = plist.get(key)
    return found if isinstance(found, str) else ""


def texts_of(plist: dict[str, Any], key: str) -> list[str]:
    """A list of texts; a single text is a list of one."""
    found = plist.get(key)
    many = found if isinstance(found, list) else [found]
    return [one for one in many if isinstance(one, str)]
