"""A group of 350 with two devices each: one request, 700 pushes; and the bare engine with as many.

python -m tests.benchmarks.fanout URL CA_FILE PEM_FILE PUSHES: the bare engine's side.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.engine import MESSAGE
from tests.benchmarks.fast_server import TOPIC, FastServer
from tests.benchmarks.house import Ready
from tests.benchmarks.load import post_one
from tests.benchmarks.ring_cpu import ring_body
from tests.benchmarks.rows import agree, all_sent

MEMBERS = 350
DEVICES = 2
PUSHES = MEMBERS * DEVICES


async def ring_group(ready: Ready, call_type: str) -> tuple[float, float]:
    """Seconds from the request until the first and the last of 700 pushes have arrived.

    Users are `g1` to `g350`.
    """
    house = ready.house
    house.apple.arrivals()
    body = ring_body(call_type, *(f"g{n + 1}" for n in range(MEMBERS)))
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    begun = time.monotonic()
    status = await post_one(reader, writer, "/v1/calls", ready.tenant.api_key, body)
    assert status == 202, status
    writer.close()
    await asyncio.sleep(0.5)
    await all_sent(ready)
    arrived = house.apple.arrivals()
    await agree(ready, call_type, arrived, calls=1, rings=MEMBERS, pushes=PUSHES)
    times = [one.at - begun for one in arrived]
    return min(times), max(times)


def push_group_bare(apple: FastServer) -> float:
    """Seconds from the first call of the engine until the last of 700 pushes has arrived."""
    apple.arrivals()
    command = [sys.executable, "-m", "tests.benchmarks.fanout", apple.url]
    command += [str(apple.ca_file), str(apple.pem_file), str(PUSHES)]
    found = json.loads(subprocess.check_output(command))
    arrived = [one.at for one in apple.arrivals() if one.at >= found["begun"]]
    assert len(arrived) == PUSHES, f"{len(arrived)} arrived"
    return max(arrived) - found["begun"]


async def _burst(url: str, ca_file: str, pem_file: str, pushes: int) -> dict[str, float]:
    from app.apns import CertificateCredential, PushRequest, Sender

    credential = CertificateCredential(pem=Path(pem_file).read_bytes())
    sender = Sender(credential, url, ca_file=ca_file, max_connections=4)
    assert await sender.warm()
    loop = asyncio.get_running_loop()
    payload = json.dumps(MESSAGE, separators=(",", ":")).encode()

    def requests(count: int) -> list[PushRequest]:
        return [PushRequest(os.urandom(32).hex(), payload, topic=TOPIC) for _ in range(count)]

    async def send_all(wanted: list[PushRequest]) -> None:
        outcomes = await asyncio.gather(*(sender.send(one, loop.time() + 20) for one in wanted))
        assert all(one.code == 200 for one in outcomes)

    await send_all(requests(20))
    await asyncio.sleep(0.2)
    begun = time.monotonic()
    await send_all(requests(pushes))
    await sender.close()
    return {"begun": begun}


if __name__ == "__main__":
    url, ca_file, pem_file, pushes = sys.argv[1:]
    try:
        import uvloop as loops  # as the worker does
    except ImportError:
        loops = asyncio  # type: ignore[assignment]
    with asyncio.Runner(loop_factory=loops.new_event_loop) as runner:
        print(json.dumps(runner.run(_burst(url, ca_file, pem_file, int(pushes)))))
