"""What ids are, and what a bundle id is whatever way it is spelled."""

import re
import string

import pytest

from app.core import identifiers
from app.core.app_id import app_id_of, spelled, without_voip
from tests.chance import dice

REFUSED = ' ,"<>\\%?#'


def test_a_user_id_is_printable_ascii_but_for_nine() -> None:
    for point in range(0x250):
        character = chr(point)
        fits = character in string.printable and not character.isspace()
        wanted = fits and character not in REFUSED and point < 0x7F
        assert identifiers.is_user_id(f"a{character}b") == wanted, repr(character)


@pytest.mark.parametrize(
    "user_id",
    ["@foo/bar:matrix.org", "o'brien@example.com", "auth0|5f7c", "8:acs:x_y-z", "a" * 128, "...",
     "a/../b", "/", "~", "erased", "user_id"],
)  # fmt: skip
def test_ids_of_others(user_id: str) -> None:
    assert identifiers.is_user_id(user_id)
    assert re.search(identifiers.USER_ID_PATTERN, user_id)


@pytest.mark.parametrize(
    "user_id", ["", ".", "..", "a" * 129, "a\n", "ü", "a b", "a\x00", "\ud800"]
)
def test_no_ids(user_id: str) -> None:
    assert not identifiers.is_user_id(user_id)


def test_many_are_ids_if_each_is() -> None:
    draw, said = dice(), ["a", "b.c", "...", "~", "erased", "a" * 128, "@foo/bar:matrix.org"]
    wrong = [".", "..", "", "a" * 129, "erased~", "erased~1", "a,b", "a\n", "\n", "ü", "a b", ","]
    for _ in range(2_000):
        some = draw.choices(said, k=draw.randint(1, 6))
        if draw.random() < 0.7:
            some.insert(draw.randint(0, len(some)), draw.choice(wrong))
        each = all(identifiers.is_user_id(one) for one in some)
        assert identifiers.are_user_ids(some) == each, some
    assert not identifiers.are_user_ids([])


def test_a_device_is_not_called_server() -> None:
    assert identifiers.is_device_id("servers")
    assert not identifiers.is_device_id("server")


@pytest.mark.parametrize(
    "typed",
    ["com.example.app", "com.example.app.voip", "com.example.app.voip.voip", " com.example.app\n",
     "Com.Example.App", "COM.EXAMPLE.APP.VOIP", "\ufeffcom.example.app\u200b", '"com.example.app"'],
)  # fmt: skip
def test_one_app_whatever_its_spelling(typed: str) -> None:
    assert app_id_of(typed) == "com.example.app"


@pytest.mark.parametrize(
    "typed",
    ["", ".voip", "a b", "com.ex*ample", "_a.b", "com/a", "a" * 156, "\x00", "é", "com..x", ".com.x",
     "com.x.", "com.x..voip", "com.x.voip.", "..", "https://", "https://a..b", "https://a.", "http://a:",
     "https://a:0", "https://a:065", "https://a:65536", "https://a:99999", "https://.a",
     "https://a_b", "ftp://a"],
)  # fmt: skip
def test_no_app_ids(typed: str) -> None:
    assert app_id_of(typed) is None


@pytest.mark.parametrize(
    "typed",
    ["app", "com.x", "a.b_c.d-e", "9.x", "com._x", "http://localhost:3000", "https://a.b-c.de:8443",
     "https://a:1", "https://a:65535"],
)  # fmt: skip
def test_apps_of_each_kind(typed: str) -> None:
    assert app_id_of(typed) == typed


def test_a_topic_is_spelled_as_the_credential_spells_it() -> None:
    assert without_voip("com.Example.App.VoIP") == "com.Example.App"
    assert spelled("com.example.app.voip", ["x", "com.Example.App.voip"]) == "com.Example.App.voip"
    assert spelled("com.example.app", ["com.Example.App.voip"]) is None
