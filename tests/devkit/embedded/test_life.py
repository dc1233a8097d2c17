"""Starts, stops, crashes and kills, as root and as an ordinary user, in awkward folders."""

import asyncio
import os
import signal
from pathlib import Path

import asyncpg
import pytest
import redis as redis_client
from sqlalchemy import make_url

from tests.devkit.embedded.people import EACH, Person, all_gone, eventually, processes_of

PLACE = ("closed", "a clone", 'it\'s "$HOME" `x` %s \\n ünïcode', *(["n" * 200] * 5), ".ringline")
"""Below a closed folder, by a very long path, with spaces, quotes and dollars."""


def sql(url: str, statement: str) -> list[asyncpg.Record]:
    async def run() -> list[asyncpg.Record]:
        plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        connection = await asyncpg.connect(plain)
        try:
            return await connection.fetch(statement)
        finally:
            await connection.close()

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        return runner.run(run())


def write(url: str) -> None:
    """Store something in either server."""
    if url.startswith("unix:"):
        with redis_client.Redis.from_url(url) as client:
            client.incr("marks")
    else:
        sql(url, "CREATE TABLE IF NOT EXISTS marks (id int)")
        sql(url, "INSERT INTO marks VALUES (1)")


def marks(url: str) -> int:
    """How often `write` has been called."""
    if url.startswith("unix:"):
        with redis_client.Redis.from_url(url) as client:
            return int(client.get("marks") or 0)
    return sql(url, "SELECT count(*) FROM marks")[0][0]


@EACH
def test_data_stays_over_a_stop_wherever_the_folder_is(person: Person, kind: str) -> None:
    folder = person.folder(*PLACE) / kind
    parents = {part: part.stat().st_mode for part in folder.parents}
    users = Path("/etc/passwd").read_text()
    with person.owns(kind, folder) as owner:
        assert owner.said["uid"] == person.uid
        write(owner.url)
    with person.owns(kind, folder) as owner:
        assert marks(owner.url) == 1
    assert {part: part.stat().st_mode for part in folder.parents} == parents
    assert Path("/etc/passwd").read_text() == users


@EACH
def test_a_throw_away_server_leaves_nothing(person: Person, kind: str) -> None:
    with person.owns(kind) as owner:
        write(owner.url)
        home = Path(owner.said["home"])
        processes = processes_of(owner.pid)
        assert home.exists()
        assert owner.leave() == 0
        assert all_gone(processes)
        assert not home.parent.exists()


@EACH
@pytest.mark.parametrize("kept", [True, False], ids=["with folder", "throw-away"])
def test_no_orphan_when_the_owner_is_killed(person: Person, kind: str, kept: bool) -> None:
    folder = person.folder("killed owner", "x") / kind if kept else None
    with person.owns(kind, folder) as owner:
        processes = processes_of(owner.pid)
        assert kind == "Valkey" or len(processes) > 3
        owner.process.kill()
        assert eventually(lambda: all_gone(processes))


@EACH
def test_a_new_owner_at_once_after_a_kill_finds_the_data(person: Person, kind: str) -> None:
    folder = person.folder("new owner", "x") / kind
    for count in (1, 2):
        with person.owns(kind, folder) as owner:
            write(owner.url)
            if kind == "Valkey":
                assert eventually(lambda: synced_to_disk(owner.url))
            owner.process.kill()
        # On leaving, only the owner has been waited for: its server may still be ending.
        with person.owns(kind, folder) as owner:
            assert marks(owner.url) == count


def synced_to_disk(url: str) -> bool:
    with redis_client.Redis.from_url(url) as client:
        return client.waitaof(1, 0, 2000)[0] == 1


@EACH
@pytest.mark.parametrize("kept", [True, False], ids=["with folder", "throw-away"])
def test_a_crashed_server_starts_again_under_its_url(person: Person, kind: str, kept: bool) -> None:
    folder = person.folder("crash", "x") / kind if kept else None
    with person.owns(kind, folder) as owner:
        first, url = owner.pid, owner.url
        write(url)
        if kept and kind == "Valkey":
            assert eventually(lambda: synced_to_disk(url))
        os.kill(first, signal.SIGKILL)
        # Until the kernel has done with it, start() finds it running and does nothing.
        assert eventually(lambda: owner.tell("start")["pid"] != first)
        assert owner.url == url
        kept_marks = kept or kind == "Postgres"  # without a folder Valkey keeps nothing
        assert marks(url) == (1 if kept_marks else 0)
        second = owner.pid
        assert owner.tell("start")["pid"] == second
        assert not owner.tell("stop")["running"]
        assert owner.tell("start")["url"] == url


@EACH
def test_a_frozen_server_is_stopped_too(person: Person, kind: str) -> None:
    with person.owns(kind) as owner:
        processes = processes_of(owner.pid)
        os.kill(owner.pid, signal.SIGSTOP)
        assert owner.leave() == 0
        assert all_gone(processes)


@EACH
def test_a_server_frozen_when_its_owner_died_does_not_bar_the_next(
    person: Person, kind: str
) -> None:
    folder = person.folder("frozen orphan", "x") / kind
    with person.owns(kind, folder) as owner:
        write(owner.url)
        processes = processes_of(owner.pid)
        os.kill(owner.pid, signal.SIGSTOP)
        owner.process.kill()
    with person.owns(kind, folder) as owner:
        assert all_gone(processes)
        assert marks(owner.url) in ({1} if kind == "Postgres" else {0, 1})


def test_two_copies_run_side_by_side(person: Person) -> None:
    one, other = person.folder("two", "one"), person.folder("two", "other")
    with person.owns("Postgres", one) as first, person.owns("Postgres", other) as second:
        write(first.url)
        write(second.url)
        write(second.url)
        assert (marks(first.url), marks(second.url)) == (1, 2)


def test_only_its_user_may_open_the_socket(person: Person, ordinary: Person) -> None:
    with person.owns("Postgres") as owner:
        sockets = Path(str(make_url(owner.url).query["host"]))
        about = sockets.stat()
        assert about.st_mode & 0o777 == 0o700
        assert about.st_uid == (person.uid or ordinary.uid)
        assert not listens_on_tcp(owner.pid)


def listens_on_tcp(pid: int) -> bool:
    """Linux; elsewhere False."""
    descriptors = Path(f"/proc/{pid}/fd")
    if not descriptors.exists():
        return False
    own = {str(link.readlink()) for link in descriptors.iterdir()}
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line for table in tables if table.exists() for line in table.read_text().splitlines()]
    return any(f"socket:[{inode}]" in own for inode in (line.split()[9] for line in lines))
