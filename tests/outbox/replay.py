"""Replays steps of the outbox's model with the product's own statements on a real database."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from app.calls import ringing
from app.calls.schemas import RingIn
from app.core.push import Environment, PushReason, PushState
from app.infra.db import Connection, many
from app.push import claims, expiry, records, store, worker_store
from app.tenants.schemas import TenantSettings
from tests.outbox import callers, sweeping, working
from tests.outbox.state import OPEN, Hold, Model, State, Step

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
SETTLE = "UPDATE rings SET outcome = 'cancelled', settled_at = now() WHERE uuid = :ring"
MOVE = "UPDATE tokens SET user_id = 'eve' WHERE id = :token"
CRASH = """UPDATE pushes SET state = 'pending', claimed_by = NULL, fence = fence - 1,
    attempts = attempts - 1 WHERE id = :push"""
ROWS = text("""
    SELECT id, ring, token_id, state, is_open, claimed_by, fence, inherited, repeated FROM pushes
    WHERE user_id = :user ORDER BY id
""")


class Replay:
    """One user's ring, with a push a row, as the steps of a walk leave it."""

    def __init__(self, session: Connection, model: Model, now: datetime) -> None:
        self.session, self.model, self.now = session, model, now
        self.user = f"u{uuid4().hex}"
        self.tokens = [uuid4() for _ in model.ring]
        self.workers: list[UUID] = []
        self.pushes: list[UUID] = []
        self.ended: set[int] = set()
        """Rows that had had their repeat when they were taken over."""
        self.ring: UUID | None = None
        self.acts: dict[Callable[..., None], Callable[..., Awaitable[None]]] = {
            callers.ring: self.start,
            callers.cancel: self.settle,
            callers.accept: self.settle,
            callers.move: self.move,
            sweeping.condemn: self.condemn,
            sweeping.take_over: self.take_over,
            sweeping.another: self.enter,
            sweeping.goes_away: self.goes_away,
            working.claim: self.claim,
            working.claim_again: self.claim_again,
            working.look: self.look,
            working.record: self.record,
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
        if self.pushes:
            await self.compare(step.state)

    async def compare(self, state: State) -> None:
        rows = {row["id"]: row for row in await many(self.session, ROWS, {"user": self.user})}
        for n, row in enumerate(state.rows):
            found = rows[self.pushes[n]]
            letter = LETTERS[found["state"]]
            by = found["claimed_by"] if found["state"] == "sending" else None
            real = (letter, by, found["inherited"], found["repeated"], found["is_open"])
            claimant = None if row.by is None else self.workers[row.by]
            model = (row.states, claimant, row.inherited, row.repeated, row.states == OPEN)
            if n in self.ended:  # at once, where the model's heir says so with its record
                assert letter == "x"
                continue
            assert (*real, found["fence"]) == (*model, row.fence)

    # --- the world -----------------------------------------------------------------------------

    async def start(self, before: State, heard: bool = True) -> None:
        for token in self.tokens:
            names = {"tenant": TENANT, "user": self.user, "device": uuid4(), "token": token}
            for statement in PHONE:
                wanted = text(statement).compile().params
                await self.sql(statement, **{name: names[name] for name in wanted})
        request = RingIn.model_validate({"caller": {"id": "alice"}, "callees": [self.user]})
        one = ringing.resolve(TENANT, TenantSettings(), request, device="server", key=None)
        await ringing.ring_new(self.session, [one])
        rows = {row["token_id"]: row for row in await many(self.session, ROWS, {"user": self.user})}
        self.pushes = [rows[token]["id"] for token in self.tokens]
        self.ring = rows[self.tokens[0]]["ring"]
        for token, moved in zip(self.tokens, before.moved, strict=True):
            if moved:  # after the ring had read whose it was
                await self.sql(MOVE, token=token)

    async def settle(self, _: State, *_target: int) -> None:
        assert self.ring is not None
        await self.sql(SETTLE, ring=self.ring)
        await store.drop_unsent(self.session, [self.ring])

    async def move(self, _: State, target: int) -> None:
        token = self.tokens[target]
        await self.sql(MOVE, token=token)
        await store.drop_for_tokens(self.session, TENANT, [token], PushReason.TOKEN_MOVED)

    async def goes_away(self, before: State, crashes: bool = False) -> None:
        for n, row in enumerate(before.rows):
            if crashes and row.by is not None and row.rev == 0:
                await self.sql(CRASH, push=self.pushes[n])

    async def enter(self, _: State) -> None:
        self.workers.append(uuid4())
        await worker_store.enter_worker(
            self.session, self.workers[-1], host="h", pid=1, only=None, lease=3600
        )

    async def condemn(self, _: State, who: int) -> None:
        await self.sql("UPDATE workers SET dead_at = now() WHERE id = :id", id=self.workers[who])

    # --- workers -------------------------------------------------------------------------------

    async def claim(self, before: State, who: int, n: int, answer: str = "heard") -> None:
        got = await claims.claim_pushes(self.session, self.workers[who], [self.pushes[n]], 1)
        assert [push.id for push in got] == [self.pushes[n]]
        assert got[0].owned == (before.moved[before.rows[n].targets[0]] == 0)

    async def claim_again(self, before: State, who: int, n: int) -> None:
        lost = [(self.pushes[n], before.rows[n].fence)]
        assert set(lost) <= (await claims.claims_of(self.session, self.workers[who])).keys()
        assert len(await claims.claim_again(self.session, self.workers[who], lost, 1)) == 1

    async def take_over(self, before: State, n: int, of: int, heir: int) -> None:
        found = await expiry.orphans(self.session, self.workers[heir], 99, [])
        assert self.pushes[n] in found
        got = await claims.claim_orphans(self.session, self.workers[heir], [self.pushes[n]])
        assert bool(got) != before.rows[n].repeated
        if not got:
            self.ended.add(n)

    async def look(self, before: State, who: int, h: int) -> None:
        hold = before.workers[who].holds[h]
        row = before.rows[hold.row]
        push = self.pushes[hold.row]
        marks = [push] if hold.heir and not hold.marked else []
        looks = await claims.look(self.session, self.workers[who], [(push, hold.fence)], marks)
        mine = row.fence == hold.fence and row.by == who
        assert (push in looks) == mine
        if mine:
            outcome = before.outcomes[self.model.ring[row.targets[0]]]
            assert looks[push].settled == bool(outcome)
            assert looks[push].owned == (before.moved[row.targets[0]] == 0)

    async def record(self, before: State, who: int, h: int, heard: bool = True) -> None:
        hold = before.workers[who].holds[h]
        if hold.row in self.ended:
            return
        row = working.said_again(self.model, before.rows[hold.row], hold, who)
        state = STATES[hold.marks]
        if working.ended(self.model, row, hold.marks) in {"x", "r"}:
            state = PushState.REFUSED if hold.marks == "O" else PushState.EXPIRED
        end = self._end(hold, who, state)
        written = await records.record(self.session, [end], [])
        mine = row.fence == hold.fence and row.by == who
        assert written == {self.pushes[hold.row]: state if mine else None}

    def _end(self, hold: Hold, who: int, state: PushState) -> records.PushEnd:
        silent = hold.marks == "T" and state is PushState.PENDING
        return {
            "id": self.pushes[hold.row], "worker": self.workers[who], "fence": hold.fence,
            "state": state, "environment": Environment.PRODUCTION, "healed": False,
            "silent": silent, "due_at": self.now if state is PushState.PENDING else None,
            "status": None, "reason": None, "sent_at": None, "answered_at": None, "next_id": None,
            "try_id": None,
        }  # fmt: skip

    async def come_back(self, before: State, who: int) -> None:
        held = [(self.pushes[one.row], one.fence) for one in before.workers[who].holds]
        await claims.reassert(self.session, self.workers[who], sorted(held))
