"""What pages name is there, and is as they say: requests, codes, commands, settings, JSON, numbers."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import BaseModel
from ringline_client import verify_webhook

from app import main
from app.api.problem_codes import CODES
from app.calls import closing, histories, slices, timeline
from app.calls.schemas import RingIn
from app.core.payload import (
    OTHER_LIMIT,
    VOIP_LIMIT,
    WEB_LIMIT,
    android_ring,
    android_stop,
    ring_payload,
    sample_facts,
    web_payload,
)
from app.credentials import health, lifecycle, vapid
from app.devices import schemas as devices
from app.http import refusals
from app.infra.fields import CUSTOM_BYTES, LONGEST_AVATAR_URL, MOST_NAME
from app.infra.settings import Settings
from app.main import create_app
from app.push import life
from app.tenants import schemas as tenants
from app.users import schemas as users
from app.users.service import MOST_BLOCKS
from app.webhooks.service import MOST_WEBHOOKS
from tests import listings, reference
from tests.fences import FENCE, blocks_in
from tests.operating.rules import check_command
from tests.promises import exists
from tests.test_docs import PAGES, guide

ROOT = Path(__file__).resolve().parent.parent
TOLD = {
    str(page.relative_to(ROOT)): page.read_text()
    for page in PAGES
    if page.parent.name != "decisions"
}
FLAT = {name: " ".join(text.split()) for name, text in TOLD.items()}
METHODS = "GET|POST|PUT|PATCH|DELETE"
REQUEST = re.compile(
    rf"`((?:{METHODS})(?:[ ,]+(?:{METHODS}))*) (/v1(?:/(?:\{{[^}}`]*\}}|[\w-]+))+)"
)
UNDECLARED = {"http_400", "http_426", "not_found", "unreadable_row"}
"""Codes of requests that reach no operation, or of a row that nobody can read."""


def test_a_code_has_the_status_that_is_said_of_it() -> None:
    said = [
        (name, int(status), code)
        for name, text in FLAT.items()
        for status, code in re.findall(r"\b([1-5]\d\d) `(\w+)`", text)
        if code not in UNDECLARED and code != "errors"
    ]
    assert len(said) > 30
    assert [one for one in said if CODES.get(one[2], (0,))[0] != one[1]] == []


def test_requests_that_are_named_exist() -> None:
    told = create_app(Settings(environment="development")).openapi()["paths"]
    shape = {re.sub(r"\{\w+\}", "{}", path): set(methods) for path, methods in told.items()}
    named = [
        (name, method, re.sub(r"\{[^}]*\}|\bC?ID\b", "{}", path))
        for name, text in FLAT.items()
        for methods, path in REQUEST.findall(text)
        for method in re.findall(METHODS, methods)
    ]
    assert len(named) > 50
    assert [one for one in named if one[1].lower() not in shape.get(one[2], ())] == []


def commands() -> Iterator[tuple[str, str]]:
    """Commands of ours in blocks and in the text, with all that follows on the line."""
    for name, text in TOLD.items():
        for language, block in FENCE.findall(text):
            lines = block.replace("\\\n", " ").splitlines() if language == "sh" else []
            yield from ((name, line) for line in lines if line.startswith("ringline "))
        for span in re.findall(r"`(ringline [^`]+)`", FENCE.sub("", text)):
            yield name, " ".join(span.split())


def test_commands_that_are_named_exist_with_their_options() -> None:
    groups = {words.split()[1] for words, _ in listings.commands()}
    found = [(name, line) for name, line in commands() if line.split()[1] in groups]
    assert len(found) > 60
    for name, line in found:
        words = shlex.split(line.rstrip("&, "), comments=True)[1:]
        while "..." in words or "…" in words:
            words.pop()
        assert_known(name, words)


def assert_known(name: str, words: list[str]) -> None:
    """Fail unless it is a command, or a group of them, with options that it has.

    Where it is shown with any, those that it must have are there too: else who pastes it is refused.
    """
    every = {one.removeprefix("ringline "): command for one, command in listings.commands()}
    named = " ".join(word for word in words if word.replace("-", "").isalpha())
    of = [one for one in every if f"{named} ".startswith(f"{one} ")]
    if not of:
        assert any(one.startswith(f"{named} ") for one in every), (name, words)
    elif "--help" not in words:
        check_command(words)
        needed = [one for one in every[of[0]].params if one.required and one.opts[0][0] == "-"]
        given = any(word.startswith("--") for word in words)
        bare = [one.name for one in needed if not {*one.opts, *one.secondary_opts} & set(words)]
        assert not (given and bare), (name, words, bare)


def test_what_a_clone_can_run_is_there() -> None:
    """`make` with a target, `python -m` with a module of ours, and tests by their names."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    ours = ("app", "workers", "devkit", "tests", "migrations", "clients")
    for name, text in FLAT.items():
        assert set(re.findall(r"`make ([a-z-]+)", text)) - targets == set(), name
        for module in re.findall(r"`python -m ([\w.]+)", text):
            path = ROOT / module.replace(".", "/")
            known = module.split(".")[0] not in ours
            assert known or path.with_suffix(".py").exists() or path.is_dir(), (name, module)
        for proof in re.findall(r"`(tests/[\w/]+\.py::\w+)`", text):
            assert exists(proof), (name, proof)


def test_metrics_and_settings_that_are_named_exist() -> None:
    made = reference.metrics()
    ends = ("", "_bucket", "_sum", "_count")
    series = {f"{name}{end}" for name in made for end in ends} | {"ringline_client"}
    known = {f"RINGLINE_{name.upper()}" for name in Settings.model_fields}
    # of the tests, of the recipes' backends, and of HAProxy's file
    known |= {f"RINGLINE_{one}" for one in ("TEST_DATABASE_URL", "TEST_REDIS_URL", "TEST_LONG")}
    known |= {
        f"RINGLINE_{one}" for one in ("URL", "KEY", "KID", "SIGNING_SECRET", "WEBHOOK_SECRET")
    }
    for name, text in TOLD.items():
        assert set(re.findall(r"\bringline_\w+", text)) - series == set(), name
        told = set(re.findall(r"\bRINGLINE_(?!BENCH_)[A-Z_]*[A-Z]\b", text))
        assert told - known == set(), name


def test_settings_have_the_defaults_that_are_said() -> None:
    rows = re.findall(r"^\| `RINGLINE_(\w+)` \| ([^|]*) \|", guide("operation"), re.MULTILINE)
    assert len(rows) > 30
    for name, said in rows:
        default = Settings.model_fields[name.lower()].default
        if said.startswith(("none", "the system's")):
            assert not getattr(default, "get_secret_value", lambda d=default: d)(), name
        elif isinstance(default, list):
            assert [str(one).partition("/")[0] for one in default] == said.strip("`").split(","), (
                name
            )
        elif isinstance(default, int | float):
            assert float(json.loads(said.strip("`"))) == float(default), name
        else:
            assert said.strip("`") == str(default), name


def json_of(page: str) -> list[Any]:
    return [json.loads(text) for text in blocks_in(guide(page), "json")]


def taken() -> Iterator[tuple[str, type[BaseModel], dict[str, Any]]]:
    """(page, what reads it, a body that it shows)."""
    names, handle, preferences = json_of("calls")
    yield "calls", RingIn, names
    yield "calls", RingIn, handle
    yield "calls", users.PreferencesIn, preferences
    yield "android", devices.DeviceIn, json_of("android")[0]
    for one in json_of("limits"):
        yield "limits", tenants.TenantSettings, one
    _payload, template, *notifications = json_of("payloads")
    of_app = {"profiles": {"com.example.app": "custom"}, "templates": {"com.example.app": template}}
    yield "payloads", tenants.TenantSettings, of_app
    for one in notifications:
        yield "payloads", tenants.TenantSettings, one


@pytest.mark.parametrize(("page", "model", "body"), list(taken()))
def test_bodies_that_are_shown_are_taken(
    page: str, model: type[BaseModel], body: dict[str, Any]
) -> None:
    model.model_validate_json(json.dumps(body))


def test_a_signature_by_hand_is_what_a_client_takes() -> None:
    page = guide("events-and-webhooks")
    key = re.search(r"printf %s (\S+) \| base64 -d", page)
    said = re.search(r"printf '%s.%s.%s' (\S+) (\d+) '(.*)' \|.*?# (\S+)\n", page, re.DOTALL)
    assert key is not None
    assert said is not None
    headers = {
        "webhook-id": said[1], "webhook-timestamp": said[2], "webhook-signature": f"v1,{said[4]}"
    }  # fmt: skip
    event = verify_webhook(said[3], headers, f"whsec_{key[1]}", now=float(said[2]))
    assert event["id"] == said[1]


STATEMENT = re.compile(r"`((?:SELECT|UPDATE) [^`]*)`")


async def test_statements_that_are_shown_are_taken(database: str) -> None:
    """Of the runbook, mostly: whoever is woken pastes them."""
    found = [(name, sql) for name, text in FLAT.items() for sql in STATEMENT.findall(text)]
    assert len(found) > 4
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        for name, sql in found:
            filled = sql.replace("'ID'", "'01a216e3-a515-7a15-9088-6dba78e00d85'").replace(
                "(PID)", "(0)"
            )
            try:
                await connection.execute(f"EXPLAIN {filled}")
            except asyncpg.PostgresError as error:
                pytest.fail(f"{name}: {sql}: {error}")
    finally:
        await connection.close()


def places(value: Any, before: str = "") -> set[str]:
    """Where a value of JSON has something, by name."""
    if not isinstance(value, dict):
        return {before}
    return {one for name, inner in value.items() for one in places(inner, f"{before}.{name}")}


FACTS = replace(
    sample_facts(1_790_000_000_000), display_name="Standup", caller_avatar="https://example.com/a.png"
)  # fmt: skip
MORE = replace(FACTS, custom={"order": 7}, traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01")


def test_a_payload_that_is_shown_is_one_that_is_sent() -> None:
    shown = json_of("payloads")[0]
    assert places(shown) == places(json.loads(ring_payload("ringline", FACTS).for_token("t")))
    more = places(json.loads(ring_payload("ringline", MORE).for_token("t"))) - places(shown)
    assert {place.split(".")[2] for place in more} == {"custom", "traceparent"}
    assert "`custom` is" in guide("payloads")
    assert "`traceparent` is" in guide("payloads")
    (shown,) = json_of("web-push")
    sent = web_payload("ring", None, FACTS).for_token("t")
    assert places(shown) - places(json.loads(sent)) == set()


def test_keys_of_an_android_message_are_named() -> None:
    said = re.search(
        r"Ours, in each: (.*?), the call token; in a stop (.*?)\.", guide("android"), re.DOTALL
    )
    assert said is not None
    told = set(re.findall(r"`(ring_\w+)`", said[1]))
    sent = json.loads(android_ring("ringline", MORE).for_token("t"))
    assert told == {key for key in sent if key.startswith("ring_")}
    stop = json.loads(android_stop(FACTS, 2))
    assert set(stop) - told == set(re.findall(r"`(\w+)`", said[2]))


def test_every_argument_and_option_says_what_it_is() -> None:
    bare = [
        (words, one.name)
        for words, command in listings.commands()
        for one in command.params
        if not getattr(one, "hidden", False) and not (one.help or "").strip()
    ]
    assert bare == []


NUMBERS = {
    "docs/architecture.md": (
        f"({slices.FROM} callees or more)",
        f"is good for {life.FRESH} s",
        f"Who has not for {life.LEASE:g} s is condemned",
    ),
    "docs/guides/calls.md": (
        f"may carry a `name` ({MOST_NAME} characters)",
        f"(https, {LONGEST_AVATAR_URL:,}; handed on, never fetched)",
        f"`generic`; {users.MOST_HANDLE})",
        f"(up to {users.MOST_HANDLES})",
        f"more than {timeline.MOST_ROWS:,} events, rings or pushes",
        f"among the newest {histories.COUNTED:,}",
        f"looks at {histories.WINDOW:,} calls at most",
    ),
    "docs/guides/data-model.md": (
        f"for {closing.LONGEST_STOPS:g} s after its last call has ended",
    ),
    "docs/guides/devices.md": (f"1 to {devices.MOST_TOKENS}, one of each kind",),
    "docs/guides/limits.md": (
        (f"at most {lifecycle.MOST_OF_APP} credentials ({vapid.MOST_KEYS} of them VAPID keys), a tenant "
        f"{lifecycle.MOST_OF_TENANT:,} and {MOST_WEBHOOKS} webhooks"),
        f"`custom` {CUSTOM_BYTES:,} bytes of JSON",
        (f"A user blocks {MOST_BLOCKS:,} others at most, names {users.MOST_ALLOWED} exceptions and "
        f"{users.MOST_PERIODS} quiet periods"),
        f"{tenants.MOST_TYPES} call types and {tenants.MOST_APPS:,} apps",
    ),
    "docs/guides/operation.md": (
        (f"A body may be {main.BODY_LIMIT // 1024} KiB ({main.CREDENTIAL_LIMIT // 2**20} MiB for credentials) and "
        f"take {refusals.BODY_WITHIN:g} s; a head {refusals.MOST_HEAD // 1024} KiB and {refusals.HEAD_WITHIN:g} s"),
        "alarms come {}, {}, {}, {} and {} days ahead".format(*health.ALARM_DAYS),
    ),
    "docs/guides/payloads.md": (
        (f"{VOIP_LIMIT:,} bytes for a VoIP push, {OTHER_LIMIT:,} for others; a browser's are sealed, which leaves "
        f"them {WEB_LIMIT:,}"),
    ),
    "deploy/README.md": (
        (f"takes {refusals.MOST_HEAD // 1024} KiB of head in {refusals.MOST_HEADERS} headers within "
        f"{refusals.HEAD_WITHIN:g} s"),
    ),
}  # fmt: skip
"""Sentences with numbers of the code, by page."""


@pytest.mark.parametrize("page", NUMBERS)
def test_numbers_are_the_codes(page: str) -> None:
    assert [said for said in NUMBERS[page] if said not in FLAT[page]] == []
