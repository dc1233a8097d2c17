"""What the suite asks of the simulated Apple: all that has come, or a word that some is forgotten."""

import secrets
import ssl
from pathlib import Path

import orjson
import pytest

from devkit.simulator import Simulator
from tests.chaos import apple
from tests.chaos.counts import CannotJudge
from tests.devkit.simulator.conftest import pem_file
from tests.devkit.simulator.raw_client import connected

BUNDLE = "com.example.chaos"
KEEP = 10


async def test_pushes_that_were_forgotten_are_not_told_as_never_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apple, "AT_A_TIME", 4)
    with Simulator.running(tmp_path / "small", keep=KEEP) as small:
        context = ssl.create_default_context(cafile=str(small.ca_file))
        context.set_alpn_protocols(["h2"])
        context.load_cert_chain(pem_file(small.voip_certificate(BUNDLE), tmp_path))
        token = secrets.token_hex(32)
        small.live(token)
        asked = apple.Apple(int(small.control_url.rpartition(":")[2]))
        rings = [str(n) for n in range(KEEP + 1)]
        async with connected(small.production_port, context) as client:
            for ring in rings[:KEEP]:
                body = orjson.dumps({"ring": {"uuid": ring}})
                assert (await client.push(token, body, topic=f"{BUNDLE}.voip")).status == 200
            assert [one.ring for one in await asked.sent()] == rings[:KEEP]
            body = orjson.dumps({"ring": {"uuid": rings[KEEP]}})
            assert (await client.push(token, body, topic=f"{BUNDLE}.voip")).status == 200
        assert [one.ring for one in await asked.sent(after=1)] == rings[1:]
        with pytest.raises(CannotJudge, match=r"the first 1$"):
            await asked.sent()
        await asked.close()
