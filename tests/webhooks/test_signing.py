"""Signatures are HMAC-SHA-256, whatever the key; a body says an event as live streams do."""

import hmac
import json
import time
from datetime import UTC, datetime
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from app.core.event import EventType, envelope
from app.infra.signing_key import SigningKey
from app.webhooks.claimed import Delivery, DueEvent
from app.webhooks.signing import body_of, signed

AT = datetime(2026, 11, 21, 8, 0, 0, 123_000, UTC)
ONE = UUID("01900000-0000-7000-8000-000000000001")


@pytest.mark.parametrize("length", [0, 1, 24, 32, 63, 64, 65, 200])
def test_a_key_signs_as_the_standard_library_does_again_and_again(length: int) -> None:
    raw = bytes(range(length))
    key = SigningKey(raw)
    for text in (b"", b"evt_1.1.{}", b"x" * 1_000):
        assert key.sign(text) == hmac.digest(raw, text, "sha256")


def test_a_body_says_the_event_as_live_streams_do_with_its_id() -> None:
    data = {"user_id": "bö\u2028b", "numbers": [1, -1.5, 10**15], "nested": {"a": None, "b": True}}
    as_kept = json.dumps(data, ensure_ascii=False)
    event = DueEvent("evt_1", "ring.started", AT, as_kept, "default:one", None)
    claim = Delivery(ONE, ONE, "evt_1", ONE, 3, 1, 1, 0.0, 0.0)
    said = json.loads(body_of(claim, event))
    told = envelope(session_id=ONE, cid="default:one", seq=3, kind="ring.started", at=AT, data=data)
    assert said == {"id": "evt_1", **told}
    assert list(said) == ["id", *told]


def test_the_body_of_a_tenants_own_event_names_no_call() -> None:
    event = DueEvent("evt_1", "push.alarm", AT, "{}", None, None)
    claim = Delivery(ONE, ONE, "evt_1", None, None, 1, 1, 0.0, 0.0)
    assert json.loads(body_of(claim, event)) == {
        "id": "evt_1", "type": "push.alarm", "at": "2026-11-21T08:00:00.123Z", "data": {},
    }  # fmt: skip


EVENT = st.builds(
    DueEvent,
    st.sampled_from(["evt_1", 'evt_"', "evt_\u00fc"]) | st.text(max_size=20),
    st.sampled_from([*EventType]) | st.text(max_size=20),
    st.datetimes(timezones=st.just(UTC)),
    st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers() | st.none())
    .map(lambda data: json.dumps(data, ensure_ascii=False)),
    st.sampled_from(["default:one", "a-b_c:D-E_9", 'd:"', "d:\n"]) | st.text(max_size=20),
    st.none(),
)  # fmt: skip


@given(event=EVENT, seq=st.integers(1, 2**31 - 1), call=st.uuids())
def test_a_body_is_written_to_the_byte_as_its_envelope_is(
    event: DueEvent, seq: int, call: UUID
) -> None:
    claim = Delivery(ONE, ONE, event.event_id, call, seq, 1, 1, 0.0, 0.0)
    assert event.cid is not None
    told = envelope(session_id=call, cid=event.cid, seq=seq, kind=event.type, at=event.at, data={})
    whole = {"id": event.event_id, **told, "data": orjson.Fragment(event.data)}
    assert body_of(claim, event) == orjson.dumps(whole)


def test_headers_are_as_the_specifications_own_library_reads_them() -> None:
    raws = [bytes(range(32)), bytes(32)]
    body, second = b'{"id":"evt_1"}', b"%d" % int(time.time())
    lines = signed(b"evt_1", second, body, [SigningKey(raw) for raw in raws])
    assert lines.endswith(b"\r\n")
    headers = dict(line.split(": ", 1) for line in lines.decode().split("\r\n")[:-1])
    assert list(headers) == [
        "Content-Type", "User-Agent", "webhook-id", "webhook-timestamp", "webhook-signature",
    ]  # fmt: skip
    for raw in raws:
        Webhook(raw).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(b"x" * 32).verify(body, headers)
