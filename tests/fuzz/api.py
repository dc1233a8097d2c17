"""Schemathesis against a running API: `python -m tests.fuzz.api URL KEY SECONDS [SEED]`.

It fails for any answer of 500 and above. The seed is printed; with it a run makes the same requests.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.chance import run_seed

ROOT = Path(__file__).resolve().parents[2]
ENDLESS = "^/v1/events$"
"""A stream has no end to wait for; what it is asked with is fed to it in tests/e2e/test_doors.py."""


def fuzz(
    url: str, key: str, seconds: int, seed: int | None = None
) -> subprocess.CompletedProcess[str]:
    """One run; its output holds the seed and, for each failure, a command that makes it again."""
    seed = run_seed() if seed is None else seed
    print(f"schemathesis: seed {seed}", flush=True)
    command = [
        sys.executable, "-m", "schemathesis.cli",
        "--config-file", str(Path(__file__).with_name("schemathesis.toml")), "run", f"{url}/openapi.json", "--url", url,
        "--checks", "not_a_server_error", "--header", f"Authorization: Bearer {key}",
        "--exclude-path-regex", ENDLESS, "--phases", "coverage,fuzzing", "--seed", str(seed),
        "--max-time", str(seconds), "--request-retries",
        "2",  # a kept connection may be closed at the very moment that it is used again
        "--request-timeout", "20", "--no-shrink", "--warnings", "off",
        "--suppress-health-check", "all", "--continue-on-failure", "--workers", "2",
    ]  # fmt: skip
    env = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks", "PYTHONPATH": str(ROOT)}
    # it keeps what it found in the folder that it runs in
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(
            command, env=env, cwd=folder, capture_output=True, text=True, check=False
        )


def faults_in(done: subprocess.CompletedProcess[str]) -> str:
    """What a run says is the server's fault; empty when nothing is.

    A generator that stumbles over a schema ("Runtime Error") says nothing of the server.
    """
    if "FAILURES" in done.stdout or "Network Error" in done.stdout:
        return f"{done.stdout[-6_000:]}\n{done.stderr[-2_000:]}"
    return ""


if __name__ == "__main__":
    given = sys.argv[1:]
    done = fuzz(given[0], given[1], int(given[2]), int(given[3]) if len(given) > 3 else None)
    print(done.stdout, done.stderr)
    raise SystemExit(done.returncode)
