"""What a wish, a block, another call or devices that are off stop is never pushed; all else is."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.calls.apply import Change, to_push
from app.calls.ring_pushes import ring_pushes, tokens_of
from app.calls.ringing import resolve
from app.calls.rows import Stored
from app.calls.schemas import RingIn
from app.core.call import Call, MemberState, Ring, Start, decide
from app.core.suppression import Preferences, why_suppressed
from app.infra.db import Database, clock, insert_all
from app.infra.ids import uuid7
from app.tenants.schemas import TenantSettings
from tests.core.test_suppression import moments, wishes
from tests.push import test_claims_in_place as phones

TENANT = UUID(int=7)
USERS = ("bob", "carol", "dave", "eve")
someone = st.frozensets(st.sampled_from(USERS))

OTHER_PHONES = (
    """INSERT INTO devices (id, tenant_id, user_id, device_id, created_at, registered_at)
        SELECT gen_random_uuid(), tenant_id, id, 'other', now(), now()
        FROM users WHERE tenant_id = :tenant""",
    """INSERT INTO tokens (id, tenant_id, user_id, device_row, kind, app_id, environment, token,
            registered_at, expires_at)
        SELECT gen_random_uuid(), d.tenant_id, d.user_id, d.id, 'fcm', 'com.example.app',
            'production', md5(d.user_id), now(), now() + interval '9 days'
        FROM devices d WHERE d.tenant_id = :tenant AND d.device_id = 'other'""",
)
OF_BATCHES = """
    SELECT kind, environment, cardinality(push_ids), id, push_ids, open_bits, deadline, session_id
    FROM push_batches
"""


@given(
    st.lists(wishes, min_size=4, max_size=4), someone, someone, someone, someone, moments,
    st.sampled_from(["ring", "busy", "quiet"]), st.sampled_from(["default", "door"]), st.booleans(),
)  # fmt: skip
def test_pushed_is_what_no_rule_stops(
    wants: list[Preferences],
    blocking: frozenset[str],
    repeated: frozenset[str],
    engaged: frozenset[str],
    off: frozenset[str],
    now: datetime,
    policy: str,
    kind: str,
    urgent: bool,
) -> None:
    request = RingIn.model_validate(
        {"type": kind, "caller": {"id": "alice"}, "callees": list(USERS), "urgent": urgent}
    )
    settings = TenantSettings(busy_call_types={kind: policy}, urgent_allowed=True)  # type: ignore[dict-item]
    one = resolve(TENANT, settings, request, device="server", key=None)
    said = {
        user: why_suppressed(
            wish, caller="alice", call_type=kind, now=now,
            blocked=user in blocking, repeated=user in repeated,
        )
        for user, wish in zip(USERS, wants, strict=True)
    }  # fmt: skip
    quiet = {pair: why for pair in one.pairs if (why := said[pair[1]])}
    in_calls = frozenset((TENANT, user) for user in engaged)
    call = Call(one.session_id, kind, one.name, "alice", False, one.limits, now)
    silenced = frozenset((TENANT, user) for user in off)
    kept = one.kept_from(quiet, in_calls, silenced)
    start = Start(one.callees, 45, suppressed=kept, busy=one.told_busy(in_calls))
    decision = decide(call, start, now)
    pushes = to_push([Change(Stored(decision.call, TENANT, 0, 1), decision)])
    wished = {user for user, why in said.items() if why and not urgent}
    stopped = wished | blocking | off | (engaged if policy != "ring" else frozenset())
    assert {ring.user_id for _, _, ring in pushes} == set(USERS) - stopped
    alike = {
        replace(member, user_id="", ring=None, suppressed=None)
        for user, member in decision.call.members.items()
        if user in USERS and not (policy == "busy" and user in engaged)
    }
    assert {member.state for member in alike} <= {MemberState.RINGING}
    assert len(alike) <= 1, "to their caller they are all alike"
    for user in engaged if policy == "busy" else ():
        assert decision.call.members[user].state is MemberState.BUSY


async def test_rings_of_one_user_that_begin_together_push_to_each_token_once(
    database: str,
) -> None:
    """Their tokens are found once for each ring, and no statement looks whether a push is there."""
    db = Database(database)
    async with db.transaction() as session:
        await phones.make_phones(session)
        now = await clock(session)
        rings = [
            (phones.TENANT, uuid7(), Ring(uuid7(), "u1", now, now + timedelta(seconds=45)))
            for _ in range(2)
        ]
        found = await tokens_of(session, rings)
        assert len(found) == 2
        assert len({token["id"] for token in found}) == 1
        await insert_all(session, ring_pushes(rings, now, found))
        rows = await session.execute(text("SELECT ring FROM pushes ORDER BY ring"))
        assert rows.scalars().all() == sorted(ring.uuid for _, _, ring in rings)
        # one that comes late is looked for: it stays as it is
        await insert_all(session, ring_pushes(rings, now, found, late=True))
        count = await session.execute(text("SELECT count(*) FROM pushes"))
        assert count.scalar_one() == 2
    await db.close()


async def test_what_is_sent_by_one_way_lies_together_in_batches_of_fifty(database: str) -> None:
    """Whatever the order of the tokens; and one that has changed meanwhile is a batch of its own."""
    db = Database(database)
    async with db.transaction() as session:
        await phones.make_phones(session)
        for sql in OTHER_PHONES:
            await session.execute(text(sql), {"tenant": phones.TENANT})
        now = await clock(session)
        call, until = uuid7(), now + timedelta(seconds=45)
        rings = [(phones.TENANT, call, Ring(uuid7(), f"u{n + 1}", now, until)) for n in range(60)]
        found = await tokens_of(session, rings)
        assert len(found) == 120
        await session.execute(
            text("UPDATE tokens SET environment = 'sandbox' WHERE user_id = 'u7'")
        )
        await insert_all(session, ring_pushes(rings, now, found, large={call}))
        rows = (await session.execute(text(OF_BATCHES))).all()
        assert sorted((kind, environment, size) for kind, environment, size, *_ in rows) == [
            ("fcm", "production", 10), ("fcm", "production", 49), ("fcm", "sandbox", 1),
            ("voip", "production", 10), ("voip", "production", 49), ("voip", "sandbox", 1),
        ]  # fmt: skip
        for _, _, size, first, ids, open_bits, deadline, session_id in rows:
            assert (first, open_bits) == (ids[0], (1 << size) - 1)
            assert (deadline, session_id) == (until, call)
        placed = await session.execute(text("SELECT ring, user_id, token_id FROM places"))
        by_user = {ring.user_id: ring.uuid for _, _, ring in rings}
        assert sorted(map(tuple, placed)) == sorted(
            (by_user[one["user_id"]], one["user_id"], one["id"]) for one in found
        )
    await db.close()
