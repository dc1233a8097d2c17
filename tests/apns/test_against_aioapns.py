"""The same faults against ours, which must pass, and against raw aioapns, which is reported.

What raw aioapns does is printed (`pytest -s`), not asserted: it is the reason for this engine,
and it may get better.
"""

import asyncio
import json
import logging
import tempfile
import warnings
from contextlib import asynccontextmanager
from importlib.metadata import version

import pytest
from aioapns import APNs, NotificationRequest, PushType
from aioapns.connection import APNsTLSClientProtocol

from app.apns import Timing
from app.apns.credential import load_pem
from app.http2.tls import client_context
from devkit.simulator import Simulator
from tests.apns.faults_of_aioapns import CHECKS
from tests.apns.rig import (
    BUNDLE,
    PAYLOAD,
    TOPIC,
    Rig,
    certificate,
    provider_key,
    push_to,
    rig_on,
)

LIMIT = 0.8
"""Seconds until a check that has not ended counts as hanging. Our pushes have half of it."""


class Ours:
    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    async def push(self, token: str, payload: bytes = PAYLOAD, apns_id: str | None = None):
        request = push_to(token, payload=payload, notification_id=apns_id)
        return await self.rig.sender.send(request, self.rig.loop.time() + LIMIT / 2)

    def leftovers(self) -> int:
        return self.rig.sender.pool.in_flight


class Raw:
    """aioapns as it is; only its host and port, which are class attributes, are ours."""

    def __init__(self, client: APNs) -> None:
        self.client = client

    async def push(self, token: str, payload: bytes = PAYLOAD, apns_id: str | None = None):
        request = NotificationRequest(
            token, json.loads(payload), apns_id, priority=10, push_type=PushType.VOIP
        )
        return await self.client.send_notification(request)

    def leftovers(self) -> int:
        return sum(len(x.requests) + len(x.request_streams) for x in self.client.pool.connections)


@asynccontextmanager
async def raw_client(sim: Simulator, *, alpn=True, key=False, idle=10.0, max_connections=10):
    context = client_context()
    context.load_verify_locations(sim.ca_file)
    if not alpn:
        context.set_alpn_protocols([])
    with tempfile.NamedTemporaryFile(suffix=".pem") as file:
        if key:
            made = sim.provider_key()
            names = {"key": made.p8, "key_id": made.key_id, "team_id": made.team_id}
        else:
            pem = sim.voip_certificate(BUNDLE).pem
            load_pem(context, pem)
            file.write(pem)
            file.flush()
            names = {"client_cert": file.name}
        client = APNs(**names, topic=TOPIC, ssl_context=context, max_connections=max_connections)
    here = {
        "APNS_SERVER": "localhost",
        "APNS_PORT": sim.production_port,
        "INACTIVITY_TIME": idle,
    }
    client.pool.protocol_class = type("Here", (APNsTLSClientProtocol,), here)
    try:
        yield Raw(client)
    finally:
        client.pool.close()


@pytest.mark.parametrize("name", CHECKS)
async def test_ours(sim: Simulator, name: str) -> None:
    run, options = CHECKS[name]
    options = dict(options)
    options.pop("alpn", None)
    credential = provider_key(sim) if options.pop("key", False) else certificate(sim)
    if "idle" in options:
        options["timing"] = Timing(ping_idle=options.pop("idle"), ping_timeout=0.5)
    async with rig_on(sim, credential, **options) as rig:
        async with asyncio.timeout(3 * LIMIT):
            await run(Ours(rig), sim)
        await rig.settled()


async def test_raw_aioapns_is_reported(sim: Simulator, capfd) -> None:
    logging.getLogger("aioapns").setLevel(logging.CRITICAL)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)  # its callbacks raise InvalidStateError
    report = []
    for name, (run, options) in CHECKS.items():
        sim.clear()
        sim.set_conduct(max_concurrent_streams=1000)
        try:
            async with raw_client(sim, **options) as client, asyncio.timeout(LIMIT):
                await run(client, sim)
        except Exception as error:  # whatever it does, we want to know
            why = "hangs" if isinstance(error, TimeoutError) else str(error).splitlines()[0:1]
            why = why if isinstance(why, str) else (why[0] if why else type(error).__name__)
            report.append(f"FAILS   {name}: {why}")
        else:
            report.append(f"passes  {name}")
        sim.close_connections(how="rst")
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.01)
    failed = sum(x.startswith("FAILS") for x in report)
    with capfd.disabled():
        print(f"\nraw aioapns {version('aioapns')}: {failed} of {len(report)} fail")
        print("\n".join(report))
    with warnings.catch_warnings():
        # What it leaves open is collected here, not in another test.
        warnings.simplefilter("ignore")
        import gc

        gc.collect()
