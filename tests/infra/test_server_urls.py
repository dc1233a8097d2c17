"""One address, one reader: what PostgreSQL's and Redis's clients are built of."""

import asyncio
import ssl
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from redis.asyncio.sentinel import SentinelConnectionPool
from sqlalchemy import make_url

from app.doctor import examine
from app.infra import redis_client
from app.infra.amqp_url import amqp_url
from app.infra.db import Database, clock
from app.infra.queue import make_celery
from app.infra.schema import upgrade
from app.infra.server_urls import RedisUrl, database_url, redis_url
from app.infra.settings import Settings
from devkit.simulator.certificates import Authority
from tests.infra.fronts import postgres_over_tls, redis_over_tls, server_context, serving

PASSWORD = "p@s:s/w?o#r%d é"
QUOTED = "p%40s%3As%2Fw%3Fo%23r%25d%20%C3%A9"


@pytest.mark.parametrize("option", [
    "sslmode=disable", "sslmode=require", "sslmode=prefer", "sslmode=verify-full&sslrootcert=/ca.pem",
    "target_session_attrs=read-write", "application_name=x", "options=-c%20search_path%3Dring",
    "sslmode=require&sslcert=/c.pem&sslkey=/k.pem", "connect_timeout=5", "keepalives=1&gssencmode=disable",
    "sslmode=verify-full&sslrootcert=system&channel_binding=require", "ssl=true", "ssl=require",
])  # fmt: skip
def test_libpqs_options_are_taken(option: str) -> None:
    url = make_url(database_url(f"postgresql://u:{QUOTED}@h:5433/d?{option}").sqlalchemy)
    assert (url.username, url.password, url.host, url.port, url.database) == (
        "u", PASSWORD, "h", 5433, "d",
    )  # fmt: skip
    kept = parse_qs(urlsplit(str(url.query.get("dsn", ""))).query)
    assert not {"connect_timeout", "keepalives", "gssencmode", "channel_binding", "ssl"} & set(kept)
    if "verify" in option or option == "ssl=true":
        assert kept["sslmode"] == ["verify-full"]
        assert kept["sslrootcert"][0] != "system"


@pytest.mark.parametrize(
    ("given", "host", "port"),
    [
        ("postgresql:///d?host=/run/pg", "/run/pg", None),
        ("postgresql://%2Frun%2Fpg/d", "/run/pg", None),
        ("postgresql://u@/d?host=/run/pg&port=5433", "/run/pg", "5433"),
        ("postgresql://a:1,b:2/d", "a,b", "1,2"),
        ("postgresql://u@/d?host=a,b", "a,b", None),
    ],
)
def test_sockets_and_several_hosts(given: str, host: str, port: str | None) -> None:
    url = make_url(database_url(given).sqlalchemy)
    assert (url.query["host"], url.query.get("port"), url.database) == (host, port, "d")


@pytest.mark.parametrize("given", [
    "mysql://h/d", "h", "", "postgresql://h/d?sslmod=require", "postgresql://h/d?sslmode=verify",
    "postgresql://h:99999/d", "postgresql://u:pass/word@h/d", "postgresql://u:pass#word@h/d",
    "postgresql://h/d?channel_binding=require", "postgresql://[::1/d",
])  # fmt: skip
def test_a_wrong_address_of_postgresql_is_told_and_not_repeated(given: str) -> None:
    with pytest.raises(ValueError) as caught:
        database_url(given)
    assert "word" not in str(caught.value).replace("password", "")
    with pytest.raises(ValueError, match="RINGLINE_DATABASE_URL"):
        _ = Settings(database_url=given).sqlalchemy_url
    assert Settings(database_url=given).unreadable()


@pytest.mark.parametrize("rest", ["?WORD@h/1", "/x?WORD=1@h", "?a&WORD=1@h/1", "?dbWORD@h"])
def test_a_password_with_a_bare_question_mark_is_not_repeated(rest: str) -> None:
    for read, scheme in (
        (database_url, "postgresql"), (redis_url, "redis"), (redis_url, "rediss+sentinel"),
        (amqp_url, "amqp"), (amqp_url, "amqps"),
    ):  # fmt: skip
        with pytest.raises(ValueError) as caught:
            read(f"{scheme}://u:p{rest}")
        assert "WORD" not in str(caught.value)


def of_celery(url: RedisUrl) -> dict[str, object]:
    """What Celery's transport hands to redis-py."""
    settings = Settings(redis_url="redis://h")
    app = make_celery(settings)
    app.conf.update(**url.broker)
    with app.connection() as connection:
        channel = connection.transport.Channel.__new__(connection.transport.Channel)
        channel.connection = connection.transport
        channel.connection.client = connection
        return dict(channel._connparams())


@pytest.mark.parametrize("given", [
    "redis://h", "redis://h:6380/3", "redis://:%40%2F%3A@h/1", f"redis://u:{QUOTED}@h", "redis://h?db=4",
    "rediss://h:6380/2", "rediss://h?ssl_cert_reqs=none", "rediss://h?ssl_ca_certs=/ca.pem",
    "rediss://h?ssl_check_hostname=false", "unix:///run/v.sock", "unix:///run/a%20b.sock?db=5",
    f"unix://u:{QUOTED}@/run/v.sock?db=1", "redis://[::1]:6380/0",
])  # fmt: skip
def test_both_clients_of_redis_are_built_alike(given: str) -> None:
    url = redis_url(given)
    ours, celerys = (
        redis_client.connect(Settings(redis_url=given)).connection_pool.connection_kwargs,
        of_celery(url),
    )
    for name in ("host", "port", "path", "username", "password", "db"):
        assert celerys.get(name) == ours.get(name), name
    for name in ("ssl_cert_reqs", "ssl_ca_certs", "ssl_check_hostname"):
        assert celerys.get(name) == ours.get(name), name
    assert (celerys.get("ssl_cert_reqs") is ssl.CERT_REQUIRED) == (
        given.startswith("rediss") and "none" not in given
    )
    assert "p@s" not in make_celery(Settings(redis_url=given)).connection().as_uri()
    assert QUOTED not in make_celery(Settings(redis_url=given)).connection().as_uri()


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
async def test_sentinels_are_asked_alike_by_both_clients(scheme: str) -> None:
    given = f"{scheme}+sentinel://u:{QUOTED}@a,b:7,[::1]:8/ring%2Fline/3?sentinel_user=s&sentinel_password=x%2Fy"
    settings = Settings(redis_url=given)
    client = redis_client.connect(settings)
    pool = client.connection_pool
    assert isinstance(pool, SentinelConnectionPool)
    assert (pool.service_name, pool.is_master) == ("ring/line", True)
    asked = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in asked] == [("a", 26379), ("b", 7), ("::1", 8)]
    assert {(one["username"], one["password"]) for one in asked} == {("s", "x/y")}
    assert (scheme == "rediss") == all("ssl_cert_reqs" in one for one in asked)
    with make_celery(settings).connection() as connection:
        channel = connection.transport.Channel.__new__(connection.transport.Channel)
        channel.connection = connection.transport
        channel.connection.client = connection
        for name, value in connection.transport_options.items():
            setattr(channel, name, value)
        theirs = channel._sentinel_managed_pool()
        assert (theirs.service_name, theirs.is_master) == ("ring/line", True)
        theirs_asked = [
            one.connection_pool.connection_kwargs for one in theirs.sentinel_manager.sentinels
        ]
        for name in ("username", "password", "db", "ssl_cert_reqs", "ssl_check_hostname"):
            assert theirs.connection_kwargs.get(name) == pool.connection_kwargs.get(name), name
        for name in ("host", "port", "username", "password", "ssl_cert_reqs"):
            assert [one.get(name) for one in theirs_asked] == [one.get(name) for one in asked], name
        shown = connection.as_uri()
    assert "p@s" not in shown
    assert QUOTED not in shown
    await redis_client.disconnect(client)


@pytest.mark.parametrize("given", [
    "redis+sentinel://h", "redis+sentinel:///x", "redis+sentinel://h:99999/x", "redis://h?sentinel_user=s",
    "redis+sentinel://h/x/abc", "http://h", "h:6379", "", "redis://h/abc", "redis://h:99999", "redis://h?sll=1", "unix://run/v.sock",
    "rediss://h?ssl_cert_reqs=maybe", "redis://:pass#word@h", "redis://:pass/word@h", "redis://h/-1",
])  # fmt: skip
def test_a_wrong_address_of_redis_is_told_and_not_repeated(given: str) -> None:
    with pytest.raises(ValueError) as caught:
        redis_url(given)
    assert "word" not in str(caught.value).replace("password", "")


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create()


@pytest.fixture
def ca_file(authority: Authority, tmp_path: Path) -> Path:
    path = tmp_path / "ca.pem"
    path.write_bytes(authority.pem)
    return path


async def test_postgresql_over_tls_is_reached_by_every_door(
    database: str,
    authority: Authority,
    ca_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    behind = database_url(database)
    other = tmp_path / "other.pem"
    other.write_bytes(Authority.create().pem)
    with serving(postgres_over_tls(behind, server_context(authority, tmp_path))) as port:

        def url(options: str, host: str = "localhost") -> str:
            return f"postgresql://{behind.user}:{QUOTED}@{host}:{port}/{behind.database}?{options}"

        good = url(f"sslmode=verify-full&sslrootcert={ca_file}")
        for one in (
            url("sslmode=require"),
            good,
            url(f"sslmode=verify-ca&sslrootcert={ca_file}", "127.0.0.1"),
        ):
            door = Database(Settings(database_url=one).sqlalchemy_url, pool=2)
            async with door.autocommit() as session:
                assert await clock(session)
            await door.close()
        wrong = Database(
            database_url(url(f"sslmode=verify-full&sslrootcert={other}")).sqlalchemy, pool=2
        )
        with pytest.raises(Exception, match=r"(?i)certificate|no connection"):
            async with wrong.autocommit() as session:
                await clock(session)
        await wrong.close()
        await asyncio.to_thread(upgrade, Settings(database_url=good).sqlalchemy_url)
        monkeypatch.setenv("RINGLINE_DATABASE_URL", good)
        monkeypatch.setenv("RINGLINE_REDIS_URL", "redis://localhost:99999")
        monkeypatch.setenv("RINGLINE_LOG_LEVEL", "loud")
        found = {check.name: check for check in await examine()}
        assert found["PostgreSQL"].ok
        assert found["Tables"].ok
        assert "port" in found["Redis"].found
        assert not found["RINGLINE_LOG_LEVEL"].ok


async def test_redis_over_tls_is_verified_by_both_clients_alike(
    redis: str, authority: Authority, ca_file: Path, tmp_path: Path
) -> None:
    heard: list[bytes] = []
    front = redis_over_tls(redis_url(redis), server_context(authority, tmp_path), heard)

    async def connects(settings: Settings) -> list[bool]:
        client = redis_client.connect(settings)
        tries = [client.ping(), asyncio.to_thread(broker_reached, settings)]
        found = [await one for one in [asyncio.gather(t, return_exceptions=True) for t in tries]]
        await client.aclose()
        for (one,) in found:
            assert not isinstance(one, Exception) or "CERTIFICATE_VERIFY_FAILED" in str(one)
        return [not isinstance(one, Exception) for (one,) in found]

    with serving(front) as port:
        url = f"rediss://localhost:{port}/0"
        assert await connects(Settings(redis_url=url)) == [False, False]
        assert not heard
        for trusting in (
            Settings(redis_url=url, redis_ca_file=ca_file),
            Settings(redis_url=f"{url}?ssl_ca_certs={ca_file}"),
            Settings(redis_url=f"{url}?ssl_cert_reqs=none"),
        ):
            heard.clear()
            assert await connects(trusting) == [True, True]
            assert heard


def broker_reached(settings: Settings) -> None:
    with make_celery(settings).connection() as connection:
        channel = connection.transport.Channel.__new__(connection.transport.Channel)
        channel.connection = connection.transport
        channel.connection.client = connection
        params = dict(channel._connparams())
        made = params.pop("connection_class")(
            **{name: value for name, value in params.items() if name != "max_connections"}
        )
        made.connect()
        made.disconnect()
