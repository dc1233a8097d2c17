"""Languages: as phones write them, and which of those that are offered fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.language import best_language, language_tag

SPELLED = {
    "de-CH": "de-CH", "DE_ch": "de-CH", "pt-BR": "pt-BR", "zh-Hant-TW": "zh-Hant-TW",
    "zh_TW_#Hant": "zh-Hant-TW", "zh-hans_CN": "zh-Hans-CN", "en_US.UTF-8": "en-US",
    "en_GB@calendar=buddhist": "en-GB", "ar-EG-u-nu-latn": "ar-EG", "es-419": "es-419",
    "ca-ES-valencia": "ca-ES", "iw_IL": "he-IL", "fil": "fil", " fr ": "fr",
    "": None, "C": None, "POSIX": None, "rubbish": None, "de-": None, "12": None, "d\u00e9": None,
    "x-private": None, "de-CH-CH": None, "\U0001f1e9\U0001f1ea": None,
}  # fmt: skip


@pytest.mark.parametrize(("said", "tag"), SPELLED.items())
def test_a_tag_has_one_spelling(said: str, tag: str | None) -> None:
    assert language_tag(said) == tag


@pytest.mark.parametrize(
    ("wanted", "offered", "best"),
    [
        ("de-CH", ["en", "de"], "de"), ("de-CH", ["de-DE", "en"], None),
        ("pt-BR", ["pt", "pt-BR"], "pt-BR"), ("zh-Hant-TW", ["zh", "zh-Hant"], "zh-Hant"),
        ("zh-Hant-TW", ["zh-TW"], "zh-TW"), ("zh-TW", ["zh-Hans", "zh-Hant"], "zh-Hant"),
        ("zh-CN", ["zh", "zh-Hant"], "zh"), ("zh-Hant-HK", ["zh"], "zh"), ("sr-Latn", [], None),
    ],
)  # fmt: skip
def test_the_best_of_what_is_offered(wanted: str, offered: list[str], best: str | None) -> None:
    assert best_language(wanted, offered) == best


@given(st.text(max_size=40))
def test_any_text_is_a_tag_or_none(said: str) -> None:
    tag = language_tag(said)
    if tag is not None:
        assert language_tag(tag) == tag
        assert best_language(tag, [tag]) == tag
