"""What text may be: one rule for names, one for all other text.

A name shows a person to a person, so whatever a keyboard, an address book or another system makes
is a name: every assigned character but those that say nothing and break lines or the direction of
what follows. The set is written down here and asks no Unicode table of the interpreter: the same
text is the same name on every Python.

Other text must only be storable: PostgreSQL holds no U+0000, and UTF-8 no half a surrogate pair.
So what others have sent may hold anything that a terminal obeys: there `escaped` shows it.
"""

import re
from typing import Final

_SURROGATES: Final = "\ud800-\udfff"
_UNFIT: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # Cc: controls
    "\u2028\u2029"  # line and paragraph separator
    "\u202a-\u202e"  # bidi embeddings and overrides; the isolates U+2066 to U+2069 may stay
    f"{_SURROGATES}]+"  # halves of a pair
)
_SEEN: Final = re.compile(
    "[^ \u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"  # spaces of all widths
    "\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u2060-\u206f\ufeff"  # marks that steer others
    "\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0"  # fillers and an empty pattern of Braille
    "\ufe00-\ufe0f\U000e0000-\U000e0fff]"  # variation selectors and tags
)
"""What leaves something to be seen; without it a call screen shows a call of nobody."""
_OBEYED: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # Cc but for tab and line feed; ESC, and CSI in one byte
    "\u2028\u2029\u202a-\u202e\u2066-\u2069]"  # line breaks, and what turns the direction
)
_BREAKS: Final = str.maketrans({"\n": "\\n", "\t": "\\t"})
_UNSTORABLE: Final = re.compile(f"[\x00{_SURROGATES}]+")


def clean_name(text: str) -> str:
    """A name as it is kept: each run of unfit characters is one space, the ends are trimmed.

    Empty when nothing is left that can be seen: that is no name. A length is to be counted
    afterwards.
    """
    name = _UNFIT.sub(" ", text).strip(" ")
    return name if _SEEN.search(name) else ""


def is_storable(text: str) -> bool:
    """Whether PostgreSQL and JSON can hold this text."""
    return _UNSTORABLE.search(text) is None


def storable(text: str) -> str:
    """Text of others, cleaned where it is read: what nothing can hold becomes U+FFFD."""
    return _UNSTORABLE.sub("\ufffd", text)


def escaped(text: str, *, line: bool = False) -> str:
    """Text as a terminal may be given it: what one obeys is seen, as `\\x1b` or `\\u202e`.

    `line`: it is a part of a line, which line feeds and tabs would end.
    """
    if not is_header(text):  # printable ASCII, as most of it is
        text = _OBEYED.sub(_seen, text)
    return text.translate(_BREAKS) if line else text


def _seen(found: re.Match[str]) -> str:
    return ascii(found[0])[1:-1]


def escaped_json(text: str) -> str:
    """JSON that says the same, and that no terminal obeys; serialisers escape U+0000 to U+001F."""
    if text.isascii() and "\x7f" not in text:
        return text
    return _OBEYED.sub(lambda one: f"\\u{ord(one[0]):04x}", text)


_OPENS: Final = re.compile("[\u2066-\u2068]")
_ISOLATES: Final = re.compile("[\u2066-\u2069]")


def isolated(text: str) -> str:
    """Text as a part of other text, whose order its own direction does not turn (UAX #9).

    For plain text that people read; HTML has `<bdi>`. An isolate of its own that it does not close,
    or closes twice, would end ours or swallow what follows: such are taken out.
    """
    opened = 0
    for mark in _ISOLATES.findall(text):
        opened += 1 if _OPENS.match(mark) else -1
        if opened < 0:
            break
    if opened:
        text = _ISOLATES.sub("", text)
    return f"\u2068{text}\u2069"


def is_header(text: str) -> bool:
    """Whether this stays within the line of one header, and any server reads it alike."""
    return text.isascii() and text.isprintable()


def is_token(text: str) -> bool:
    """Whether this text is printable ASCII without a space: fit for a header, a topic, a host."""
    return is_header(text) and " " not in text


def is_plain(text: str) -> bool:
    """Whether this text holds nothing that a name could not hold."""
    return _UNFIT.search(text) is None
