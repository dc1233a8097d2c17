"""The same ring, and the same where every user has preferences, a block and a past."""

import json
import statistics
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks.house import Ready
from tests.benchmarks.ring_cpu import ring_many
from tests.benchmarks.rows import add_past_calls, clear

PAST_CALLS = 10
"""Of each user."""
OF_USERS = "FROM generate_series(1, CAST(:users AS integer)) n"
WISHES = {
    "preferences": f"""
        INSERT INTO preferences (tenant_id, user_id, settings, changed_at)
        SELECT :t, 'u' || n, CAST(:settings AS jsonb), now() {OF_USERS}""",
    "blocks": f"""
        INSERT INTO blocks (tenant_id, user_id, blocked_id, created_at)
        SELECT :t, 'u' || n, 'mallory', now() {OF_USERS}""",
    "seen_marks": f"""
        INSERT INTO seen_marks (tenant_id, user_id, seen_at)
        SELECT :t, 'u' || n, now() - interval '1 day' {OF_USERS}""",
}


def preferences() -> dict[str, Any]:
    """Quiet hours that are not now, a call type that does not ring, and an exception."""
    begins = datetime.now(UTC) + timedelta(hours=6)
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    period = {
        "days": days,
        "start": f"{begins:%H:%M}",
        "end": f"{begins + timedelta(hours=8):%H:%M}",
    }
    return {
        "quiet_hours": {"time_zone": "UTC", "periods": [period]},
        "call_types": {"door": "nothing"},
        "exceptions": {"users": ["dave"]},
    }


async def wished(ready: Ready, rounds: int, rings: int, users: int) -> dict[str, Any]:
    """`wishes_ratio`: CPU of API and worker a ring, with all that over without; in turns, of which each
    second begins with the wishes.

    Nothing of it stops a ring: each of these is pushed, or `ring_many` fails.
    """
    await clear(ready)
    await ring_many(ready, "wishes-warm", 500, users)
    plain: list[dict[str, Any]] = []
    used: list[dict[str, Any]] = []
    for n in range(rounds):
        turns = [(False, plain), (True, used)]
        for wished_for, found in turns if n % 2 == 0 else reversed(turns):
            await clear(ready)
            if wished_for:
                await _wish(ready, users)
            await ready.maintain()
            found.append(
                await ring_many(ready, f"{'wished' if wished_for else 'plain'}{n}", rings, users)
            )
            for table in WISHES:
                await ready.sql(f"DELETE FROM {table} WHERE tenant_id = :t")
    await clear(ready)

    def of(found: list[dict[str, Any]], key: str) -> float:
        return statistics.median(one[key] for one in found)

    return {
        "wishes_ratio": round(of(used, "ours_us") / of(plain, "ours_us"), 3),
        "wishes_postgres_ratio": round(of(used, "postgres_us") / of(plain, "postgres_us"), 3),
        "wishes_us": of(used, "ours_us"),
        "wishes_plain_us": of(plain, "ours_us"),
    }


async def _wish(ready: Ready, users: int) -> None:
    settings = json.dumps(preferences())
    for table, statement in WISHES.items():
        given = {"users": users} | ({"settings": settings} if table == "preferences" else {})
        await ready.sql(statement, **given)
    await add_past_calls(ready, PAST_CALLS * users, users)
