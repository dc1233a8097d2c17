"""The live stream over a WebSocket."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.live.streams import Limits
from tests.e2e.house import Tenant
from tests.infra.silence import proxy_before
from tests.live.test_streams_survive import api_with, tell


def address(url: str) -> str:
    return url.replace("http://", "ws://") + "/v1/ws"


@contextlib.asynccontextmanager
async def opened(url: str, **hello: Any) -> AsyncIterator[ClientConnection]:
    async with connect(address(url)) as socket:
        await socket.send(json.dumps({"type": "authenticate", **hello}))
        yield socket


async def heard(socket: ClientConnection, kind: str, timeout: float = 60) -> dict[str, Any]:
    async with asyncio.timeout(timeout):
        while True:
            message: dict[str, Any] = json.loads(await socket.recv())
            if message["type"] == kind:
                return message


async def closed(socket: ClientConnection, timeout: float = 60) -> tuple[int, str]:
    async with asyncio.timeout(timeout):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await socket.recv()
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


async def test_the_same_events_as_by_sse_and_resumed(tenant: Tenant) -> None:
    token = tenant.token_for("bob")
    async with opened(tenant.house.apis[0].url, token=token) as socket:
        snapshot = await heard(socket, "snapshot")
        call = await tenant.ring("bob")
        ring = await heard(socket, "ring.started")
        assert ring["session_id"] == call["session_id"]
        assert ring["id"] == snapshot["id"] + 1
    await tenant.act(call, "end")
    async with opened(tenant.house.apis[1].url, token=token, last_event_id=ring["id"]) as socket:
        settled = json.loads(await socket.recv())
        assert (settled["type"], settled["id"]) == ("ring.settled", ring["id"] + 1)
        assert (await heard(socket, "call.ended"))["id"] == ring["id"] + 2


async def test_says_who_it_is_in_time_or_is_closed(tenant: Tenant) -> None:
    async with api_with(tenant.house.settings(), Limits(hello_within=0.3)) as (url, _):
        began = time.monotonic()
        async with connect(address(url)) as socket:
            assert await closed(socket) == (4408, "authenticate_first")
            assert time.monotonic() - began < Limits().hello_within, "it is another's bound"


FIRST: tuple[tuple[str, int, str], ...] = (
    ("hello", 4400, "expected_authenticate"),
    ("[]", 4400, "expected_authenticate"),
    ('{"type": "authenticate"}', 4400, "expected_authenticate"),
    ('{"type": "authenticate", "token": "nonsense"}', 4401, "invalid_token"),
    ('{"type": "authenticate", "token": "KEY"}', 4422, "missing_field"),
    ('{"type": "authenticate", "token": "BOB", "user_id": "carol"}', 4403, "wrong_user"),
    ('{"type": "authenticate", "token": "OLD"}', 4401, "expired_token"),
    (
        '{"type": "authenticate", "token": "BOB", "last_event_id": "7"}',
        4422,
        "invalid_field: last_event_id",
    ),
    (
        '{"type": "authenticate", "token": "BOB", "device_id": "server"}',
        4422,
        "invalid_device_id: device_id",
    ),
    (
        '{"type": "authenticate", "token": "BOB", "' + "ü" * 150 + '": 1}',
        4422,
        "unknown_field: " + "ü" * 54,
    ),
    ("x" * 20_000, 4400, "message_too_long"),
)


async def test_bad_first_messages(tenant: Tenant) -> None:
    for first, code, reason in FIRST:
        said = first.replace("KEY", tenant.key).replace("BOB", tenant.token_for("bob"))
        said = said.replace("OLD", tenant.token_for("bob", expires_in=-1))
        async with connect(address(tenant.house.apis[0].url)) as socket:
            await socket.send(said)
            assert await closed(socket) == (code, reason), first


async def test_a_fresh_token_keeps_it_open_and_an_old_one_ends_it(tenant: Tenant) -> None:
    url = tenant.house.apis[0].url
    async with opened(url, token=tenant.token_for("bob", expires_in=2)) as socket:
        await heard(socket, "snapshot")
        began = time.monotonic()
        fresh = tenant.token_for("bob", expires_in=4)
        await socket.send(json.dumps({"type": "authenticate", "token": fresh}))
        await socket.send('{"type": "ping"}')
        await heard(socket, "pong")
        closing = await heard(socket, "closing")
        assert closing["reason"] == "token_expired"
        assert time.monotonic() - began > 2.5
        assert await closed(socket) == (4401, "token_expired")


async def test_another_users_token_later_ends_it(tenant: Tenant) -> None:
    for later in (
        json.dumps({"type": "authenticate", "token": tenant.token_for("carol")}),
        json.dumps({"type": "authenticate"}),
    ):
        async with opened(tenant.house.apis[0].url, token=tenant.token_for("bob")) as socket:
            await heard(socket, "snapshot")
            await socket.send(later)
            told = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    told.append(json.loads(await socket.recv()))
            assert told == [{"type": "closing", "reason": "unauthorized"}], "said once"
            assert (await closed(socket))[0] == 4401


async def test_a_server_that_stops_closes_with_1012(tenant: Tenant) -> None:
    async with (
        api_with(tenant.house.settings(), Limits()) as (url, streams),
        opened(url, token=tenant.token_for("bob")) as socket,
    ):
        await heard(socket, "snapshot")
        streams.end_all()
        assert (await heard(socket, "closing"))["reason"] == "server_shutdown"
        assert await closed(socket) == (1012, "server_shutdown")


async def test_a_socket_that_stalls_is_cut(tenant: Tenant) -> None:
    async with (
        api_with(tenant.house.settings(), Limits(send_within=0.5)) as (url, streams),
        connect(address(url), max_queue=1) as socket,
    ):
        token = tenant.token_for("bob")
        await socket.send(json.dumps({"type": "authenticate", "token": token}))
        await heard(socket, "snapshot")
        wrote = 0
        while streams.count and wrote < 400:
            await tell(tenant, ["bob"], str(wrote), size=50_000)
            wrote += 1
            await asyncio.sleep(0.01)
        end = time.monotonic() + 3
        while streams.count and time.monotonic() < end:
            await asyncio.sleep(0.05)
        assert streams.count == 0
        socket.transport.abort()


async def test_a_client_may_speak_in_binary_frames_and_say_things_nobody_knows(
    tenant: Tenant,
) -> None:
    token = tenant.token_for("bob")
    async with connect(address(tenant.house.apis[0].url)) as socket:
        hello = {"type": "authenticate", "token": token}
        await socket.send(json.dumps(hello).encode())
        await heard(socket, "snapshot")
        for odd in ("", b"", "hello", b"\xff\xfe", "[]", "null", "1", '{"type": 1}', '{"a": 1}'):
            await socket.send(odd)
        for ping in ("ping", b"ping", '{"type":"ping"}', b'{ "type": "ping", "id": 7 }'):
            await socket.send(ping)
            await heard(socket, "pong")
        await socket.send(json.dumps({**hello, "token": tenant.token_for("bob")}).encode())
        await socket.send("ping")
        await heard(socket, "pong")
        call = await tenant.ring("bob")
        assert (await heard(socket, "ring.started"))["session_id"] == call["session_id"]


async def test_a_first_message_that_does_not_say_who_calls_has_a_close_code(tenant: Tenant) -> None:
    for first in ("", b"", b"\xff", "ping", b"[]", '{"type": "ping"}'):
        async with connect(address(tenant.house.apis[0].url)) as socket:
            await socket.send(first)
            assert await closed(socket) == (4400, "expected_authenticate"), first


async def test_taking_a_users_tokens_back_and_erasing_the_user_ends_it(tenant: Tenant) -> None:
    """One generator is behind both ways: the same ends, and a code of its own for each."""
    url = tenant.house.apis[0].url
    for user, method, path, code, reason in (
        ("bob", "POST", "/v1/users/bob/revoke", 4401, "token_revoked"),
        ("carol", "DELETE", "/v1/users/carol", 4410, "user_erased"),
    ):
        async with opened(url, token=tenant.token_for(user)) as socket:
            await heard(socket, "snapshot")
            await tenant.ring(user)  # who was never named is no user
            answer = await tenant.api.request(method, path)
            assert answer.is_success, answer.text
            assert (await heard(socket, "closing"))["reason"] == reason
            assert await closed(socket) == (code, reason)


async def test_an_address_with_a_query_is_refused(tenant: Tenant) -> None:
    for query in ("token=x", "user_id=bob", "x"):
        async with connect(f"{address(tenant.house.apis[0].url)}?{query}") as socket:
            assert await closed(socket) == (4422, "unknown_parameter"), query


@pytest.mark.parametrize(
    "path", ["", "/", "/v1/wss", "/v1/ws/", "/v1/calls", "/v1/events", "/healthz"]
)
async def test_a_path_without_a_socket_is_told_as_every_refusal(tenant: Tenant, path: str) -> None:
    base = address(tenant.house.apis[0].url).removesuffix("/v1/ws")
    with pytest.raises(InvalidStatus) as refused:
        await connect(base + path)
    answer = refused.value.response
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = json.loads(answer.body or b"")
    assert (told["status"], told["code"]) == (404, "not_found")
    assert "`/v1/ws`" in told["detail"]


@pytest.mark.parametrize("authenticated", [True, False])
async def test_text_that_is_no_utf8_closes_with_1007_and_logs_no_traceback(
    tenant: Tenant, caplog: pytest.LogCaptureFixture, authenticated: bool
) -> None:
    """In one frame or in more: a character may be cut where a frame ends, and is whole all the same."""
    async with api_with(tenant.house.settings(), Limits()) as (url, _):
        for frames in ([b"caf\xe9"], [b"caf\xc3", b"\xa9", b" \xe9"]):
            async with connect(address(url)) as socket:
                if authenticated:
                    token = tenant.token_for("bob")
                    await socket.send(json.dumps({"type": "authenticate", "token": token}))
                    await heard(socket, "snapshot")
                    await socket.send(iter([b"caf\xc3", b"\xa9"]), text=True)
                    await socket.send("ping")
                    await heard(socket, "pong")
                await socket.send(iter(frames), text=True)
                assert await closed(socket) == (1007, "text_not_utf8"), frames
    assert not caplog.records


async def test_while_the_database_is_away_a_token_is_not_called_bad(
    tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the first one nor a fresh one: a client would ask for another, and give up."""
    settings = tenant.house.settings()
    unread = {"kid": "never-read-before"}  # what a process has read it trusts for a second
    token = jwt.encode({"sub": "bob", "exp": time.time() + 60}, "x" * 40, headers=unread)
    with contextlib.ExitStack() as stack:
        proxy = stack.enter_context(proxy_before(settings.database_url))
        through = settings.model_copy(update={"database_url": proxy.url})
        async with (
            api_with(through, Limits()) as (url, _),
            opened(url, token=tenant.token_for("bob")) as socket,
        ):
            await heard(socket, "snapshot")
            stack.close()
            async with opened(url, token=token) as other:
                assert await closed(other) == (4503, "database_unavailable")
            await socket.send(json.dumps({"type": "authenticate", "token": token}))
            assert (await heard(socket, "closing"))["reason"] == "temporarily_unavailable"
            assert await closed(socket) == (4503, "temporarily_unavailable")
    assert not [one for one in caplog.records if one.exc_info]
