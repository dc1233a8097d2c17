"""The recipes: run where what they need can be had, else at least read by a parser."""

import asyncio
import contextlib
import json
import re
import shutil
import types
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django
import httpx
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from playwright.async_api import Browser, Route, expect
from standardwebhooks import Webhook

from tests.clients.packing import CLIENTS
from tests.clients.test_app_guide import faults
from tests.clients.test_python import SECRET
from tests.contract.node import environment, packages, run
from tests.e2e.house import House, Tenant, bearer, new_tenant
from tests.fences import FENCE, blocks_in

GUIDES = CLIENTS.parent / "docs" / "guides"
PAGE = (GUIDES / "recipes.md").read_text()
RECIPES = Path(__file__).with_name("recipes")
LISTEN = "app.listen(3000);"
ON_ANY_PORT = 'const open = app.listen(0, "127.0.0.1", () => console.log(open.address().port));'
API = "https://ring.example.com"
SLOW = 60_000
"""Milliseconds that end a hang."""
PARSE = """
import ts from "./typescript/node_modules/typescript/lib/typescript.js";
import { readFileSync } from "node:fs";
const options = { allowJs: true, checkJs: true, noEmit: true, noResolve: true, types: [], lib: ["lib.es2022.d.ts", "lib.dom.d.ts"],
  target: ts.ScriptTarget.ES2022, moduleDetection: ts.ModuleDetectionKind.Force };
const UNKNOWN = [2304, 2552]; // a name that nothing makes, here or in the browser
const texts = JSON.parse(readFileSync("recipes.json", "utf8"));
const host = ts.createCompilerHost(options);
const { getSourceFile, fileExists } = host;
host.fileExists = (name) => name in texts || fileExists(name);
host.getSourceFile = (name, version) =>
  name in texts ? ts.createSourceFile(name, texts[name], version, true) : getSourceFile(name, version);
const program = ts.createProgram(Object.keys(texts), options, host);
const faults = Object.keys(texts).flatMap((name) => {
  const file = program.getSourceFile(name);
  const unknown = program.getSemanticDiagnostics(file).filter((one) => UNKNOWN.includes(one.code));
  return [...program.getSyntacticDiagnostics(file), ...unknown].map(
    (one) => `${name}: ${ts.flattenDiagnosticMessageText(one.messageText, " ")}`);
});
console.log(JSON.stringify(faults));
"""


def recipes(*, run: bool = True) -> dict[str, dict[str, str]]:
    """Text by language by heading, of those of which the page says that the tests run them, or not."""
    parts = re.findall(r"^## (.+?)\n\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    said = {name: part for name, part in parts if part.startswith("Run by the tests") == run}
    return {name: dict(FENCE.findall(part)) for name, part in said.items()}


@pytest.fixture(scope="session")
def project(typescript_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with Express, React and our client's package in it."""
    folder = tmp_path_factory.mktemp("recipes")
    for path in RECIPES.iterdir():
        shutil.copy(path, folder)
    packages(RECIPES, folder)
    installed = Path("node_modules", "ringline-client")
    (folder / installed).symlink_to(typescript_project / installed)
    return folder


def env(tenant: Tenant) -> dict[str, str]:
    """What each backend is told."""
    return {
        "RINGLINE_URL": tenant.house.apis[0].url, "RINGLINE_KEY": tenant.key,
        "RINGLINE_SIGNING_SECRET": tenant.secret, "RINGLINE_KID": tenant.kid,
        "RINGLINE_WEBHOOK_SECRET": SECRET,
    }  # fmt: skip


async def rings_signs_and_hears(tenant: Tenant, web: httpx.AsyncClient) -> None:
    """What a backend is for: a phone rings, a user token is good, a webhook is the server's."""
    phone = await tenant.phone("bob")
    rung = await web.post("/ring/bob", headers={"X-User": "alice"})
    assert rung.status_code == 200, rung.text
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    assert arrival.payload["ring"]["session_id"] == rung.json()["session_id"]
    token = (await web.get("/my/ringline-token", headers={"X-User": "bob"})).text
    listed = await tenant.api.get("/v1/devices", headers=bearer(token))
    assert [one["device_id"] for one in listed.json()["devices"]] == [phone.device_id]
    at, body = datetime.now(UTC), json.dumps({"id": "evt_1", "type": "call.started", "data": {}})
    headers = {
        "Content-Type": "application/json",
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
    }
    good = {**headers, "webhook-signature": Webhook(SECRET).sign("evt_1", at, body)}
    assert (await web.post("/hooks/ringline", content=body, headers=good)).status_code == 204
    bad = {**headers, "webhook-signature": "v1,AAAA"}
    assert (await web.post("/hooks/ringline", content=body, headers=bad)).status_code == 400


def module(name: str, tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A recipe in Python, as a module."""
    for variable, value in env(tenant).items():
        monkeypatch.setenv(variable, value)
    made = types.ModuleType("recipe")
    exec(compile(recipes()[name]["python"], "recipe", "exec"), made.__dict__)
    return made


async def test_the_fastapi_recipe_runs(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = module("FastAPI", tenant, monkeypatch)
    transport = httpx.ASGITransport(recipe.app)
    async with recipe.ringline, httpx.AsyncClient(transport=transport, base_url="http://x") as web:
        await rings_signs_and_hears(tenant, web)


async def test_the_django_recipe_runs(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = module("Django", tenant, monkeypatch)
    settings.configure(ROOT_URLCONF=recipe, ALLOWED_HOSTS=["x"], LOGGING_CONFIG=None)
    django.setup()
    transport = httpx.ASGITransport(get_asgi_application())
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as web:
        with recipe.ringline:
            await rings_signs_and_hears(tenant, web)


@contextlib.asynccontextmanager
async def express(project: Path, tenant: Tenant) -> AsyncIterator[asyncio.subprocess.Process]:
    text = recipes()["Express"]["js"]
    assert text.count(LISTEN) == 1
    (project / "express.js").write_text(text.replace(LISTEN, ON_ANY_PORT))
    around = {**environment(), **env(tenant)}
    child = await asyncio.create_subprocess_exec(
        "node", "express.js", cwd=project, env=around, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield child
    finally:
        child.kill()
        await child.communicate()


async def test_the_express_recipe_runs(tenant: Tenant, project: Path) -> None:
    async with express(project, tenant) as child:
        assert child.stdout is not None
        port = int(await child.stdout.readline())
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=60) as web:
            await rings_signs_and_hears(tenant, web)
        assert await child.stdout.readline() == b"call.started\n"


def page_of_react(project: Path, url: str) -> str:
    (project / "react.tsx").write_text(recipes()["React"]["tsx"].replace(API, url))
    options = ("--bundle", "--jsx=automatic", '--define:process.env.NODE_ENV="production"')
    script = run(project, "node_modules/.bin/esbuild", "page.tsx", *options)
    return f"<!doctype html><title>Phone</title><body><script type=module>{script}</script>"


@pytest.mark.asyncio(loop_scope="session")
async def test_the_react_recipe_runs_in_a_browser(
    shared_house: House, project: Path, chromium: Browser
) -> None:
    """In a page of the server's own origin, whose backend gives Bob's token."""
    url = shared_house.apis[0].url
    page_text = await asyncio.to_thread(page_of_react, project, url)
    async with new_tenant(shared_house) as tenant, await chromium.new_context() as context:
        await tenant.phone("bob")  # which rings, too, and makes him reachable before the page is

        async def backend(route: Route) -> None:
            if route.request.url == f"{url}/recipe":
                await route.fulfill(content_type="text/html", body=page_text)
            else:
                await route.fulfill(content_type="text/plain", body=tenant.token_for("bob"))

        page = await context.new_page()
        await page.route(re.compile(r"/(recipe|my/ringline-token)$"), backend)
        await page.goto(f"{url}/recipe")
        shown = page.get_by_role("dialog")
        for button, state in (("Decline", "declined"), ("Answer", "joined")):
            call = await tenant.ring("bob", ring_time=180)
            await expect(shown).to_contain_text("alice is calling", timeout=SLOW)
            await page.get_by_role("button", name=button).click()
            await tenant.becomes(call, "bob", state)
            await expect(shown).to_have_count(0, timeout=SLOW)


def test_the_others_are_read_by_a_parser(typescript_project: Path) -> None:
    assert set(recipes()) == {"FastAPI", "Django", "Express", "React"}
    found = recipes(run=False)
    texts = {f"{name.split()[0]}.js": of["js"] for name, of in found.items() if "js" in of}
    by_hand = blocks_in((GUIDES / "web-push.md").read_text(), "js")
    texts |= {f"web-push-{number}.js": text for number, text in enumerate(by_hand)}
    (typescript_project / "parse.mjs").write_text(PARSE)
    broken = {"broken.js": "const = 1", "unmade.js": "console.log(subscription);"}
    (typescript_project / "recipes.json").write_text(json.dumps(texts | broken))
    found_there = json.loads(run(typescript_project, "node", "parse.mjs"))
    assert {one.partition(":")[0] for one in found_there} == set(broken), found_there
    assert faults(found["Flutter and React Native"]["swift"]) == []
