"""Google's own library takes the fake Google for the real one, and reads its refusals."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from devkit.simulator import Simulator
from devkit.simulator.google.accounts import Account
from tests.fcm.conftest import PROJECT, some_token
from tests.serving import joined, serving

HOST = b"fcm.googleapis.com:443"


@contextlib.asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[str]:
    """A CONNECT proxy by whose tunnels Google is found at `url`; what it was asked for else, not."""
    where = urlsplit(url)

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
                await sink.drain()
        sink.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if not asked.startswith(b"CONNECT " + HOST + b" "):
            writer.write(b"HTTP/1.1 403 Forbidden\r\n\r\n")
            writer.close()
            return
        async with joined(asyncio.open_connection(where.hostname, where.port)) as there:
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            await asyncio.gather(pump(reader, there[1]), pump(there[0], writer))

    async with serving(serve) as port:
        yield f"http://127.0.0.1:{port}"


async def firebase(sim: Simulator, account: Account, *messages: dict[str, Any]) -> Any:
    """What firebase-admin says of these messages, in a process of its own."""
    async with proxy_to(sim.fcm_url) as proxy:
        env = os.environ | {
            "HTTPS_PROXY": proxy,
            "NO_PROXY": str(urlsplit(sim.google_token_url).hostname),
            "REQUESTS_CA_BUNDLE": str(sim.ca_file),
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.fcm.firebase", env=env,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        given = {"account": json.loads(account.json), "messages": messages}
        said, wrong = await process.communicate(json.dumps(given).encode())
    assert process.returncode == 0, wrong.decode()
    return json.loads(said)


async def test_firebase_admin_is_taken_and_refused_with_googles_own_words(
    google: tuple[Simulator, Account],
) -> None:
    sim, account = google
    good, gone, other, busy = (some_token() for _ in range(4))
    for token in (good, gone, busy):
        sim.fcm_live(token, project=PROJECT)
    sim.fcm_live(other, project="another-project")
    sim.fcm_gone(gone)
    sim.fault(token=busy, status=429, reason="QUOTA_EXCEEDED", times=1)
    said = await firebase(
        sim, account,
        {"token": good, "data": {"ring_type": "ring"}, "priority": "high", "ttl": 30},
        {"token": good, "validate_only": True},
        {"token": gone},
        {"token": other},
        {"token": busy},
        {"token": "no token at all"},
        {"token": good, "data": {"from": "a reserved word"}},
        {"token": good, "data": {"long": "x" * 5_000}},
    )  # fmt: skip
    names = [one.get("name") for one in said]
    assert [bool(name) for name in names] == [True, True] + [False] * 6, said
    assert all(str(name).startswith(f"projects/{PROJECT}/messages/") for name in names[:2])
    assert [(one["refused"], one["code"]) for one in said[2:]] == [
        ("UnregisteredError", "NOT_FOUND"),
        ("SenderIdMismatchError", "PERMISSION_DENIED"),
        ("QuotaExceededError", "RESOURCE_EXHAUSTED"),
        ("InvalidArgumentError", "INVALID_ARGUMENT"),
        ("InvalidArgumentError", "INVALID_ARGUMENT"),
        ("InvalidArgumentError", "INVALID_ARGUMENT"),
    ]
    [arrival] = sim.deliveries(good)
    message = arrival.payload["message"]
    assert (message["data"], message["android"]) == (
        {"ring_type": "ring"}, {"priority": "high", "ttl": "30s"},
    )  # fmt: skip


async def test_an_account_that_may_not_send_is_told_so(simulator: Simulator) -> None:
    account = simulator.google_account("a-project-of-its-own")
    simulator.change_account(account.client_email, may_send=False)
    token = some_token()
    simulator.fcm_live(token, project="a-project-of-its-own")
    [said] = await firebase(simulator, account, {"token": token})
    assert (said["refused"], said["code"]) == ("PermissionDeniedError", "PERMISSION_DENIED")
