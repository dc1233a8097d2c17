"""What a name is: every assigned character, but for a fixed set."""

import json
import sys
import unicodedata

import pytest

from app.core.text import clean_name, escaped, escaped_json, is_plain, is_storable, storable

UNFIT = {
    *range(0x20),
    *range(0x7F, 0xA0),
    0x2028,
    0x2029,
    *range(0x202A, 0x202F),
    *range(0xD800, 0xE000),
}


def test_every_character_that_may_stand_in_a_name_does() -> None:
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        name = f"a{character}b"
        kept = "a b" if point in UNFIT else name
        assert clean_name(name) == kept, hex(point)
        assert is_plain(name) == (point not in UNFIT)


def test_the_set_is_what_the_rule_says_of_unicode() -> None:
    said = {
        point
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(chr(point)) in {"LRE", "RLE", "PDF", "LRO", "RLO"}
    }
    assert said == UNFIT


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Elara \U0001f3f3\ufe0f\u200d\u26a7\ufe0f", "Elara \U0001f3f3\ufe0f\u200d\u26a7\ufe0f"),
        ("അനിവര്‍", "അനിവര്‍"),
        ("Anne\u00a0Marie", "Anne\u00a0Marie"),
        ("\u2068Bob\u2069", "\u2068Bob\u2069"),
        ("\u202aBob\u202c", "Bob"),
        ("a\r\n\tb", "a b"),
        ("a\x00 \x00b", "a   b"),
        ("  a  b  ", "a  b"),
        ("\ud83d", ""),
        ("\x00\u2028 \x9f", ""),
        ("", ""),
        ("\u200b\u202e", ""),
        ("\u00a0\u3000\u2800", ""),
        ("\u3164\ufe0f\u200d\U000e0020", ""),
        ("\u2067 \u2069", ""),
        ("\u200bBob", "\u200bBob"),
        ("\u0301", "\u0301"),
    ],
)
def test_names(text: str, name: str) -> None:
    assert clean_name(text) == name
    assert clean_name(name) == name


def test_what_can_be_stored() -> None:
    assert not is_storable("a\x00")
    assert not is_storable("\udfff")
    assert is_storable("a\x01\u2028\U0010ffff")
    assert storable("a\x00\ud800b") == "a\ufffdb"


def test_a_name_is_one_that_can_be_seen() -> None:
    """Every character that Unicode draws makes a name, none that it lets be passed over does."""
    for point in range(sys.maxunicode + 1):
        kind = unicodedata.category(chr(point))
        if kind[0] in "LNPS" and point not in {0x115F, 0x1160, 0x2800, 0x3164, 0xFFA0}:
            assert clean_name(chr(point)) == chr(point), hex(point)
        elif kind == "Zs":
            assert clean_name(chr(point)) == "", hex(point)


def test_nothing_that_a_terminal_obeys_is_left_and_every_language_is() -> None:
    obeyed = UNFIT - {9, 10} - {*range(0xD800, 0xE000)} | {*range(0x2066, 0x206A)}
    for point in range(sys.maxunicode + 1):
        character = chr(point)
        assert (character in escaped(character)) == (point not in obeyed), hex(point)
    assert escaped("a\x1b[2J\u202eb\r") == r"a\x1b[2J\u202eb\r"
    assert escaped("one\n\ttwo") == "one\n\ttwo"
    assert escaped("one\n\ttwo", line=True) == r"one\n\ttwo"


def test_json_says_the_same_with_nothing_that_a_terminal_obeys() -> None:
    said = {"name": "\x7f\x9b2J\u2028\u202e\u2066 \u05d0\u200d\U0001f600"}
    shown = escaped_json(json.dumps(said, ensure_ascii=False, indent=2))
    assert json.loads(shown) == said
    assert escaped(shown) == shown
    assert "\u05d0\u200d\U0001f600" in shown
