"""One spelling of an app's name, whatever way it comes: a bundle id, an Android package, an origin.

Apple: "Bundle IDs are case-insensitive" (CFAppIdentifier), and letters, digits, hyphens and
dots are all they hold; a package's name may hold underscores. People and files bring them with the
topic's `.voip`, once or twice, with spaces around them, in the case of Xcode or of the portal. All
of these are one app; they are kept
and compared in lower case. Apple compares the *topic* of a push exactly, so that is spelled as the
credential spells it: `spelled`. A web app is its origin as browsers write it, `https://host[:port]`
(`http://` is for development: browsers subscribe on localhost).
"""

import re
from collections.abc import Iterable
from typing import Final

VOIP: Final = ".voip"
LONGEST: Final = 155
_PORT: Final = (
    "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
)
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9_\-]*(\.[A-Za-z0-9_\-]+)*"
_HOST: Final = r"[A-Za-z0-9][A-Za-z0-9\-]*(\.[A-Za-z0-9\-]+)*"
APP_ID_PATTERN: Final = rf"^({_NAME}|https?://{_HOST}(:{_PORT})?)$"
"""Also as JSON Schema reads it (ECMA 262). Something stands on each side of a dot."""
_APP_ID: Final = re.compile(APP_ID_PATTERN[1:-1])
_USUAL_PORT: Final = re.compile(r"(https://[^:]+):443|(http://[^:]+):80")
_AROUND: Final = " \t\r\n\x0b\x0c\xa0\u200b\u2060\ufeff\"'"
"""What comes along when an id is copied from a page or a file."""


def app_id_of(text: str) -> str | None:
    """The app that is meant by a bundle id, topic or package as typed; None when it is none."""
    found = text[:1_000].strip(_AROUND).lower()
    found = _origin(found) if "://" in found else without_voip(found)
    if len(found) > LONGEST or _APP_ID.fullmatch(found) is None:
        return None
    return found


def _origin(text: str) -> str:
    bare = text.removesuffix("/")
    usual = _USUAL_PORT.fullmatch(bare)
    return bare if usual is None else usual[1] or usual[2]


def as_typed(text: str) -> str:
    """The same with its case kept: how a key, which names no app, is told to spell the topic."""
    return without_voip(text[:1_000].strip(_AROUND))


def without_voip(topic: str) -> str:
    """A topic or a certificate's UID without `.voip`, its case kept: Apple issues both."""
    while topic.lower().endswith(VOIP):
        topic = topic[: -len(VOIP)]
    return topic


def spelled(topic: str, topics: Iterable[str]) -> str | None:
    """Of a credential's topics the one that is meant, as Apple spells it; None: it has none."""
    wanted = topic.lower()
    return next((one for one in topics if one.lower() == wanted), None)
