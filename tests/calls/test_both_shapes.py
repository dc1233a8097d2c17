"""A call tells the same story whether its pushes lie in batches or each in a row of its own."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.calls import history, reach, timeline
from app.calls import late_devices as late
from app.calls import store as calls
from app.calls.call_token_view import STATE
from app.core.push import PushReason
from app.dashboard import explaining, store_counts, store_lists
from app.dashboard import timeline as pages
from app.infra.db import Connection, many
from app.infra.row_values import read
from app.push import erasure, worker_store
from app.push import store as pushes
from tests.e2e.house import Tenant

Act = Callable[[Connection], Awaitable[Any]]


@dataclass
class Asked:
    """One call, its rings by user, and its devices by the apps' own ids."""

    tenant: UUID
    call: UUID
    rings: Mapping[str, UUID]
    devices: Mapping[str, UUID]
    tokens: Mapping[str, UUID]
    now: datetime

    @classmethod
    async def about(cls, tenant: Tenant, call: dict[str, Any]) -> "Asked":
        """Of this call and all devices of its tenant."""
        values = {"t": tenant.id, "call": call["session_id"]}

        async def named(sql: str) -> dict[str, UUID]:
            rows = await tenant.rows(sql, **values)
            return {row["name"]: row["id"] for row in rows}

        return cls(
            tenant.id,
            UUID(call["session_id"]),
            await named("SELECT user_id AS name, uuid AS id FROM rings WHERE session_id = :call"),
            await named("SELECT device_id AS name, id FROM devices WHERE tenant_id = :t"),
            await named(
                "SELECT d.device_id AS name, t.id FROM tokens t JOIN devices d ON d.id = t.device_row"
                " WHERE d.tenant_id = :t AND t.kind = 'voip'"
            ),
            datetime.now(UTC),
        )

    async def answers(self, session: Connection) -> dict[str, Any]:
        """What every reader of pushes says of it, in this transaction."""
        story = await history.of_call(session, self.tenant, self.call)
        assert story is not None
        since, rings = story.call.created_at - timedelta(minutes=1), list(self.rings.values())
        until = since + timedelta(hours=1)
        found: dict[str, Any] = {
            "pushes": [dict(row) for row in story.pushes],
            "timeline": [line.out(story.call.created_at) for line in timeline.lines(story)],
            "lanes": pages.lanes_of(story).lanes,
            "steps": pages.steps_of(story),
            "explained": explaining.explain(story, []),
            "last pushes": [
                await store_lists.last_pushes(session, self.tenant, user) for user in self.rings
            ],
            "counts": _sorted(await store_counts.fresh(session, self.tenant, since, until)),
            "late": await late.calls_with_late_devices(session, 10, [], (self.tenant, "bob")),
            "unreachable": await many(session, reach.OF_RINGS, {"rings": rings}),
            "stops": _sorted(
                await pushes.stop_targets(session, [(ring, 4, "p1") for ring in rings])
            ),
            "standing": (await worker_store.standing(session))[1] > 0,
        }
        for user, ring in self.rings.items():
            for name, row in self.devices.items():
                of = {"tenant": self.tenant, "ring": ring, "device": row}
                found[user, name] = (
                    await calls.ring_of_token(session, self.tenant, ring, row),
                    (await session.execute(STATE, of)).all(),
                    await pushes.others_ring(session, ring, name),
                )
        return found

    async def all_answers(self, session: Connection) -> dict[Any, Any]:
        """What every reader says of it as it stands, and after each of `acts`, which is undone."""
        found: dict[Any, Any] = dict(await self.answers(session))
        for name, act in self.acts().items():
            undone = await session.begin_nested()
            found[name] = await act(session)
            after = await self.answers(session)
            found |= {(name, what): said for what, said in after.items()}
            await undone.rollback()
        return found

    def acts(self) -> dict[str, Act]:
        """What others than their worker do to pushes."""
        bob, carol, call = self.rings["bob"], self.rings["carol"], self.call
        erased = {"tenant_id": self.tenant, "user_id": "bob", "tombstone": "erased~1"}

        async def report(session: Connection) -> Any:
            said = [
                (bob, self.devices["p1"], True), (bob, "p1", True), (bob, "p2", False),
                (carol, "p1", True),
            ]  # fmt: skip
            return [
                await pushes.note_report(
                    session, ring, device, self.now, delivered=delivered, large=call
                )
                for ring, device, delivered in said
            ]

        async def decline(session: Connection) -> Any:
            return [
                (
                    await pushes.note_declined(session, bob, device, self.now, large=call),
                    await pushes.others_ring(session, bob, device),
                )
                for device in ("p1", "p1", "p2", "p3")
            ]

        async def settle(session: Connection) -> None:
            await pushes.drop_unsent(session, [bob], [call])

        async def give_up(session: Connection) -> None:
            tokens = list(self.tokens.values())
            await pushes.drop_for_tokens(session, self.tenant, tokens, PushReason.TOKEN_MOVED)

        async def end_device(session: Connection) -> Any:
            values = {"tenant": self.tenant, "users": ["bob"], "callkit_reason": 2, "tokens": []}
            values |= {"devices": [self.devices["p1"], self.devices["p2"]]}
            return _sorted(await read(session, pushes.ENDING, pushes.StopTarget, values))

        async def erase(session: Connection) -> None:
            await erasure.bury_in(session, erased, [call])

        return {
            "report": report, "decline": decline, "settle": settle, "give up": give_up,
            "end a device": end_device, "erase": erase,
        }  # fmt: skip


def _sorted(rows: Any) -> list[str]:
    return sorted(map(str, rows))


STATES = """
    UPDATE pushes SET state = n.state, is_open = n.state IN ('pending', 'sending'), fence = n.fence,
        attempts = n.fence, status = n.status, reason = n.reason,
        claimed_by = CASE WHEN n.fence > 0 THEN CAST(md5('w') AS uuid) END,
        created_at = date_trunc('milliseconds', pushes.created_at),
        sent_at = date_trunc('milliseconds', pushes.created_at) + n.sent * interval '1 millisecond',
        answered_at = date_trunc('milliseconds', pushes.created_at) + n.answered * interval '1 millisecond'
    FROM (VALUES
        ('p1', 'accepted', 1, 200, NULL, 7, 19), ('p2', 'sending', 1, NULL, NULL, NULL, NULL),
        ('p3', 'pending', 0, NULL, NULL, NULL, NULL), ('p4', 'refused', 2, 410, 'Unregistered', 8, 9),
        ('p5', 'accepted', 1, 200, NULL, 3, 1400), ('p6', 'dropped', 0, NULL, 'ring_settled', NULL, NULL)
    ) AS n(device, state, fence, status, reason, sent, answered) JOIN devices d ON d.device_id = n.device
    WHERE d.tenant_id = :t AND d.id = pushes.device_row
"""
INTO_BATCHES = """
    WITH p AS (
        DELETE FROM pushes
        WHERE session_id = :call AND purpose = 'ring' AND state IN ('pending', 'sending', 'accepted')
        RETURNING *
    ), n AS (
        SELECT *, CAST(1 AS bigint) << CAST(
            row_number() OVER (PARTITION BY kind, claimed_by, fence ORDER BY id) - 1 AS integer
        ) AS bit FROM p
    )
    INSERT INTO push_batches (id, session_id, tenant_id, kind, app_id, environment, created_at,
        due_at, deadline, push_ids, rings, token_ids, device_rows, users, tokens,
        token_registered_at, token_versions, claimed_by, fence, open_bits, accepted_bits, sent_ms, answered_ms,
        done_at)
    SELECT (array_agg(id ORDER BY id))[1], session_id, tenant_id, kind, app_id, environment,
        created_at, due_at, deadline, array_agg(id ORDER BY id), array_agg(ring ORDER BY id),
        array_agg(token_id ORDER BY id), array_agg(device_row ORDER BY id),
        array_agg(user_id ORDER BY id), array_agg(token ORDER BY id),
        array_agg(token_registered_at ORDER BY id), array_agg(token_version ORDER BY id),
        claimed_by, fence,
        bit_or(CASE WHEN state <> 'accepted' THEN bit ELSE 0 END),
        bit_or(CASE WHEN state = 'accepted' THEN bit ELSE 0 END),
        array_agg(CAST(extract(epoch FROM sent_at - created_at) * 1000 AS integer) ORDER BY id),
        array_agg(CAST(extract(epoch FROM answered_at - created_at) * 1000 AS integer) ORDER BY id),
        CASE WHEN bool_and(state = 'accepted') THEN clock_timestamp() END
    FROM n
    GROUP BY session_id, tenant_id, kind, app_id, environment, created_at, due_at, deadline,
        claimed_by, fence
    RETURNING cardinality(push_ids)
"""


async def test_every_reader_says_the_same_of_both_shapes(backend: Tenant) -> None:
    """The rows of a call are laid into batches; nobody who reads them can tell."""
    tenant = backend
    for user, device in (
        ("bob", "p1"), ("bob", "p2"), ("bob", "p3"), ("carol", "p4"), ("carol", "p5"), ("dave", "p6"),
    ):  # fmt: skip
        await tenant.phone(user, device)
    call = await tenant.ring("bob", "carol", "dave", "erin")
    await tenant.execute(STATES, t=tenant.id)
    asked = await Asked.about(tenant, call)
    path = f"/v1/calls/{call['session_id']}/timeline"
    before = (await tenant.api.get(path)).json()
    async with tenant.runtime.database.transaction() as session:
        expected = await asked.all_answers(session)
        laid = (await session.execute(text(INTO_BATCHES), {"call": asked.call})).scalars().all()
        assert sorted(laid) == [1, 3]
        found = await asked.all_answers(session)
    for what, said in expected.items():
        assert found[what] == said, what
    assert (await tenant.api.get(path)).json() == before
