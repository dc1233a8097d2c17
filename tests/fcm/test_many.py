"""Many messages with faults among them: each ends in a true outcome, and nothing is left behind."""

from functools import partial

from tests.fcm.conftest import Rig
from tests.many import PUSHES, SLOW, each_ends_in_a_true_outcome

REFUSALS = (
    {"status": 503, "reason": "UNAVAILABLE"},
    {"status": 500, "reason": "INTERNAL"},
    {"status": 429, "reason": "QUOTA_EXCEEDED", "retry_after": 2},
    {"status": 404, "reason": "UNREGISTERED"},
    {"status": 403, "reason": "SENDER_ID_MISMATCH"},
    {"status": 502, "body": "<html>Bad gateway</html>"},
)


async def test_each_of_many_messages_ends_in_a_true_outcome(rig: Rig) -> None:
    tokens = [rig.live() for _ in range(PUSHES)]
    pushes = {token: partial(rig.push, token, within=3.0, late=SLOW) for token in tokens}
    assert len(pushes) == PUSHES
    await each_ends_in_a_true_outcome(rig.sim, pushes, REFUSALS, taken=200)
    await rig.settled()
