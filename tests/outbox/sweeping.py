"""The sweep, the database and the clock in the outbox's model."""

from tests.outbox.callers import known_rings, settle, write_owed
from tests.outbox.state import (
    CONDEMNED,
    DEAD,
    DEAD_AWAY,
    OPEN,
    PAST,
    PAST_AWAY,
    Hold,
    Model,
    State,
    Steps,
    Worker,
)


def miss(m: Model, s: State) -> None:
    settle(m, s, known_rings(m, s), "missed")


def expire(m: Model, s: State, n: int) -> None:
    s.rows[n] = s.rows[n]._replace(states=s.rows[n].states.replace(OPEN, "x"))


def condemn(m: Model, s: State, who: int) -> None:
    worker = s.workers[who]
    s.change(who, lease=DEAD if worker.lease == PAST or worker.life != "up" else DEAD_AWAY)


def take_over(m: Model, s: State, n: int, of: int, heir: int) -> None:
    """Its fence rises, it counts as handed over; what has had its repeat ends."""
    row = s.rows[n]
    gone = s.workers[of].life == "killed" or s.workers[of].lease in {DEAD, PAST}
    held = [hold for hold in s.workers[of].holds if gone and hold.row == n]
    for hold in held:
        for target, mark in zip(row.targets, hold.marks, strict=True):
            if mark in "sAUx" and s.rang[target] and s.who[target] == of:
                s.lost[target] += 1
    end = "x" if row.repeated and m.has("repeat_once") else "t"
    marks = "".join(end if letter == OPEN else "w" for letter in row.states)
    row = s.rows[n] = row._replace(fence=row.fence + 1, by=heir, inherited=True)
    hold = Hold(n, row.fence, not m.has("owner_at_claim"), True, False, row.rev, marks)
    s.change(heir, holds=(*s.workers[heir].holds, hold))


def sweeping(m: Model, s: State, steps: Steps) -> None:
    """What the sweep of a live worker does."""
    live = [n for n, one in enumerate(s.workers) if one.life == "up" and one.lease not in CONDEMNED]
    if not s.up or not live:
        return
    if s.owed and s.call == "live" and not s.over and m.has("owed_swept"):
        steps.add("sweep: writes the slice that is owed", write_owed)
    if s.over:
        if s.call == "live":
            steps.add("sweep: the ring is missed", miss)
        for n, row in enumerate(s.rows):
            if row.by is None and OPEN in row.states:
                steps.add(f"sweep: row {n} expires", expire, n)
    for n, worker in enumerate(s.workers):
        judge = max(live) if min(live) == n else min(live)
        if judge != n:
            _judge(m, s, steps, n, worker, judge)


def _judge(m: Model, s: State, steps: Steps, n: int, worker: Worker, judge: int) -> None:
    late = worker.lease in {PAST, PAST_AWAY}
    ripe = late and (worker.spoken or worker.life != "up" or not m.has("judge"))
    if m.has("condemn") and ripe:
        steps.add(f"sweep: condemns worker {n}", condemn, n)
    if worker.lease in CONDEMNED or (ripe and not m.has("condemn")):
        for place, row in enumerate(s.rows):
            if row.by == n:
                name = f"worker {judge}: takes over row {place} of worker {n}"
                steps.add(name, take_over, place, n, judge)


def fresh_passes(m: Model, s: State) -> None:
    """Whatever was read before is too old to begin by."""
    s.settled = [2 if age == 1 else age for age in s.settled]
    s.moved = [2 if age == 1 else age for age in s.moved]
    for n, worker in enumerate(s.workers):
        if worker.holds:
            s.change(n, holds=tuple(hold._replace(fresh=False) for hold in worker.holds))


def ends(m: Model, s: State) -> None:
    s.over = True


def goes_away(m: Model, s: State, crashes: bool = False) -> None:
    s.spend("outage")
    s.up = False
    if crashes:
        s.spend("crash")  # a claim's commit does not wait for the disk: the latest are gone
        for n, row in enumerate(s.rows):
            if row.by is not None and row.rev == 0:
                s.rows[n] = row._replace(by=None, fence=row.fence - 1)


def comes_back(m: Model, s: State) -> None:
    s.up = True
    for n in range(len(s.workers)):
        s.change(n, spoken=False)


def another(m: Model, s: State) -> None:
    s.workers.append(Worker())


def stopped(m: Model, s: State, target: int) -> None:
    s.stops[target] = "sent"


def passing(m: Model, s: State, steps: Steps) -> None:
    """Time, and the database."""
    if 1 in s.settled or 1 in s.moved:
        steps.add("FRESH goes by", fresh_passes)
    working = any(one.life == "up" and one.lease not in CONDEMNED for one in s.workers)
    served = s.up and working and (m.has("owed_swept") or s.api == "owes")
    if not s.over and s.call != "none" and not (s.owed and s.call == "live" and served):
        steps.add("the deadline passes", ends)
    if s.up and s.may("outage"):
        steps.add("the database goes away", goes_away, fault=True)
        if s.may("crash"):
            steps.add(
                "the database crashes: the latest claims are lost", goes_away, True, fault=True
            )
    if not s.up:
        steps.add("the database comes back", comes_back)
    if s.up and not any(
        one.life in {"up", "frozen"} and one.lease not in CONDEMNED for one in s.workers
    ):
        steps.add("a new worker starts", another)
