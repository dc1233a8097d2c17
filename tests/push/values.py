"""Claimed pushes for tests of pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.core.push import Environment, Purpose, TokenKind
from app.push.claimed import ClaimedPush

NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)
PUSH: Final = ClaimedPush(
    purpose=Purpose.RING,
    kind=TokenKind.VOIP,
    environment=Environment.PRODUCTION,
    call=None,
    credentials=None,
    settings=None,
    tried=(),
    id=UUID(int=7),
    ring=UUID(int=8),
    session_id=UUID(int=9),
    tenant_id=UUID(int=1),
    user_id="bob",
    device_row=UUID(int=10),
    token_id=UUID(int=11),
    app_id="com.example.app",
    token="ab",
    token_registered_at=NOW,
    token_version=1,
    healed=False,
    callkit_reason=None,
    created_at=NOW,
    deadline=NOW + timedelta(seconds=45),
    claimed_by=UUID(int=12),
    fence=1,
    attempts=1,
    inherited=False,
    repeated=False,
    reason=None,
    now=NOW,
    ring_gone=False,
    settled=False,
    owned=True,
    ring_created_at=NOW,
    ring_deadline=NOW + timedelta(seconds=45),
)


def claimed(**fields: Any) -> ClaimedPush:
    """A push that is to be sent, but for these fields."""
    return replace(PUSH, **fields)
