"""No tenant's webhooks hold up another's: not those that cannot be sent to, not those that crawl."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from app.infra.ids import uuid7
from app.infra.safe_http import SafeHttp
from app.webhooks import publish
from app.webhooks.dispatcher import WebhookDispatcher
from tests.e2e.house import House, Tenant, eventually, new_tenant
from tests.houses import new_webhook_dispatcher
from tests.serving import serving
from tests.webhooks.receiver import Receiver, receiving

PROMISED = 1.0
"""Seconds within which another tenant's delivery arrives."""


async def endpoints(tenant: Tenant, urls: list[str], events: int) -> None:
    """Webhooks at these addresses as an older version may have kept them, with so much due."""
    for url in urls:
        made = await tenant.api.post(
            "/v1/webhooks", json={"url": "http://127.0.0.1:9/", "events": ["push.alarm"]}
        )
        await tenant.execute(
            "UPDATE webhooks SET url = :u WHERE id = :w", u=url, w=made.json()["id"]
        )
    await tell(tenant, "push.alarm", events)


async def tell(tenant: Tenant, kind: str, count: int = 1) -> None:
    events = [
        {"id": uuid7(), "tenant_id": tenant.id, "type": kind, "at": datetime.now(UTC), "data": {}}
        for _ in range(count)
    ]
    async with tenant.runtime.database.transaction() as session:
        await publish.tenant_events(session, events)


@contextlib.asynccontextmanager
async def another(house: House) -> AsyncIterator[tuple[Tenant, Receiver]]:
    """Another tenant, with a webhook that is well."""
    async with new_tenant(house) as tenant, receiving() as receiver:
        await tenant.api.post("/v1/webhooks", json={"url": receiver.url, "events": ["*"]})
        yield tenant, receiver
        await tenant.execute("DELETE FROM webhooks WHERE tenant_id = :t", t=tenant.id)


async def arrivals(
    webhook_dispatcher: WebhookDispatcher, tenant: Tenant, receiver: Receiver, count: int = 5
) -> None:
    """Deliveries of this tenant come in time; by the median, for the machine may be busy."""
    took = []
    for _ in range(count):
        before, began = len(receiver.posts), time.monotonic()
        await tell(tenant, "credential.expiring")
        webhook_dispatcher.wake()
        await receiver.wait_for(before + 1)
        took.append(receiver.posts[-1].at - began)
    assert sorted(took)[count // 2] < PROMISED, took


async def attempted(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    """The deliveries of this tenant, once so many have been tried and recorded."""

    async def tried() -> list[dict[str, Any]]:
        rows = await tenant.rows(
            "SELECT state, error, status, due_at - clock_timestamp() AS wait FROM deliveries"
            " WHERE tenant_id = :tenant AND attempts > 0 AND state <> 'sending'"
        )
        return rows if len(rows) >= count else []

    found: list[dict[str, Any]] = await eventually(tried)
    return found


UNSENDABLE = [
    "https://bücher.example/hooks",
    "https://example.com/ü",
    "https://example.com:99999/",
    "https://[::1",
    "https://exa mple.com/",
    "https://example.com/\r\nX: 1",
    "",
]


async def test_what_cannot_be_sent_to_holds_up_nobody(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher, quiet_house: House
) -> None:
    async with another(quiet_house) as (tenant, receiver):
        await endpoints(backend, UNSENDABLE * 2, 20)
        webhook_dispatcher.wake()
        await arrivals(webhook_dispatcher, tenant, receiver)
        rows = await attempted(backend, len(UNSENDABLE) * 2)
        assert {row["state"] for row in rows} == {"pending"}
        assert {row["error"] for row in rows} <= {"invalid_url", "name_not_resolved", "timeout"}


async def test_whatever_is_raised_is_a_result(backend: Tenant, quiet_house: House) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        if host.endswith(".invalid"):
            raise KeyError("a bug of ours")
        return [host]

    webhook_dispatcher = await new_webhook_dispatcher(
        backend, SafeHttp(allow_private=True, resolver=resolver)
    )
    async with another(quiet_house) as (tenant, receiver):
        await endpoints(backend, [f"http://e{n}.invalid/" for n in range(14)], 20)
        webhook_dispatcher.wake()
        await arrivals(webhook_dispatcher, tenant, receiver)
        rows = await attempted(backend, 14)
        assert {(row["state"], row["error"]) for row in rows} == {("pending", "internal_error")}
        assert all(row["state"] == "active" for row in await backend.rows(
            "SELECT state FROM webhooks WHERE tenant_id = :tenant"
        ))  # fmt: skip
    await webhook_dispatcher.stop(1)


@pytest.mark.parametrize("tenants", [1, 5])
async def test_twenty_that_crawl_hold_up_nobody(
    backend: Tenant, quiet_house: House, tenants: int
) -> None:
    webhook_dispatcher = await new_webhook_dispatcher(backend)
    async with contextlib.AsyncExitStack() as stack:
        slow = await stack.enter_async_context(receiving())
        slow.delay = 9
        tenant, receiver = await stack.enter_async_context(another(quiet_house))
        crawling = [backend]
        while len(crawling) < tenants:
            crawling.append(await stack.enter_async_context(new_tenant(quiet_house)))
        for one in crawling:
            await endpoints(one, [slow.url] * (20 // tenants), 30)
        webhook_dispatcher.wake()
        await eventually(lambda: _some(slow))
        await arrivals(webhook_dispatcher, tenant, receiver, 7)
        assert len(slow.posts) <= 100
        await webhook_dispatcher.stop(0)
        for one in crawling:
            await one.execute("DELETE FROM webhooks WHERE tenant_id = :t", t=one.id)


async def _some(receiver: Receiver) -> bool:
    return len(receiver.posts) >= 20


ODD = [
    *(f"HTTP/1.1 429 Slow\r\nRetry-After: {value}\r\nContent-Length: 0\r\n\r\n" for value in (
        "-5", "0", "1" + "0" * 400, "1.5", "1, 2", "soon", "Wed, 01 Jan 1000 00:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT", "Sat, 99 Foo 2026 99:99:99 XYZ", "", "nan", "٣",
        "Sat, 21 Nov 2026 00:00:00 +999999",
    )),
    "HTTP/1.1 429 Slow\r\nRetry-After: 1\0\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    "HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n\0\0\0\0",
    "HTTP/1.1 500 No\r\nContent-Length: 99999999999999999999999\r\n\r\n",
    "HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\n\x00\x80\x80\x80",
    "nonsense\r\n\r\n",
    "",
]  # fmt: skip
WITHOUT_END = {
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X-More: " + b"x" * 1_000 + b"\r\n"),
    "body": (b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n", b"3e8\r\n" + b"x" * 1_000 + b"\r\n"),
    "drip": (b"HTTP/1.1 500 No\r\n", b""),
}  # fmt: skip


async def _odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An endpoint that answers to `/0`, `/1` ... as ODD says, and to the rest without an end."""
    try:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()[1:]
        if path.isdigit():
            writer.write(ODD[int(path)].encode("latin-1", "replace"))
            await writer.drain()
        else:
            head, more = WITHOUT_END[path]
            writer.write(head)
            while not reader.at_eof() and not writer.is_closing():
                writer.write(more or b"X")
                await writer.drain()
                await asyncio.sleep(0.2 if path == "drip" else 0)
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.transport.abort()


async def test_odd_answers_hold_up_nobody_and_are_tried_again(
    backend: Tenant, quiet_house: House
) -> None:
    webhook_dispatcher = await new_webhook_dispatcher(
        backend, SafeHttp(allow_private=True, within=2)
    )
    paths = [str(n) for n in range(len(ODD))] + list(WITHOUT_END)
    async with another(quiet_house) as (tenant, receiver), serving(_odd) as port:
        base = f"http://127.0.0.1:{port}"
        await endpoints(backend, [f"{base}/{path}" for path in paths[:20]], 2)
        async with new_tenant(quiet_house) as more:
            await endpoints(more, [f"{base}/{path}" for path in paths[20:]], 2)
            webhook_dispatcher.wake()
            await arrivals(webhook_dispatcher, tenant, receiver)
            rows = await attempted(backend, 20) + await attempted(more, len(paths) - 20)
            for row in rows:
                assert row["state"] == "pending"
                assert 0 < row["wait"].total_seconds() < 3_700
            await arrivals(webhook_dispatcher, tenant, receiver)
            await more.execute("DELETE FROM webhooks WHERE tenant_id = :t", t=more.id)
    await webhook_dispatcher.stop(0)
