"""The line on top of each page: what is wrong with the server, and what to do about it."""

import asyncio
import contextlib
import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import httpx
import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import event, text

from app import doctor
from app.audit.log import SERVER
from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.dashboard import standing
from app.dashboard.routes_runbook import PAGES
from app.dashboard.standing import Standings, Trouble
from app.infra.ids import uuid7
from app.infra.runtime import open_runtime
from app.infra.settings import Settings
from app.push import worker_store
from app.webhooks import service as webhooks
from devkit.embedded import running_valkey
from devkit.simulator import Simulator
from devkit.simulator.certificates import Authority
from devkit.simulator.push_certificates import voip
from tests.apps import app_of
from tests.dashboard.conftest import BUNDLE, Site
from tests.e2e.house import eventually
from tests.infra.silence import proxy_before
from tests.operating.rules import alarms

NO_WORKER = "No worker is alive"
WELL = "All is well: PostgreSQL and Redis answer, 1 worker pushes"


async def a_worker(site: Site, only: str | None = None) -> None:
    async with site.runtime.database.transaction() as session:
        await worker_store.enter_worker(session, uuid7(), host="here", pid=1, only=only, lease=600)


async def line(client: httpx.AsyncClient, path: str = "/dashboard/tenants") -> str:
    """What the line of a page says, in words."""
    page = (await client.get(path)).text
    found = re.search(r'<section class="standing".*?</section>', page, re.DOTALL)
    assert found is not None, page
    return " ".join(re.sub(r"<[^>]+>", "", found[0]).split())


async def says(client: httpx.AsyncClient, wanted: str) -> str:
    """The line, once it says so: a look counts for a second."""
    found = ""

    async def there() -> bool:
        nonlocal found
        found = await line(client)
        return wanted in found

    await eventually(there)
    return found


async def test_every_page_says_that_no_worker_lives_and_where_to_read_on(
    site: Site, tenant
) -> None:
    owner = await site.admin()
    here = f"/dashboard/t/{tenant}"
    for path in (
        "/dashboard/tenants", "/dashboard/admins", "/dashboard/me", "/dashboard/password", here,
        f"{here}/calls", f"{here}/users", f"{here}/credentials", f"{here}/settings/calls",
        f"{here}/settings/webhooks", f"{here}/nowhere",
    ):  # fmt: skip
        assert NO_WORKER in await line(owner, path), path
    page = (await owner.get("/dashboard/tenants")).text
    assert 'href="/dashboard/runbook/RinglineNoWorker"' in page
    assert "<code>ringline worker</code>" in page
    await a_worker(site)
    assert WELL in await says(owner, "All is well")


async def test_who_has_not_signed_in_reads_what_readyz_tells_and_no_more(
    site: Site, tenant: UUID, simulator: Simulator
) -> None:
    authority = Authority.open(simulator.ca_file.parent)
    made = voip(authority, BUNDLE, not_after=datetime.now(UTC) + timedelta(days=3, hours=1))
    await credentials.add(site.runtime, tenant, Upload(data=made.pem))
    visitor = await site.visitor()
    found = await line(visitor, "/dashboard/sign-in")
    assert NO_WORKER in found
    assert "acme" not in found
    owner = await site.admin()
    found = await says(owner, "Ends in 3 days")
    assert f"the certificate for {BUNDLE} (acme)" in found


async def test_a_credential_that_is_refused_is_named(site: Site, tenant, simulator) -> None:
    row = await credentials.add(
        site.runtime, tenant, Upload(data=simulator.voip_certificate(BUNDLE).pem)
    )
    await a_worker(site)
    owner = await site.admin()
    assert WELL in await says(owner, "All is well")
    async with site.runtime.database.transaction() as session:
        await session.execute(
            text("UPDATE credentials SET trouble = 'BadCertificate' WHERE id = :id"), {"id": row.id}
        )
    found = await says(owner, "Refused or expired")
    assert f"the certificate for {BUNDLE} (acme)" in found


async def test_webhooks_that_wait_or_have_no_worker_are_told(site: Site, tenant) -> None:
    await a_worker(site, only="pushes")
    owner = await site.admin()
    hook, _ = await webhooks.create(
        site.runtime, tenant, "https://hooks.example.com/a", ["*"], "", SERVER
    )
    assert "No worker sends webhooks" in await says(owner, "webhooks")
    await a_worker(site)
    assert "2 workers push" in await says(owner, "All is well")
    async with site.runtime.database.transaction() as session:
        await session.execute(
            text("""
                INSERT INTO deliveries (webhook_id, event_id, tenant_id, type, created_at, due_at)
                VALUES (:webhook, 'one', :tenant, 'call.started', now(), now() - interval '3 min')
            """),
            {"webhook": hook.id, "tenant": tenant},
        )
    assert "A webhook is behind, by 3 min" in await says(owner, "A webhook")


async def test_redis_that_is_away_is_told_and_pages_are_quick(
    settings: Settings, site: Site
) -> None:
    await a_worker(site)
    away = open_runtime(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    standings = Standings(away)
    try:

        async def known() -> tuple[standing.Trouble, ...]:  # by a busy machine not so soon
            return (await standings.soon()).troubles

        assert await eventually(known) == (standing.REDIS,)
    finally:
        await standings.close()
        await away.close()


async def test_a_silent_database_holds_no_page_up_for_long_and_is_then_told(
    settings: Settings, database: str
) -> None:
    with proxy_before(database) as proxy:
        runtime = open_runtime(settings.model_copy(update={"database_url": proxy.url}))
        standings = Standings(runtime)
        try:

            async def looked() -> bool:
                return (await standings.soon()).workers == 0

            await eventually(looked)
            await asyncio.sleep(standing.TRUE_FOR)

            not_waited_for = 0

            async def told() -> bool:
                nonlocal not_waited_for
                proxy.go_silent()
                found = await standings.soon()
                not_waited_for += standings._looking is not None
                return standing.DATABASE in found.troubles

            await eventually(told)
            assert not_waited_for
        finally:
            await standings.close()
            await runtime.close()


async def test_many_pages_cost_one_look(site: Site) -> None:
    owner = await site.admin()
    await says(owner, NO_WORKER)
    statements: list[str] = []
    engine = site.app.state.runtime.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(str(given[2])))
    await asyncio.sleep(standing.TRUE_FOR)
    begun = time.monotonic()
    await asyncio.gather(*(owner.get("/dashboard/tenants") for _ in range(20)))
    looks = sum("w.failures = 0" in one for one in statements)
    assert 1 <= looks <= 1 + (time.monotonic() - begun) / standing.TRUE_FOR


async def test_with_the_database_away_the_runbook_is_read_all_the_same(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/nothing"})
    app = app_of(nowhere)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as one:
            index = await one.get("/dashboard/runbook")
            page = await one.get("/dashboard/runbook/RinglineDatabaseAway")
            none = await one.get("/dashboard/runbook/README")
            locked_out = await one.get("/dashboard/tenants", headers={"Cookie": "ringline_admin=x"})
    assert [one.status_code for one in (index, page, none, locked_out)] == [200, 200, 404, 503]
    assert "max_connections" in page.text
    for alarm in alarms():
        assert f'href="/dashboard/runbook/{alarm}"' in index.text
    for answer in (page, locked_out):
        assert "PostgreSQL does not answer" in answer.text
        assert 'href="/dashboard/runbook/RinglineDatabaseAway"' in answer.text


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(3.25, "3.2 s ahead of"), (-90.0, "1 min 30 s behind"), (1.9, None), (-1.9, None)],
)
def test_a_clock_that_is_off_is_told(seconds: float, said: str | None) -> None:
    found = standing._skew(seconds)
    assert [one.page for one in found] == (["RinglineClockSkew"] if said else [])
    assert said is None or said in found[0].sentence


def test_every_trouble_leads_to_a_page_that_there_is() -> None:
    named = set(re.findall(r'"(Ringline\w+)"', Path(standing.__file__).read_text()))
    assert len(named) >= 7
    assert named <= set(PAGES)


def test_many_names_are_counted() -> None:
    rows = [(f"tenant {n}", timedelta(minutes=n)) for n in range(2, 9)]
    (found,) = standing.of_webhooks(rows)
    assert found == Trouble(
        "7 webhooks are behind, by 8 min: tenant 2, tenant 3, tenant 4 and 4 more.",
        "RinglineWebhooksWait",
        serious=False,
    )


async def test_a_full_redis_answers_and_does_not_serve(settings: Settings, site: Site) -> None:
    with running_valkey(options={"maxmemory": "1mb", "maxmemory-policy": "noeviction"}) as valkey:
        full = settings.model_copy(update={"redis_url": valkey.url})
        runtime = open_runtime(full)
        standings = Standings(runtime)
        try:
            with contextlib.suppress(RedisError):
                for number in range(4_000):
                    await runtime.redis.set(f"of another {number}", b"x" * 1_000)
            assert await runtime.redis.ping()
            await both_tell(standings, full, "used memory", "make room")
        finally:
            await standings.close()
            await runtime.close()


async def test_a_cluster_answers_and_does_not_serve(settings: Settings, site: Site) -> None:
    """Of Celery's messages each is about keys of several of its nodes."""
    with running_valkey(options={"cluster-enabled": "yes", "databases": "1"}) as valkey:
        of_one = settings.model_copy(update={"redis_url": valkey.url})
        runtime = open_runtime(of_one)
        standings = Standings(runtime)
        try:
            await runtime.redis.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16_383)
            while not await takes_writes(runtime.redis):
                await asyncio.sleep(0.05)
            await both_tell(standings, of_one, "cluster", "sentinels")
        finally:
            await standings.close()
            await runtime.close()


async def takes_writes(client: Redis) -> bool:
    """Whether a node knows by now that all slots are served."""
    try:
        return bool(await client.set("of nobody", b"1"))
    except ResponseError:
        return False


async def both_tell(standings: Standings, settings: Settings, found: str, mend: str) -> None:
    """The dashboard says that Redis does not serve, and the doctor why, and what to do."""
    assert standing.REDIS in (await standings.soon()).troubles
    told = await doctor._redis(settings)
    assert (told.ok, told.serious) == (False, True)
    assert found in told.found
    assert mend in told.mend
