"""Members and rings go with their calls, by one statement however many, and with a tenant."""

from uuid import UUID

import pytest
from sqlalchemy import text

from app.calls import ringing
from app.calls.schemas import RingIn
from app.infra.db import Connection, Database
from app.tenants.schemas import TenantSettings

TENANT = UUID(int=1)
COUNTS = text("""
    SELECT (SELECT count(*) FROM calls), (SELECT count(*) FROM members),
        (SELECT count(*) FROM rings)
""")


async def counts(session: Connection) -> tuple[int, ...]:
    return tuple((await session.execute(COUNTS)).one())


@pytest.mark.parametrize(
    ("what", "left"),
    [
        ("DELETE FROM calls WHERE name IN ('c0', 'c1')", (1, 3, 2)),
        ("DELETE FROM tenants", (0, 0, 0)),
    ],
)
async def test_members_and_rings_go_with_their_calls(
    database: str, what: str, left: tuple[int, ...]
) -> None:
    db = Database(database)
    async with db.transaction() as session:
        await session.execute(
            text("INSERT INTO tenants (id, name) VALUES (:t, 't')"), {"t": TENANT}
        )
        orders = [
            ringing.resolve(
                TENANT,
                TenantSettings(),
                RingIn.model_validate(
                    {"id": f"c{n}", "caller": {"id": "alice"}, "callees": ["bob", "carol"]}
                ),
                device="server",
                key=None,
            )
            for n in range(3)
        ]
        await ringing.ring_new(session, orders)
        assert await counts(session) == (3, 9, 6)
        await session.execute(text(what))
        assert await counts(session) == left
    await db.close()
