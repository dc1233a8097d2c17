"""The pieces of header blocks, and the reading of answers' blocks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jh2._hazmat import Encoder

from app.http2.frames import COMPRESSION_ERROR, WireError
from app.http2.hpack import Decoder, FieldDecoder, SlowDecoder, integer


@pytest.mark.parametrize(
    ("value", "bits", "coded"),
    [(10, 5, "0a"), (1_337, 5, "1f9a0a"), (42, 8, "2a"), (127, 7, "7f00")],
)
def test_integers_are_those_of_rfc_7541(value: int, bits: int, coded: str) -> None:
    assert integer(value, bits).hex() == coded


@pytest.mark.parametrize("maker", [Decoder, SlowDecoder])
def test_answers_are_decoded_with_their_table(maker) -> None:
    """By the private decoder, and by the public one that takes over if that moves."""
    encoder, decoder = Encoder(), FieldDecoder(maker)
    for number in range(200):
        headers = [(b":status", b"410", False), (b"apns-id", b"id-%d" % number, False)]
        found = decoder.decode(encoder.encode(headers))
        assert [x[:2] for x in found] == [x[:2] for x in headers]


@settings(deadline=None)  # a panic of the Rust decoder may take its time to print
@given(st.binary(max_size=60), st.sampled_from([Decoder, SlowDecoder]))
def test_nonsense_is_a_compression_error_or_headers(block: bytes, maker) -> None:
    found: list = []
    code = COMPRESSION_ERROR
    try:
        found = FieldDecoder(maker).decode(block)
    except WireError as error:
        code = error.code
    assert code == COMPRESSION_ERROR
    assert all(isinstance(x[0], bytes) and isinstance(x[1], bytes) for x in found)


def test_a_header_list_that_is_too_long_is_refused() -> None:
    block = Encoder().encode([(b"x-%d" % n, b"y" * 4_000, True) for n in range(20)])
    with pytest.raises(WireError):
        FieldDecoder().decode(block)
