"""Ring, back up, destroy, restore, ring: what was there is there, and nothing rings too late."""

import asyncio
import contextlib
import json
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import make_url, text

from app import backup
from app.audit.log import SERVER
from app.backup import BackupRefused
from app.infra import postgres_tools
from app.infra.postgres_tools import ToolFailed
from app.infra.runtime import Runtime, open_runtime
from app.infra.server_urls import database_url
from app.infra.settings import Settings
from tests import forks
from tests.conftest import DatabaseServer
from tests.e2e.house import SECRET_KEY, House, eventually, new_tenant
from tests.houses import HouseMaker


def ringline(house: House, *words: str, **more: str) -> tuple[int, dict[str, Any]]:
    """A command of ours with the house's settings; its status, and what it said in JSON."""
    done = forks.run("app.cli", *words, "--json", env=house.env | more, timeout=100)
    assert "Traceback" not in done.stderr
    assert SECRET_KEY not in done.stdout + done.stderr
    return done.returncode, json.loads(done.stdout or done.stderr)


@contextlib.asynccontextmanager
async def refused(code: str, settings: Settings) -> AsyncIterator[Runtime]:
    """Doors with these settings, for something that must be refused."""
    async with _opened(settings) as runtime:
        with pytest.raises(BackupRefused) as found:
            yield runtime
        assert found.value.code == code


@pytest.mark.timeout(180)
async def test_what_was_backed_up_rings_again_and_nothing_rings_past_its_deadline(
    make_house: HouseMaker, database_server: DatabaseServer, tmp_path: Path
) -> None:
    house = make_house(apis=1, workers=1)
    name = make_url(house.database_url).database
    async with new_tenant(house) as tenant, new_tenant(house) as doomed:
        phone, late = await tenant.phone("bob"), await tenant.phone("carol")
        await tenant.ring("bob")
        await tenant.sim.arrived(1, token=phone.voip, timeout=10)
        house.workers[0].stop()
        rung = time.monotonic()
        unsent = await tenant.ring("carol", ring_time=5)  # nobody pushes it now

        await doomed.ring("bob")
        (named,) = await doomed.rows("SELECT name FROM tenants WHERE id = :tenant")
        words = ("tenant", "delete", named["name"], "--confirm", named["name"])
        assert ringline(house, *words)[0] == 0
        status, made = ringline(house, "backup", str(tmp_path / "one"))
        assert (status, made["sealed"]["credentials"]) == (0, 2)
        assert SECRET_KEY.encode() not in (tmp_path / "one" / "database.dump").read_bytes()
        assert (
            ringline(house, "backup", str(tmp_path / "one"))[1]["error"]["code"] == "folder_exists"
        )
        assert ringline(house, "restore", str(tmp_path / "one"))[1]["error"]["code"] == "not_empty"
        lost = await tenant.ring("bob", id="after-the-backup")

        house.apis[0].stop()
        database_server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        database_server.execute(f"CREATE DATABASE {name}")
        other = SecretStr("rX9kP0q8sV5tB1nM7wXe4yRu2aJc6LdF")
        changed = house.settings().model_copy(update={"secret_key": other})
        async with refused("wrong_key", changed) as runtime:
            await backup.restore(runtime, tmp_path / "one", SERVER, None)
        damaged = tmp_path / "damaged"
        shutil.copytree(tmp_path / "one", damaged)
        with (damaged / "database.dump").open("ab") as file:
            file.write(b"more")
        async with refused("damaged", house.settings()) as runtime:
            await backup.restore(runtime, damaged, SERVER, None)
        status, restored = ringline(house, "restore", str(tmp_path / "one"))
        assert (status, restored["sealed"]) == (0, made["sealed"])
        async with _opened(house.settings()) as runtime, runtime.database.autocommit() as session:
            for name in ("begin_calls", "begin_pairs"):
                found = await session.execute(text(f"SELECT to_regprocedure('{name}(jsonb)')"))
                assert found.scalar_one() is not None, "what writes new calls is in the backup too"

        await asyncio.sleep(max(0.0, rung + 6 - time.monotonic()))  # its time is over
        house.start(apis=1, workers=1)
        async with httpx.AsyncClient(
            base_url=house.apis[1].url, headers={"Authorization": f"Bearer {tenant.key}"}
        ) as client:
            path = f"/v1/calls/{unsent['session_id']}"

            async def ended() -> bool:
                return bool((await client.get(path)).json()["state"] == "ended")

            await eventually(ended, timeout=20)
            assert (await client.get(f"/v1/calls/{lost['session_id']}")).status_code == 404
            body = {"caller": {"id": "alice"}, "callees": ["bob"]}
            assert (await client.post("/v1/calls", json=body)).status_code == 202
        await tenant.sim.arrived(2, token=phone.voip, timeout=10)
        assert not tenant.sim.arrivals(token=late.voip)
        shut = await doomed.clients[0].get(f"{house.apis[1].url}/v1/calls")
        assert shut.status_code == 401

        async def removed() -> bool:
            """The deletion was under way at the backup: it goes on, from what is left."""
            (left,) = await doomed.rows("SELECT count(*) AS n FROM calls WHERE tenant_id = :tenant")
            return bool(left["n"] == 0)

        await eventually(removed, timeout=20)


async def test_before_an_upgrade_is_migrated_what_there_is_can_be_backed_up_and_restored(
    database: str, empty_database: str, database_server: DatabaseServer, tmp_path: Path
) -> None:
    def settings(url: str) -> Settings:
        plain = url.replace("+asyncpg", "")
        return Settings(database_url=plain, secret_key=SECRET_KEY, _env_file=None)  # type: ignore[call-arg, arg-type]

    async with _opened(settings(database)) as runtime:
        async with runtime.database.transaction() as session:  # as tables of before were
            await session.execute(text("DROP TABLE key_checks"))
            await session.execute(text("ALTER TABLE audit RENAME COLUMN source TO came_from"))
        made = await backup.make(runtime, tmp_path / "before", SERVER, None)
    assert "key_checks" not in made["sealed"]
    async with _opened(settings(empty_database)) as runtime:
        restored = await backup.restore(runtime, tmp_path / "before", SERVER, None)
    assert restored["sealed"] == made["sealed"]


@contextlib.asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Runtime]:
    runtime = open_runtime(settings)
    try:
        yield runtime
    finally:
        await runtime.close()


def test_a_tool_is_of_the_servers_version_or_newer(tmp_path: Path) -> None:
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.2'\n")
    old.chmod(0o755)
    assert postgres_tools.find("pg_dump", 14, tmp_path) == old
    with pytest.raises(ToolFailed) as failed:
        postgres_tools.find("pg_dump", 18, tmp_path)
    assert "is of version 14" in failed.value.detail
    assert "postgresql-client-18" in failed.value.more["remedy"]
    with pytest.raises(ToolFailed, match="none was found"):
        postgres_tools.find("pg_restore", 18, tmp_path)


def test_a_password_is_in_no_command_line() -> None:
    url = database_url("postgresql://u:se'cret@h1:1,h2/d%27b?sslmode=require")
    assert url.libpq == r"sslmode='require' host='h1,h2' port='1,5432' user='u' dbname='d\'b'"
