"""The path of deploy/README.md to a machine with systemd, word for word: `python -m tests.readme.units`.

As root, in a mount namespace of its own: what its blocks write to /etc and /opt is seen by this run
alone. There is no systemd, so `systemctl` is this module, which does what the units say: the user, the file
of settings, the command. Two things are filled in: the servers' addresses, and a port that is free.
"""

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fences import blocks_in
from tests.readme.path import free_port, postgres, ready, redis

ROOT = Path(__file__).resolve().parents[2]
UNITS = Path("/etc/systemd/system")
RUNNING = "UNITS_FOLDER"
INSIDE = "UNITS_INSIDE"
PATIENCE = 60.0
SYSTEMS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""The PATH of a login as root: the page wants the system's Python."""


def blocks() -> list[str]:
    """Those of the section."""
    text = (ROOT / "deploy" / "README.md").read_text()
    section = text.split("\n## systemd\n", 1)[1].split("\n## ", 1)[0]
    found = blocks_in(section, "sh")
    assert len(found) == 2, "one block installs, one makes a tenant"
    return found


def filled(text: str, database: str, broker: str) -> str:
    """A block with what a person would put in, and quieter."""
    for address, ours in (
        ("postgresql://ringline:PASSWORD@localhost/ringline", database),
        ("redis://localhost:6379/0", broker),
    ):
        text = text.replace(address, ours)
    return text.replace("bin/pip install ", "bin/pip install -q ")


def start(unit: str) -> int:
    """What systemd would do for a service; its status, or 0 for what goes on."""
    said = (UNITS / f"{unit}.service").read_text()
    told = dict(re.findall(r"^(\w+)=(.*)$", said, re.MULTILINE))
    folder = Path(os.environ[RUNNING])
    state = folder / told.get("StateDirectory", "")
    if "StateDirectory" in told:
        state.mkdir(exist_ok=True)
        shutil.chown(state, told["User"], told["Group"])
    command = told["ExecStart"].replace("%%", "%").replace("--port 8000", f"--port {free(folder)}")
    # a file of settings that systemd reads is one that a shell reads: each value is quoted
    words = f"set -a; . {told['EnvironmentFile']}; set +a; STATE_DIRECTORY={shlex.quote(str(state))}; export STATE_DIRECTORY; cd /"
    who = ["setpriv", f"--reuid={told['User']}", f"--regid={told['Group']}", "--init-groups"]
    line = ["env", "-i", f"PATH={os.environ['PATH']}", *who, "sh", "-ec", f"{words}; {command}"]
    out = (folder / f"{unit}.log").open("w")
    process = subprocess.Popen(
        line, stdout=out, stderr=out, stdin=subprocess.DEVNULL, start_new_session=True
    )
    if told["Type"] == "oneshot":
        return process.wait(300)
    with (folder / "pids").open("a") as pids:
        pids.write(f"{process.pid}\n")
    return 0


def free(folder: Path) -> str:
    """A port for the API: chosen once."""
    kept = folder / "port"
    if not kept.exists():
        kept.write_text(str(free_port()))
    return kept.read_text()


def systemctl(words: list[str]) -> int:
    """The few verbs of the page; a timer is only looked for."""
    verb, *units = [word for word in words if word != "--now"]
    if verb == "daemon-reload":
        return 0
    assert verb in {"start", "enable"}, words
    for unit in units:
        if unit.endswith(".timer"):
            assert (UNITS / unit).exists(), unit
            assert (UNITS / unit).with_suffix(".service").exists(), unit
        elif (status := start(unit)) != 0:
            return status
    return 0


def inside(folder: Path) -> int:
    """In the namespace, with /etc and /opt of this run's own: the blocks, then whether it serves."""
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    stub = bin_folder / "systemctl"
    stub.write_text(
        f'#!/bin/sh\ncd {shlex.quote(str(ROOT))} && exec {shlex.quote(sys.executable)} -m tests.readme.units systemctl "$@"\n'
    )
    stub.chmod(0o755)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("RINGLINE_", "PYTHON"))}
    env = kept | {"PATH": f"{bin_folder}:{SYSTEMS}", RUNNING: str(folder)}
    with contextlib.ExitStack() as stack:
        database, _ = stack.enter_context(postgres())
        broker, _ = stack.enter_context(redis(folder))
        try:
            install, use = (filled(one, database, broker) for one in blocks())
            run(install, env)
            url, until = f"http://127.0.0.1:{free(folder)}", time.monotonic() + PATIENCE
            while not ready(url):
                assert time.monotonic() < until, logs(folder)
                time.sleep(0.2)
            # what is wrong on this machine is Apple, which cannot be reached from it, and no TLS in front
            run(use.replace("ringline doctor", "ringline doctor || test $? = 1"), env)
            run("systemctl start ringline-backup", env)
            (made,) = (folder / "ringline-backup").glob("*Z/database.dump")
            print(f"serves, and backs up {made.stat().st_size:,} bytes")
        finally:
            end(folder)
    return 0


def run(text: str, env: dict[str, str]) -> None:
    script = f"set -euo pipefail\nset -x\n{text}"
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, env=env, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    # what is typed there is secret, and of nobody's interest where all goes well
    assert done.returncode == 0, f"{done.stdout}\n{logs(Path(env[RUNNING]))}"


def logs(folder: Path) -> str:
    return "\n".join(f"{log.name}: {log.read_text()[-2000:]}" for log in folder.glob("*.log"))


def end(folder: Path) -> None:
    """Stop what was started, as systemd would: the whole group of each."""
    pids = folder / "pids"
    for pid in map(int, pids.read_text().split() if pids.exists() else ()):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGTERM)
    until = time.monotonic() + 20
    while time.monotonic() < until and subprocess.run(
        ["pgrep", "-u", "ringline"], stdout=subprocess.DEVNULL, check=False
    ).returncode == 0:  # fmt: skip
        time.sleep(0.2)


def main() -> int:
    """Run it in a namespace of its own; 0 when all went well, or where it cannot be run."""
    if sys.argv[1:2] == ["systemctl"]:
        return systemctl(sys.argv[2:])
    if INSIDE in os.environ:
        return inside(Path(os.environ[INSIDE]))
    tools = ("unshare", "setpriv", "pg_lsclusters")
    new = [shutil.which("python3", path=SYSTEMS) or "false", "-c", "import ensurepip, tomllib"]
    if (
        os.geteuid() != 0
        or not all(map(shutil.which, tools))
        or subprocess.run(new, check=False).returncode
    ):
        print(
            "not run: it takes root, `unshare`, `setpriv`, Debian's PostgreSQL and a system's Python of 3.11"
        )
        return 0
    with tempfile.TemporaryDirectory(prefix="units-") as made:
        folder = Path(made)
        folder.chmod(0o711)
        # an overlay's own folders may not lie on an overlay, as a container's root is
        mounts = (
            f"mkdir {made}/mem && mount -t tmpfs none {made}/mem && mkdir {made}/mem/up {made}/mem/work && "
            f"mount -t overlay overlay -o lowerdir=/etc,upperdir={made}/mem/up,workdir={made}/mem/work /etc && "
            "mount -t tmpfs none /opt"
        )
        words = f"{mounts} && exec {shlex.quote(sys.executable)} -m tests.readme.units"
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", words],
            cwd=ROOT, env=os.environ | {INSIDE: made}, check=False,
        )  # fmt: skip
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
