"""Trust anchors: read when they are first needed, and once."""

import asyncio
from pathlib import Path

import pytest

from app.http2.tls import TrustingContext
from devkit.simulator import Simulator


async def test_many_who_wait_for_trust_anchors_have_them_read_once(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = TrustingContext(simulator.ca_file)
    reads: list[None] = []

    def load() -> None:
        reads.append(None)
        TrustingContext._load(tls)

    monkeypatch.setattr(tls, "_load", load)
    await asyncio.gather(*(tls.load() for _ in range(20)))
    await tls.load()
    assert len(reads) == 1
    assert tls.context.get_ca_certs()


async def test_a_file_of_trust_anchors_that_was_away_is_read_once_it_is_there(
    simulator: Simulator, tmp_path: Path
) -> None:
    away = tmp_path / "ca.pem"
    tls = TrustingContext(away)
    found = await asyncio.gather(tls.load(), tls.load(), return_exceptions=True)
    assert [type(one) for one in found] == [FileNotFoundError] * 2
    away.write_bytes(simulator.ca_file.read_bytes())
    await tls.load()
    assert tls.context.get_ca_certs()
