"""Cutting text where a reader would: between what is seen as one character, never in the middle.

The boundaries of Unicode's extended grapheme clusters (UAX #29), by the interpreter's table of
categories and the few sets that it does not hold. Where that is wider than the rule, what belongs
together goes together.
"""

import unicodedata
from typing import Final

_JOINER: Final = "\u200d"
_MARKS: Final = frozenset({"Mn", "Me", "Mc"})
_VIRAMA: Final = 9
"""The combining class of what joins two consonants of an Indic script into one letter."""
_ATTACHED: Final = (
    (0x0E33, 0x0E33),  # Thai and Lao AM: letters by category, drawn as a mark
    (0x0EB3, 0x0EB3),
    (0x200C, 0x200D),  # joiners
    (0xFF9E, 0xFF9F),  # voiced marks of half-width Katakana
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0020, 0xE007F),  # tags: the flags of England, Scotland, Wales
)
_JAMO_LEADING: Final = ((0x1100, 0x115F), (0xA960, 0xA97C))
_JAMO_FOLLOWING: Final = ((0x1160, 0x11FF), (0xD7B0, 0xD7FB))
"""Vowels and finals of Hangul: with what leads them one syllable."""
_SYLLABLES: Final = ((0xAC00, 0xD7A3),)
_REGIONAL: Final = ((0x1F1E6, 0x1F1FF),)
"""Letters of which two are a flag."""
_PREFIXES: Final = (
    (0x0600, 0x0605),  # Arabic signs that stand over the number after them
    (0x06DD, 0x06DD),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
)

Ranges = tuple[tuple[int, int], ...]


def cut_text(text: str, length: int) -> str:
    """At most `length` characters, never in the middle of what a reader sees as one, plus `…`.

    Marks, joined emoji, skin tones, flags, keycaps and syllables stay whole or go. Empty where not
    even the first fits.
    """
    if len(text) <= length:
        return text
    end = max(length - 1, 0)
    while end > 0 and _is_within(text, end):
        end -= 1
    return text[:end] + "…" if end else ""


def _is_within(text: str, at: int) -> bool:
    """Whether the characters before and after this place are seen as one."""
    before, after = text[at - 1], text[at]
    if after.isascii() and before.isascii():
        return before == "\r" and after == "\n"
    if _attaches(after) or before == _JOINER or _one_of(before, _PREFIXES):
        return True
    if unicodedata.combining(before) == _VIRAMA and unicodedata.category(after) == "Lo":
        return True
    if _one_of(before, _JAMO_LEADING) and _one_of(after, _JAMO_LEADING + _SYLLABLES):
        return True
    return _one_of(after, _REGIONAL) and _flags_before(text, at) % 2 == 1


def _attaches(char: str) -> bool:
    """Whether this goes with whatever stands before it."""
    return unicodedata.category(char) in _MARKS or _one_of(char, _ATTACHED + _JAMO_FOLLOWING)


def _flags_before(text: str, at: int) -> int:
    """How many letters of flags stand before this place, without another character between."""
    start = at
    while start > 0 and _one_of(text[start - 1], _REGIONAL):
        start -= 1
    return at - start


def _one_of(char: str, ranges: Ranges) -> bool:
    code = ord(char)
    return any(first <= code <= last for first, last in ranges)
