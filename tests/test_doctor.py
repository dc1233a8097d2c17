"""What `ringline doctor` says of the way to Apple."""

import asyncio
import gc
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from app import doctor
from app.http2.way_out import way_out
from app.infra.db import Database
from app.infra.settings import Settings
from devkit.simulator import Simulator

SECRET_KEY = "k" * 43


def settings(ca_file: Path) -> Settings:
    return Settings(
        _env_file=None,
        database_url="postgresql://localhost/x",
        redis_url="redis://localhost",
        secret_key=SECRET_KEY,
        public_url="http://127.0.0.1:8000",
        apns_ca_file=ca_file,
    )


def ways(simulator: Simulator, ca_file: Path) -> list[doctor.Way]:
    """To both of Apple's hosts and both of Google's, all of them the simulator's."""
    known = settings(ca_file).model_copy(
        update={
            "apns_production_url": simulator.production_url,
            "apns_sandbox_url": simulator.sandbox_url,
            "fcm_url": simulator.fcm_url,
            "google_token_url": simulator.google_token_url,
            "google_ca_file": ca_file,
        }
    )
    return doctor._ways_to_apple(known) + doctor._ways_to_google(known)


async def test_a_pinned_older_authority_is_named(simulator: Simulator) -> None:
    """Apple's chain ends in USERTrust RSA since early 2025: asked of nobody, known from the file."""
    told = await doctor._reach(doctor._ways_to_apple(settings(simulator.ca_file))[0])
    assert not told.ok
    assert "USERTrust RSA" in told.found
    assert "RINGLINE_APNS_CA_FILE" in told.mend


@pytest.mark.parametrize("trusts", [True, False])
async def test_it_trusts_what_the_senders_trust(
    simulator: Simulator, trusts: bool, tmp_path: Path
) -> None:
    other = simulator.authority.create("Somebody else")
    (tmp_path / "ca.pem").write_bytes(other.pem)
    ca_file = simulator.ca_file if trusts else tmp_path / "ca.pem"
    told = [await doctor._reach(way) for way in ways(simulator, ca_file)]
    assert [one.ok for one in told] == [trusts] * 4, told
    named = ["APNs production", "APNs sandbox", "FCM", "Google's access tokens"]
    assert [one.name for one in told] == named


async def test_who_cannot_be_reached_is_said_with_what_is_in_the_way(
    simulator: Simulator, tmp_path: Path
) -> None:
    """A name that nobody can look up, an address of one's own where nobody is, another authority."""
    named, _, *_ = doctor._ways_to_google(settings(simulator.ca_file))
    lost = replace(named, url="https://nobody.invalid")
    assert "unset the setting" in (await doctor._reach(lost)).mend
    google = way_out("fcm.googleapis.com", "Google", "X", socket.gaierror(-2, "unknown"))
    assert google.startswith("let names be looked up (DNS), and allow outgoing TCP 443 to Google")
    apple = way_out("api.push.apple.com", "Apple", "X", TimeoutError())
    assert apple == "allow outgoing TCP 443 to Apple (or 2197), with no proxy that opens TLS"
    (tmp_path / "ca.pem").write_bytes(simulator.authority.create("Somebody else").pem)
    told = [await doctor._reach(way) for way in ways(simulator, tmp_path / "ca.pem")]
    assert {one.mend.rpartition(" ")[2] for one in told} == {
        "RINGLINE_APNS_CA_FILE", "RINGLINE_GOOGLE_CA_FILE"
    }  # fmt: skip


async def test_a_file_of_authorities_that_is_none_is_named(
    simulator: Simulator, tmp_path: Path
) -> None:
    told = [await doctor._reach(way) for way in ways(simulator, tmp_path / "none.pem")]
    assert {one.name for one in told} == {"RINGLINE_APNS_CA_FILE", "RINGLINE_GOOGLE_CA_FILE"}
    assert not any(one.ok for one in told)


def test_it_leaves_no_connection_behind(simulator: Simulator) -> None:
    """What is left open is said when it is collected; pytest then fails this test."""
    for way in ways(simulator, simulator.ca_file):
        asyncio.run(doctor._reach(way))
    gc.collect()


async def test_a_database_that_takes_no_writes_is_told(database: str) -> None:
    """A standby: it answers all that is read, and no worker can be alive there."""
    plain = database.replace("postgresql+asyncpg", "postgresql")
    known = settings(Path("none.pem")).model_copy(update={"database_url": plain})
    assert (await doctor._database(known))[0].ok
    opened = Database(database, pool=1)
    async with opened.autocommit() as session:
        name = (await session.execute(text("SELECT current_database()"))).scalar_one()
        await session.execute(text(f"ALTER DATABASE {name} SET default_transaction_read_only = on"))
    await opened.close()
    told = (await doctor._database(known))[0]
    assert (told.ok, told.name) == (False, "PostgreSQL")
    assert "read-only" in told.found
    assert "no standby" in told.mend
