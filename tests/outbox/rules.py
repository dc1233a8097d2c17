"""What the outbox's model keeps to, the small worlds it is tried in, and the faults that each rule mends."""

from typing import NamedTuple

RULES = {
    "lease_at_open": "a worker's lease is looked at in the turn in which a stream is opened",
    "fresh": "what was read of ring and token is at most FRESH old where a stream is opened",
    "owner_at_claim": "a claim asks who owns each token; what was claimed before is looked at again",
    "condemn": "a late worker is condemned by a write before its claims are taken over",
    "judge": "nobody is condemned before all could renew and write since the database came back",
    "owner_writes": "a claimed row is written by its claimant alone; what it has open counts as rung",
    "merge": "a record never reopens a target: an older picture of a row changes nothing",
    "leave_atomic": "a target leaves its batch and gets a row of its own in one statement",
    "lost_claims": "a worker looks for claims that the table says it has and it does not know of",
    "lost_when_concluded": "but never while the answer of a claim may still come",
    "repeat_once": "who inherits a row notes the repeat before its stream; a noted one is not repeated",
    "one_repeat_in_all": "a silent try and a lost holder share the one repeat",
    "slice_lock": "a later slice locks the call, reads what is owed, and writes only that",
    "owed_rings": "a settle settles rings that are owed too, and owes them no more",
    "owed_swept": "the sweep finds owed slices",
    "late_lock": "a late device's row is written under the call's lock, never for an owed ring",
    "stop_late": "the stop of a target in a worker's hands is due FRESH after the settle",
    "born_claimed": "a row that left its batch counts as claimed before: it is looked at first",
    "inherits": "a row that leaves its batch takes along what the batch knows of hand-overs",
    "reassert": "who holds claims says so again after the database was away, before others claim",
    "dropped_is_never_sent": "dropped means never handed over: what was inherited ends as expired",
    "answers_kept": "an answer in hand is kept until it is written, whatever the database does",
    "written_bare": "an answer whose text no database can hold is written without it",
    "counted": "what an answer lets happen once is counted over all attempts of a push",
}


class World(NamedTuple):
    """A small world: targets' rings, targets by slice, workers, how often each fault may happen.

    `apart`: each target has a row of its own.
    """

    name: str
    rings: tuple[int, ...]
    slices: tuple[tuple[int, ...], ...]
    workers: int
    apart: bool
    faults: dict[str, int]


def _world(
    name: str,
    rings: tuple[int, ...],
    *slices: tuple[int, ...],
    workers: int = 2,
    apart: bool = False,
    **faults: int,
) -> World:
    return World(name, rings, slices, workers, apart, faults)


# Single targets first: what each push is today. Then several targets in a row, and slices.
WORLDS = [
    _world("settled", (0,), (0,), kill=1, settle=1),
    _world("killed twice", (0,), (0,), kill=2),
    _world("frozen", (0,), (0,), freeze=1, settle=1),
    _world("frozen and killed", (0,), (0,), freeze=1, kill=1, settle=1),
    _world("answer lost", (0,), (0,), lost_answer=2, settle=1),
    _world("away", (0,), (0,), outage=1, lost_answer=1),
    _world("away and killed", (0,), (0,), outage=1, kill=1, settle=1),
    _world("crashed", (0,), (0,), outage=1, crash=1),
    _world("answer late", (0,), (0,), slow=1, workers=1),
    _world("refused for now", (0,), (0,), trouble=1, kill=1, settle=1),
    _world("once only", (0,), (0,), once=2, kill=1),
    _world("no text", (0,), (0,), unfit=1, kill=1),
    _world("moved", (0,), (0,), move=1, freeze=1, lost_answer=1),
    _world("moved late", (0,), (0,), move=1, freeze=1, kill=1, settle=1, workers=1),
    _world("silent", (0,), (0,), silent=2, kill=1, settle=1, trouble=1),
    _world("two phones", (0, 0), (0, 1), apart=True, accept=1, freeze=1, workers=1),
    _world("a batch killed", (0, 1), (0, 1), kill=1, settle=1),
    _world("a batch frozen", (0, 1), (0, 1), freeze=1),
    _world("a batch, away", (0, 1), (0, 1), outage=1, workers=1, lost_answer=1),
    _world("a batch crashed", (0, 1), (0, 1), outage=1, crash=1, workers=1),
    _world("a batch, one leaves", (0, 1), (0, 1), trouble=1, kill=1, settle=1, workers=1),
    _world("a batch, one silent", (0, 1), (0, 1), silent=2, settle=1, workers=1),
    _world("a batch, accepted", (0, 0), (0, 1), accept=1, kill=1, workers=1),
    _world("a batch, moved", (0, 0), (0, 1), move=1, settle=1, trouble=1, workers=1),
    _world("an abandoned record", (0, 0, 0), (0, 1, 2), zombie=1, workers=1),
    _world("slices", (0, 1), (0,), (1,), api_kill=1, settle=1, lost_answer=1, workers=1),
    _world("slices declined", (0, 1), (0,), (1,), api_kill=1, decline=2, workers=1),
    _world("slices, more", (0, 1), (0,), (1,), api_kill=1, more=1, settle=1, workers=1),
    _world("slices moved", (0, 1), (0,), (1,), api_kill=1, move=1, workers=1),
    _world("late device", (0, 0), (0,), late=1, kill=1, settle=1, workers=1),
]
QUICK = ("settled", "frozen", "answer lost", "crashed", "refused for now", "a batch, one silent")
"""Worlds for every run of the tests."""

SHOWN = {
    "lease_at_open": "frozen",
    "fresh": "frozen",
    "owner_at_claim": "moved",
    "condemn": "frozen",
    "judge": "away",
    "owner_writes": "a batch, accepted",
    "merge": "an abandoned record",
    "leave_atomic": "a batch, one leaves",
    "lost_claims": "answer lost",
    "lost_when_concluded": "answer late",
    "repeat_once": "killed twice",
    "one_repeat_in_all": "silent",
    "slice_lock": "slices",
    "owed_rings": "slices declined",
    "owed_swept": "slices",
    "late_lock": "late device",
    "stop_late": "a batch, accepted",
    "born_claimed": "a batch, one leaves",
    "inherits": "a batch, one leaves",
    "reassert": "crashed",
    "dropped_is_never_sent": "moved late",
    "answers_kept": "away",
    "written_bare": "no text",
    "counted": "once only",
}
"""The world in which the lack of a rule shows."""

SLOW = {"inherits", "leave_atomic", "merge"}
"""Rules whose lack takes seconds to find: `make outbox` does."""

FAULTS = {
    "a known answer is thrown away when the database has a bad day": (
        "answers_kept",
        "judge",
        "reassert",
    ),
    "a value that the database cannot hold": ("written_bare", "lost_claims"),
    "a lease is looked at before a batch and not before a send": ("lease_at_open", "fresh"),
    "what should happen once happens without end": ("counted",),
    "a retry after what may have arrived has no end": ("repeat_once", "one_repeat_in_all"),
}
"""Faults that were found by use, and the rules that mend them."""
