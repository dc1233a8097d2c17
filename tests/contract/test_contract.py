"""The OpenAPI is one that strangers' tools read: validators, a linter, generators of clients."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from app.core.payload import sample_facts, web_payload
from app.webpush.base64url import encoded
from app.webpush.encryption import sealed
from clients.generator.document import openapi
from devkit.simulator.webpush.subscriber import Subscriber
from tests.contract.node import PYTHON, run, tools
from tests.e2e.house import Tenant

USE = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from ringline_generated import AuthenticatedClient
from ringline_generated.api.calls import accept_call, read_call, ring
from ringline_generated.api.devices import register_device
from ringline_generated.models import ActIn, CallerIn, DeviceIn, RingIn, TokenIn

client = AuthenticatedClient(base_url=os.environ["API"], token=os.environ["KEY"])
token = TokenIn(kind="voip", token="ef" * 32, app_id="com.example.app")
device = register_device.sync(client=client, body=DeviceIn(user_id="bob", device_id="py", tokens=[token]))
rung = ring.sync(client=client, body=RingIn(caller=CallerIn(id="alice"), callees=["bob"], video=True))
act = ActIn(user_id="bob", device_id="py")
accepted = accept_call.sync(rung.session_id, client=client, body=act)
read = read_call.sync(rung.session_id, client=client)
print(json.dumps({
    "device": device.device_id, "member_token": accepted.member_token[:6], "state": read.state,
    "members": [[one.user_id, one.state] for one in read.members],
}))
"""


@pytest.fixture(scope="session")
def document() -> dict[str, Any]:
    return openapi()


@pytest.fixture(scope="session")
def npm(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> Path:
    folder = tools(tmp_path_factory.mktemp("contract"))
    (folder / "openapi.json").write_text(json.dumps(document))
    return folder


def expected(device: str) -> dict[str, Any]:
    members = [["alice", "joined"], ["bob", "joined"]]
    return {"device": device, "member_token": "rl_mt_", "state": "active", "members": members}


def test_it_is_a_valid_openapi_document(document: dict[str, Any]) -> None:
    validate(document)


def test_each_operation_has_a_name_a_tag_and_a_model(document: dict[str, Any]) -> None:
    names = []
    for path, operations in document["paths"].items():
        for operation in operations.values():
            names.append(operation["operationId"])
            assert len(operation["tags"]) == 1, path
            good = next(one for code, one in operation["responses"].items() if code[0] == "2")
            for content in good.get("content", {}).values():
                assert (
                    content["schema"].get("$ref")
                    or content["schema"].get("anyOf")
                    or (content["schema"] == {"type": "string"})
                ), path
    assert len(set(names)) == len(names) > 40


def unbounded(schema: Any, place: str) -> list[str]:
    """Where a schema leaves open how long, how many, how large, or what it is."""
    found = []
    for name, part in schema.get("properties", {}).items():
        if not (part.get("description") or "$ref" in part):
            found.append(f"{place}.{name}: no description")
        found += unbounded(part, f"{place}.{name}")
    for word in ("anyOf", "oneOf", "allOf"):
        found += [one for part in schema.get(word, ()) for one in unbounded(part, place)]
    bounds = {
        "string": ({"maxLength"}, {"enum"}, {"const"}, {"format"}),
        "array": ({"maxItems"},),
        "integer": ({"minimum", "maximum"}, {"enum"}),
        "number": ({"minimum", "maximum"},),
        "object": ({"properties"}, {"maxProperties"}),
    }.get(schema.get("type"), (set(),))
    if not any(wanted <= schema.keys() for wanted in bounds):
        found.append(f"{place}: {schema['type']} without a bound")
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        found += unbounded(inner, f"{place}[]") if isinstance(inner, dict) else []
    return found


def test_every_field_has_a_bound_and_a_description(document: dict[str, Any]) -> None:
    found = []
    for name, schema in document["components"]["schemas"].items():
        found += unbounded(schema, name)
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for one in operation.get("parameters", ()):
                place = f"{method} {path} {one['name']}"
                found += unbounded(one["schema"], place)
                assert one["description"], place
    assert found == []


def test_every_model_has_an_example_that_it_holds_for(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        example = schema.get("example") or schema["examples"][0]
        whole = document | {"$ref": f"#/components/schemas/{name}"}
        assert list(Draft202012Validator(whole).iter_errors(example)) == [], name


def test_the_strictest_linter_finds_nothing(npm: Path) -> None:
    command = (
        "node_modules/.bin/redocly",
        "lint",
        "--extends",
        "recommended-strict",
        "openapi.json",
    )
    run(npm, *command, REDOCLY_TELEMETRY="off", REDOCLY_SUPPRESS_UPDATE_NOTICE="true")


async def test_a_generated_python_client_rings(
    tenant: Tenant, document: dict[str, Any], tmp_path: Path
) -> None:
    source = tmp_path / "openapi.json"
    source.write_text(json.dumps(document))
    made = tmp_path / "ringline_generated"
    said = run(
        tmp_path, PYTHON, "-m", "openapi_python_client", "generate", "--path", str(source),
        "--output-path", str(made), "--meta", "none",
    )  # fmt: skip
    assert "WARNING" not in said.upper()
    env = {"API": tenant.house.apis[0].url, "KEY": tenant.key}
    assert json.loads(run(tmp_path, PYTHON, "-c", USE, str(tmp_path), **env)) == expected("py")


async def test_a_generated_typescript_client_rings(tenant: Tenant, npm: Path) -> None:
    run(
        npm, "node_modules/.bin/openapi-ts", "--input", "openapi.json", "--output", "client",
        "--plugins", "@hey-api/client-fetch", "@hey-api/sdk", "@hey-api/typescript",
    )  # fmt: skip
    run(npm, "node_modules/.bin/tsc", "-p", ".")
    env = {"API": tenant.house.apis[0].url, "KEY": tenant.key}
    assert json.loads(run(npm, "node", "out/use.js", **env)) == expected("ts")


OPEN = """
import crypto from "node:crypto";
import ece from "http_ece";
const [body, key, auth] = process.argv.slice(1).map((one) => Buffer.from(one, "base64url"));
const privateKey = crypto.createECDH("prime256v1");
privateKey.setPrivateKey(key);
const opened = ece.decrypt(body, { version: "aes128gcm", privateKey, authSecret: auth });
process.stdout.write(opened.toString("utf8"));
"""


def test_the_decoder_of_web_push_for_node_opens_what_we_seal(npm: Path) -> None:
    browser = Subscriber.made()
    payload = web_payload("ring", None, sample_facts(1_790_000_000_000)).for_token("rl_ct_token")
    number = browser.private.private_numbers().private_value
    given = (sealed(payload, browser.public, browser.auth), number.to_bytes(32), browser.auth)
    said = run(npm, "node", "--input-type=module", "-e", OPEN, "--", *map(encoded, given))
    assert json.loads(said) == json.loads(payload)
