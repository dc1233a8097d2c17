"""The guides' shell blocks, run word for word: `python -m tests.readme.guides`.

As a stranger would: `ringline demo` runs, the line that it prints is pasted into a shell, and then, page
by page, every block as it stands. The files that a page asks its reader to bring are made beforehand, and
`/var/backups` is a folder of this run's. A request that is refused fails its page, as a command does.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from tests.appcheck.made import Axml, apk, ipa, manifest
from tests.environment import own_environment
from tests.fences import blocks_in

ROOT = Path(__file__).resolve().parents[2]
CALLS = "com.example.calls"
BACKUPS = "/var/backups/"
NOT_RUN = {
    "make demo": "by `make demo ONCE=1` in .ci/run, and `make test`",
    "pip install .": "by `python -m tests.readme.path`",
    "make capacity": "it takes six minutes",
    "@db-1,db-2/": "settings with hosts of yours",
}
"""By words of theirs: what is run elsewhere, or nowhere."""


def pages() -> Iterator[tuple[str, list[str]]]:
    """(page, its blocks that are to be run)."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))):
        here = [
            block
            for block in blocks_in(page.read_text(), "sh")
            if not any(words in block for words in NOT_RUN)
        ]
        if here:
            yield str(page.relative_to(ROOT)), here


@contextlib.contextmanager
def demo(folder: Path) -> Iterator[str]:
    """The demo runs; yields the line that it says to paste."""
    words = [sys.executable, "-m", "app.cli", "demo", "--folder", str(folder)]
    with subprocess.Popen(
        words, cwd=ROOT, env=own_environment(), stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            assert running.stdout is not None
            said = []
            for line in running.stdout:
                said.append(line)
                if "Ctrl-C" in line:
                    break
            pasted = [line.strip() for line in said if line.startswith(". ")]
            if not pasted:
                raise SystemExit("the demo did not come up:\n" + "".join(said))
            yield pasted[0]
        finally:
            # no SIGINT, which a shell's background jobs ignore
            running.terminate()
            try:
                running.wait(60)
            except subprocess.TimeoutExpired:
                running.kill()
                raise


def asked(variables: dict[str, str], path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What the simulator answers at its control address."""
    request = urllib.request.Request(
        variables["RINGLINE_SIMULATOR_URL"] + path, json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )  # fmt: skip
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def variables_of(line: str) -> dict[str, str]:
    """What a shell has once the line is pasted."""
    done = subprocess.run(
        ["bash", "-euc", f"{line}\nenv -0"],
        env=own_environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(pair.split("=", 1) for pair in done.stdout.split("\0") if "=" in pair)


def bring(folder: Path, variables: dict[str, str]) -> None:
    """The files that pages ask for: a certificate, an account of Google's, apps."""
    issued = asked(variables, "/certificates/voip", {"app_id": CALLS})
    key = serialization.load_pem_private_key(issued["key"].encode(), None)
    certificate = x509.load_pem_x509_certificate(issued["certificate"].encode())
    sealed = serialization.BestAvailableEncryption(b"sesame")
    bundle = pkcs12.serialize_key_and_certificates(b"VoIP", key, certificate, None, sealed)
    (folder / "voip.p12").write_bytes(bundle)
    (folder / "password").write_text("sesame\n")
    account = asked(variables, "/google/accounts", {"project_id": "demo-project"})
    (folder / "service-account.json").write_text(account["json"])
    entitlements = {
        "application-identifier": f"ABCDE12345.{CALLS}",
        "aps-environment": "production",
    }
    ipa(folder / "Calls.ipa", info={"CFBundleIdentifier": CALLS}, entitlements=entitlements)
    apk(folder / "app-release.apk", Axml(manifest()).data)
    # every request of theirs that is refused is a failure
    (folder / ".curlrc").write_text("show-error\nfail-with-body\n")


def main() -> int:
    """Run them all; 0 when each did what it says."""
    bad = []
    with tempfile.TemporaryDirectory(prefix="ringline guides ") as made:
        folder = Path(made)
        with demo(folder / "demo") as line:
            print(f"$ {line}")
            bring(folder, variables_of(line))
            env = own_environment() | {"CURL_HOME": made}
            for page, blocks in pages():
                text = "\n".join(blocks).replace(BACKUPS, "./")
                script = f"set -euo pipefail\n{line}\nset -v\n{text}"
                done = subprocess.run(
                    ["bash", "-c", script], cwd=folder, env=env, stdin=subprocess.DEVNULL,
                    capture_output=True, text=True, check=False, timeout=120,
                )  # fmt: skip
                well = done.returncode == 0
                print(f"{'right' if well else 'WRONG'}: {page}, {len(blocks)} blocks", flush=True)
                if not well:
                    bad.append(page)
                    print(done.stdout + done.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main())
