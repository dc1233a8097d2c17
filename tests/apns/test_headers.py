"""The hand-written header blocks, read by somebody else's HPACK."""

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st
from jh2._hazmat import Encoder

from app.apns.frames import COMPRESSION_ERROR, WireError
from app.apns.headers import AnswerDecoder, RequestEncoder, authorization_field, integer
from app.apns.request import PushRequest

TOKEN = "ab" * 32
pushes = st.builds(
    PushRequest,
    st.text("0123456789abcdef", min_size=2, max_size=200),
    st.just(b"{}"),
    topic=st.sampled_from(["com.a.voip", "com.b.voip", "org.c"]) | st.text("ab.-", min_size=1),
    notification_id=st.uuids().map(str),
    push_type=st.sampled_from(["voip", "alert", "background"]),
    priority=st.none() | st.sampled_from([1, 5, 10]),
    expiration=st.none() | st.just(0) | st.integers(1, 2**40),
    collapse_key=st.none() | st.text(max_size=64),
)
steps = st.lists(pushes | st.integers(0, 10_000), max_size=40)


def expected(request: PushRequest, authorization: bytes) -> list[tuple[bytes, bytes]]:
    fields = [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"api.push.apple.com"),
        (b":path", b"/3/device/" + request.device_token.encode()),
        *request.common_headers(),
        (b"apns-id", request.notification_id.encode()),
    ]
    return fields + ([(b"authorization", b"bearer " + authorization)] if authorization else [])


@given(steps, st.sampled_from([b"", b"e" * 50, b"e" * 300]))
def test_every_block_reads_as_it_was_meant(steps, authorization: bytes) -> None:
    encoder, decoder = RequestEncoder("api.push.apple.com"), Decoder()
    field = authorization_field(authorization) if authorization else b""
    for step in steps:
        if isinstance(step, int):
            encoder.set_table_size(step)
            decoder.max_allowed_table_size = max(step, 4_096)
            continue
        found = decoder.decode(encoder.block(step, field), raw=True)
        assert [tuple(x) for x in found] == expected(step, authorization)
        never = {bytes(x[0]) for x in found if isinstance(x, NeverIndexedHeaderTuple)}
        assert {b":path", b"apns-id"} <= never
        assert (b"authorization" in never) == bool(authorization)


def test_from_the_second_push_on_only_what_differs_is_sent() -> None:
    encoder, decoder = RequestEncoder("api.push.apple.com"), Decoder()
    sizes = []
    for number in range(4):
        request = PushRequest(TOKEN, b"{}", topic="com.example.app.voip")
        block = encoder.block(request, b"")
        sizes.append(len(block))
        assert len(decoder.decode(block)) == 9, number
    assert sizes[1] == sizes[2] == sizes[3] < 135 < sizes[0]
    table = [bytes(x[0]) for x in decoder.header_table.dynamic_entries]
    assert sorted(table) == [
        b":authority",
        b"apns-expiration",
        b"apns-priority",
        b"apns-push-type",
        b"apns-topic",
    ]


def test_a_thousand_topics_do_not_overflow_the_table_or_the_memory() -> None:
    encoder, decoder = RequestEncoder("api.push.apple.com"), Decoder()
    for number in range(1_000):
        request = PushRequest(TOKEN, b"{}", topic=f"com.example.app{number}.voip")
        found = dict(decoder.decode(encoder.block(request, b"")))
        assert found["apns-topic"] == f"com.example.app{number}.voip"
    assert len(encoder._kept) <= 256


def test_rings_of_many_deadlines_do_not_fill_the_table() -> None:
    encoder = RequestEncoder("api.push.apple.com")
    for at in range(1_790_000_000, 1_790_001_000):
        encoder.block(PushRequest(TOKEN, b"{}", topic="com.a.voip", expiration=at), b"")
    assert len(encoder._table) == 4


@pytest.mark.parametrize(
    ("value", "bits", "coded"),
    [(10, 5, "0a"), (1_337, 5, "1f9a0a"), (42, 8, "2a"), (127, 7, "7f00")],
)
def test_integers_are_those_of_rfc_7541(value: int, bits: int, coded: str) -> None:
    assert integer(value, bits).hex() == coded


def test_answers_are_decoded_with_their_table() -> None:
    encoder, decoder = Encoder(), AnswerDecoder()
    for number in range(200):
        headers = [(b":status", b"410", False), (b"apns-id", b"id-%d" % number, False)]
        found = decoder.decode(encoder.encode(headers))
        assert [x[:2] for x in found] == [x[:2] for x in headers]


@given(st.binary(max_size=60))
def test_nonsense_is_a_compression_error_or_headers(block: bytes) -> None:
    found: list = []
    code = COMPRESSION_ERROR
    try:
        found = AnswerDecoder().decode(block)
    except WireError as error:
        code = error.code
    assert code == COMPRESSION_ERROR
    assert all(isinstance(x[0], bytes) and isinstance(x[1], bytes) for x in found)


def test_a_header_list_that_is_too_long_is_refused() -> None:
    block = Encoder().encode([(b"x-%d" % n, b"y" * 4_000, True) for n in range(20)])
    with pytest.raises(WireError):
        AnswerDecoder().decode(block)


@pytest.mark.parametrize(
    "fields",
    [
        {"device_token": ""},
        {"device_token": "ab cd"},
        {"device_token": "ä" * 64},
        {"device_token": "a\r\nb"},
        {"device_token": "a" * 513},
        {"notification_id": "a\n"},
        {"notification_id": "a" * 127},
        {"topic": ""},
        {"topic": "com.ä"},
        {"push_type": "smoke"},
        {"collapse_key": "x" * 513},
    ],
)
def test_what_cannot_be_a_header_is_refused_when_the_push_is_made(fields: dict) -> None:
    token = fields.pop("device_token", TOKEN)
    with pytest.raises(ValueError, match=r"must be|more than|unknown"):
        PushRequest(token, b"{}", **({"topic": "com.a.voip"} | fields))
