"""TLS: which versions and protocols are let in, and the faults that strike before HTTP/2."""

import asyncio
import logging
import socket
import ssl
import time

import pytest

from devkit.simulator import Issued, Simulator
from tests.devkit.simulator.conftest import Connect, ContextMaker
from tests.devkit.simulator.raw_client import Ended, connected


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_speaks_tls_1_2_and_later(
    sim: Simulator,
    context: ContextMaker,
    certificate: Issued,
    token: str,
    version: ssl.TLSVersion,
) -> None:
    made = context(certificate)
    made.minimum_version = made.maximum_version = version
    async with connected(sim.production_port, made) as client:
        assert (await client.push(token)).status == 200
        (listed,) = sim.connections()
        assert listed["tls"] == version.name.replace("_", ".")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
async def test_refuses_tls_1_1(sim: Simulator, context: ContextMaker) -> None:
    made = context()
    made.set_ciphers("DEFAULT:@SECLEVEL=0")
    made.minimum_version = made.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        async with connected(sim.production_port, made):
            pass
    assert sim.statistics()["handshakes"] == 0


async def test_refuses_a_client_without_alpn(
    sim: Simulator, context: ContextMaker, certificate: Issued, token: str
) -> None:
    async with connected(sim.production_port, context(certificate, alpn=())) as client:
        with pytest.raises(Ended):
            await client.push(token)
    assert sim.statistics()["handshakes_failed"] == 1
    assert sim.statistics()["handshakes"] == 0
    assert sim.arrivals() == []


async def test_refuses_a_client_of_http_1(
    sim: Simulator, context: ContextMaker, certificate: Issued
) -> None:
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        async with connected(sim.production_port, context(certificate, alpn=("http/1.1",))):
            pass
    assert "ALPN" in sim.statistics()["handshake_errors"][0]


def test_who_breaks_tls_is_told_before_the_end(
    sim: Simulator,
    context: ContextMaker,
    certificate: Issued,
    caplog: pytest.LogCaptureFixture,
) -> None:
    came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context(certificate).wrap_bio(came, goes, server_hostname="localhost")
    with socket.create_connection(("127.0.0.1", sim.production_port), timeout=5) as tcp:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                tcp.sendall(goes.read())
                came.write(tcp.recv(16_384))
        tcp.sendall(goes.read() + b"\x17\x03\x03\x00\x20" + bytes(32))  # a record of nobody's
        while received := tcp.recv(16_384):
            came.write(received)
    with pytest.raises(ssl.SSLError, match=r"(?i)bad.record.mac"):
        for _ in range(9):
            tls.read(16_384)
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


async def test_something_that_is_not_tls_is_dropped(sim: Simulator) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.production_port)
    writer.write(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    assert sim.statistics()["handshakes_failed"] == 1


@pytest.mark.parametrize(
    ("certificate_", "message"),
    [
        ("expired", "expired"),
        ("wrong_name", "(?i)hostname|mismatch"),
        ("untrusted", "verify failed"),
    ],
)
async def test_server_certificate_faults(
    sim: Simulator, connect: Connect, token: str, certificate_: str, message: str
) -> None:
    fault = sim.connection_fault(certificate=certificate_, times=1)
    with pytest.raises(ssl.SSLCertVerificationError, match=message):
        async with connect():
            pass
    assert sim.struck(fault) == 1
    async with connect() as client:
        await client.ready()


async def test_agreeing_on_no_protocol(sim: Simulator, connect: Connect) -> None:
    sim.connection_fault(alpn=False, times=1)
    async with connect() as client:
        ssl_object = client.writer.get_extra_info("ssl_object")
        assert ssl_object.selected_alpn_protocol() is None
    async with connect() as client:
        ssl_object = client.writer.get_extra_info("ssl_object")
        assert ssl_object.selected_alpn_protocol() == "h2"


async def test_refused_connections(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    async with connect(certificate) as open_before:
        await open_before.ready()
        fault = sim.connection_fault(refuse=True, environment="production")
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                async with connect():
                    pass
        # What is open stays, and the other environment is not struck.
        assert (await open_before.push(token)).status == 200
        async with connect(environment="sandbox") as sandbox:
            await sandbox.ready()
        sim.end_fault(fault)
        async with connect(certificate) as again:
            assert (await again.push(token)).status == 200


async def test_reset_on_accept(sim: Simulator, connect: Connect) -> None:
    sim.connection_fault(reset=True, times=2)
    for _ in range(2):
        with pytest.raises((ConnectionResetError, ssl.SSLError, Ended)):
            async with connect() as client:
                await client.push("ab" * 32)
    async with connect() as client:
        await client.ready()
    statistics = sim.statistics()
    assert (statistics["tcp_connections"], statistics["handshakes"]) == (3, 1)


async def test_a_held_handshake_is_a_barrier(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    fault = sim.connection_fault(hold=True, times=1)

    async def attempt() -> int:
        async with connect(certificate) as client:
            return (await client.push(token)).status

    waiting = asyncio.create_task(attempt())
    while sim.held(fault) == 0:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.1)
    assert not waiting.done()
    assert sim.statistics()["handshakes"] == 0
    # Others get through meanwhile.
    assert await attempt() == 200
    assert sim.release(fault) == 1
    assert await asyncio.wait_for(waiting, 5) == 200
    assert sim.held(fault) == 0


async def test_ending_a_fault_lets_the_held_go(
    sim: Simulator, connect: Connect, certificate: Issued, token: str
) -> None:
    fault = sim.connection_fault(hold=True)

    async def attempt() -> int:
        async with connect(certificate) as client:
            return (await client.push(token)).status

    waiting = [asyncio.create_task(attempt()) for _ in range(3)]
    while sim.held(fault) < 3:
        await asyncio.sleep(0.005)
    sim.end_fault(fault)
    assert await asyncio.gather(*waiting) == [200, 200, 200]


@pytest.mark.parametrize("how", ["tls", "fin", "rst"])
async def test_close_after_tls(sim: Simulator, connect: Connect, token: str, how: str) -> None:
    sim.connection_fault(close=how, times=1)
    with pytest.raises((Ended, ConnectionError, ssl.SSLError)):
        async with connect() as client:
            await client.push(token, timeout=3)
    assert sim.statistics()["handshakes"] == 1
    async with connect() as client:
        await client.ready()


async def test_silence_after_tls(sim: Simulator, connect: Connect, token: str) -> None:
    sim.connection_fault(silent=True, times=1)
    async with connect() as client:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            await client.push(token, timeout=0.2)
        assert time.monotonic() - began < 2
        assert not client.closed
        assert client.settings_acknowledged == 0


async def test_faults_of_one_environment_or_connection(sim: Simulator, connect: Connect) -> None:
    sim.connection_fault(close="fin", environment="sandbox")
    async with connect() as client:
        await client.ready()
        (listed,) = sim.connections()
    sim.connection_fault(close="fin", connection=listed["number"] + 2)
    async with connect() as client:
        await client.ready()
    with pytest.raises((Ended, ConnectionError)):
        async with connect() as client:
            await client.push("ab" * 32)
