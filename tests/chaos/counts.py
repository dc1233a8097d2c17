"""How faults are counted: pure functions from what was seen to the breaches of what is promised.

Each answers a list of sentences, one a breach, so that a count can be looked into. Times are
seconds since 1970 by this machine's clock, which PostgreSQL and the simulated Apple share. What is
true about pushes is what reached Apple; what is true about rings is what the database committed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil

FRESH = 0.25
"""For so long after a settle has committed may a push still be handed over."""
FINAL_WITHIN = 10.0
"""So long after its deadline is every row final."""
RECOVERED_WITHIN = 10.0
"""So long after a fault has ended is everything as before."""
UNSETTLED = frozenset({None, "missed", "unreachable"})
"""Outcomes that no person brought about: whoever had a good token was to be rung."""


class CannotJudge(AssertionError):
    """What would have to be counted is not known: nothing can be said of what was promised."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One ring of one user that was answered 202; `tokens`: the good VoIP tokens of that user."""

    uuid: str
    user: str
    tokens: frozenset[str]
    asked: float
    answered: float


@dataclass(frozen=True, slots=True)
class Fate:
    """What the rows say became of a ring. `settled`: when that was committed."""

    uuid: str
    outcome: str | None
    deadline: float
    settled: float | None


@dataclass(frozen=True, slots=True)
class Sent:
    """One request that reached Apple. `rings`: it is a ring's push and not a stop's."""

    id: str
    token: str
    ring: str
    at: float
    accepted: bool
    rings: bool = True


@dataclass(frozen=True, slots=True)
class Fault:
    """When a fault began and ended, and whether it lets a worker fall silent beyond its lease."""

    begin: float
    end: float
    repeats: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that was not served: its status, 0 without an answer."""

    at: float
    status: int
    what: str


@dataclass(frozen=True, slots=True)
class Row:
    """A row that was not final when it was looked at, and when it had to be."""

    kind: str
    id: str
    due: float


@dataclass(frozen=True, slots=True)
class Owed:
    """A webhook's event: of which call, its number within it, and when it was committed."""

    call: str
    number: int
    at: float


def all_kept(after: int, forgotten: int) -> None:
    """Raises CannotJudge if Apple has forgotten requests that came after number `after`.

    A push that arrived and was forgotten looks like one that never came. `forgotten`: the number
    up to which nothing is kept any more.
    """
    if forgotten > after:
        raise CannotJudge(
            f"cannot judge: of the requests after number {after} the simulated Apple has forgotten "
            f"the first {forgotten - after}"
        )


def lost(asked: Iterable[Asked], fates: Mapping[str, Fate], sent: Iterable[Sent]) -> list[str]:
    """Answered 202, and never accepted by Apple while the ring lived and a good token existed.

    Of a ring that a person settled one push is enough: the others need not ring any more.
    """
    reached = defaultdict(set)
    for one in sent:
        if one.accepted and one.rings:
            reached[one.ring].add(one.token)
    found = []
    for ring in asked:
        fate = fates.get(ring.uuid)
        missing = ring.tokens - reached[ring.uuid]
        if fate is None:
            found.append(f"ring {ring.uuid} of {ring.user} was answered 202 and is in no row")
        elif missing and (fate.outcome in UNSETTLED or missing == ring.tokens):
            found += [
                f"ring {ring.uuid} of {ring.user} ({fate.outcome}) never reached {token[:8]}"
                for token in sorted(missing)
            ]
    return found


def doubled(sent: Iterable[Sent], fault: Fault, *, slack: float = 2.0) -> list[str]:
    """Accepted by Apple twice; once is allowed when the first may have ended without an answer.

    That is when it was handed over while a worker was killed or silent beyond its lease.
    """
    found = []
    by_id: dict[str, list[Sent]] = defaultdict(list)
    by_target: dict[tuple[str, str, bool], set[str]] = defaultdict(set)
    for one in sent:
        if one.accepted:
            by_id[one.id].append(one)
            by_target[one.ring, one.token, one.rings].add(one.id)
    for key, times in by_id.items():
        times.sort(key=lambda one: one.at)
        excused = len(times) == 2 and _may_repeat(times[0], fault, slack)
        if len(times) > 1 and not excused:
            gaps = ", ".join(f"{one.at - times[0].at:.2f} s" for one in times[1:])
            first = times[0].at - fault.begin
            found.append(f"push {key} was accepted again after {gaps} (first at {first:+.2f} s)")
    for (ring, token, _), ids in by_target.items():
        if len(ids) > 1:
            found.append(f"ring {ring} went to {token[:8]} under {len(ids)} ids")
    return found


def repeated(sent: Iterable[Sent]) -> int:
    """How many pushes were accepted exactly twice, allowed or not."""
    times: dict[str, int] = defaultdict(int)
    for one in sent:
        times[one.id] += one.accepted
    return sum(count == 2 for count in times.values())


def _may_repeat(first: Sent, fault: Fault, slack: float) -> bool:
    return fault.repeats and fault.begin - slack <= first.at <= fault.end + slack


def dead(fates: Mapping[str, Fate], sent: Iterable[Sent]) -> list[str]:
    """Handed over later than FRESH after the ring had settled, or after its deadline."""
    found = []
    for one in sent:
        fate = fates.get(one.ring)
        if fate is None or not one.rings:
            continue
        over = min(fate.deadline, fate.settled if fate.settled is not None else fate.deadline)
        if one.at > over + FRESH:
            found.append(
                f"push {one.id} of ring {one.ring} ({fate.outcome}) was handed over "
                f"{one.at - over:.2f} s after it was over"
            )
    return found


def stuck(rows: Iterable[Row], now: float) -> list[str]:
    """Not final 10 s after they had to be."""
    return [
        f"{row.kind} {row.id} is not final {now - row.due:.0f} s after it had to be"
        for row in rows
        if now - row.due > FINAL_WITHIN
    ]


def late(
    asked: Iterable[Asked], sent: Iterable[Sent], fault: Fault, *, within: float = RECOVERED_WITHIN
) -> list[str]:
    """First pushed later than `within` after the request, or after the fault's end if that is later."""
    began = first(sent)
    return [
        f"ring {ring.uuid} was pushed {began[ring.uuid] - ring.asked:.1f} s after it was asked for"
        for ring in asked
        if ring.uuid in began and began[ring.uuid] > max(fault.end, ring.answered) + within
    ]


def recovery(
    asked: Iterable[Asked],
    sent: Iterable[Sent],
    refused: Iterable[Refused],
    fault: Fault,
    *,
    prompt: float,
) -> float:
    """Seconds from the fault's end to the last push that was not prompt, or the last refusal."""
    began = first(sent)
    slow = [
        began[ring.uuid]
        for ring in asked
        if ring.uuid in began and began[ring.uuid] - ring.answered > prompt
    ]
    slow += [one.at for one in refused]
    return (
        max((at - fault.end for at in slow), default=0.0) if slow and max(slow) > fault.end else 0.0
    )


def broken(refused: Iterable[Refused]) -> list[str]:
    """Answers that are never right: 500, whatever the fault. 503 with a wait is."""
    return [f"{one.what} was answered {one.status}" for one in refused if one.status == 500]


def incomplete(
    user: str, heard: Sequence[tuple[int, str]], told: Sequence[tuple[int, str]]
) -> list[str]:
    """What a stream said is not what the user was told: missing, repeated, or in another order.

    `heard`: (number, type) as they came; `told`: the rows. Both from the same number on.
    """
    if list(heard) == list(told):
        return []
    numbers = [number for number, _ in heard]
    seen, rows = set(numbers), {number for number, _ in told}
    found = [f"{user} never heard event {number}" for number in sorted(rows - seen)]
    found += [f"{user} heard event {number}, which is in no row" for number in sorted(seen - rows)]
    found += [f"{user} heard an event twice"] * (len(numbers) - len(seen))
    if sorted(numbers) != numbers:
        found.append(f"{user} heard events out of order")
    return found or [f"{user} heard an event as another type"]


def unhooked(received: Sequence[str], owed: Mapping[str, Owed]) -> list[str]:
    """Webhooks that never came, or came out of their call's order. A repeat is allowed.

    `received`: ids as they came; `owed`: what had to come.
    """
    came = dict.fromkeys(received)
    found = [f"webhook {key} never came" for key in owed if key not in came]
    last: dict[str, int] = {}
    for key in came:
        if key not in owed:
            continue
        call, number = owed[key].call, owed[key].number
        if number < last.get(call, 0):
            found.append(f"webhook {key} came after number {last[call]} of its call")
        last[call] = max(number, last.get(call, 0))
    return found


def slow_hooks(without: Sequence[float], under: Sequence[float]) -> list[str]:
    """Another tenant's webhooks under the fault: within 1 s, or twice what it is without.

    Seconds from an event's commit to its arrival; the 99th percentile of each.
    """
    now, most = percentile(under), max(1.0, 2 * percentile(without))
    return [f"webhooks took {now:.1f} s, and not {most:.1f} s at most"] if now > most else []


def percentile(values: Sequence[float], share: float = 0.99) -> float:
    """The value that `share` of them do not exceed; 0 of none."""
    ordered = sorted(values)
    return ordered[ceil(share * len(ordered)) - 1] if ordered else 0.0


def ratio(without: Sequence[float], under: Sequence[float], *, floor: float) -> float:
    """How many times longer others wait (99th percentile); what is below `floor` s counts as it."""
    if not under:
        return float("inf")
    return max(percentile(under), floor) / max(percentile(without), floor)


def first(sent: Iterable[Sent]) -> dict[str, float]:
    """When the first push of each ring was accepted."""
    found: dict[str, float] = {}
    for one in sent:
        if one.accepted and one.rings:
            found[one.ring] = min(one.at, found.get(one.ring, one.at))
    return found
