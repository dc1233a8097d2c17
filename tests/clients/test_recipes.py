"""The recipes: run where what they need is here, else at least read by a parser."""

import ast
import json
import re
import types
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from tests.clients.readme import CLIENTS
from tests.clients.test_python import SECRET
from tests.contract.node import run
from tests.e2e.house import Tenant, bearer

PAGE = (CLIENTS.parent / "docs" / "guides" / "recipes.md").read_text()
WEB_PUSH = CLIENTS.parent / "docs" / "guides" / "web-push.md"
RECIPE = re.compile(r"^## (.+?)$.*?^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PARSE = """
import ts from "./typescript/node_modules/typescript/lib/typescript.js";
import { readFileSync } from "node:fs";
const options = { reportDiagnostics: true, compilerOptions: { jsx: "preserve", target: "es2022" } };
const faults = Object.entries(JSON.parse(readFileSync("recipes.json", "utf8"))).flatMap(([fileName, text]) =>
  ts.transpileModule(text, { ...options, fileName }).diagnostics.map((one) => `${fileName}: ${one.messageText}`),
);
console.log(JSON.stringify(faults));
"""


def recipes() -> dict[str, tuple[str, str]]:
    """Language and text by heading."""
    parts = re.split(r"^(?=## )", PAGE, flags=re.MULTILINE)
    found = [match for part in parts if (match := RECIPE.match(part))]
    return {match[1]: (match[2], match[3]) for match in found}


async def test_the_fastapi_recipe_runs(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    phone = await tenant.phone("bob")
    for name, value in {
        "RINGLINE_URL": tenant.house.apis[0].url, "RINGLINE_KEY": tenant.key,
        "RINGLINE_SIGNING_SECRET": tenant.secret, "RINGLINE_KID": tenant.kid,
        "RINGLINE_WEBHOOK_SECRET": SECRET,
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    recipe = types.ModuleType("recipe")
    exec(compile(recipes()["FastAPI"][1], "recipe", "exec"), recipe.__dict__)
    transport = httpx.ASGITransport(recipe.app)
    async with recipe.ringline, httpx.AsyncClient(transport=transport, base_url="http://x") as web:
        rung = await web.post("/ring/bob", headers={"X-User": "alice"})
        assert rung.status_code == 200, rung.text
        (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
        assert arrival.payload["ring"]["session_id"] == rung.json()["session_id"]
        token = (await web.get("/my/ringline-token", headers={"X-User": "bob"})).text
        listed = await tenant.api.get("/v1/devices", headers=bearer(token))
        assert [one["device_id"] for one in listed.json()["devices"]] == [phone.device_id]
        at, body = (
            datetime.now(UTC),
            json.dumps({"id": "evt_1", "type": "call.started", "data": {}}),
        )
        headers = {"webhook-id": "evt_1", "webhook-timestamp": str(int(at.timestamp()))}
        good = {**headers, "webhook-signature": Webhook(SECRET).sign("evt_1", at, body)}
        assert (await web.post("/hooks/ringline", content=body, headers=good)).status_code == 204
        bad = {**headers, "webhook-signature": "v1,AAAA"}
        assert (await web.post("/hooks/ringline", content=body, headers=bad)).status_code == 400


def test_the_others_are_read_by_a_parser(typescript_project: Path) -> None:
    texts: dict[str, str] = {}
    for name, (language, text) in recipes().items():
        if language == "python":
            ast.parse(text)
        else:
            texts[f"{name.split()[0]}.{language}"] = text
    assert set(texts) == {"Express.js", "React.tsx", "A.js"}
    by_hand = re.findall(r"^```js\n(.*?)^```$", WEB_PUSH.read_text(), re.DOTALL | re.MULTILINE)
    texts |= {f"web-push-{number}.js": text for number, text in enumerate(by_hand)}
    (typescript_project / "parse.mjs").write_text(PARSE)
    for added in ({}, {"broken.js": "const = 1"}):
        (typescript_project / "recipes.json").write_text(json.dumps({**texts, **added}))
        faults = json.loads(run(typescript_project, "node", "parse.mjs"))
        assert bool(faults) == bool(added), faults
