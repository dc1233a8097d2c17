"""A made-up ring, for showing what a payload looks like before anybody has rung."""

from typing import Final

from app.core.payload.facts import RingFacts
from app.core.person import Handle, HandleKind

SAMPLE_TOKEN: Final = "rl_ct_" + "x" * 96
"""As long as a real call token, so that the payload's size is right; it opens nothing."""


def sample_facts(sent_at_ms: int) -> RingFacts:
    """Alice rings bob with video at `sent_at_ms` (Unix milliseconds), for 45 s."""
    return RingFacts(
        uuid="01a1fd6e-a275-707f-8e0b-2f48732bce48",
        cid="default:abc",
        session_id="01a1fd6e-a275-7c7d-804c-7f991b58d0d7",
        caller_id="alice",
        caller_name="Alice",
        caller_handle=Handle(HandleKind.PHONE, "+49 30 1234567"),
        user_ids=("alice",),
        receiver_id="bob",
        video=True,
        sent_at_ms=sent_at_ms,
        expires_at_ms=sent_at_ms + 45_000,
        state_url="https://ring.example.com/v1/calls/01a1fd6e-a275-7c7d-804c-7f991b58d0d7",
    )
