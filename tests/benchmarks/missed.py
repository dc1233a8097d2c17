"""Rings that nobody answers, all due at one moment: how fast one worker writes that they were missed."""

import asyncio
import time
from typing import Any

from tests.benchmarks.house import Ready

# Rung and pushed half a minute ago, the answers recorded; the end is not yet due.
RINGING = (
    """INSERT INTO calls (id, tenant_id, type, name, state, caller_id, video, custom, limits,
                           created_at, event_seq, version)
       SELECT gen_random_uuid(), :t, 'missed', 'm' || n, 'ringing', 'alice', true, '{}', '{}',
              now() - interval '46 seconds', 2, 1
       FROM generate_series(1, CAST(:count AS integer)) n""",
    """INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline)
       SELECT gen_random_uuid(), id, :t, 'u' || substr(name, 2), created_at,
              created_at + interval '45 seconds'
       FROM calls WHERE tenant_id = :t AND type = 'missed'""",
    """INSERT INTO members (session_id, user_id, tenant_id, role, state, device_id, monitored, ring,
                            joined_at, seen_at)
       SELECT session_id, user_id, :t, 'callee', 'ringing', NULL, false, uuid, NULL, NULL
       FROM rings WHERE tenant_id = :t
       UNION ALL
       SELECT id, 'alice', :t, 'caller', 'joined', 'server', false, NULL, created_at, created_at
       FROM calls WHERE tenant_id = :t AND type = 'missed'""",
    """INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose,
                           kind, app_id, environment, token, token_registered_at, token_version,
                           created_at, deadline, state, is_open, due_at, fence, attempts,
                           status)
       SELECT gen_random_uuid(), r.uuid, r.session_id, :t, t.user_id, t.device_row, t.id, 'ring',
              t.kind, t.app_id, t.environment, t.token, t.registered_at, 1, r.created_at,
              r.deadline, 'accepted', false, r.created_at, 1, 1, 200
       FROM rings r JOIN tokens t ON t.tenant_id = r.tenant_id AND t.user_id = r.user_id
       WHERE r.tenant_id = :t""",
)
DUE = "UPDATE calls SET due_at = created_at + interval '45 seconds' WHERE tenant_id = :t"
LEFT = """SELECT EXISTS (SELECT FROM calls WHERE due_at IS NOT NULL),
    EXISTS (SELECT FROM calls WHERE tenant_id = :t AND ended_at IS NOT NULL)"""
STATES = "SELECT state, reason, count(*) FROM calls WHERE tenant_id = :t GROUP BY state, reason"


async def missed_ends(ready: Ready, count: int) -> dict[str, Any]:
    """So many calls of users `u1` and on end at once; by the second, and CPU of each.

    From the commit that makes them due, so up to a second of waiting for the sweep's turn is in it;
    `missed_written_a_second` is without that: from when the first are seen to have ended.
    """
    house = ready.house
    for statement in RINGING:
        await ready.sql(statement, **({"count": count} if ":count" in statement else {}))
    await ready.maintain()
    before = house.worker.cpu(), house.postgres.cpu()
    await ready.sql(DUE)
    begun = first = time.monotonic()
    while (left := await ready.sql(LEFT)) != [(False, True)]:
        assert time.monotonic() < begun + 120, "calls are still due after 120 s"
        if left == [(True, False)]:
            first = time.monotonic()
        await asyncio.sleep(0.02)
    end = time.monotonic()
    worker, postgres = house.worker.cpu() - before[0], house.postgres.cpu() - before[1]
    assert await ready.sql(STATES) == [("ended", "missed", count)], await ready.sql(STATES)
    return {
        "missed_a_second": round(count / (end - begun)),
        "missed_written_a_second": round(count / (end - first)),
        "missed_worker_us": round(worker / count * 1e6, 1),
        "missed_postgres_us": round(postgres / count * 1e6, 1),
    }
