"""What the API does in the outbox's model: ring, by slices; settle; late devices; tokens that move."""

from tests.outbox.state import OPEN, Model, Row, State, Steps, add_row, closed, new_row, put


def ring(m: Model, s: State, heard: bool = True) -> None:
    sliced = len(m.world.slices) > 1
    s.call, s.owed = "live", m.rings_of(1) if sliced else ()
    write_slice(m, s, 0)
    s.api = "gone" if not heard else "owes" if sliced else "done"
    if not heard:
        s.spend("lost_answer")


def ring_on(m: Model, s: State) -> None:
    s.api = "done"
    if m.has("slice_lock"):
        write_owed(m, s)
    else:
        s.owed = ()
        write_slice(m, s, 1)


def write_owed(m: Model, s: State) -> None:
    """Under the call's lock: what is owed still."""
    if s.call == "live" and s.owed and not s.over:
        s.owed = ()
        write_slice(m, s, 1)


def write_slice(m: Model, s: State, n: int) -> None:
    targets = m.world.slices[n]
    for some in [(target,) for target in targets] if m.world.apart else [targets]:
        add_row(s, new_row(*some))


def api_dies(m: Model, s: State) -> None:
    s.spend("api_kill")
    s.api = "gone"


def want_stop(m: Model, s: State, target: int, in_hand: bool) -> None:
    if not s.stops[target] and target != s.accepted:
        s.stops[target] = "later" if in_hand and m.has("stop_late") else "now"


def known_rings(m: Model, s: State) -> tuple[int, ...]:
    """The rings that a settle sees."""
    if m.has("owed_rings"):
        return m.every_ring()
    return tuple({m.ring[target] for row in s.rows for target in row.targets})


def settle(m: Model, s: State, rings: tuple[int, ...], how: str) -> None:
    """Under the call's lock: rings end, rows that nobody has claimed end with them, phones stop."""
    for one in rings:
        if not s.outcomes[one]:
            s.outcomes[one], s.settled[one] = how, 1
    if m.has("owed_rings"):
        s.owed = tuple(one for one in s.owed if one not in rings)
    for n, row in enumerate(s.rows):
        s.rows[n] = _settled(m, s, row, rings, how)
    if how == "cancelled" or all(s.outcomes[one] for one in known_rings(m, s)):
        s.call = "ended"


def _settled(m: Model, s: State, row: Row, rings: tuple[int, ...], how: str) -> Row:
    states, stops = row.states, how != "missed"
    for place, target in enumerate(row.targets):
        letter = row.states[place]
        if m.ring[target] not in rings or (not stops and row.by is not None):
            continue
        if letter == OPEN and row.by is None:
            if stops and row.inherited:  # whoever had it before may have rung the phone
                want_stop(m, s, target, False)
            states = put(states, place, "x" if row.inherited else "d")
        elif letter == OPEN and not m.has("owner_writes"):
            states = put(states, place, "d")
        elif letter == OPEN:
            want_stop(m, s, target, True)
        elif letter in "ax" and stops:
            want_stop(m, s, target, False)
    return closed(row._replace(states=states)) if row.by is None else row._replace(states=states)


def cancel(m: Model, s: State) -> None:
    s.spend("settle")
    settle(m, s, m.every_ring(), "cancelled")


def accept(m: Model, s: State, target: int) -> None:
    s.spend("accept")
    s.accepted = target
    settle(m, s, (m.ring[target],), "accepted")


def decline(m: Model, s: State, ring_: int) -> None:
    s.spend("decline")
    settle(m, s, (ring_,), "declined")


def move(m: Model, s: State, target: int) -> None:
    """A token goes to another user: rows that nobody has claimed end with it."""
    s.spend("move")
    s.moved[target] = 1
    for n, row in enumerate(s.rows):
        if row.by is None and target in row.targets:
            place = row.targets.index(target)
            if row.states[place] == OPEN:
                letter = "x" if row.inherited else "d"
                s.rows[n] = closed(row._replace(states=put(row.states, place, letter)))


def ring_more(m: Model, s: State, user: int) -> None:
    s.spend("more")
    known = any(m.ring[target] == user for row in s.rows for target in row.targets)
    if not known and not (m.has("owed_rings") and user in s.owed):
        add_row(s, new_row(*(target for target, one in enumerate(m.ring) if one == user)))


def registers(m: Model, s: State) -> None:
    s.spend("late")
    s.late = True


def ring_late(m: Model, s: State, target: int) -> None:
    s.lookers = frozenset()
    add_row(s, new_row(target))


def look_late(m: Model, s: State, who: str) -> None:
    s.lookers |= {who}


def ring_late_unlocked(m: Model, s: State, target: int, who: str) -> None:
    s.lookers -= {who}
    add_row(s, new_row(target))


def calling(m: Model, s: State, steps: Steps) -> None:
    """What API and callers may do."""
    if s.up and s.api == "asked":
        steps.add("API: commits the first slice", ring)
        if s.may("lost_answer"):
            steps.add("API: commits the first slice, and does not hear", ring, False, fault=True)
    if s.up and s.api == "owes":
        steps.add("API: commits the second slice", ring_on)
    if s.api in {"asked", "owes"} and s.may("api_kill"):
        steps.add("API: is killed", api_dies, fault=True)
    if s.up and s.call == "live" and not s.over:
        _commands(m, s, steps)
        _late(m, s, steps)
    if s.up and s.may("move"):
        for target, age in enumerate(s.moved):
            if not age:
                steps.add(f"the token of target {target} moves", move, target, fault=True)


def _commands(m: Model, s: State, steps: Steps) -> None:
    if s.may("settle"):
        steps.add("the caller cancels", cancel, fault=True)
    for target, one in enumerate(m.ring):
        if s.may("accept") and s.rang[target] and not s.outcomes[one]:
            steps.add(f"the phone of target {target} accepts", accept, target, fault=True)
    for one in m.every_ring():
        rang = any(s.rang[target] for target, other in enumerate(m.ring) if other == one)
        if s.may("decline") and rang and not s.outcomes[one]:
            steps.add(f"user {one} declines", decline, one, fault=True)
        if s.may("more"):
            steps.add(f"ring more: user {one} is asked for again", ring_more, one, fault=True)


def _late(m: Model, s: State, steps: Steps) -> None:
    target = m.late_target
    if target is None:
        return
    if s.may("late"):
        steps.add("a device registers late", registers, fault=True)
    one = m.ring[target]
    made = any(target in row.targets for row in s.rows)
    if not s.late:
        return
    if m.has("late_lock"):
        if not made and not s.outcomes[one] and one not in s.owed:
            steps.add("late device: its row is written", ring_late, target)
        return
    for who in ("registration", "sweep"):
        if who in s.lookers:
            steps.add(f"late device: {who} writes its row", ring_late_unlocked, target, who)
        elif not made and not s.outcomes[one]:
            steps.add(f"late device: {who} finds no row", look_late, who)
