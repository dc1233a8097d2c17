"""Text is cut where a reader would cut it."""

import pytest

from app.core.graphemes import cut_text


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("Alice", 5, "Alice"),
        ("Alice B", 5, "Alic…"),
        ("ab\u0301cd", 3, "a…"),  # b with an accent goes whole
        ("x👩\u200d👩\u200d👧y", 4, "x…"),  # a joined family goes whole
        ("ok👍🏽!", 4, "ok…"),  # a thumb keeps its colour
        ("👨\u200d👩\u200d👧\u200d👦", 2, ""),
    ],
)
def test_names_are_cut_where_a_reader_would(text, length, expected):
    assert cut_text(text, length) == expected


WHOLE = {
    "two flags": ["🇩🇪", "🇫🇷", "🇬🇧"],
    "a letter before flags": ["x", "🇩🇪", "🇫🇷", "y"],
    "keycaps": ["1\ufe0f\u20e3", "2\ufe0f\u20e3", "#\ufe0f\u20e3"],
    "flags of tags": ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴"],
    "Hindi": ["हि", "न्दी", "क्षि"],
    "Tamil": ["நி", "நோ"],
    "Thai": ["ก\u0e33", "ล", "งั"],
    "syllables of three letters": ["\u1112\u1161\u11ab", "\u1100\u1173\u11af"],
    "a syllable and its final": ["각\u11a8", "가"],
    "a ring around a letter": ["e\u20dd", "f"],
    "Katakana of half width": ["ｶ\uff9e", "ﾊ\uff9f"],
    "Arabic with vowels": ["مُ", "حَ", "مَّ", "د"],
    "a rainbow flag": ["🏳\ufe0f\u200d🌈", "🏴\u200d☠\ufe0f"],
    "a hand and a heart": ["👍🏽", "❤\ufe0f\u200d🔥", "👩🏽\u200d🤝\u200d👨🏿"],
    "much above a letter": ["Z" + "\u0301" * 9, "a"],
}


@pytest.mark.parametrize("seen", WHOLE.values(), ids=list(WHOLE))
def test_what_is_seen_as_one_is_kept_or_goes_whole(seen: list[str]) -> None:
    text = "".join(seen)
    beginnings = {"".join(seen[:n]) for n in range(1, len(seen))}
    for length in range(len(text)):
        cut = cut_text(text, length)
        assert len(cut) <= length
        assert not cut or cut.removesuffix("…") in beginnings, (length, cut)
    cuts = {cut_text(text, length).removesuffix("…") for length in range(len(text) + 1)}
    assert cuts >= {one for one in beginnings if len(one) < len(text) - 1}  # no more goes than must
    assert cut_text(text, len(text)) == text
