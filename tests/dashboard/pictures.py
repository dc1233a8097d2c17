"""`make screenshots`: a server with a day behind it, and pictures of its pages into docs/.

With a folder as argument: every page into it, at 1440 and 390 pixels, light and dark.

Real servers and real rings; only the past day is made up, by a few statements of SQL.
"""

import asyncio
import contextlib
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

import httpx
from playwright.async_api import Browser, async_playwright
from sqlalchemy import text

from app.credentials import service as credentials
from app.credentials.parse import Upload
from app.dashboard import admins, counting
from app.infra.runtime import open_runtime
from app.tenants import service as tenants
from devkit.embedded.stack import Stack, running_stack
from tests import browser as browsers

BUNDLE = "com.example.talk"
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "screenshots"
README = {
    "overview": "overview", "call-missed": "call", "credentials": "credentials", "user": "user",
    "payload": "payload",
}  # fmt: skip
PASSWORD = "a calm password for pictures"
PAST = """
INSERT INTO calls (id, tenant_id, type, name, state, reason, caller_id, video, custom, limits,
                   created_at, active_at, ended_at, event_seq, version)
SELECT id, :tenant, 'default', 'past-' || n, 'ended',
       CASE WHEN n % 9 = 0 THEN 'missed' WHEN n % 13 = 0 THEN 'declined' ELSE 'completed' END,
       'user' || n % 40, false, '{}', '{}', at, at + interval '6 s', at + interval '70 s', 1, 1
FROM (SELECT n, at, CAST(lpad(to_hex(CAST(extract(epoch FROM at) * 1000 AS bigint)), 12, '0')
             || '7' || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 4, 15) AS uuid) AS id
      FROM (SELECT n, now() - interval '1 s' * (86400 * power(n / 2600.0, 1.15)) AS at
            FROM generate_series(1, 2600) n) a) b
"""
RINGS = """
INSERT INTO rings (uuid, session_id, tenant_id, user_id, created_at, deadline, outcome, settled_at)
SELECT id, id, tenant_id, 'bob', created_at, created_at + interval '45 s',
       CASE reason WHEN 'missed' THEN 'missed' WHEN 'declined' THEN 'declined' ELSE 'accepted' END,
       ended_at
FROM calls WHERE tenant_id = :tenant AND name LIKE 'past-%'
"""
PUSHES = """
INSERT INTO pushes (id, ring, session_id, tenant_id, user_id, device_row, token_id, purpose, kind,
                    app_id, environment, token, token_registered_at, token_version, created_at,
                    deadline, state, due_at, reason, status, sent_at, answered_at)
SELECT id, id, id, tenant_id, 'bob', gen_random_uuid(), gen_random_uuid(), 'ring',
       'voip', :bundle, 'production', repeat('ab', 32), created_at, 1, created_at,
       created_at + interval '45 s',
       CASE WHEN right(name, 2) = '77' THEN 'refused' WHEN right(name, 2) IN ('31', '62') THEN 'dropped'
            ELSE 'accepted' END, created_at,
       CASE WHEN right(name, 2) = '77' THEN 'Unregistered' END, 200, created_at,
       created_at + interval '1 ms' * (18 + 30 * -ln(random() + 0.0001))
FROM calls WHERE tenant_id = :tenant AND name LIKE 'past-%'
"""


async def furnish(stack: Stack) -> tuple[str, str, dict[str, str]]:
    """A tenant with a past, phones, a credential and three fresh calls; (tenant, key, calls)."""
    runtime = open_runtime(stack.settings)
    try:
        first = await admins.create_or_reset(runtime, "ada@example.com")
        made = await tenants.create(runtime, f"Talk {uuid4().hex[:3]}")
        certificate = stack.simulator.voip_certificate(BUNDLE)
        await credentials.add(runtime, made.id, Upload(data=certificate.pem))
        values = {"tenant": made.id, "bundle": BUNDLE}
        async with runtime.database.transaction() as session:
            for statement in (PAST, RINGS, PUSHES):
                clause = text(statement)
                names = clause.compile().params
                await session.execute(clause, {name: values[name] for name in names})
        async with runtime.database.transaction() as session:
            await session.execute(text("DELETE FROM counted_until"))
        while await counting.count_once(runtime):
            pass
        async with runtime.database.transaction() as session:
            sums = await session.execute(
                text("SELECT what, sum(count) FROM minute_counts GROUP BY 1")
            )
            counted = dict(sums.all())
        assert min(counted["ring"], counted["push"]) > 2_500, counted  # by the times in their ids
    finally:
        await runtime.close()
    calls = await _ring(stack, made.api_key)
    return str(made.id), first, calls


async def _ring(stack: Stack, key: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {key}"}
    calls = {}
    async with httpx.AsyncClient(base_url=stack.api_url, headers=headers, timeout=20) as api:
        for user, device, name in (
            ("bob", "bob-1", "Bob's iPhone"),
            ("bob", "bob-2", "Bob's old iPhone"),
            ("carol", "carol-1", "Carol's iPhone"),
        ):
            token = uuid4().hex * 2
            if device != "bob-2":
                stack.simulator.live(token, topic=f"{BUNDLE}.voip")
            else:
                stack.simulator.live(token, topic=f"{BUNDLE}.voip")
            body = {"user_id": user, "device_id": device, "name": name, "platform": "iOS 26.4"}
            body |= {"tokens": [{"kind": "voip", "token": token, "app_id": BUNDLE}]}
            (await api.post("/v1/devices", json=body)).raise_for_status()
            if device == "bob-2":
                stack.simulator.gone(token)
        alice = {"id": "alice", "name": "Alice Adams"}
        for name, callees, after in (
            ("missed", ["bob"], None),
            ("answered", ["bob", "carol"], "accept"),
        ):
            ring = {"caller": alice, "callees": callees, "video": True, "ring_time": 5}
            call = (await api.post("/v1/calls", json=ring)).raise_for_status().json()
            calls[name] = call["session_id"]
            await asyncio.sleep(1.2)
            if after:
                act = {"user_id": "carol", "device_id": "carol-1"}
                (
                    await api.post(f"/v1/calls/{call['session_id']}/{after}", json=act)
                ).raise_for_status()
                act = {"user_id": "bob", "device_id": "bob-1"}
                (
                    await api.post(f"/v1/calls/{call['session_id']}/decline", json=act)
                ).raise_for_status()
            else:
                await asyncio.sleep(5.5)
    return calls


async def sign_in(page, url: str, first: str) -> None:
    await page.goto(f"{url}/dashboard")
    await page.fill("#email", "ada@example.com")
    await page.fill("#password", first)
    await page.click("button.main")
    await page.fill("#old", first)
    await page.fill("#new", PASSWORD)
    await page.fill("#again", PASSWORD)
    await page.click("button.main")


async def take(browser: Browser, stack: Stack, folder: Path) -> None:
    tenant, first, calls = await furnish(stack)
    base = f"{stack.api_url}/dashboard"
    at = f"{base}/t/{tenant}"
    pages = {
        "overview": f"{at}?span=day", "calls": f"{at}/calls", "call-missed": f"{at}/calls/{calls['missed']}",
        "call-answered": f"{at}/calls/{calls['answered']}", "user": f"{at}/user?id=bob",
        "users": f"{at}/users", "credentials": f"{at}/credentials",
        "keys": f"{at}/settings", "times": f"{at}/settings/calls", "payload": f"{at}/settings/payload",
        "audit": f"{at}/settings/audit", "admins": f"{base}/admins", "tenants": f"{base}/tenants",
    }  # fmt: skip
    context = await browser.new_context()
    page = await context.new_page()
    await sign_in(page, stack.api_url, first)
    await page.goto(pages["credentials"])
    pages["credential"] = f"{base.removesuffix('/dashboard')}" + str(
        await page.get_attribute("td a", "href")
    )
    state = await context.storage_state()
    await context.close()
    for width, height, scheme in (
        (1440, 900, "light"),
        (1440, 900, "dark"),
        (390, 844, "light"),
        (390, 844, "dark"),
    ):
        context = await browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, storage_state=state
        )
        page = await context.new_page()
        for name, address in pages.items():
            await page.goto(address)
            file = folder / f"{name}-{width}-{scheme}.png"
            if folder != FOLDER:
                await page.screenshot(path=file, full_page=width == 390)
            elif name in README and (width, scheme) == (1440, "light"):
                await page.screenshot(path=folder / f"{README[name]}.png")
        await context.close()


async def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as parts:
        stack = await asyncio.to_thread(
            lambda: parts.enter_context(running_stack(Path(place) / "stack", lambda *_: None))
        )
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=browsers.program(), args=browsers.ARGUMENTS
            )
            await take(browser, stack, folder)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
