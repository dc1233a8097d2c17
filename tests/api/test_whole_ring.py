"""A request to ring that comes whole is refused as it is read: who asks too often costs little."""

from types import SimpleNamespace
from uuid import uuid4

import orjson
from prometheus_client import REGISTRY
from redis.asyncio import Redis

from app.api.fast_path import PATH, FastPath
from app.http.security_headers import NO_STORE, NOSNIFF, SecurityHeaders
from app.infra.rate_limits import RateLimiter
from app.infra.settings import Settings
from app.tenants.caller import Caller
from app.tenants.schemas import TenantSettings

BODY = b'{"caller":{"id":"alice"},"callees":["bob"]}'
ID = "a-plain-id"


class Cycle:
    """What the server hands in at the door; keeps what it is answered."""

    body = BODY
    headers = (
        (b"authorization", b"Bearer rl_sk_x"), (b"content-type", b"application/json"),
        (b"x-request-id", ID.encode()),
    )  # fmt: skip

    def __init__(self) -> None:
        self.answers: list[tuple[bytes, bytes]] = []
        self.by_messages = 0

    def answer(self, head: bytes, body: bytes) -> bool:
        self.answers.append((head, body))
        return True

    def go_on(self, _app: object) -> None:
        self.by_messages += 1


def used_up() -> FastPath:
    """An app whose caller has asked as often in this minute as they may, and a server's state."""
    settings = TenantSettings(rate_limits={"rings_per_caller": 1})
    caller = Caller("server", uuid4(), settings, scopes=("*",), key_id=uuid4())
    app = FastPath()
    app.security = SecurityHeaders(Settings(environment="development"))
    app.access_log = False
    app.state.gate = SimpleNamespace(known=lambda _: caller)
    app.state.rate_limiter = RateLimiter(Redis())
    asked = [("rings_per_caller", "alice")]
    app.state.rate_limiter.take(caller.tenant_id, settings.rates, "too_many_rings", asked)
    return app


def test_one_too_many_is_refused_in_the_turn_in_which_it_was_read() -> None:
    app, cycle = used_up(), Cycle()
    assert app.door.path == PATH.encode()
    assert app.door.take(cycle)  # type: ignore[arg-type]
    assert cycle.by_messages == 0
    ((head, body),) = cycle.answers
    status, *lines = head.decode().removesuffix("\r\n").split("\r\n")
    assert status == "HTTP/1.1 429 Too Many Requests"
    headers = dict(line.split(": ", 1) for line in lines)
    assert len(headers) == len(lines), "none stands twice"
    told = orjson.loads(body)
    assert (told["code"], told["rate_limit"]) == ("too_many_rings", "rings_per_caller")
    assert told["request_id"] == headers["x-request-id"] == ID
    assert headers["content-length"] == str(len(body))
    assert headers["content-type"] == "application/problem+json"
    assert 1 <= int(headers["retry-after"]) <= 120
    assert headers["ratelimit-policy"] == '"rings_per_caller";q=1;w=60'
    for name, value in (NOSNIFF, NO_STORE):
        assert headers[name.decode()] == value.decode()


def test_who_is_turned_away_is_counted_for_who_is_on_call() -> None:
    def counted() -> float:
        labels = {"status": "503"}
        return REGISTRY.get_sample_value("ringline_http_responses_total", labels) or 0.0

    app = used_up()
    app.state.runtime = SimpleNamespace(database=SimpleNamespace(turns_away=lambda: False))
    assert not app.door.turns_away()
    before = counted()
    app.state.runtime.database.turns_away = lambda: True
    assert app.door.turns_away()
    assert counted() == before + 1
    assert b"/readyz" in app.door.aside


def test_when_the_process_is_about_to_stop_its_refusal_goes_by_messages() -> None:
    app, cycle = used_up(), Cycle()
    app.security.close_connections()
    assert not app.door.take(cycle)  # type: ignore[arg-type]
    assert not cycle.answers
