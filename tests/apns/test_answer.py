"""Reading answers: any body."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.apns.outcome import read_body


@given(st.binary(max_size=100))
@example(b"[" * 20_000)
@example(b'{"reason": ' * 5_000)
def test_any_body_can_be_read(body: bytes) -> None:
    reason, stamp = read_body(body)
    assert reason is None or 0 < len(reason) <= 128
    assert stamp is None or stamp > 0


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"reason":"Unregistered","timestamp":1}', ("Unregistered", 1)),
        (b'\xef\xbb\xbf{"reason":"X"}', (None, None)),
        (b'{"reason":null,"timestamp":true}', (None, None)),
        (b'{"reason":"X","timestamp":"1"}', ("X", None)),
        (b'{"reason":"X","timestamp":-1}', ("X", None)),
        (b'{"reason":"X","timestamp":1e300}', ("X", None)),
        (b'{"reason":"' + b"y" * 500 + b'"}', ("y" * 128, None)),
        (b'"reason"', (None, None)),
        (b'{"reason":"Bad\\u0000Device\\r\\nToken"}', ("Bad\ufffdDevice\ufffd\ufffdToken", None)),
        (b'{"reason":"a\\ud800"}', (None, None)),
        (b"", (None, None)),
    ],
)
def test_bodies(body: bytes, found: tuple) -> None:
    assert read_body(body) == found
