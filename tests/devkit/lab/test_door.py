"""Who may come into the lab, and that it is not there where it must not be."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest

from app.infra.settings import Settings
from devkit.simulator import Simulator
from tests.apps import app_of
from tests.devkit.lab.conftest import Visitor, phone_of

ADDRESSES = [
    ("GET", ""), ("GET", "/"), ("GET", "/state"), ("GET", "/feed"), ("GET", "/traps"),
    ("GET", "/static/abc/lab.js"), ("GET", "/static/abc/ringline.css"), ("GET", "/nothing"),
    ("POST", "/ring"), ("POST", "/reset"), ("POST", "/verdicts"),
    ("POST", "/calls/1/cancel"), ("POST", "/calls/1/end"), ("POST", "/calls/1/answer_at_once"),
    ("POST", "/phones/bob-1/answer"), ("POST", "/phones/bob-1/decline"),
    ("POST", "/phones/bob-1/busy"), ("POST", "/phones/bob-1/hang_up"),
    ("POST", "/phones/bob-1/conditions"), ("POST", "/phones/bob-1/next_push"),
    ("POST", "/phones/bob-1/library"), ("POST", "/phones/bob-1/sends"),
    ("PUT", "/state"), ("DELETE", "/ring"), ("HEAD", "/"), ("OPTIONS", "/ring"),
]  # fmt: skip


def said(answer: httpx.Response) -> dict[str, object]:
    """A problem without the id of its request, which no other one has."""
    return {name: value for name, value in answer.json().items() if name != "request_id"}


def settings(database: str, redis: str, simulator: Simulator | None, **more: str) -> Settings:
    given: dict[str, str] = {"apns_production_url": "https://localhost:1"}
    given["apns_sandbox_url"] = "https://localhost:1"
    given["public_url"] = "http://127.0.0.1:1"  # by default it is whoever listens at 8000 here
    if simulator is not None:
        given = {
            "apns_production_url": simulator.production_url,
            "apns_sandbox_url": simulator.sandbox_url,
            "apns_ca_file": str(simulator.ca_file),
            "simulator_url": simulator.control_url,
        }
    return Settings(
        environment="development", database_url=database, redis_url=redis, **(given | more)
    )


@contextlib.asynccontextmanager
async def visiting(chosen: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API in this process."""
    app = app_of(chosen)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://localhost"
        ) as client,
    ):
        yield client


async def all_absent(client: httpx.AsyncClient) -> None:
    """Every address answers as one that never was does, whatever is sent to it."""
    ordinary = await client.get("/there-is-no-such-address")
    assert ordinary.status_code == 404
    for method, path in ADDRESSES:
        bodies = [{"json": {}}, {"content": b"{ not json"}, {}] if method == "POST" else [{}]
        for body in bodies:
            answer = await client.request(method, f"/lab{path}", **body)
            assert answer.status_code == 404, (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            if method != "HEAD":
                assert said(answer) == said(ordinary)


async def test_without_the_setting_no_address_of_the_lab_is_there(
    database: str, redis: str
) -> None:
    async with visiting(settings(database, redis, None)) as client:
        await all_absent(client)


async def test_with_a_simulator_that_never_was_nothing_is_there(database: str, redis: str) -> None:
    chosen = settings(database, redis, None, simulator_url="http://127.0.0.1:1")
    async with visiting(chosen) as client:
        await all_absent(client)


async def test_with_pushes_to_apple_nothing_is_there(
    database: str, redis: str, simulator: Simulator
) -> None:
    for name in ("apns_production_url", "apns_sandbox_url"):
        chosen = settings(
            database, redis, simulator, **{name: "https://api.sandbox.push.apple.com:2197"}
        )
        assert not chosen.has_lab
        async with visiting(chosen) as client:
            await all_absent(client)


async def test_when_the_simulator_dies_the_lab_is_gone(database: str, redis: str) -> None:
    with contextlib.ExitStack() as running:
        simulator = running.enter_context(Simulator.running())
        async with visiting(settings(database, redis, simulator)) as client:
            assert (await client.get("/lab")).status_code == 200
            assert (await client.get("/lab/traps")).status_code == 200
            running.close()
            await asyncio.sleep(1.2)  # its last answer is good for a second
            await all_absent(client)


async def test_a_lab_that_is_refused_leaves_no_connection_open(
    database: str, redis: str, simulator: Simulator
) -> None:
    """Where the public address is another server's, say: at each look the lab tries anew."""
    opened, ended = 0, asyncio.Event()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\n{}")
            await reader.readuntil(b"\r\n\r\n")
        ended.set()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        chosen = settings(database, redis, simulator, public_url=f"http://127.0.0.1:{port}")
        async with visiting(chosen) as client:
            answer = await client.get("/lab/state")
            assert (answer.status_code, answer.json()["code"]) == (503, "lab_not_ready")
            assert opened > 0
            await asyncio.wait_for(ended.wait(), 10)


async def test_another_http_server_in_the_simulators_place_is_no_simulator(
    database: str, redis: str, lab: Visitor
) -> None:
    url = str(lab.client.base_url).removesuffix("/lab/")
    async with visiting(settings(database, redis, None, simulator_url=url)) as client:
        await all_absent(client)


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1:9", "http://192.0.2.1:9", "http://example.com", "nonsense", "ftp://localhost",
     "http://127.0.0.1:9/x", "http://user:secret@127.0.0.1:9"],
)  # fmt: skip
def test_the_setting_is_a_plain_address_on_the_loopback(url: str) -> None:
    with pytest.raises(ValueError, match="must"):
        Settings(simulator_url=url)


def test_an_empty_setting_is_none() -> None:
    assert Settings(simulator_url="").simulator_url is None


ELSEWHERE: list[tuple[dict[str, str], int, str]] = [
    ({"Origin": "https://evil.example"}, 403, "other_site"),
    ({"Origin": "null"}, 403, "other_site"),
    ({"Origin": "http://localhost:1"}, 403, "other_site"),
    ({"Sec-Fetch-Site": "cross-site"}, 403, "other_site"),
    ({"Sec-Fetch-Site": "same-site"}, 403, "other_site"),
    ({"Host": "evil.example"}, 403, "wrong_host"),
    ({"Host": "127.0.0.1.evil.example:80"}, 403, "wrong_host"),
    ({"Host": "[::1"}, 403, "wrong_host"),
    ({"Content-Type": "text/plain"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    ({"Content-Type": "application/jsonp"}, 415, "unsupported_media_type"),
]


async def test_what_comes_from_elsewhere_changes_nothing(lab: Visitor) -> None:
    for headers, status, code in ELSEWHERE:
        for path in ("/ring", "/reset", "/phones/bob-1/conditions", "/verdicts"):
            sent = {"Content-Type": "application/json"} | headers
            answer = await lab.client.post(path, content=b'{"callees":["bob"]}', headers=sent)
            assert (answer.status_code, answer.json()["code"]) == (status, code), headers
    state = await lab.state()
    assert state["calls"] == []


async def test_a_page_elsewhere_cannot_read_either(lab: Visitor) -> None:
    answer = await lab.client.get("/state", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_host")
    read = await lab.client.get("/state", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in read.headers


async def test_its_own_page_may(lab: Visitor) -> None:
    host = lab.client.base_url.netloc.decode()
    headers = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    answer = await lab.client.post(
        "/phones/bob-1/conditions", json={"do_not_disturb": True}, headers=headers
    )
    assert answer.status_code == 202
    assert phone_of(await lab.state(), "bob-1")["conditions"]["do_not_disturb"] is True


async def test_every_answer_has_the_headers_of_pages(lab: Visitor) -> None:
    for path in ("", "/", "/state", "/traps", "/nothing", "/static/x/no.js"):
        address = str(lab.client.base_url).rstrip("/") + path
        answer = await lab.client.get(address)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


async def test_static_files_are_kept_for_ever_under_an_address_of_their_content(
    lab: Visitor,
) -> None:
    page = (await lab.client.get("/")).text
    found = [one.split('"')[0] for one in page.split('"/lab/static/')[1:]]
    assert len(found) >= 3
    for name in found:
        answer = await lab.client.get(f"/static/{name}")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert "<script>" not in page
    assert "style=" not in page


async def test_the_lab_is_not_in_the_api_reference(lab: Visitor) -> None:
    root = str(lab.client.base_url).removesuffix("/lab/")
    async with httpx.AsyncClient(base_url=root) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
    assert not [path for path in paths if path.startswith("/lab")]
