"""The hand-written header blocks, read by somebody else's HPACK."""

import asyncio

import pytest
from hpack import Decoder, NeverIndexedHeaderTuple
from hypothesis import given
from hypothesis import strategies as st

from app.apns.headers import HeaderWriter
from app.apns.pending import PendingPush
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


class Tokens:
    """Provider tokens that never change."""

    def __init__(self, token: bytes) -> None:
        self.token = token

    def current(self) -> tuple[bytes, int]:
        return self.token, 1_790_000_000


LOOP = asyncio.new_event_loop()
LOOP.close()


def pending(request: PushRequest) -> PendingPush:
    """Nobody awaits it: a loop that is closed will do."""
    return PendingPush(request, 0.0, LOOP, lambda: 0.0)


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
    tokens = Tokens(authorization) if authorization else None
    encoder, decoder = HeaderWriter("api.push.apple.com", tokens), Decoder()
    for step in steps:
        if isinstance(step, int):
            encoder.set_table_size(step)
            decoder.max_allowed_table_size = max(step, 4_096)
            continue
        found = decoder.decode(encoder.block(pending(step)), raw=True)
        assert [tuple(x) for x in found] == expected(step, authorization)
        never = {bytes(x[0]) for x in found if isinstance(x, NeverIndexedHeaderTuple)}
        assert {b":path", b"apns-id"} <= never
        assert (b"authorization" in never) == bool(authorization)


def test_from_the_second_push_on_only_what_differs_is_sent() -> None:
    encoder, decoder = HeaderWriter("api.push.apple.com"), Decoder()
    sizes = []
    for number in range(4):
        request = PushRequest(TOKEN, b"{}", topic="com.example.app.voip")
        block = encoder.block(pending(request))
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
    encoder, decoder = HeaderWriter("api.push.apple.com"), Decoder()
    for number in range(1_000):
        request = PushRequest(TOKEN, b"{}", topic=f"com.example.app{number}.voip")
        found = dict(decoder.decode(encoder.block(pending(request))))
        assert found["apns-topic"] == f"com.example.app{number}.voip"
    assert len(encoder._kept) <= 256


def test_rings_of_many_deadlines_do_not_fill_the_table() -> None:
    encoder = HeaderWriter("api.push.apple.com")
    for at in range(1_790_000_000, 1_790_001_000):
        request = PushRequest(TOKEN, b"{}", topic="com.a.voip", expiration=at)
        encoder.block(pending(request))
    assert len(encoder._table) == 4


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
