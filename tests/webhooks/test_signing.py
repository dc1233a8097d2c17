"""Signatures are HMAC-SHA-256, whatever the key; a body says an event as live streams do."""

import hmac
import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from app.core.event import envelope
from app.infra.signing_key import SigningKey
from app.webhooks.claimed import Delivery, DueEvent
from app.webhooks.signing import body_of

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
    claim = Delivery(ONE, "evt_1", ONE, ONE, 3, 1, 1, AT, AT)
    said = json.loads(body_of(claim, event))
    told = envelope(session_id=ONE, cid="default:one", seq=3, kind="ring.started", at=AT, data=data)
    assert said == {"id": "evt_1", **told}
    assert list(said) == ["id", *told]


def test_the_body_of_a_tenants_own_event_names_no_call() -> None:
    event = DueEvent("evt_1", "push.alarm", AT, "{}", None, None)
    claim = Delivery(ONE, "evt_1", ONE, None, None, 1, 1, AT, AT)
    assert json.loads(body_of(claim, event)) == {
        "id": "evt_1", "type": "push.alarm", "at": "2026-11-21T08:00:00.123Z", "data": {},
    }  # fmt: skip
