"""Replays steps of the outbox's model with the product's own statements on a real database."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.calls import ringing
from app.calls.schemas import RingIn
from app.core.outcome import Ended
from app.core.push import PushReason, PushState
from app.infra.db import Connection, as_json, many
from app.push import batch_claims, batches, claims, expiry, recording, store, worker_store
from app.push.claimed import ClaimedPlace, ClaimedPush
from app.push.results import DatabaseClock, Result
from app.tenants.schemas import TenantSettings
from tests.outbox import callers, sweeping, working
from tests.outbox.state import KNOWN, OPEN, Hold, Model, Row, State, Step

TENANT = UUID(int=1)
LETTERS = {"pending": OPEN, "sending": OPEN, "accepted": "a", "refused": "r", "dropped": "d",
           "expired": "x"}  # fmt: skip
STATES = {
    "A": PushState.ACCEPTED, "U": PushState.ACCEPTED, "5": PushState.PENDING,
    "O": PushState.PENDING, "T": PushState.PENDING, "d": PushState.DROPPED,
    "x": PushState.EXPIRED,
}  # fmt: skip
PHONE = (
    """INSERT INTO users (tenant_id, id) VALUES (:tenant, :user) ON CONFLICT DO NOTHING""",
    """INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        VALUES (CAST(:device AS uuid), :tenant, :user, md5(CAST(CAST(:device AS uuid) AS text)), now(), now())""",
    """INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        VALUES (CAST(:token AS uuid), :tenant, :user, :device, 'voip', 'com.example.app', 'production',
            md5(CAST(CAST(:token AS uuid) AS text)), now(), now() + interval '1 day')""",
)
SETTLE = "UPDATE rings SET outcome = 'cancelled', settled_at = now() WHERE uuid = ANY(:rings)"
MOVE = "UPDATE tokens SET user_id = 'eve' WHERE id = :token"
CRASH = """UPDATE pushes SET state = 'pending', claimed_by = NULL, fence = fence - 1,
    attempts = attempts - 1 WHERE id = :push"""
CRASH_OF_BATCH = "UPDATE push_batches SET claimed_by = NULL, fence = fence - 1 WHERE id = :batch"
OVER = """
    WITH b AS (
        UPDATE push_batches SET deadline = now() - interval '1 second' WHERE session_id = :call
    )
    UPDATE pushes SET deadline = now() - interval '1 second' WHERE session_id = :call
"""
TARGETS = text("""
    SELECT id, ring, token_id, device_row, state, is_open, claimed_by, fence, inherited, repeated,
        batch_rings IS NOT NULL AS batched, sent_at IS NOT NULL AS timed
    FROM targets WHERE session_id = :call AND token_id = ANY(:tokens)
""")
BATCH = text("SELECT id FROM push_batches WHERE session_id = :call")
ALL = 100_000


class Replay:
    """One call as the steps of a walk leave it, each push in a row; or, `batched`, all in one row,
    which those leave that something befalls."""

    def __init__(self, session: Connection, model: Model, *, batched: bool) -> None:
        self.session, self.model, self.batched = session, model, batched
        self.clock = DatabaseClock(asyncio.get_running_loop())
        self.users = [f"u{uuid4().hex}" for _ in model.every_ring()]
        self.tokens = [uuid4() for _ in model.ring]
        self.workers: list[UUID] = []
        self.call = self.batch = UUID(int=0)
        self.ids: list[UUID] = []
        self.rings: list[UUID] = []
        """Of each target its push and its ring."""
        self.hands: dict[tuple[int, int, int], ClaimedPush] = {}
        """What a worker was given with a claim, by (worker, target, fence)."""
        self.ended: set[int] = set()
        """Targets that ended at once when they were taken over or found again, having had their
        repeat, or past their time (the model's worker says so with its record), or when their ring
        settled while they were unsaid."""
        self.unsaid: set[int] = set()
        """Targets of which a crash has taken back the claim, and nobody has said it again."""
        self.unmarked: set[int] = set()
        """Targets that their heir had given up before it noted the repeat: the note is of what may
        still be sent. The model's is of the row."""
        self.abandoned: dict[str, Any] = {}
        self.acts: dict[Callable[..., None], Callable[..., Awaitable[None]]] = {
            callers.ring: self.start,
            callers.cancel: self.cancel,
            callers.accept: self.settle,
            callers.move: self.move,
            sweeping.miss: self.cancel,
            sweeping.ends: self.is_over,
            sweeping.expire: self.expire,
            sweeping.condemn: self.condemn,
            sweeping.take_over: self.take_over,
            sweeping.another: self.enter,
            sweeping.goes_away: self.goes_away,
            working.claim: self.claim,
            working.claim_again: self.claim_again,
            working.look: self.look,
            working.record: self.record,
            working.abandon: self.abandon,
            working.runs_after_all: self.runs_after_all,
            working.come_back: self.come_back,
        }

    async def sql(self, statement: str, **values: Any) -> None:
        await self.session.execute(text(statement), values)

    async def do(self, before: State, step: Step) -> None:
        """Do what a step does, and compare. What only a process knows touches no row."""
        while len(self.workers) < self.model.world.workers:
            await self.enter(before)
        act = self.acts.get(step.act)
        if act is not None:
            await act(before, *step.values)
        if self.ids:
            await self.compare(step.state)

    async def compare(self, state: State) -> None:
        found = await self.found()
        for row in state.rows:
            for place, target in enumerate(row.targets):
                if row.states[place] != "l":
                    self.compare_one(found[target], row, place)

    def compare_one(self, real: dict[str, Any], row: Row, place: int) -> None:
        letter, target = row.states[place], row.targets[place]
        if target in self.ended:
            assert LETTERS[real["state"]] in {"x", "d"}
            return
        assert (LETTERS[real["state"]], real["is_open"]) == (letter, letter == OPEN), target
        if letter == "a":
            assert real["timed"], target
        if letter != OPEN:  # what a row knows of its other targets says nothing of this one
            return
        claimant = None if row.by is None else self.workers[row.by]
        expected = (claimant, row.fence)
        if target in self.unsaid and real["claimed_by"] is None and row.by is not None:
            expected = (None, row.fence - 1)  # of a batch each says so for itself
        by = real["claimed_by"] if real["state"] == "sending" else None
        assert (by, real["fence"]) == expected, target
        repeated = row.repeated and target not in self.unmarked
        assert (real["inherited"], real["repeated"]) == (row.inherited, repeated), target

    async def found(self) -> list[dict[str, Any]]:
        """Of each target its push, wherever it lies."""
        rows = await many(self.session, TARGETS, {"call": self.call, "tokens": self.tokens})
        assert len(rows) == len(self.tokens)
        by_token = {row["token_id"]: row for row in rows}
        return [by_token[token] for token in self.tokens]

    def opened(self, row: Row) -> list[int]:
        """The targets of a row that are open."""
        return [
            target
            for target, letter in zip(row.targets, row.states, strict=True)
            if letter == OPEN and target not in self.ended
        ]

    def may_leave(self, state: State) -> bool:
        """Whether a place may leave its batch: what is given up is one statement, so that stays."""
        return self.batched and bool(self.ids) and state.up and "zombie" not in state.faults

    async def leaves(self, target: int) -> None:
        """It gets a row of its own, as for a device's report."""
        found = (await self.found())[target]
        device = found["device_row"]
        await batches.leave_device(self.session, self.call, self.rings[target], device)
        assert not (await self.found())[target]["batched"]

    async def lie_in_batch(self, targets: Sequence[int]) -> bool:
        found = await self.found()
        return any(found[target]["batched"] for target in targets)

    # --- the world -----------------------------------------------------------------------------

    async def start(self, before: State, heard: bool = True) -> None:
        others = [f"u{uuid4().hex}" for _ in range(batches.BATCHED_FROM if self.batched else 0)]
        for target, token in enumerate(self.tokens):
            user = self.users[self.model.ring[target]]
            names = {"tenant": TENANT, "user": user, "device": uuid4(), "token": token}
            for statement in PHONE:
                wanted = text(statement).compile().params
                await self.sql(statement, **{name: names[name] for name in wanted})
        request = RingIn.model_validate({"caller": {"id": "alice"}, "callees": self.users + others})
        one = ringing.resolve(TENANT, TenantSettings(), request, device="server", key=None)
        await ringing.ring_new(self.session, [one])
        self.call = one.session_id
        found = await self.found()
        self.ids, self.rings = [row["id"] for row in found], [row["ring"] for row in found]
        assert {row["batched"] for row in found} == {self.batched}
        for row in await many(self.session, BATCH, {"call": self.call}):
            self.batch = row["id"]
        for token, moved in zip(self.tokens, before.moved, strict=True):
            if moved:  # after the ring had read whose it was
                await self.sql(MOVE, token=token)

    async def cancel(self, _: State) -> None:
        await self.end(self.rings)

    async def settle(self, _: State, target: int) -> None:
        await self.end([self.rings[target]])

    async def end(self, rings: list[UUID]) -> None:
        await self.sql(SETTLE, rings=rings)
        await store.drop_unsent(self.session, rings, [self.call] if self.batched else [])
        # who comes back says all its claims again at once: here only its record does
        found = await self.found()
        self.ended |= {one for one in self.unsaid if LETTERS[found[one]["state"]] == "d"}

    async def move(self, _: State, target: int) -> None:
        token = self.tokens[target]
        await self.sql(MOVE, token=token)
        await store.drop_for_tokens(self.session, TENANT, [token], PushReason.TOKEN_MOVED)

    async def is_over(self, _: State) -> None:
        await self.sql(OVER, call=self.call)

    async def expire(self, before: State, n: int) -> None:
        pushes = [self.ids[target] for target in self.opened(before.rows[n])]
        found = await expiry.over(self.session, ALL, [])
        if self.batch in found.batches and await self.lie_in_batch(self.opened(before.rows[n])):
            found += await batches.leave_wholly(self.session, [self.batch])
        assert set(pushes) <= set(found)
        await expiry.expire(self.session, pushes)

    async def goes_away(self, before: State, crashes: bool = False) -> None:
        for row in before.rows:
            if not crashes or row.by is None or row.rev:
                continue
            found = await self.found()
            left = [target for target in self.opened(row) if not found[target]["batched"]]
            for target in left:
                await self.sql(CRASH, push=self.ids[target])
            if len(left) < len(self.opened(row)):
                await self.sql(CRASH_OF_BATCH, batch=self.batch)
            self.unsaid |= set(self.opened(row))

    async def enter(self, _: State) -> None:
        self.workers.append(uuid4())
        await worker_store.enter_worker(
            self.session, self.workers[-1], host="h", pid=1, only=None, lease=3600
        )

    async def condemn(self, _: State, who: int) -> None:
        await self.sql("UPDATE workers SET dead_at = now() WHERE id = :id", id=self.workers[who])

    # --- workers -------------------------------------------------------------------------------

    def give(self, who: int, got: Sequence[ClaimedPush]) -> None:
        for push in got:
            target = self.ids.index(push.id)
            self.hands[who, target, push.fence] = push
            self.unsaid.discard(target)

    def in_hand(self, who: int, before: State, hold: Hold) -> dict[int, tuple[str, ClaimedPush]]:
        """What a worker has by a hold and has not written: by target how it stands."""
        row = before.rows[hold.row]
        return {
            target: (mark, self.hands[who, target, hold.fence])
            for target, mark in zip(row.targets, hold.marks, strict=True)
            if mark != "w" and target not in self.ended
        }

    async def claim(self, before: State, who: int, n: int, answer: str = "heard") -> None:
        targets, worker = self.opened(before.rows[n]), self.workers[who]
        pushes = [self.ids[target] for target in targets]
        got: list[ClaimedPush] = []
        if await self.lie_in_batch(targets):
            got += await batch_claims.claim_batches(
                self.session, worker, [self.batch], ALL, claims.ALWAYS
            )
        got += await claims.claim_pushes(self.session, worker, pushes, ALL)
        assert sorted(push.id for push in got) == sorted(pushes)
        for push in got:
            assert push.owned == (before.moved[self.ids.index(push.id)] == 0)
        if answer == "lost":
            self.unsaid -= set(targets)
        else:
            self.give(who, got)

    async def claim_again(self, before: State, who: int, n: int) -> None:
        worker, row = self.workers[who], before.rows[n]
        lost = [(self.ids[target], row.fence) for target in self.opened(row)]
        known = await claims.claims_of(self.session, worker)
        assert set(lost) <= known.keys()
        if in_batches := {one[0]: batch for one in lost if (batch := known[one])}:
            assert await batches.leave(self.session, in_batches) == in_batches.keys()
        got = await claims.claim_again(self.session, worker, lost, ALL)
        await expiry.expire_lost(self.session, worker, lost)
        assert len(got) == (0 if before.over else len(lost))
        self.give(who, got)
        if not got:
            self.ended |= set(self.opened(row))

    async def take_over(self, before: State, n: int, of: int, heir: int) -> None:
        worker, row = self.workers[heir], before.rows[n]
        pushes = [self.ids[target] for target in self.opened(row)]
        found = await expiry.orphans(self.session, worker, ALL, [])
        if self.batch in found.batches and await self.lie_in_batch(self.opened(row)):
            found += await batches.leave_wholly(self.session, [self.batch])
        assert set(pushes) <= set(found)
        got = await claims.claim_orphans(self.session, worker, pushes)
        await expiry.expire_orphans(self.session, worker, pushes)
        assert len(got) == (0 if row.repeated or before.over else len(pushes))
        self.give(heir, got)
        if not got:
            self.ended |= set(self.opened(row))

    async def look(self, before: State, who: int, h: int) -> None:
        hold = before.workers[who].holds[h]
        row, held = before.rows[hold.row], self.in_hand(who, before, hold)
        waiting = {target: push for target, (mark, push) in held.items() if mark == "t"}
        marked = [push.id for _, push in held.values()] if hold.heir and not hold.marked else []
        if marked:
            self.unmarked = self.unmarked | held.keys() - waiting.keys()
        looks = await batch_claims.look(
            self.session, self.workers[who], list(waiting.values()), marked
        )
        if row.fence != hold.fence or row.by != who:
            assert not looks
            return
        assert looks.keys() == {push.id for push in waiting.values()}
        for target, push in waiting.items():
            assert looks[push.id].settled == bool(before.outcomes[self.model.ring[target]])
            assert looks[push.id].owned == (before.moved[target] == 0)

    async def record(self, before: State, who: int, h: int, heard: bool = True) -> None:
        hold = before.workers[who].holds[h]
        row = working.said_again(self.model, before.rows[hold.row], hold, who)
        mine, results = row.fence == hold.fence and row.by == who, list[Result]()
        expected: dict[UUID, set[PushState | None]] = {}
        for target, (mark, push) in self.in_hand(who, before, hold).items():
            if mark not in KNOWN:
                continue
            state = STATES[mark]
            if working.ended(self.model, row, mark) in {"x", "r"}:
                state = PushState.REFUSED if mark == "O" else PushState.EXPIRED
            results.append(result(push, state, mark))
            letter = row.states[row.targets.index(target)]
            expected[push.id] = {state if mine and letter == OPEN else None}
            if letter == "a" and isinstance(push, ClaimedPlace):
                expected[push.id].add(state)  # of a batch the whole is said again
            self.unsaid.discard(target)
        told = await recording.write(self.session, results, self.clock)
        assert told.keys() == expected.keys()
        assert all(told[push] in allowed for push, allowed in expected.items())

    async def abandon(self, before: State, who: int, h: int) -> None:
        """Of a batch: the statement as it was given to the server."""
        hold = before.workers[who].holds[h]
        for mark, push in self.in_hand(who, before, hold).values():
            assert isinstance(push, ClaimedPlace)
            if mark == "A":
                push.batch.take(push.place, push.batch.begun, push.batch.begun)
        rows = as_json([batch_claims.picture(push.batch)])
        self.abandoned = {"batches": [self.batch], "rows": rows}

    async def runs_after_all(self, _: State) -> None:
        await self.session.execute(batch_claims.RECORD, self.abandoned)

    async def come_back(self, before: State, who: int) -> None:
        held = [
            push
            for hold in before.workers[who].holds
            for _, push in self.in_hand(who, before, hold).values()
        ]
        await claims.reassert(self.session, self.workers[who], sorted(one.claim for one in held))
        whole = {(one.batch.id, one.fence) for one in held if isinstance(one, ClaimedPlace)}
        await batch_claims.reassert(self.session, self.workers[who], sorted(whole))
        self.unsaid -= {self.ids.index(one.id) for one in held}


def result(push: ClaimedPush, state: PushState, mark: str) -> Result:
    """How a try ended, as a worker writes it."""
    now = asyncio.get_running_loop().time()
    return Result(
        push, state, None, outcome=Ended(now, now, code=200) if mark in "AU" else None,
        retry_at=now if state is PushState.PENDING else None,
        silent=mark == "T" and state is PushState.PENDING,
    )  # fmt: skip
