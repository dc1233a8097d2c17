"""A worker in the outbox's model: claims, looks, streams, records, and how it lives."""

from tests.outbox.state import (
    CONDEMNED,
    GOOD,
    KNOWN,
    OPEN,
    PAST,
    PAST_AWAY,
    Broken,
    Hold,
    Model,
    Row,
    State,
    Worker,
    add_row,
    closed,
    put,
)

ANSWERS = {"5": ("trouble", "503"), "O": ("once", "429"), "T": ("silent", "nothing"),
           "U": ("unfit", "200, in letters that no database holds")}  # fmt: skip
"""What may be answered but 200: by which fault, and how it is called."""

# --- claims and looks ------------------------------------------------------------------------------


def claim(m: Model, s: State, who: int, n: int, answer: str = "heard") -> None:
    row = s.rows[n] = s.rows[n]._replace(by=who, fence=s.rows[n].fence + 1)
    if answer == "lost":
        s.spend("lost_answer")
        return
    marks = "".join("t" if letter == OPEN else "w" for letter in row.states)
    if m.has("owner_at_claim"):
        marks = "".join(
            unsent(m, row) if mark == "t" and s.moved[target] else mark
            for mark, target in zip(marks, row.targets, strict=True)
        )
    if answer == "late":
        s.spend("slow")
        marks = marks.replace("t", "q")
    again = row.fence > 1 and m.has("owner_at_claim")
    hold = Hold(n, row.fence, not again, row.inherited, False, row.rev, marks)
    s.change(who, holds=(*s.workers[who].holds, hold))


def unsent(m: Model, row: Row) -> str:
    """How a target ends that is not to be sent any more."""
    return "x" if row.inherited and m.has("dropped_is_never_sent") else "d"


def arrives(m: Model, s: State, who: int, h: int) -> None:
    hold = s.workers[who].holds[h]
    s.hold(who, h, hold._replace(marks=hold.marks.replace("q", "t")))


def claim_again(m: Model, s: State, who: int, n: int) -> None:
    row = s.rows[n] = s.rows[n]._replace(fence=s.rows[n].fence + 1)
    mark = "x" if s.over else "t"
    marks = "".join(mark if letter == OPEN else "w" for letter in row.states)
    fresh = not m.has("owner_at_claim")
    hold = Hold(n, row.fence, fresh, row.inherited, False, row.rev, marks)
    s.change(who, holds=(*s.workers[who].holds, hold))


def look(m: Model, s: State, who: int, h: int) -> None:
    hold = s.workers[who].holds[h]
    row, marks = s.rows[hold.row], hold.marks
    if row.fence != hold.fence or row.by != who:
        s.hold(who, h, hold._replace(marks=marks.replace("t", "w")))
        return
    if hold.heir and not hold.marked:
        s.rows[hold.row] = row._replace(repeated=True)
    marks = "".join(
        unsent(m, row) if mark == "t" and (s.outcomes[m.ring[target]] or s.moved[target]) else mark
        for mark, target in zip(marks, row.targets, strict=True)
    )
    s.hold(who, h, hold._replace(fresh=True, marked=hold.marked or hold.heir, marks=marks))


# --- streams ---------------------------------------------------------------------------------------


def opens(m: Model, s: State, who: int, h: int, place: int) -> None:
    """The one moment at which a push is handed over. Raises Broken."""
    hold = s.workers[who].holds[h]
    target = s.rows[hold.row].targets[place]
    broken = {
        "settled: handed over more than FRESH after its ring had settled": (
            s.settled[m.ring[target]] == 2
        ),
        "deadline: handed over after the deadline": s.over,
        "owner: rung for its old owner more than FRESH after the token moved": s.moved[target] == 2,
        "stops: rung after its stop has gone out": s.stops[target] == "sent",
        "fence: handed over though its claim has been taken over": (
            s.rows[hold.row].fence > hold.fence
        ),
        "once: handed over again, not having been lost, or a third time": (
            s.handed[target] >= 1 + min(s.lost[target], 1)
        ),
        "counted: tried again after an answer that allows one more try, twice": (
            s.onces[target] > 1
        ),
    }
    for promise, is_broken in broken.items():
        if is_broken:
            raise Broken(promise)
    s.handed[target] += 1
    s.rang[target], s.who[target] = True, who
    s.hold(who, h, hold._replace(marks=put(hold.marks, place, "s")))


def answered(m: Model, s: State, who: int, h: int, place: int, mark: str) -> None:
    hold = s.workers[who].holds[h]
    target = s.rows[hold.row].targets[place]
    if mark in ANSWERS:
        s.spend(ANSWERS[mark][0])
    if mark in "5O":  # refused: the phone has not been rung by it
        s.handed[target] -= 1
        s.rang[target] = s.handed[target] > 0
    s.lost[target] += mark == "T"
    s.hold(who, h, hold._replace(marks=put(hold.marks, place, mark)))


def too_late(m: Model, s: State, who: int, h: int, place: int) -> None:
    hold = s.workers[who].holds[h]
    s.hold(who, h, hold._replace(marks=put(hold.marks, place, "x")))


# --- records ---------------------------------------------------------------------------------------


def record(m: Model, s: State, who: int, h: int, heard: bool = True) -> None:
    """Write what is known of a row, where the claim still holds, or was lost with a crash."""
    hold = s.workers[who].holds[h]
    hold = hold._replace(rev=hold.rev + 1)
    row = said_again(m, s.rows[hold.row], hold, who)
    apart = False
    if row.fence == hold.fence and row.by == who:
        row, own = pictured(m, row, hold)
        for target, mark in zip(row.targets, hold.marks, strict=True):
            s.onces[target] += mark == "O"
        s.rows[hold.row] = row
        if m.has("leave_atomic"):
            for one in own:
                add_row(s, one)
        else:
            apart = bool(own)  # the batch is told by another statement
            s.rows += own
    if not heard:
        s.spend("lost_answer")
        s.hold(who, h, hold)
        return
    written = ("i" if apart and mark in "5OT" else "w" if mark in KNOWN else mark
               for mark in hold.marks)  # fmt: skip
    s.hold(who, h, hold._replace(marks="".join(written)))


def pictured(m: Model, row: Row, hold: Hold) -> tuple[Row, list[Row]]:
    """A row as its holder knows it, and the rows of those that leave it."""
    states, back, own, before = row.states, False, [], row
    for place, mark in enumerate(hold.marks):
        if mark not in KNOWN or row.states[place] != OPEN:
            continue
        end = ended(m, before, mark)
        if end:
            states = put(states, place, end)
        elif len(row.targets) == 1:
            row, back = carried(row, mark), True
        else:
            own.append(leaving(m, row, place, mark))
            states = put(states, place, "l") if m.has("leave_atomic") else states
    row = row._replace(states=states, rev=max(row.rev, hold.rev))
    return closed(row._replace(by=None) if back else row), own


def said_again(m: Model, row: Row, hold: Hold, who: int) -> Row:
    """The row with a claim taken back that a crash of the database had lost."""
    lost = row.by is None and row.fence == hold.fence - 1 and row.rev == 0
    return row._replace(by=who, fence=hold.fence) if lost and m.has("reassert") else row


def ended(m: Model, row: Row, mark: str) -> str:
    """The letter with which a target ends; none if it is to be tried again."""
    if mark == "T":
        return "x" if row.repeated and m.has("one_repeat_in_all") else ""
    if mark == "O":
        return "r" if row.once and m.has("counted") else ""
    return {"A": "a", "U": "a", "d": "d", "x": "x", "i": "l"}.get(mark, "")


def carried(row: Row, mark: str) -> Row:
    """What a row knows of its tries after this one."""
    if mark == "T":
        return row._replace(inherited=True)
    return row._replace(once=True) if mark == "O" else row


def leaving(m: Model, row: Row, place: int, mark: str) -> Row:
    """The row of its own of a target of a batch that is to be tried again."""
    own = Row((row.targets[place],), OPEN, fence=row.fence if m.has("born_claimed") else 0)
    if m.has("inherits"):
        own = own._replace(inherited=row.inherited, repeated=row.repeated)
    return carried(own, mark)


def abandon(m: Model, s: State, who: int, h: int) -> None:
    """A record is given up by its client; its statement may run for all that."""
    s.spend("zombie")
    hold = s.workers[who].holds[h]
    hold = hold._replace(rev=hold.rev + 1)
    states = s.rows[hold.row].states
    picture = "".join(
        "a" if mark == "A" else OPEN if mark in "ts" else state
        for mark, state in zip(hold.marks, states, strict=True)
    )
    s.abandoned = (hold.row, hold.fence, hold.rev, who, picture)
    s.hold(who, h, hold)


def runs_after_all(m: Model, s: State) -> None:
    assert s.abandoned is not None
    n, fence, rev, who, picture = s.abandoned
    s.abandoned, row = None, s.rows[n]
    if row.fence == fence and row.by == who and not (m.has("merge") and row.rev >= rev):
        s.rows[n] = closed(row._replace(rev=max(row.rev, rev), states=picture))


# --- living ----------------------------------------------------------------------------------------


def renew(m: Model, s: State, who: int) -> None:
    s.change(who, lease=GOOD, may_open=True)


def come_back(m: Model, s: State, who: int) -> None:
    """It has renewed and written since the database is back, and says its claims again."""
    s.change(who, lease=GOOD, may_open=True, spoken=True)
    for hold in s.workers[who].holds:
        s.rows[hold.row] = said_again(m, s.rows[hold.row], hold, who)


def lapse(m: Model, s: State, who: int) -> None:
    away = s.workers[who].life == "up"
    s.change(who, lease=PAST_AWAY if away else PAST, may_open=False)


def lapse_dead(m: Model, s: State, who: int) -> None:
    s.change(who, lease=PAST)


def kill(m: Model, s: State, who: int) -> None:
    s.spend("kill")
    s.change(who, life="killed")
    if s.workers[who].lease == PAST_AWAY:
        s.change(who, lease=PAST)


def freeze(m: Model, s: State, who: int) -> None:
    s.spend("freeze")
    s.change(who, life="frozen")


def thaw(m: Model, s: State, who: int) -> None:
    s.change(who, life="up")


def forget(m: Model, s: State, who: int) -> None:
    """It learns that it is condemned: what it has not begun is others'."""
    holds = (one._replace(marks=one.marks.replace("t", "w")) for one in s.workers[who].holds)
    s.change(who, holds=tuple(one for one in holds if one.marks.strip("w")))


def throw_away(m: Model, s: State, who: int, h: int) -> None:
    """What is done without the rule that answers are kept."""
    hold = s.workers[who].holds[h]
    s.hold(who, h, hold._replace(marks="w" * len(hold.marks)))


def may_claim(m: Model, s: State, who: int, worker: Worker) -> bool:
    """Whether it may claim what is due."""
    same = who > 0 and all(one == worker for one in s.workers)
    if same and not any(row.fence for row in s.rows):
        return False  # by symmetry the first does
    alike = all(one.spoken or (one.life != "up" and one.lease != GOOD) for one in s.workers)
    if m.has("reassert") and not alike:
        return False  # whoever holds it has not had the time to say so
    good = worker.may_open or not m.has("lease_at_open")
    return s.up and good and worker.lease not in CONDEMNED and not s.over
