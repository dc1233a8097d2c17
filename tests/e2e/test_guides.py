"""The guides' code: what can run is run against a real server, and all else is at least read."""

import ast
import asyncio
import builtins
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from devkit.simulator.google.accounts import Account
from tests.appcheck.made import Axml, apk, ipa, manifest
from tests.cli.test_messages import run
from tests.e2e.android import account
from tests.e2e.house import Tenant
from tests.fences import blocks_in

__all__ = ["account"]

ROOT = Path(__file__).resolve().parents[2]
CALLS = "com.example.calls"
"""The app of the guides."""


def blocks(folder: str, language: str) -> Iterator[tuple[str, str]]:
    """(page, text) of every block in that language."""
    for page in sorted(ROOT.glob(f"{folder}/**/*.md")):
        for text in blocks_in(page.read_text(), language):
            yield str(page.relative_to(ROOT)), text


def ids(pairs: list[tuple[str, str]]) -> list[str]:
    return [page for page, _ in pairs]


CURL = [(page, text) for page, text in blocks("docs/guides", "sh") if "curl -s" in text]


@pytest.mark.parametrize(("page", "text"), CURL, ids=ids(CURL))
async def test_a_guides_requests_work_when_pasted(tenant: Tenant, page: str, text: str) -> None:
    script = text.replace("curl -s", "curl -sS --fail-with-body")
    child = await asyncio.create_subprocess_exec(
        "bash", "-euo", "pipefail", "-c", script,
        env=tenant.house.env | {"KEY": tenant.key, "API": tenant.house.apis[0].url},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await child.communicate()
    assert child.returncode == 0, (page, said.decode())
    assert json.loads(said)


def commands() -> list[list[str]]:
    """Every `ringline` line of the guides, as words."""
    lines = [line for _, text in blocks("docs/guides", "sh") for line in text.splitlines()]
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("ringline ")]


async def test_the_guides_commands_work_when_pasted(
    tenant: Tenant, account: Account, tmp_path: Path
) -> None:
    """`Demo` is this test's tenant, and the files that they name are made."""
    certificate = tenant.sim.voip_certificate(CALLS)
    (tmp_path / "voip.p12").write_bytes(certificate.p12("sesame"))
    (tmp_path / "password").write_text("sesame\n")
    (tmp_path / "service-account.json").write_text(account.json)
    entitlements = {
        "application-identifier": f"ABCDE12345.{CALLS}",
        "aps-environment": "production",
    }
    ipa(tmp_path / "Calls.ipa", info={"CFBundleIdentifier": CALLS}, entitlements=entitlements)
    apk(tmp_path / "app-release.apk", Axml(manifest()).data)
    files = {path.name: str(path) for path in tmp_path.iterdir()}
    files["build/capacity.json"] = str(ROOT / "app" / "cli" / "measured.json")
    known = files | {"Demo": str(tenant.id)}
    asked = [
        [known.get(word, word.replace("/var/backups", str(tmp_path))) for word in words]
        for words in commands()
    ]
    assert {"app-check", "backup", "capacity", "credential"} <= {words[0] for words in asked}
    for words, status, out, err in await asyncio.to_thread(run, asked, tenant.house.env):
        assert status == 0, (words, out, err)


def test_all_json_is_json() -> None:
    found = [*blocks("docs", "json"), *blocks("clients", "json")]
    assert len(found) > 30
    for page, text in found:
        assert isinstance(json.loads(text), dict | list), page


def made_and_used(tree: ast.AST) -> tuple[set[str], set[str]]:
    """Names that a block makes anywhere, and those that it uses."""
    made: set[str] = set()
    used: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            (used if isinstance(node.ctx, ast.Load) else made).add(node.id)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            made.add(node.name)
        elif isinstance(node, ast.arg):
            made.add(node.arg)
        elif isinstance(node, ast.alias):
            made.add((node.asname or node.name).partition(".")[0])
        elif isinstance(node, ast.ExceptHandler) and node.name:
            made.add(node.name)
    return made, used


def test_all_python_uses_what_it_or_an_earlier_block_of_its_page_made() -> None:
    known: dict[str, set[str]] = {}
    for page, text in [*blocks("docs", "python"), *blocks("clients", "python")]:
        made, used = made_and_used(ast.parse(text))
        before = known.setdefault(page, set(dir(builtins)))
        assert used - made - before == set(), page
        before |= made


def test_all_python_is_python() -> None:
    found = [*blocks("docs", "python"), *blocks("clients", "python")]
    assert len(found) > 4
    for _, text in found:
        compile(text, "block", "exec", flags=ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
