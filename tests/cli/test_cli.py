"""The `ringline` command, as a person runs it: real processes, real servers."""

import json
import os
import signal
import socket
import time
from pathlib import Path

import httpx
import pytest

from devkit.simulator import Simulator
from tests import forks
from tests.environment import STRONG, environment_of


@pytest.fixture
def environment(database: str, redis_url: str) -> dict[str, str]:
    return environment_of(database_url=database, redis_url=redis_url) | {"COLUMNS": "200"}


def ringline(environment: dict[str, str], *words: str, status: int = 0) -> str:
    done = forks.run("app.cli", *words, env=environment)
    assert done.returncode == status, f"{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_help_teaches(environment: dict[str, str]) -> None:
    shown = ringline(environment, "--help")
    for word in ("demo", "doctor", "migrate", "api", "worker", "simulator", "tenant", "credential"):
        assert word in shown


def test_tenant_create_prints_key_and_secret_once(environment: dict[str, str]) -> None:
    shown = ringline(environment, "tenant", "create", "Acme", "--json")
    made = json.loads(shown)
    assert made["api_key"].startswith("rl_sk_")
    assert len(made["signing_secret"]) >= 32
    assert "Acme" in ringline(environment, "tenant", "list")
    for secret in (made["api_key"], made["signing_secret"]):
        assert secret not in ringline(environment, "tenant", "list")
    again = ringline(environment, "tenant", "create", "Acme", status=1)
    assert "already" in again
    assert "Traceback" not in again


def test_tenant_names_must_say_something(environment: dict[str, str]) -> None:
    assert "name" in ringline(environment, "tenant", "create", "  ", status=1)


def test_another_key(environment: dict[str, str]) -> None:
    ringline(environment, "tenant", "create", "Acme")
    key = ringline(
        environment, "key", "create", "--tenant", "Acme", "--name", "ci", "--scope", "calls"
    )
    assert key.startswith("rl_sk_")
    assert "no tenant" in ringline(environment, "key", "create", "--tenant", "Nobody", status=1)


def test_nothing_starts_with_a_weak_secret(environment: dict[str, str]) -> None:
    weak = environment | {"RINGLINE_SECRET_KEY": "secret"}
    for words in (["api"], ["worker"], ["tenant", "list"], ["migrate"]):
        assert "RINGLINE_SECRET_KEY" in ringline(weak, *words, status=1)


def test_migrate_says_where_the_database_is(
    environment: dict[str, str], empty_database: str
) -> None:
    empty = environment | {"RINGLINE_DATABASE_URL": empty_database}
    assert "revision" in ringline(empty, "migrate")
    assert "revision" in ringline(empty, "migrate")


def test_credential_add_stores_and_refuses(environment: dict[str, str], tmp_path: Path) -> None:
    ringline(environment, "tenant", "create", "Acme")
    with Simulator.running() as simulator:
        simulated = environment | {
            "RINGLINE_APNS_PRODUCTION_URL": simulator.production_url,
            "RINGLINE_APNS_SANDBOX_URL": simulator.sandbox_url,
            "RINGLINE_APNS_CA_FILE": str(simulator.ca_file),
        }
        good, bad = tmp_path / "voip.pem", tmp_path / "bad.pem"
        made = simulator.voip_certificate("com.example.app")
        good.write_bytes(made.pem)
        bad.write_bytes(b"-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n")
        shown = ringline(simulated, "credential", "add", str(good), "--tenant", "Acme")
        assert "com.example.app" in shown
        refused = ringline(simulated, "credential", "add", str(bad), "--tenant", "Acme", status=1)
        assert "Traceback" not in refused
        assert "PRIVATE KEY" not in shown + refused


def test_doctor_finds_what_is_wrong(environment: dict[str, str], empty_database: str) -> None:
    with Simulator.running() as simulator:
        simulated = environment | {
            "RINGLINE_APNS_PRODUCTION_URL": simulator.production_url,
            "RINGLINE_APNS_SANDBOX_URL": simulator.sandbox_url,
            "RINGLINE_APNS_CA_FILE": str(simulator.ca_file),
        }
        no_worker = ringline(simulated, "doctor", status=1)
        assert "start one: `ringline worker`" in no_worker
        assert "h2" in no_worker
        empty = simulated | {"RINGLINE_DATABASE_URL": empty_database}
        assert "ringline migrate" in ringline(empty, "doctor", status=1)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("RINGLINE_DATABASE_URL", "postgresql://127.0.0.1:1/none", "RINGLINE_DATABASE_URL"),
        ("RINGLINE_REDIS_URL", "redis://127.0.0.1:1/0", "RINGLINE_REDIS_URL"),
        ("RINGLINE_SECRET_KEY", "weak", "RINGLINE_SECRET_KEY"),
        ("RINGLINE_PUBLIC_URL", "nonsense", "RINGLINE_PUBLIC_URL"),
        ("RINGLINE_PUBLIC_URL", "http://ring.example.com", "https"),
        ("RINGLINE_APNS_PRODUCTION_URL", "https://127.0.0.1:1", "unset the setting"),
        ("RINGLINE_APNS_CA_FILE", "/nowhere/ca.pem", "RINGLINE_APNS_CA_FILE"),
    ],
)
def test_doctor_names_the_setting(
    environment: dict[str, str], name: str, value: str, said: str
) -> None:
    local = {
        "RINGLINE_APNS_PRODUCTION_URL": "https://127.0.0.1:1",
        "RINGLINE_APNS_SANDBOX_URL": "https://127.0.0.1:1",
    }
    shown = ringline(environment | local | {name: value}, "doctor", status=1)
    assert said in shown
    assert "Traceback" not in shown
    assert STRONG not in shown


def test_simulator_runs_alone(environment: dict[str, str], tmp_path: Path) -> None:
    reading, writing = os.pipe()
    folder = tmp_path / "apple"
    words = ("app.cli", "simulator", "--folder", str(folder))
    process = forks.start(*words, env=environment, stdout=writing, stderr=writing)
    os.close(writing)
    try:
        with open(reading) as said:  # noqa: PTH123
            lines = [said.readline() for _ in range(4)]
            assert "https://" in lines[0], lines
            assert (folder / "ca.pem").exists()
            process.terminate()
            assert process.wait(10) == 0
    finally:
        process.kill()


def test_credentials_by_command(environment: dict[str, str], tmp_path: Path) -> None:
    """Preview, add, list, probe, retire the last one, bring it back, rotate, audit."""
    ringline(environment, "tenant", "create", "Acme")
    with Simulator.running() as simulator:
        simulated = environment | {
            "RINGLINE_APNS_PRODUCTION_URL": simulator.production_url,
            "RINGLINE_APNS_SANDBOX_URL": simulator.sandbox_url,
            "RINGLINE_APNS_CA_FILE": str(simulator.ca_file),
        }
        file = tmp_path / "voip.pem"
        file.write_bytes(simulator.voip_certificate("com.example.app").pem)

        def credential(*words: str, status: int = 0) -> str:
            return ringline(simulated, "credential", *words, "--tenant", "Acme", status=status)

        assert "com.example.app" in credential("preview", str(file))
        assert "com.example.app" not in credential("list")
        assert "sandbox: yes" in credential("add", str(file))
        listed = credential("list")
        credential_id = listed.split("com.example.app")[0].split()[-1]
        assert "yes" in credential("probe", credential_id)
        assert "confirm" in credential("retire", credential_id, status=1)
        assert "retired" in credential("retire", credential_id, "--confirm")
        assert "active" in credential("activate", credential_id)
        asked = tmp_path / "asked.csr"
        assert "VoIP Services" in credential("request", "com.example.other", "--out", str(asked))
        assert "BEGIN CERTIFICATE REQUEST" in asked.read_text()
        assert "retire" in credential("audit")
        rotated = simulated | {"RINGLINE_SECRET_KEY": f"2:{STRONG[::-1]},1:{STRONG}"}
        assert "credentials" in ringline(rotated, "vault", "status")
        assert "re-wrapped" in ringline(rotated, "vault", "rotate")
        rows = ringline(rotated, "vault", "status").strip().splitlines()[1:]
        assert {row.split()[1] for row in rows} == {"2"}


@pytest.mark.parametrize("workers", [1, 2])
def test_api_serves_with_one_process_or_several(environment: dict[str, str], workers: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ("app.cli", "api", "--port", str(port), "--workers", str(workers))
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        process = forks.start(
            *words, env=environment, stdout=nowhere.fileno(), stderr=nowhere.fileno()
        )
    try:
        until = time.monotonic() + 240
        while True:
            try:
                answer = httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5)
                break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.1)
        assert (answer.status_code, answer.json()["code"]) == (503, "no_worker")
    finally:
        process.terminate()
        # uvicorn ends in good order, then as the signal would have ended it
        assert process.wait(60) in {0, -signal.SIGTERM}
