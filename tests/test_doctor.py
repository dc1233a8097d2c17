"""What `ringline doctor` says of the way to Apple."""

import asyncio
import gc
from pathlib import Path

import pytest

from app import doctor
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


async def test_a_pinned_older_authority_is_named(simulator: Simulator) -> None:
    """Apple's chain ends in USERTrust RSA since early 2025: asked of nobody, known from the file."""
    told = await doctor._apns(
        "APNs production", "https://api.push.apple.com", settings(simulator.ca_file)
    )
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
    told = await doctor._apns("APNs production", simulator.production_url, settings(ca_file))
    assert told.ok is trusts


def test_it_leaves_no_connection_behind(simulator: Simulator) -> None:
    """What is left open is said when it is collected; pytest then fails this test."""
    for _ in range(3):
        asyncio.run(
            doctor._apns("APNs production", simulator.production_url, settings(simulator.ca_file))
        )
    gc.collect()
