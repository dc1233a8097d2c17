"""What a webhook may ask for."""

import pytest

from app.core.event import EventType, TenantEventType, event_filters, nearest_filter


def test_every_type_and_every_group_may_be_asked_for() -> None:
    filters = event_filters()
    assert set(EventType) | set(TenantEventType) | {"*", "call.*", "webhook.*"} <= set(filters)
    assert len(filters) == len(set(filters))


@pytest.mark.parametrize(
    ("text", "meant"),
    [("call.statred", "call.started"), ("cal.*", "call.*"), ("ring.setled", "ring.settled"),
     ("credentials.expiring", "credential.expiring"), ("webhook.disable", "webhook.disabled"),
     ("call", "call.*"), ("calls.*", "call.*"), ("Call.Started", "call.started"), ("all", "call.*"),
     ("callended", "call.ended"), ("member_joined", "member.joined"), ("**", "*"),
     ("member.declines", "member.declined"), ("push.alarms", "push.alarm")],
)  # fmt: skip
def test_the_nearest_is_named(text: str, meant: str) -> None:
    assert nearest_filter(text) == meant
