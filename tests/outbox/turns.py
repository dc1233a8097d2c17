"""Which steps a worker of the outbox's model may take."""

from tests.outbox import working
from tests.outbox.state import (
    CONDEMNED,
    GOOD,
    KNOWN,
    OPEN,
    PAST,
    PAST_AWAY,
    Hold,
    Model,
    State,
    Steps,
    Worker,
)


def turns(m: Model, s: State, steps: Steps) -> None:
    """Whatever workers may do next."""
    if s.abandoned is not None and s.up:
        steps.add("the abandoned statement runs after all", working.runs_after_all)
    for who, worker in enumerate(s.workers):
        if worker.life == "killed":
            if worker.lease == GOOD:
                steps.add(f"worker {who}: its lease passes", working.lapse_dead, who)
            continue
        _life(m, s, steps, who, worker)
        if worker.life == "frozen":
            continue
        _claims(m, s, steps, who, worker)
        for h, hold in enumerate(worker.holds):
            _streams(m, s, steps, who, h, hold)
            _writes(m, s, steps, who, h, hold)


def _life(m: Model, s: State, steps: Steps, who: int, worker: Worker) -> None:
    if s.may("kill") and worker.holds:
        steps.add(f"worker {who}: is killed", working.kill, who, fault=True)
    if (worker.life == "frozen" or not s.up) and worker.lease == GOOD:
        steps.add(f"worker {who}: its lease passes", working.lapse, who)
    if worker.life == "frozen":
        steps.add(f"worker {who}: thaws", working.thaw, who)
        return
    if s.may("freeze") and worker.holds:
        steps.add(f"worker {who}: freezes", working.freeze, who, fault=True)
    if s.up and worker.lease in {PAST, PAST_AWAY}:
        steps.add(f"worker {who}: renews its lease", working.renew, who)
    condemned = worker.lease in CONDEMNED
    if condemned and m.has("condemn") and any("t" in hold.marks for hold in worker.holds):
        steps.add(f"worker {who}: learns that it is condemned", working.forget, who)
    unwritten = any(mark in KNOWN for hold in worker.holds for mark in hold.marks)
    if s.up and not worker.spoken and not condemned and not unwritten:
        steps.add(f"worker {who}: has said what it holds", working.come_back, who)


def _claims(m: Model, s: State, steps: Steps, who: int, worker: Worker) -> None:
    for n, row in enumerate(s.rows):
        if row.by is None and OPEN in row.states and working.may_claim(m, s, who, worker):
            name = f"worker {who}: claims row {n}"
            steps.add(name, working.claim, who, n)
            if s.may("slow"):
                late = f"{name}, whose answer is late"
                steps.add(late, working.claim, who, n, "late", fault=True)
            if s.may("lost_answer"):
                lost = f"{name}, and does not hear"
                steps.add(lost, working.claim, who, n, "lost", fault=True)
        if m.has("lost_claims") and s.up and worker.lease not in CONDEMNED and row.by == who:
            concluded = m.has("lost_when_concluded")
            known = any(
                hold.row == n and (concluded or "q" not in hold.marks) for hold in worker.holds
            )
            if not known:
                name = f"worker {who}: finds that it has row {n}"
                steps.add(name, working.claim_again, who, n)


def _streams(m: Model, s: State, steps: Steps, who: int, h: int, hold: Hold) -> None:
    worker = s.workers[who]
    if "q" in hold.marks:
        steps.add(f"worker {who}: hears of its claim of row {hold.row}", working.arrives, who, h)
    lease = worker.may_open or not m.has("lease_at_open")
    may = lease and (hold.fresh or not m.has("fresh")) and not s.over
    if hold.heir and m.has("repeat_once") and not hold.marked:
        may = False
    for place, mark in enumerate(hold.marks):
        target = s.rows[hold.row].targets[place]
        if mark == "t" and may:
            steps.add(f"worker {who}: hands target {target} over", working.opens, who, h, place)
        if mark == "s":
            _answers(s, steps, who, h, place, target)
        if mark in "ts" and s.over:
            name = f"worker {who}: concludes target {target}, its time is up"
            steps.add(name, working.too_late, who, h, place)


def _answers(s: State, steps: Steps, who: int, h: int, place: int, target: int) -> None:
    name = f"worker {who}: target {target} is answered"
    steps.add(f"{name} 200", working.answered, who, h, place, "A")
    for mark, (fault, what) in working.ANSWERS.items():
        if s.may(fault):
            steps.add(f"{name} {what}", working.answered, who, h, place, mark)


def _writes(m: Model, s: State, steps: Steps, who: int, h: int, hold: Hold) -> None:
    marks, condemned = hold.marks, s.workers[who].lease in CONDEMNED
    stale = not hold.fresh or (hold.heir and not hold.marked)
    looks = m.has("fresh") or m.has("owner_at_claim")
    if s.up and "t" in marks and stale and looks and not condemned:
        steps.add(f"worker {who}: looks at row {hold.row} again", working.look, who, h)
    known = [mark for mark in marks if mark in KNOWN]
    if not s.up and known and not m.has("answers_kept"):
        steps.add(f"worker {who}: cannot write, and forgets row {hold.row}", working.throw_away,
                  who, h)  # fmt: skip
    if not s.up or not known or (known == ["U"] and not m.has("written_bare")):
        return
    name = f"worker {who}: records row {hold.row}"
    steps.add(name, working.record, who, h)
    if s.may("lost_answer"):
        steps.add(f"{name}, and does not hear", working.record, who, h, False, fault=True)
    row = s.rows[hold.row]
    begun = row.by == who and any(mark in "ts" for mark in marks)
    if s.may("zombie") and s.abandoned is None and begun:
        steps.add(f"{name}: given up, to be written again", working.abandon, who, h, fault=True)
