"""Whose X-Forwarded headers count."""

from ipaddress import ip_network

import pytest

from app.http.trusted_proxies import UNTRUSTED, TrustedProxies
from app.infra.settings import Settings

TRUSTED = [ip_network(one) for one in ("127.0.0.1", "10.0.0.0/8", "2001:db8::/32")]


async def seen(peer: str | None, kind: str = "http", **headers: str) -> dict:
    """The request's scope as the application sees it."""
    found = {}

    async def app(scope, receive, send) -> None:
        found.update(scope)

    pairs = [(b"host", b"127.0.0.1:8000")]
    pairs += [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    scope = {"type": kind, "scheme": "http", "client": peer and (peer, 5), "headers": pairs}
    await TrustedProxies(app, TRUSTED)(scope, None, None)
    return found | {"host": dict(found["headers"])[b"host"].decode()}


@pytest.mark.parametrize(
    ("peer", "given", "visitor"),
    [
        ("10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "6.6.6.6, 198.51.100.7, 10.9.9.9", "198.51.100.7"),
        ("10.1.2.3", "198.51.100.7:4711", "198.51.100.7"),
        ("10.1.2.3", "[2001:dead::7]:4711", "2001:dead::7"),
        ("::ffff:10.1.2.3", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "10.1.2.4, 10.1.2.5", "10.1.2.4"),
        ("10.1.2.3", "evil", "10.1.2.3"),
        ("10.1.2.3", "6.6.6.6, unknown, 10.1.2.5", "10.1.2.5"),
        ("10.1.2.3", "", "10.1.2.3"),
        ("203.0.113.9", "198.51.100.7", "203.0.113.9"),
    ],
)
async def test_the_visitor_is_whom_the_last_trusted_proxy_names(peer, given, visitor) -> None:
    scope = await seen(peer, x_forwarded_for=given)
    assert scope["client"][0] == visitor


async def test_scheme_and_host_come_from_a_trusted_proxy_alone() -> None:
    given = {"x_forwarded_proto": "https", "x_forwarded_host": "ring.example.com"}
    scope = await seen("10.1.2.3", **given)
    assert (scope["scheme"], scope["host"]) == ("https", "ring.example.com")
    assert (await seen("10.1.2.3", "websocket", **given))["scheme"] == "wss"
    scope = await seen("203.0.113.9", **given)
    assert (scope["scheme"], scope["host"]) == ("http", "127.0.0.1:8000")
    assert scope[UNTRUSTED] == "203.0.113.9"
    for odd in ("a b", "evil/x", "a@b", "ä"):
        assert (await seen("10.1.2.3", x_forwarded_host=odd))["host"] == "127.0.0.1:8000"
    assert (await seen(None, **given))["scheme"] == "http"


def test_the_setting_takes_addresses_and_networks() -> None:
    made = Settings(trusted_proxies="10.0.0.7, 10.1.0.0/16 ,::1")
    assert [str(one) for one in made.trusted_proxies] == ["10.0.0.7/32", "10.1.0.0/16", "::1/128"]
    assert Settings(trusted_proxies="").trusted_proxies == []
    with pytest.raises(ValueError, match="write addresses"):
        Settings(trusted_proxies="nginx")
