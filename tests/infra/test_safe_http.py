"""Where webhooks may go: judged on the address that the connection is made to."""

import asyncio
from datetime import UTC, datetime

import pytest

from app.core.webhook_retry import Answer
from app.infra import safe_http
from app.infra.addresses import is_public
from app.infra.safe_http import SafeHttp
from tests.serving import serving
from tests.webhooks.receiver import receiving


async def post(outbound: SafeHttp, url: str, headers: dict[str, str], body: bytes) -> Answer:
    return await outbound.post(url, headers, body, now=datetime.now(UTC))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "203.0.113.7",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "64:ff9b:1::a00:1",
        "::10.0.0.1",
        "::ffff:0:10.0.0.1",
        "::ffff:0.0.0.0",
        "fec0::1",
        "2001:db8::1",
        "2002:a00:1::",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
        "nonsense",
    ],
)
def test_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]
)
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:{port}/",
        "http://127.0.0.1:{port}/",
        "http://2130706433:{port}/",
        "http://0x7f.1:{port}/",
        "http://[::ffff:127.0.0.1]:{port}/",
    ],
)
async def test_what_the_system_resolves_to_a_private_address(url: str) -> None:
    outbound = SafeHttp(allow_private=False)
    async with receiving() as receiver:
        answer = await post(outbound, url.format(port=receiver.port), {"Host": "x"}, b"{}")
        assert answer.error in {"private_address", "invalid_url"}
        assert receiver.connections == 0
    await outbound.close()


async def test_a_name_that_changes_its_address_gains_nothing() -> None:
    """Public when it is judged, private when it is connected to: there is no second look."""
    asked: list[str] = []
    answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.2", "127.0.0.1"]]

    async def resolver(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    outbound = SafeHttp(
        allow_private=False, resolver=resolver, judge=lambda address: address == "127.0.0.1"
    )
    async with receiving("0.0.0.0") as receiver:
        receiver.headers = "Connection: close\r\n"
        url = f"http://rebind.invalid:{receiver.port}/"
        assert (await post(outbound, url, {}, b"{}")).status == 200
        assert (await post(outbound, url, {}, b"{}")).error == "private_address"
        assert (await post(outbound, url, {}, b"{}")).status == 200  # only to the one it may
        assert asked == ["rebind.invalid"] * 3
        assert receiver.connections == 2
        assert receiver.posts[0].headers["host"] == f"rebind.invalid:{receiver.port}"
    await outbound.close()


async def test_errors_are_words() -> None:
    outbound = SafeHttp(allow_private=True, within=2)
    assert (await post(outbound, "http://no.such.host.invalid/", {}, b"")).error == (
        "name_not_resolved"
    )
    async with receiving() as receiver:
        port = receiver.port
        receiver.status, receiver.headers = 429, "Retry-After: 17\r\n"
        answer = await post(outbound, receiver.url, {}, b"")
        assert (answer.status, answer.retry_after, answer.ok) == (429, 17, False)
    assert (await post(outbound, f"http://127.0.0.1:{port}/", {}, b"")).error == "not_connected"

    async def rude(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"this is no protocol that anyone speaks\r\n\r\n")
        await writer.drain()
        writer.close()

    async with serving(rude) as port:
        assert (await post(outbound, f"https://127.0.0.1:{port}/", {}, b"")).error == "tls_failed"
        assert (await post(outbound, f"http://127.0.0.1:{port}/", {}, b"")).error == "not_http"
    await outbound.close()


async def test_beyond_so_many_at_a_time_they_go_one_after_another_and_wait_no_longer_than_any(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safe_http, "MOST_CONNECTIONS", 1)
    outbound = SafeHttp(allow_private=True, within=1)
    async with receiving() as receiver, receiving() as silent:
        silent.delay = 30
        posts = [asyncio.create_task(post(outbound, receiver.url, {}, b"")) for _ in range(3)]
        assert [(await one).status for one in posts] == [200] * 3
        assert receiver.connections == 1
        held = asyncio.create_task(post(outbound, silent.url, {}, b""))
        gone = asyncio.create_task(post(outbound, receiver.url, {}, b"gone"))
        late = asyncio.create_task(post(outbound, receiver.url, {}, b"late"))
        await asyncio.sleep(0.1)
        gone.cancel()
        assert [(await one).error for one in (held, late)] == ["timeout", "timeout"]
        after = await post(outbound, receiver.url, {}, b"after")
        assert after.ok
        assert [one.body for one in receiver.posts] == [b"", b"", b"", b"after"]
    await outbound.close()


async def test_who_waits_for_an_answer_while_all_is_closed_is_told_and_leaves_no_connection() -> (
    None
):
    outbound, told = SafeHttp(allow_private=True), []
    async with receiving() as silent:
        silent.delay = 30
        waits = asyncio.create_task(post(outbound, silent.url, {}, b""))
        outbound.send(silent.url, {}, b"", told.append, now=datetime.now(UTC))
        while len(silent.posts) < 2:
            await asyncio.sleep(0.01)
        await outbound.close()
        assert (await waits).error == "connection_lost"
        assert [type(one) for one in told] == [asyncio.CancelledError]
        assert outbound._in_use == 0
        silent.delay = 0
        assert (await post(outbound, silent.url, {}, b"")).ok, "it may be used again"
    await outbound.close()


async def test_a_header_that_would_be_two_is_not_sent() -> None:
    outbound = SafeHttp(allow_private=True)
    async with receiving() as receiver:
        for value in ("a\r\nX: b", "\x7f", "\u00fc", "a\tb"):
            assert (await post(outbound, receiver.url, {"X-One": value}, b"")).error == "not_http"
        assert receiver.connections == 0
        await post(outbound, receiver.url, {"X-One": "a b"}, b"12")
        said = receiver.posts[0].headers
        assert (said["x-one"], said["content-length"]) == ("a b", "2")
    await outbound.close()
