"""Folders in use, left by a crash, of another user; temp folders and caches of every kind."""

import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from devkit.embedded import EmbeddedError, Valkey, running_valkey
from devkit.embedded.locks import process_started
from devkit.embedded.places import YOUNG_SECONDS, sweep
from tests.devkit.embedded.people import (
    EACH,
    KINDS,
    ONLY_ROOT,
    Person,
    all_gone,
    eventually,
    processes_of,
)
from tests.devkit.embedded.test_life import marks, write

PR_SET_CHILD_SUBREAPER = 36
MESSY_ENVIRONMENT = {
    "PGPORT": "1",
    "PGHOST": "/nowhere",
    "PGDATA": "/nowhere",
    "PGOPTIONS": "-c bogus=1",
    "LC_ALL": "xx_YY",
    "LANG": "de_DE.UTF-8",
    "PYTHONHOME": "",
}


@EACH
def test_a_folder_in_use_is_refused_by_name_of_its_owner(person: Person, kind: str) -> None:
    folder = person.folder("in use", "x") / kind
    with person.owns(kind, folder) as first:
        with person.owns(kind, folder) as second:
            assert (
                f"{folder} is already in use by process {first.said['owner']}"
                in second.said["error"]
            )
        write(first.url)
        assert marks(first.url) == 1


def test_a_folder_is_refused_to_the_same_process_too(tmp_path: Path) -> None:
    second = Valkey(tmp_path)
    mine = f"in use by process {os.getpid()}"
    with running_valkey(tmp_path), pytest.raises(EmbeddedError, match=mine):
        second.start()
    second.close()
    with running_valkey(tmp_path) as again:
        assert again.is_running()


@contextmanager
def zombie() -> Iterator[int]:
    process = subprocess.Popen(["true"])
    assert eventually(lambda: process_started(process.pid) is None)
    os.kill(process.pid, 0)  # does not see it
    yield process.pid
    process.wait()


@pytest.mark.parametrize("living", [True, False], ids=["another process", "zombie"])
def test_a_stale_pid_file_does_not_bar_the_start(person: Person, living: bool) -> None:
    folder = person.folder("stale pid", "x") / "Postgres"
    with zombie() as dead:
        with person.owns("Postgres", folder) as owner:
            write(owner.url)
            pid_file = folder / "data" / "postmaster.pid"
            lines = pid_file.read_text().splitlines()
            owner.leave()
        with person.owns("Postgres", folder) as owner:
            before = marks(owner.url)
            owner.leave()
        lines[0] = str(os.getpid() if living else dead)
        pid_file.write_text("\n".join(lines) + "\n")
        with person.owns("Postgres", folder) as owner:
            assert marks(owner.url) == before


@contextmanager
def never_reaping() -> Iterator[None]:
    """Orphans become children of this process, which does not reap them: a container's PID 1."""
    prctl = ctypes.CDLL(None).prctl
    assert prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
    try:
        yield
    finally:
        prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


@EACH
def test_starts_again_where_pid_1_does_not_reap(person: Person, kind: str) -> None:
    folder = person.folder("no reaper", "x") / kind
    with never_reaping():
        with person.owns(kind, folder) as owner:
            server = owner.pid
            os.kill(server, signal.SIGKILL)
            owner.process.kill()
            owner.process.wait()
        os.kill(server, 0)  # still there, as a zombie
        with person.owns(kind, folder) as owner:
            assert owner.said["running"]
        assert process_started(server) is None
        os.waitpid(server, 0)


def test_a_postgres_that_is_not_ours_is_left_alone(person: Person) -> None:
    folder = person.folder("foreign", "x") / "Postgres"
    with person.owns("Postgres", folder) as owner:
        pid_file = folder / "data" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        owner.leave()
    with person.owns("Postgres") as foreign:
        pid_file.write_text("\n".join([str(foreign.pid), *lines[1:]]))
        with person.owns("Postgres", folder) as refused:
            assert f"in use by PostgreSQL process {foreign.pid}" in refused.said["error"]
        assert pid_file.exists()


def test_a_start_killed_half_way_begins_anew(person: Person) -> None:
    folder = person.folder("half-way", "x", "Postgres")
    person.folder("half-way", "x", "Postgres", "data.unfinished", "base")
    with person.owns("Postgres", folder) as owner:
        write(owner.url)
    assert not (folder / "data.unfinished").exists()


def test_a_folder_of_something_else_is_not_touched(person: Person) -> None:
    folder = person.folder("else", "x", "Postgres")
    person.folder("else", "x", "Postgres", "data")
    (folder / "data" / "letter.txt").write_text("dear")
    with person.owns("Postgres", folder) as owner:
        assert "is no PostgreSQL data folder" in owner.said["error"]
    assert (folder / "data" / "letter.txt").read_text() == "dear"


@ONLY_ROOT
@pytest.mark.parametrize("person", ["root"], indirect=True)
@pytest.mark.parametrize("kind", KINDS)
def test_root_and_an_ordinary_user_take_turns(person: Person, ordinary: Person, kind: str) -> None:
    theirs = ordinary.folder("turns", "x") / kind
    with ordinary.owns(kind, theirs) as owner:
        write(owner.url)
    with person.owns(kind, theirs) as owner:  # PostgreSQL then runs as the folder's owner
        write(owner.url)
    with ordinary.owns(kind, theirs) as owner:
        assert marks(owner.url) == 2

    of_root = ordinary.folder("turns", "x") / f"{kind} of root"
    with person.owns(kind, of_root) as owner:
        write(owner.url)
    with ordinary.owns(kind, of_root) as owner:
        assert "was made by another user" in owner.said["error"]


@pytest.mark.parametrize("name", ["spaces in it, " + "n" * 140, "closed"])
@pytest.mark.parametrize("kept", [True, False], ids=["with folder", "throw-away"])
def test_any_temp_folder_will_do(person: Person, name: str, kept: bool) -> None:
    temp = person.folder("temp", name) if name != "closed" else person.folder(name)
    folder = person.folder("temp", "x") / name[:10] if kept else None
    environment = MESSY_ENVIRONMENT | {"TMPDIR": str(temp)}
    for kind in KINDS:
        of_kind = folder / kind if folder else None
        with person.owns(kind, of_kind, environment=environment) as owner:
            write(owner.url)
            assert marks(owner.url) == 1


def test_an_empty_cache_is_filled_once_and_a_damaged_one_again(
    person: Person, open_folder: Path
) -> None:
    temp = open_folder / f"cache of {person.uid}".replace(" ", "-")
    temp.mkdir(mode=0o777)
    temp.chmod(0o777)
    environment = {"TMPDIR": str(temp)}
    words = (str(person.owner_script), "Postgres", "-")
    with ThreadPoolExecutor() as three_at_once:
        runs = [three_at_once.submit(person.run, *words, environment=environment) for _ in "123"]
        assert all('"running": true' in run.result() for run in runs)
    made = temp / f"ringline-{person.uid}"
    assert sorted(path.name.partition("-")[0] for path in made.iterdir() if path.is_dir()) == (
        ["data", "postgres"] if person.uid == 0 else ["data"]
    )
    for cached in [path for path in made.iterdir() if path.is_dir()]:
        next(path for path in sorted(cached.rglob("*")) if path.is_file()).unlink()
    with person.owns("Postgres", environment=environment) as owner:
        write(owner.url)


@ONLY_ROOT
@pytest.mark.parametrize("person", ["root"], indirect=True)
def test_root_may_copy_the_data(person: Person) -> None:
    folder = person.folder("copied", "x")
    with person.owns("Postgres", folder / "one") as owner:
        write(owner.url)
    shutil.copytree(folder / "one", folder / "other")  # all of it root's now
    with person.owns("Postgres", folder / "other") as owner:
        assert marks(owner.url) == 1


@ONLY_ROOT
@pytest.mark.parametrize("person", ["root"], indirect=True)
def test_root_that_may_not_become_another_user_is_told_so(person: Person) -> None:
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    with person.owns("Postgres", before=bare) as owner:
        assert "may not become `nobody`" in owner.said["error"]
    with person.owns("Valkey", before=bare) as owner:
        assert owner.said["running"]


@ONLY_ROOT
@pytest.mark.parametrize("person", ["root"], indirect=True)
def test_a_cache_that_another_user_made_is_not_trusted(
    person: Person, ordinary: Person, open_folder: Path
) -> None:
    temp = open_folder / "planted"
    planted = temp / "ringline-0"
    planted.mkdir(parents=True)
    os.chown(planted, ordinary.uid, ordinary.gid)
    with person.owns("Postgres", environment={"TMPDIR": str(temp)}) as owner:
        assert f"{planted} was made by another user" in owner.said["error"]


@EACH
@pytest.mark.parametrize("frozen", [False, True], ids=["ended", "frozen"])
def test_what_killed_owners_left_is_swept(person: Person, kind: str, frozen: bool) -> None:
    with person.owns(kind) as owner:
        processes = processes_of(owner.pid)
        left = Path(owner.said["home"]).parent
        if frozen:
            os.kill(owner.pid, signal.SIGSTOP)
        owner.process.kill()
    assert left.exists()
    old = time.time() - 2 * YOUNG_SECONDS
    os.utime(left, (old, old))
    sweeping = f"from devkit.embedded.places import *; sweep(Path({str(left.parent)!r}))"
    person.run("-c", sweeping)  # wakes a frozen one, which ends and may touch the folder
    assert eventually(lambda: all_gone(processes))
    if left.exists():
        os.utime(left, (old, old))
        person.run("-c", sweeping)
    assert not left.exists()


def test_the_sweep_spares_what_runs_and_what_is_young(tmp_path: Path) -> None:
    young = tmp_path / "rl-young"
    young.mkdir()
    foreign = tmp_path / "rl-file"
    foreign.touch()
    with running_valkey() as server:
        running = server.home.parent
        old = time.time() - 2 * YOUNG_SECONDS
        os.utime(running, (old, old))
        sweep(tmp_path)
        sweep(running.parent)
        assert running.exists()
        assert server._is_ready()
    assert young.exists()
    assert foreign.exists()
    shutil.rmtree(young)


def test_the_sweep_touches_only_what_is_certainly_ours(tmp_path: Path) -> None:
    """The temp folder is everybody's: a name that begins like ours says nothing."""
    foreign = [tmp_path / "rl-notes", tmp_path / "rl-0123456789", tmp_path / "rl-01234567890"]
    for folder in foreign:
        folder.mkdir()
        (folder / "precious").write_text("kept")
    (foreign[2] / "in-use.lock").touch()
    old = time.time() - YOUNG_SECONDS - 10
    for folder in foreign:
        os.utime(folder, (old, old))
    sweep(tmp_path)
    assert [(folder / "precious").read_text() for folder in foreign] == ["kept"] * 3
