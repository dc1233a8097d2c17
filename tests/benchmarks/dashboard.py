"""How long the dashboard's pages take with 1,000,000 pushes and 100,000 calls in the database.

`python -m tests.benchmarks.dashboard [PUSHES] [CALLS]`: makes the rows by a few statements, lets
the counting catch up, then asks for each page of a real API process, and fails beyond the limits.
"""

import asyncio
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

import httpx
from sqlalchemy import text

from app.dashboard import admins, counting
from app.infra import schema
from app.infra.runtime import Runtime
from app.tenants import service as tenants
from devkit.embedded import running_postgres, running_valkey
from devkit.simulator import Simulator
from tests.dashboard.conftest import PASSWORD, post, sign_in
from tests.e2e.house import House, running_house

OVERVIEW_LIMIT, LIST_LIMIT = 0.200, 0.100
ROUNDS = 25
UUID7 = """CAST(lpad(to_hex(CAST(extract(epoch FROM {at}) * 1000 AS bigint)), 12, '0') || '7'
    || substr(md5({n}::text), 1, 3) || '8' || substr(md5({n}::text), 4, 15) AS uuid)"""
CALLS = f"""
INSERT INTO calls (id, tenant_id, type, name, state, reason, caller_id, video, custom, limits,
                   created_at, active_at, ended_at, event_seq, version)
SELECT {UUID7.format(at="at", n="n")}, :tenant, 'default', 'call-' || n, 'ended',
       CASE WHEN n % 5 = 0 THEN 'missed' WHEN n % 1000 = 1 THEN 'failed' ELSE 'completed' END,
       'user' || n % 5000, false, '{{}}', '{{}}', at, at, at + interval '60 s', 1, 1
FROM (SELECT n, now() - interval '1 s' * 604800 * n / :calls AS at
      FROM generate_series(1, :calls) n) a
"""
MEMBERS = """
INSERT INTO members (session_id, user_id, tenant_id, role, state, monitored)
SELECT c.id, CASE k WHEN 0 THEN caller_id ELSE 'callee' || (abs(hashtext(name)) + k) % 5000 END,
       tenant_id, CASE k WHEN 0 THEN 'caller' ELSE 'callee' END, 'left', false
FROM calls c CROSS JOIN generate_series(0, 2) k
"""
RINGS = """
INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline, outcome, settled_at)
SELECT id, id, tenant_id, caller_id, created_at, created_at + interval '45 s',
       CASE reason WHEN 'completed' THEN 'accepted' ELSE 'missed' END, ended_at FROM calls
"""
PUSHES = """
INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose, kind,
                    app_id, environment, token, token_registered_at, token_version, created_at,
                    deadline, state, due_at, status, sent_at, answered_at)
SELECT gen_random_uuid(), c.id, c.id, tenant_id, caller_id, gen_random_uuid(), gen_random_uuid(),
       'ring', 'voip', 'com.example.app', 'production', repeat('ab', 32), created_at, 1, created_at,
       created_at + interval '45 s', CASE WHEN k = 1 AND reason = 'missed' THEN 'refused' ELSE
       'accepted' END, created_at, 200, created_at,
       created_at + interval '1 ms' * (20 + abs(hashtext(name || k)) % 90)
FROM calls c CROSS JOIN generate_series(1, :each) k
"""
USERS = """
INSERT INTO users (tenant_id, id) SELECT :tenant, 'user' || n FROM generate_series(0, 99999) n
"""


async def fill(runtime: Runtime, pushes: int, calls: int) -> str:
    """A tenant with so many pushes and calls over the past week."""
    tenant = (await tenants.create(runtime, "large")).id
    values = {"tenant": tenant, "calls": calls, "each": max(1, pushes // calls)}
    for statement in (CALLS, MEMBERS, RINGS, PUSHES, USERS):
        clause = text(statement)
        names = clause.compile().params
        async with runtime.database.transaction() as session:
            await session.execute(clause, {name: values[name] for name in names})
    async with runtime.database.engine.connect() as connection:
        plain = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await plain.execute(text("VACUUM ANALYZE"))
    return str(tenant)


async def measure(house: House, pushes: int, calls: int) -> bool:
    """Print what each page takes; False when one is beyond its limit."""
    async with house.runtime() as runtime:
        begun = time.monotonic()
        tenant = await fill(runtime, pushes, calls)
        print(f"{pushes:,} pushes and {calls:,} calls made in {time.monotonic() - begun:.0f} s")
        begun = time.monotonic()
        while await counting.count_once(runtime):
            pass
        print(f"counted in {time.monotonic() - begun:.1f} s, by half hours")
        first = await admins.create(runtime, f"{secrets.token_hex(3)}@example.com")
        email = (await admins.every(runtime))[0]["email"]
    house.start(apis=1)
    good = True
    async with httpx.AsyncClient(base_url=house.apis[0].url, timeout=60) as client:
        await sign_in(client, email, first)
        await post(client, "/dashboard/password", old=first, new=PASSWORD, again=PASSWORD)
        for path, limit in (
            ("", OVERVIEW_LIMIT), ("?span=day", OVERVIEW_LIMIT), ("?span=week", OVERVIEW_LIMIT),
            ("/calls", LIST_LIMIT), ("/calls?state=missed", LIST_LIMIT),
            ("/calls?state=failed", LIST_LIMIT), ("/calls?state=live", LIST_LIMIT),
            ("/calls?user=user77", LIST_LIMIT), ("/users", LIST_LIMIT),
            ("/users?q=user999", LIST_LIMIT), ("/users?q=abab", LIST_LIMIT),
            ("/settings/audit", LIST_LIMIT),
        ):  # fmt: skip
            good &= await _time(client, f"/dashboard/t/{tenant}{path}", path, limit)
    return good


async def _time(client: httpx.AsyncClient, address: str, name: str, limit: float) -> bool:
    times = []
    for _ in range(ROUNDS):
        begun = time.monotonic()
        answer = await client.get(address)
        times.append(time.monotonic() - begun)
        assert answer.status_code == 200, answer.status_code
    times.sort()
    median, slow = statistics.median(times), times[int(len(times) * 0.95)]
    print(f"{name or 'overview':<24} median {median * 1000:6.1f} ms   p95 {slow * 1000:6.1f} ms"
          f"   limit {limit * 1000:.0f} ms")  # fmt: skip
    return median <= limit


def main() -> None:
    pushes = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    calls = int(sys.argv[2]) if len(sys.argv) > 2 else 100_000
    with (
        tempfile.TemporaryDirectory() as folder,
        running_postgres() as postgres,
        running_valkey() as valkey,
        Simulator.running() as simulator,
        running_house(
            postgres.url, valkey.url, simulator, Path(folder), apis=0, workers=0
        ) as house,
    ):
        schema.upgrade(postgres.url)
        good = asyncio.run(measure(house, pushes, calls))
    sys.exit(0 if good else "a page is beyond its limit")


if __name__ == "__main__":
    main()
