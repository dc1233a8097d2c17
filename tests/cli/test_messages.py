"""What a newcomer meets: one sentence that says what is wrong and how to mend it, no traceback."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer
from sqlalchemy import make_url, text

from app.cli import base
from app.cli.commands import app
from app.cli.faults import AWAY, MISTYPED, OURS, REFUSED, fault_of
from app.infra.db import Database
from app.infra.settings import get_settings, unknown_variables
from tests import forks
from tests.environment import environment_of

PASSWORD = "sesame-of-the-database"
SERVERS = {"api", "worker", "simulator", "demo"}
"""They serve, or wait for servers: an outage is not the end of them."""
NO_DATABASE = {
    "payload profiles",
    "payload preview",
    "payload notification",
    "doctor",
    "app-check",
    "capacity",
}


def commands(group: object = None, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command there is, as words."""
    found = []
    for name, one in (group or typer.main.get_command(app)).commands.items():
        inner = getattr(one, "commands", None)
        found += commands(one, (*before, name)) if inner else [(*before, name)]
    return found


SAMPLES = {
    "email": "a@example.com", "call": "default:abc", "kid": "rl_kid_x", "user": "bob", "user_id": "bob",
    "other": "carol", "caller": "alice", "callees": "bob", "app_id": "com.example.app",
    "folder": "build/no-such-folder", "credential": "01a216e3-a515-7a15-9088-6dba78e00d85",
}  # fmt: skip
"""What is given where a command must be given something; else a word."""


def arguments(words: tuple[str, ...], file: Path) -> list[str]:
    """A command with all that it must be given."""
    found: Any = typer.main.get_command(app)
    for word in words:
        found = found.commands[word]
    given = list(words)
    for one in found.params:
        if one.required:
            sample = (
                str(file) if one.name in {"file", "token_file"} else SAMPLES.get(one.name, "acme")
            )
            if one.param_type_name == "argument":
                given += [sample]
            else:
                given += [one.opts[0]] if one.is_flag else [one.opts[0], sample]
    return given


def settings(**more: str) -> dict[str, str]:
    nowhere = {
        "database_url": f"postgresql://ringline:{PASSWORD}@127.0.0.1:1/ringline",
        "redis_url": f"redis://:{PASSWORD}@127.0.0.1:1/0",
    }
    return environment_of(**(nowhere | more))


def run(
    lines: list[list[str]], env: dict[str, str], more: list[dict[str, str]] | None = None
) -> list[tuple[list[str], int, str, str]]:
    """(words, status, stdout, stderr) of each; `more`: what each has in its environment besides."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as asked:
        json.dump(list(zip(lines, more or [{}] * len(lines), strict=True)), asked)
        asked.flush()
        done = forks.run("tests.cli.commands", asked.name, env=env, timeout=110)
    assert done.returncode == 0, done.stderr
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("files") / "voip.pem"
    made.write_text("nonsense-of-no-service")
    return made


def test_every_command_with_the_database_down_says_one_sentence(file: Path) -> None:
    every = {" ".join(words) for words in commands()}
    assert len(every) > 20
    asked = [arguments(tuple(name.split()), file) for name in sorted(every - SERVERS - NO_DATABASE)]
    plain, machines = run(asked, settings()), run([[*one, "--json"] for one in asked], settings())
    for words, status, out, err in plain:
        assert status == AWAY, (words, err)
        said = [line for line in err.splitlines() if line.startswith("ringline:")]
        assert len(said) == 1, (words, err)
        assert "RINGLINE_DATABASE_URL" in said[0], words
        assert "doctor" in said[0]
        assert "Traceback" not in out + err
        assert PASSWORD not in out + err
    for words, status, out, err in machines:
        assert (status, out) == (AWAY, ""), words
        assert json.loads(err)["error"]["code"] == "database_unavailable", words


def test_what_is_mistyped_is_said_in_json_to_a_machine(file: Path) -> None:
    every = sorted(" ".join(words) for words in commands())
    lines = [[*arguments(tuple(one.split()), file), "--nonesuch", "--json"] for one in every]
    lines += [["nonesuch", "--json"], ["call", "nonesuch", "--json"], ["--json"]]
    lines += [
        ["call", "list", "--tenant", "a", "--limit", "1_0", "--json"],
        ["call", "ring", "--json"],
    ]
    for words, status, out, err in run(lines, settings()):
        assert (status, out) == (MISTYPED, ""), (words, err)
        error = json.loads(err)["error"]
        assert (error["code"], "--help" in error["detail"]) == ("mistyped", True), words
    ((_, status, out, err),) = run([["call", "ring", "--nonesuch", "--", "--json"]], settings())
    assert (status, out, "Usage:" in err) == (MISTYPED, "", True)


WRONG = [
    ({"log_level": "loud"}, "RINGLINE_LOG_LEVEL"),
    ({"database_pool": "many"}, "RINGLINE_DATABASE_POOL"),
    ({"database_url": f"mysql://u:{PASSWORD}@h/db"}, "RINGLINE_DATABASE_URL"),
    ({"database_url": f"postgresql://u:{PASSWORD}@h:99999/db"}, "RINGLINE_DATABASE_URL"),
    ({"database_url": f"postgresql://u:p:{PASSWORD}@h@x/db?sslmode=maybe"}, "RINGLINE_DATABASE_URL"),
    ({"redis_url": f"http://:{PASSWORD}@h"}, "RINGLINE_REDIS_URL"),
    ({"redis_url": f"redis://:{PASSWORD}@h:port/0"}, "RINGLINE_REDIS_URL"),
    ({"public_url": f"https://u:{PASSWORD}@example.com"}, "RINGLINE_PUBLIC_URL"),
    ({"apns_production_url": f"https://u:{PASSWORD}@example.com"}, "RINGLINE_APNS_PRODUCTION_URL"),
    ({"simulator_url": f"http://u:{PASSWORD}@127.0.0.1:1"}, "RINGLINE_SIMULATOR_URL"),
    ({"cors_origins": f"https://u:{PASSWORD}@example.com"}, "RINGLINE_CORS_ORIGINS"),
    ({"secret_key": f"a b:{PASSWORD}{PASSWORD}"}, "RINGLINE_SECRET_KEY"),
]  # fmt: skip


def test_a_wrong_setting_is_named_and_never_shown() -> None:
    nowhere = dict.fromkeys(("apns_production_url", "apns_sandbox_url"), "https://127.0.0.1:1")
    env = {"COLUMNS": "250"} | settings(**nowhere)
    asked = [["tenant", "list"], ["migrate"], ["worker"], ["api"], ["doctor"]]
    lines = [one for _ in WRONG for one in asked]
    more = [
        {f"RINGLINE_{name.upper()}": value for name, value in wrong.items()}
        for wrong, _ in WRONG
        for _ in asked
    ]
    said = [said for _, said in WRONG for _ in asked]
    for (words, status, out, err), part in zip(run(lines, env, more), said, strict=True):
        assert status == REFUSED, (words, part, out, err)
        assert part in (out if words == ["doctor"] else err), (words, out, err)
        assert "Traceback" not in out + err, words
        assert PASSWORD not in out + err, words


def test_beside_a_demo_it_is_said_how_its_settings_are_had(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("RINGLINE_"):
            monkeypatch.delenv(name)
    (tmp_path / ".ringline").mkdir()
    for demo in (False, True):
        if demo:
            (tmp_path / ".ringline" / "shell").touch()
        get_settings.cache_clear()
        with pytest.raises((SystemExit, typer.Exit)):
            base.settings_or_fail()
        get_settings.cache_clear()
        said = capsys.readouterr().err
        assert "RINGLINE_SECRET_KEY is not set" in said
        assert ("`. .ringline/shell`" in said) == demo


def test_what_postgresql_says_becomes_what_to_do(database: str) -> None:
    url = make_url(database).set(database="nothing_of_this_name")
    wrong_name = url.render_as_string(hide_password=False)
    ((_, status, _, err),) = run([["tenant", "list"]], settings(database_url=wrong_name))
    assert status == REFUSED
    assert "createdb" in err
    assert "Traceback" not in err


def test_without_tables_it_says_migrate(empty_database: str) -> None:
    for words, status, _, err in run([["tenant", "list"], ["admin", "create", "a@b.cd"]], settings(database_url=empty_database)):  # fmt: skip
        assert status == REFUSED, words
        assert "ringline migrate" in err
        assert "Traceback" not in err


def test_errors_of_asyncpg_and_of_ours_have_a_sentence() -> None:
    import asyncpg

    for kind, part in (
        (asyncpg.InvalidPasswordError, "password"),
        (asyncpg.InvalidCatalogNameError, "createdb"),
        (asyncpg.InvalidAuthorizationSpecificationError, "pg_hba"),
        (asyncpg.InsufficientPrivilegeError, "owner"),
    ):
        assert part in fault_of(kind(f"for {PASSWORD}")).sentence
        assert PASSWORD not in fault_of(kind(f"for {PASSWORD}")).sentence
    for error in (ConnectionRefusedError(111, "refused"), TimeoutError(), OSError("Multiple exceptions: [Errno 111] Connect call failed")):  # fmt: skip
        assert fault_of(error).status == AWAY
    assert fault_of(FileNotFoundError(2, "No such file", "x.pem")).sentence == "x.pem: No such file"
    ours = fault_of(KeyError(PASSWORD))
    assert (ours.status, PASSWORD in ours.sentence) == (OURS, False)


def test_every_command_answers_in_json_and_ids_are_never_cut(database: str, tmp_path: Path) -> None:
    env = settings(database_url=database) | {"COLUMNS": "20"}
    name = "A tenant with quite a long name " * 2
    texts = tmp_path / "texts.json"
    texts.write_text('{"title": "Missed", "body": "{{caller_label}} called"}')
    made = run(
        [["--version"], ["migrate", "--json"], ["tenant", "create", name, "--json"], ["tenant", "list"],
         ["tenant", "list", "--json"], ["key", "create", "--tenant", name, "--json"],
         ["key", "list", "--tenant", name, "--json"],
         ["secret", "list", "--tenant", name, "--json"], ["admin", "create", "a@example.com", "--json"],
         ["credential", "list", "--tenant", name, "--json"], ["vault", "status", "--json"],
         ["vault", "rotate", "--json"], ["credential", "audit", "--tenant", name, "--json"],
         ["payload", "profiles", "--json"], ["payload", "preview", "--json"],
         ["payload", "notification", str(texts), "--json"]],
        env,
    )  # fmt: skip
    assert made[0][2].startswith("ringline 0.")
    tenant = json.loads(made[2][2])
    assert tenant["id"] in made[3][2]
    for words, status, out, err in made:
        assert status == 0, (words, err)
        if "--json" in words:
            assert json.loads(out) is not None, words
            assert err == "", words
    for words in commands():
        if words[0] not in SERVERS:
            parameters = typer.main.get_command(app)
            for word in words:
                parameters = parameters.commands[word]
            assert any("--json" in one.opts for one in parameters.params), words


def test_a_name_is_written_on_a_terminal_that_lacks_its_letters(database: str) -> None:
    env = settings(database_url=database) | {"LC_ALL": "POSIX"}
    name = "B\u00fcro \u260e"
    asked = [["tenant", "create", name], ["tenant", "list"], ["tenant", "list", "--json"]]
    made, plain, machine = run(asked, env)
    assert (made[1], plain[1], machine[1]) == (0, 0, 0), (made, plain, machine)
    assert r"B\xfcro \u260e" in plain[2]
    assert [one["name"] for one in json.loads(machine[2])] == [name]


async def test_a_terminal_obeys_nothing_of_what_is_shown(database: str) -> None:
    """Whatever has come to rest, as before names were cleaned or by somebody else's hand."""
    env = settings(database_url=database)
    sent = "\x1b]0;x\x07\x1b[2J\u009b3m\u202e\u2066evil\nSecond\trow"
    (made,) = run([["tenant", "create", "acme", "--json"]], env)
    tenant = json.loads(made[2])["id"]
    away = Database(env["RINGLINE_DATABASE_URL"])
    async with away.transaction() as session:
        await session.execute(text("UPDATE tenants SET name = :sent"), {"sent": sent})
    await away.close()
    asked = [["tenant", "list"], ["tenant", "show", tenant], ["tenant", "list", "--json"],
             ["user", "show", "\x1b[2J", "--tenant", tenant], ["tenant", "show", sent], ["tenant", "show", sent, "--json"]]  # fmt: skip
    for words, _, out, err in run(asked, env):
        said = out + err
        assert not {"\x1b", "\x07", "\u009b", "\u202e", "\u2066"} & set(said), words
        if words[1:] == ["list", "--json"]:
            assert [one["name"] for one in json.loads(out)] == [sent]
        elif words[1] == "list":
            assert r"\x1b]0;x\x07\x1b[2J\x9b3m\u202e\u2066evil\nSecond\trow" in out
            assert len(out.splitlines()) == 2


def test_an_address_that_cannot_be_had_is_named(database: str) -> None:
    env = settings(database_url=database)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        taken, nobodys, none = run(
            [["api", "--port", port], ["api", "--host", "192.0.2.1"], ["api", "--port", "99999"]],
            env,
        )
    assert taken[1] == nobodys[1] == REFUSED
    assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in taken[3]
    assert "cannot listen on 192.0.2.1, port 8000: " in nobodys[3]
    assert none[1] == 2
    assert "99999" in none[3]


def test_a_backup_says_what_is_in_its_way(
    database: str, empty_database: str, tmp_path: Path
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "pg_dump").write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 99.0'\n")
    (tools / "pg_dump").chmod(0o755)
    (tmp_path / "b 2.part").mkdir()
    to = [tmp_path / "b 2", tmp_path / "none" / "b"]
    asked = [["backup", str(one), "--tools", str(tools), "--json"] for one in to]
    left, nowhere = run(asked, settings(database_url=database))
    assert json.loads(left[3])["error"]["code"] == "broken_off"
    assert str(tmp_path / "b 2.part") in json.loads(left[3])["error"]["detail"]
    assert json.loads(nowhere[3])["error"]["code"] == "no_folder"
    (to[0]).mkdir()
    (to[0] / "manifest.json").write_text('{"format": 1, "sha256": ""}')
    (torn,) = run([["restore", str(to[0]), "--json"]], settings(database_url=empty_database))
    assert json.loads(torn[3])["error"]["code"] == "damaged"


async def test_a_database_of_a_newer_version_is_told_from_an_older_one(database: str) -> None:
    at = text("UPDATE alembic_version SET version_num = '9999'")
    one = Database(database, pool=2)
    async with one.transaction() as session:
        await session.execute(at)
    await one.close()
    nowhere = dict.fromkeys(("apns_production_url", "apns_sandbox_url"), "https://127.0.0.1:1")
    asked = [["migrate"], ["doctor", "--json"]]
    (_, status, _, err), (_, _, out, _) = run(asked, settings(database_url=database, **nowhere))
    assert status == REFUSED
    assert "a newer Ringline has migrated" in err
    (tables,) = (check for check in json.loads(out) if check["name"] == "Tables")
    assert not tables["ok"]
    assert not tables["serious"]
    assert "a newer Ringline has migrated" in tables["mend"]


def test_a_password_from_a_file(database: str, tmp_path: Path) -> None:
    from devkit.simulator import Simulator

    with Simulator.running() as simulator:
        made = simulator.voip_certificate("com.example.app")
        bundle = tmp_path / "voip.p12"
        bundle.write_bytes(made.p12(PASSWORD))
        secret = tmp_path / "password"
        secret.write_text(PASSWORD + "\r\n")
        env = settings(database_url=database)
        shown = run(
            [["tenant", "create", "acme"],
             ["credential", "preview", str(bundle), "--tenant", "acme", "--password-file", str(secret)],
             ["credential", "preview", str(bundle), "--tenant", "acme"]],
            env,
        )  # fmt: skip
    assert "com.example.app" in shown[1][2], shown[1]
    assert shown[2][1] == REFUSED


def test_a_misspelt_variable_is_named_with_the_nearest_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in list(os.environ):
        if name.startswith("RINGLINE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RINGLINE_PUBLIC_URI", "https://ring.example.com")
    monkeypatch.setenv("RINGLINE_XYZZY", "1")
    assert unknown_variables() == {
        "RINGLINE_PUBLIC_URI": "RINGLINE_PUBLIC_URL",
        "RINGLINE_XYZZY": None,
    }
    env = settings(
        apns_production_url="https://127.0.0.1:1", apns_sandbox_url="https://127.0.0.1:1"
    )
    env |= {"RINGLINE_PUBLIC_URI": "https://ring.example.com", "COLUMNS": "250"}
    ((_, _, out, _),) = run([["doctor"]], env)
    assert "did you mean RINGLINE_PUBLIC_URL?" in out


@pytest.mark.parametrize("columns", ["40", "80"])
def test_no_option_is_cut_off_in_a_narrow_terminals_help(columns: str) -> None:
    """Three were `--cal…` at 40 columns: what is not read whole cannot be typed."""
    every = commands()
    asked = run(
        [[*words, "--help"] for words in every], settings(), [{"COLUMNS": columns}] * len(every)
    )
    for words, (_, status, out, err) in zip(every, asked, strict=True):
        found: Any = typer.main.get_command(app)
        for word in words:
            found = found.commands[word]
        shown = [one for one in found.params if not getattr(one, "hidden", False)]
        options = [one for param in shown for one in (*param.opts, *param.secondary_opts)]
        cut = [one for one in options if one.startswith("--") and one not in out]
        assert (status, err, cut) == (0, "", []), words


def test_standard_streams_that_are_closed_are_no_fault_of_ours() -> None:
    command = [sys.executable, "-m", "app.cli", "payload", "profiles"]
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *command]
    done = subprocess.run(closed, env=os.environ | settings(), timeout=60, check=False)
    assert done.returncode == 0


def test_a_profile_and_a_scope_that_are_none_are_told_the_nearest(database: str) -> None:
    made, profile, scope = run(
        [["tenant", "create", "Acme"], ["payload", "preview", "--profile", "strem"],
         ["user", "token", "bob", "--tenant", "Acme", "--scope", "zzz"]],
        settings(database_url=database),
    )  # fmt: skip
    assert made[1] == 0
    assert "did you mean 'stream'?" in profile[3]
    assert "there is no 'zzz'. Known: " in scope[3]
