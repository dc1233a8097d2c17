"""The clients in a network that is not good: pages in the server's place, tokens that are none."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ringline_client import ApiError, AsyncRingline, NoToken, Ringline
from ringline_client.events import Lines
from ringline_client.requests import Request, http_date, wait_after_answer

from tests.clients.odd import OddServer
from tests.clients.processes import node
from tests.serving import serving

TOKENS = ["<html>\n502\n</html>", "", None, "Bad Gateway", "  good\n"]


@pytest.fixture
async def odd() -> AsyncIterator[tuple[OddServer, str]]:
    server = OddServer()
    async with serving(server.answer) as port:
        yield server, f"http://127.0.0.1:{port}"


async def test_a_phone_in_a_page(odd: tuple[OddServer, str], typescript_project: Path) -> None:
    server, url = odd
    async with node(typescript_project, "odd.mjs", API=url) as page:
        await page.wait_for(lambda said: ["end"] in said, 60)
    said = {one[0]: one[1:] for one in page.said if one[0] not in {"token", "connection"}}
    assert said["html"] == said["empty"] == [True, "ApiError", "no_json"]
    assert said["later"] == ["default:ok", True]
    tokens = [one[1:] for one in page.said if one[0] == "token"]
    assert tokens == [[False, "Error", "what was given as a token is none"]] * 4 + [["default:ok"]]
    assert said["aborted"] == [0]  # before it has begun: nothing was asked for
    assert said["pushes"] == [0] * 12
    assert "error" not in said
    assert said["ring"] == ["u-1", 1]  # one handler has thrown, the other is told all the same
    assert said["stop"] == ["u-1", 4]  # by this device, and not by this page
    assert said["clock"] == [True]  # no `Date` was read: the first message says the time as well
    assert page.said.count(["connection", True]) == 2  # not to a page of the network
    assert server.streams == 3
    assert {token for _, token in server.asked} == {"rl_sk_x", "good"}


async def test_the_python_client(odd: tuple[OddServer, str]) -> None:
    server, url = odd

    def waits() -> None:
        given = list(TOKENS)
        with Ringline(url, lambda: given.pop(0)) as ringline:  # type: ignore[arg-type, return-value]
            for _ in TOKENS[:-1]:
                with pytest.raises(NoToken):
                    ringline.read_call("default:ok")
            assert ringline.read_call("default:ok")["cid"] == "default:ok"
            for reference in ("default:html", "default:empty"):
                with pytest.raises(ApiError) as refused:
                    ringline.read_call(reference)
                assert (refused.value.status, refused.value.code) == (200, "no_json")
            began = time.monotonic()
            assert ringline.read_call("default:later")["cid"] == "default:ok"
            assert time.monotonic() - began > 0.9

    await asyncio.to_thread(waits)
    assert {token for _, token in server.asked} == {"good"}


async def test_a_stream_whose_token_cannot_be_had_for_a_while_goes_on(
    odd: tuple[OddServer, str],
) -> None:
    server, url = odd
    given = ["good", OSError("the backend is away"), "Bad Gateway\n", "good"]

    async def token() -> str:
        one = given.pop(0)
        if isinstance(one, Exception):
            raise one
        return str(one)

    async with AsyncRingline(url, token) as ringline, asyncio.timeout(60):
        types = []
        async for event in ringline.events():
            types.append(event.type)
            if event.type == "ring.settled":
                break
    assert types == ["snapshot", "snapshot", "ring.teleported", "ring.started", "ring.settled"]
    assert (server.streams, given) == (3, [])


async def test_a_stream_that_never_had_a_token_says_why(odd: tuple[OddServer, str]) -> None:
    def broken() -> str:
        raise KeyError("token")

    async with AsyncRingline(odd[1], broken) as ringline:
        with pytest.raises(KeyError):
            await anext(aiter(ringline.events()))


def test_a_digit_that_is_no_number_is_none() -> None:
    """HTTP's headers are read as Latin-1, and `²` is a digit there."""
    request = Request("GET", "/", repeatable=True)
    assert (wait_after_answer(request, 1, 503, "²") or 9) < 1
    assert (wait_after_answer(request, 1, 503, "yesterday") or 9) < 1
    for date in ("Sat, 28 Nov 99999 10:00:30 GMT", "Sat, 99 Nov 2026 10:00:30 GMT", "²", ""):
        assert http_date(date) is None
    assert http_date("Sat, 28 Nov 2026 10:00:30 -0000") == http_date(
        "Sat, 28 Nov 2026 10:00:30 GMT"
    )
    assert Lines().feed("id: ²\nretry: ²\nevent: a\ndata: {}\n\n")[0].id is None
