"""The TypeScript client: what is in its package, and what it does with a real server."""

import asyncio
import gzip
import json
import re
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from tests.clients.cable import Cable
from tests.clients.packing import LAB, browsers_part
from tests.clients.readme import CLIENTS, first_example
from tests.clients.test_python import SECRET
from tests.contract.node import of_the_wheel, run
from tests.e2e.house import Tenant
from tests.serving import serving

HERE = Path(__file__).resolve().parent
MOST = 12_000
"""Bytes of the browser's part with gzip."""
USE = """
import { RinglinePhone, type IncomingRing } from "ringline-client/browser";
import { Ringline, type StreamEvent, type Call } from "ringline-client";
declare const show: (ring: IncomingRing, more: object) => void, hide: (ring: IncomingRing) => void;
declare const maybe: string | undefined;
const server = new Ringline({ url: "x", credential: "y", timeout: undefined });
const callees = ["bob", { id: "carol", name: maybe }];
void server.ring({ caller: { id: "alice", name: maybe }, callees, title: maybe }, { idempotencyKey: maybe });
void server.events({ userId: maybe, lastEventId: undefined, signal: undefined });
void server.listDevices({ user_id: "bob" });
"""


def modules() -> set[str]:
    return {path.stem for path in (CLIENTS / "typescript" / "src").glob("*.ts")}


def test_the_package_holds_what_was_built_and_nothing_else(typescript_project: Path) -> None:
    installed = typescript_project / "node_modules" / "ringline-client"
    found = {str(path.relative_to(installed)) for path in installed.rglob("*") if path.is_file()}
    built = {f"dist/{name}{end}" for name in modules() for end in (".js", ".d.ts")}
    assert found == built | {"package.json", "README.md", "LICENSE", "worker/worker.js"}
    assert not json.loads((installed / "package.json").read_text()).get("dependencies")


def test_the_browsers_part_is_small(typescript_project: Path) -> None:
    found = browsers_part(typescript_project / "node_modules" / "ringline-client" / "dist")
    assert "operations.js" not in found
    assert len(gzip.compress(found.pop("worker.js").encode())) <= MOST / 6  # of a file of its own
    # in an order of its own: how small they are together depends on it
    together = "".join(found[name] for name in sorted(found))
    assert len(gzip.compress(together.encode())) <= MOST


def test_the_labs_web_phone_is_made_of_this_client(typescript_project: Path) -> None:
    """`make clients` compiles it into the lab; the page itself has forty lines."""
    dist = typescript_project / "node_modules" / "ringline-client" / "dist"
    assert {path.name: path.read_text() for path in LAB.glob("*.js")} == browsers_part(dist)
    assert len((LAB.parent / "web_phone.js").read_text().splitlines()) <= 40


def test_its_types_hold_in_a_strict_project(typescript_project: Path) -> None:
    """The README's page of a phone, compiled by who installs the package."""
    examples = re.findall(
        r"^```ts\n(.*?)^```$",
        (CLIENTS / "typescript/README.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    (typescript_project / "use.ts").write_text(USE + examples[1].split("\n", 1)[1])
    tsc = str(typescript_project / "typescript" / "node_modules" / ".bin" / "tsc")
    options = (
        "--strict",
        "--exactOptionalPropertyTypes",
        "--noUncheckedIndexedAccess",
        "--noEmit",
        "--module",
        "nodenext",
        "--target",
        "es2022",
        "--skipDefaultLibCheck",
    )
    (typescript_project / "package.json").write_text('{"type": "module"}')
    run(typescript_project, tsc, *options, "--lib", "es2022,dom,dom.iterable", "use.ts")
    worker = typescript_project / "node_modules" / "ringline-client" / "worker" / "worker.js"
    # a script and no module: not every browser takes modules as workers
    (typescript_project / "worker.cjs").write_text(worker.read_text())
    run(typescript_project, "node", "--check", "worker.cjs")


async def test_the_readmes_first_example_rings(tenant: Tenant, typescript_project: Path) -> None:
    phone = await tenant.phone("bob")
    (typescript_project / "ring.mjs").write_text(first_example("typescript"))
    env = {"RINGLINE_URL": tenant.house.apis[0].url, "RINGLINE_KEY": tenant.key}
    said = run(typescript_project, "node", "ring.mjs", **env)
    assert said.endswith(" is ringing\n")
    (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
    assert arrival.payload["ring"]["cid"] == said.split()[0]


async def test_a_day_of_a_server(tenant: Tenant, typescript_project: Path) -> None:
    """Operations, errors, pages, an answer that was lost, tokens, webhooks."""
    at, body = datetime.now(UTC), json.dumps({"id": "evt_1", "type": "call.started", "more": "ü"})
    headers = {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": f"v1,AAAA {Webhook(SECRET).sign('evt_1', at, body)}",
    }
    hook = {"body": body, "headers": headers, "secret": SECRET}
    (typescript_project / "day.mjs").write_text((HERE / "day.mjs").read_text())
    async with Cable(tenant.house.apis[0].url).laid() as cable:
        cable.swallow = 1
        env = {
            "API": tenant.house.apis[1].url, "KEY": tenant.key, "CABLE": cable.url,
            "SECRET": tenant.secret, "KID": tenant.kid, "HOOK": json.dumps(hook),
        }  # fmt: skip
        said = await asyncio.to_thread(run, typescript_project, "node", "day.mjs", **env)
        assert cable.connections == 2
    seen = json.loads(said)
    rows = await tenant.rows("SELECT id FROM calls WHERE tenant_id = :tenant AND state = 'ringing'")
    assert [str(row["id"]) for row in rows] == [seen.pop("once")]
    actions = seen.pop("actions")
    assert (actions.count("webhook.create"), actions.count("webhook.remove")) == (1, 1)
    assert seen == {
        "device": "d/1", "states": ["ringing", "active", "ended"],
        "gone": [True, "Gone", "ended_by_server"], "invalid": [True, 2],
        "wrong": [True, "invalid_api_key"], "devices": [], "given": 2, "skewed": False,
        "event": "call.started", "refused": ["WebhookRefused"] * 6,
    }  # fmt: skip


CUT = """
import { Ringline, Unreachable } from "ringline-client";

const ringline = new Ringline({ url: process.env.API, credential: "rl_sk_x" });
const read = await ringline.readCall("default:abc");
const posted = await ringline.createWebhook({ url: "https://example.com/", events: ["*"] }).catch((error) => error);
console.log(JSON.stringify([read, posted instanceof Unreachable]));
"""


async def test_an_answer_that_breaks_off_has_not_come(typescript_project: Path) -> None:
    """It is asked for again where that does no harm, and is `Unreachable` where it may not be."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).split(b" HTTP/")[0])
        whole = heads.count(heads[-1]) == 2
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n")
        writer.write(b"Content-Length: 15\r\n\r\n" + (b'{"cid": "a:bc"}' if whole else b'{"cid"'))
        writer.close()

    async with serving(answer) as port:
        (typescript_project / "cut.mjs").write_text(CUT)
        api = f"http://127.0.0.1:{port}"
        said = await asyncio.to_thread(run, typescript_project, "node", "cut.mjs", API=api)
    assert json.loads(said) == [{"cid": "a:bc"}, True]
    assert heads == [b"GET /v1/calls/default:abc"] * 2 + [b"POST /v1/webhooks"]


def test_the_wheels_npm_runs(tmp_path: Path) -> None:
    """For machines without Node."""
    assert run(tmp_path, "npm", "--version", PATH=of_the_wheel()["PATH"])[0].isdigit()
