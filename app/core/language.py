"""Languages of devices and of words: one spelling of a tag, and which of those offered fits best.

Sources: RFC 5646 sections 2.1 and 2.1.1, RFC 4647 section 3.4 ("Lookup"). Phones write tags in
their own ways: `de-CH`, `de_CH`, `en_US.UTF-8`, `zh_TW_#Hant`, `ar-EG-u-nu-latn`.
"""

import re
from collections.abc import Iterable
from typing import Final

LANGUAGE_PATTERN: Final = r"^[A-Za-z]{2,3}([_\-][A-Za-z]{4})?([_\-]([A-Za-z]{2}|[0-9]{3}))?$"
_PARTS: Final = re.compile(r"([a-z]{2,3})((?:-[a-z0-9]{1,8})*)")
_SCRIPT: Final = re.compile(r"[a-z]{4}")
_REGION: Final = re.compile(r"[a-z]{2}|[0-9]{3}")
_VARIANT: Final = re.compile(r"[a-z0-9]{5,8}|[0-9][a-z0-9]{3}")
_OF_OLD: Final = {"iw": "he", "in": "id", "ji": "yi"}
"""What Java called languages before ISO 639 changed, and still does in places."""
_TRADITIONAL: Final = ("TW", "HK", "MO")


def language_tag(text: str) -> str | None:
    """Language, script and region of what a phone says, as `zh-Hant-TW`; None if it is no tag."""
    bare = re.split(r"[.@]", text.strip(), maxsplit=1)[0].lower().replace("_", "-")
    found = _PARTS.fullmatch(bare.replace("-#", "-"))
    if found is None:
        return None
    script = region = ""
    for part in found[2].split("-")[1:]:
        if len(part) == 1:  # an extension, or what is private: numbers, calendars, keyboards
            break
        if not script and _SCRIPT.fullmatch(part):
            script = f"-{part.title()}"
        elif not region and _REGION.fullmatch(part):
            region = f"-{part.upper()}"
        elif not _VARIANT.fullmatch(part):
            return None
    return _OF_OLD.get(found[1], found[1]) + script + region


def best_language(wanted: str, offered: Iterable[str]) -> str | None:
    """Of the tags `offered` the one that fits best: the same, else without region, then script."""
    known = {one: one for one in offered}
    known |= {_with_script(one): one for one in known}
    parts = _with_script(wanted).split("-")
    while parts:
        if (found := known.get("-".join(parts))) is not None:
            return found
        parts.pop()
    return None


def _with_script(tag: str) -> str:
    """Chinese with the script of its region: phones leave out one or the other."""
    language, _, rest = tag.partition("-")
    if language != "zh" or rest[:4] in ("Hans", "Hant"):
        return tag
    return f"zh-{'Hant' if rest in _TRADITIONAL else 'Hans'}{'-' if rest else ''}{rest}"
