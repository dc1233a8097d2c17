"""Many pushes with faults among them: each ends in a true outcome, and nothing is left behind."""

from functools import partial

from tests.many import PUSHES, SLOW, each_ends_in_a_true_outcome
from tests.webpush.conftest import Rig, id_of

REFUSALS = (
    {"status": 503, "reason": "Unavailable"},
    {"status": 500, "body": "<html>Internal error</html>"},
    {"status": 429, "reason": "TooManyRequests", "retry_after": 2},
    {"status": 410, "reason": "Gone"},
    {"status": 403, "reason": "WrongKey"},
)


async def test_each_of_many_pushes_ends_in_a_true_outcome(rig: Rig) -> None:
    browsers = [rig.subscribe() for _ in range(PUSHES)]
    pushes = {id_of(one): partial(rig.push, one, within=3.0, late=SLOW) for one in browsers}
    assert len(pushes) == PUSHES
    await each_ends_in_a_true_outcome(rig.sim, pushes, REFUSALS, taken=201)
    await rig.settled()
