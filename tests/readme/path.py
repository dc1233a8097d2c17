"""The README's path to a server of one's own, run as it stands: `python -m tests.readme.path`.

The block is taken out of README.md, and its lines are run by a shell in a fresh virtual environment
with a plain `pip install .`. PostgreSQL and Redis are Debian's where they are installed, else those
of the wheels. Only Apple is simulated, and two placeholders are filled in: the servers' addresses
and the certificate. It ends well when a ring has arrived at the simulator and `call show` tells it.
"""

import contextlib
import json
import os
import re
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from devkit.embedded import running_postgres, running_valkey
from devkit.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
SECTION = "## On your own servers"
PATIENCE = 600.0
BUNDLE = "com.example.app"
PASSWORD = "of the file"


def block() -> list[str]:
    """The lines of the section's first block."""
    after = (ROOT / "README.md").read_text().split(SECTION, 1)[1]
    found = re.search(r"```sh\n(.*?)```", after, re.DOTALL)
    assert found, f"README.md: no block below {SECTION!r}"
    return found.group(1).strip().splitlines()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def as_postgres(sql: str) -> str:
    command = ["runuser", "-u", "postgres", "--", "psql", "-qtAc", sql]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
    return done.stdout.strip()


@contextlib.contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """(address, whose it is): a database of this run's own."""
    if shutil.which("pg_lsclusters") and os.geteuid() == 0:
        name, password = f"ringline_{secrets.token_hex(4)}", secrets.token_hex(8)
        subprocess.run(["service", "postgresql", "start"], check=False, capture_output=True)
        end = time.monotonic() + 30
        while True:
            try:
                port = as_postgres("SHOW port")
                break
            except subprocess.CalledProcessError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)
        as_postgres(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        as_postgres(f"CREATE DATABASE {name} OWNER {name}")
        try:
            yield f"postgresql://{name}:{password}@127.0.0.1:{port}/{name}", "Debian's"
        finally:
            as_postgres(f"DROP DATABASE {name} WITH (FORCE)")
            as_postgres(f"DROP ROLE {name}")
    else:
        with running_postgres() as server:
            yield server.url.replace("postgresql+asyncpg", "postgresql"), "the wheel's"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[tuple[str, str]]:
    """(address, whose it is)."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        with running_valkey() as server:
            yield server.url, "the wheel's"
        return
    port = free_port()
    command = [
        program,
        "--port",
        str(port),
        "--bind",
        "127.0.0.1",
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            yield f"redis://127.0.0.1:{port}/0", "Debian's"
        finally:
            process.terminate()


def filled(line: str, facts: dict[str, str]) -> str:
    """A line of the block with what a person would put in."""
    line = line.replace("postgresql://...", facts["postgres"]).replace(
        "redis://...", facts["redis"]
    )
    line = line.replace("pip install .", f"pip install -q {shlex.quote(str(ROOT))}")
    line = line.replace("ringline api ", f"ringline api --port {facts['port']} ")
    if line.startswith("ringline doctor"):
        # before there are tables and workers it says so, and that is no success
        line = "ringline doctor || test $? = 1"
    if "--password" in line:
        line = line.split("#")[0].rstrip() + f" <<< '{PASSWORD}'"
    return line


def script(lines: list[str], facts: dict[str, str]) -> str:
    """The block, told line by line, then a wait for the ring before `call show`."""
    told = ["set -eu -o pipefail"]
    for line in lines:
        if not line or line.startswith("#"):
            continue
        if line.startswith("ringline call show"):
            told += ["touch served", "until test -e rung; do sleep 0.2; done"]
        told.append(f"printf '%s\\n' {sh_quoted('$ ' + line)} >&2")
        told.append(filled(line, facts))
    return "\n".join(told) + "\n"


def sh_quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def wait_for(what: str, look, process: subprocess.Popen[str]) -> object:
    end = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        if process.poll() not in {None, 0} or time.monotonic() > end:
            raise SystemExit(f"the README's path ended before {what}")
        time.sleep(0.2)


def post(url: str, key: str, body: dict[str, object]) -> dict[str, object]:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def get(url: str, key: str) -> str:
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=5) as answer:
            return bool(json.load(answer)["workers"])
    except (urllib.error.URLError, OSError):
        return False


def ring(
    folder: Path, facts: dict[str, str], simulator: Simulator, shell: subprocess.Popen[str]
) -> None:
    """As an app and its backend would: register a phone, ring it, and see the push arrive."""
    wait_for("it served", (folder / "served").exists, shell)
    key = re.search(r"rl_sk_[\w-]+", (folder / "out").read_text())
    assert key, "tenant create printed no API key"
    api = f"http://127.0.0.1:{facts['port']}"
    wait_for("a worker was alive", lambda: ready(api), shell)
    token = secrets.token_hex(32)
    simulator.live(token, topic=f"{BUNDLE}.voip")
    phone = {"kind": "voip", "token": token, "app_id": BUNDLE}
    post(f"{api}/v1/devices", key[0], {"user_id": "bob", "tokens": [phone]})
    post(f"{api}/v1/calls", key[0], {"id": "abc", "caller": {"id": "alice"}, "callees": ["bob"]})
    wait_for("the ring arrived", lambda: simulator.arrivals(token), shell)
    told = f"{api}/v1/calls/default:abc/timeline"
    wait_for("Apple's answer was recorded", lambda: "accepted" in get(told, key[0]).lower(), shell)
    print("a ring arrived at the simulator", file=sys.stderr)
    (folder / "rung").touch()


def main() -> int:
    """Run it; 0 when all went well."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        simulator = stack.enter_context(Simulator.running())
        (database, whose), (broker, of_whom) = (
            stack.enter_context(postgres()),
            stack.enter_context(redis(folder)),
        )
        facts = {"postgres": database, "redis": broker, "port": str(free_port())}
        print(f"PostgreSQL: {whose}; Redis: {of_whom}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
        (folder / "VoIP.p12").write_bytes(simulator.voip_certificate(BUNDLE).p12(PASSWORD))
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("RINGLINE_", "PYTHON"))}
        env = kept | {
            "PATH": f"{folder / 'venv' / 'bin'}:{os.environ['PATH']}",
            "RINGLINE_APNS_PRODUCTION_URL": simulator.production_url,
            "RINGLINE_APNS_SANDBOX_URL": simulator.sandbox_url,
            "RINGLINE_APNS_CA_FILE": str(simulator.ca_file),
        }
        with (folder / "out").open("w") as out:
            shell = subprocess.Popen(
                ["bash", "-c", script(block(), facts)], cwd=folder, env=env, stdout=out,
                stdin=subprocess.DEVNULL, start_new_session=True, text=True,
            )  # fmt: skip
        try:
            ring(folder, facts, simulator, shell)
            status = shell.wait(60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGTERM)
            sys.stdout.write(re.sub(r"rl_sk_[\w-]+", "rl_sk_...", (folder / "out").read_text()))
        said = (folder / "out").read_text()
        assert "Apple accepts the push" in said, "call show does not tell the ring"
        return status


if __name__ == "__main__":
    sys.exit(main())
