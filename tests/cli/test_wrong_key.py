"""A key that is not the database's is noticed by everybody, and the right one can be changed."""

import asyncio
import gc
import secrets

import httpx
import pytest
from structlog.testing import capture_logs

from app.api.health import Health
from app.credentials import key_check, rotation
from app.infra.db import connect
from app.infra.settings import Settings
from app.infra.vault import keyring
from app.main import create_app
from app.tenants import service
from tests.cli.test_cli import ringline
from tests.dashboard.conftest import *  # noqa: F403  (settings, runtime)
from tests.environment import STRONG, environment_of

OTHER = "Yk3" + secrets.token_urlsafe(32)
SENTENCE = "RINGLINE_SECRET_KEY is not the key"


@pytest.fixture
def environment(database: str, redis: str) -> dict[str, str]:
    return environment_of(database_url=database, redis_url=redis) | {"COLUMNS": "200"}


def test_every_command_that_needs_the_key_says_so_in_one_sentence(environment) -> None:
    assert "Keep that key" in ringline(environment, "migrate")
    assert "Keep that key" not in ringline(environment, "migrate")
    ringline(environment, "tenant", "create", "acme")
    wrong = environment | {"RINGLINE_SECRET_KEY": OTHER}
    for words in (["api", "--port", "0"], ["worker"], ["vault", "status"], ["migrate"]):
        said = ringline(wrong, *words, status=1)
        assert SENTENCE in " ".join(said.split()), words
        assert "Traceback" not in said
        assert OTHER not in said
    assert "opens nothing" in ringline(wrong, "doctor", status=1)
    # the README's way to a new key, from a lone one, and to the new one alone
    both = environment | {"RINGLINE_SECRET_KEY": f"new:{OTHER},old:{STRONG}"}
    behind = environment | {"RINGLINE_SECRET_KEY": f"old:{STRONG},new:{OTHER}"}
    for _ in range(2):
        said = " ".join(ringline(behind, "vault", "rotate", status=1).split())
        assert "nothing rests under the key `new`" in said
        assert "put it first in RINGLINE_SECRET_KEY (new:...,old:...)" in said
        assert OTHER not in said
    for done in ("2 re-wrapped", "0 re-wrapped"):  # may be run again, whatever is there no more
        assert done in ringline(both, "vault", "rotate")
    assert " old " not in ringline(both, "vault", "status")
    assert "new" in ringline(both, "vault", "status")
    ringline(wrong, "vault", "status")
    assert SENTENCE in " ".join(ringline(environment, "vault", "status", status=1).split())


async def test_a_running_server_is_not_ready_with_a_wrong_key(settings: Settings, runtime) -> None:
    await service.create(runtime, "acme")
    assert await key_check.check(runtime.database, runtime.keyring) is True
    assert await key_check.check(runtime.database, runtime.keyring) is False
    secret = type(settings.secret_key)(OTHER)
    wrong = settings.model_copy(update={"secret_key": secret})
    await does_not_start(wrong)
    gc.collect()  # a connection that it has left open is told here
    app = create_app(wrong)
    # a server that started while the database was away
    app.state.runtime = type(runtime)(
        **{name: getattr(runtime, name) for name in runtime.__slots__ if name != "keyring"},
        keyring=keyring(wrong),
    )
    app.state.health = Health(app.state.runtime)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ringline.test") as client:
        answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "wrong_secret_key")


async def does_not_start(settings: Settings) -> None:
    app = create_app(settings)
    with pytest.raises(key_check.WrongSecretKey, match=SENTENCE):
        async with app.router.lifespan_context(app):
            pytest.fail("it started")


async def test_a_server_without_tables_says_so_in_a_line(
    settings: Settings, empty_database: str
) -> None:
    app = create_app(settings.model_copy(update={"database_url": empty_database}))
    with capture_logs() as told:
        async with app.router.lifespan_context(app):
            async with asyncio.timeout(20):
                while not any(line["event"] == "task_failed" for line in told):
                    await asyncio.sleep(0.02)
    assert [line["event"] for line in told].count("not_migrated") == 1
    of_tables = [line for line in told if line["event"] in {"not_migrated", "task_failed"}]
    assert all("run `ringline migrate`" in line["why"] for line in of_tables)
    assert not [line for line in told if line.get("exc_info")]


async def test_what_was_sealed_before_there_was_a_check_decides(
    settings: Settings, runtime
) -> None:
    await service.create(runtime, "acme")
    secret = type(settings.secret_key)(OTHER)
    wrong = settings.model_copy(update={"secret_key": secret})
    with pytest.raises(key_check.WrongSecretKey):
        await key_check.check(runtime.database, keyring(wrong))
    assert await key_check.check(runtime.database, runtime.keyring) is True


async def test_only_one_key_wins_an_empty_database(database: str, settings: Settings) -> None:
    chosen = [
        settings.model_copy(update={"secret_key": type(settings.secret_key)(f"{n}{OTHER}")})
        for n in range(4)
    ]
    opened = [connect(one) for one in chosen]
    found = await asyncio.gather(
        *(key_check.check(one, keyring(mine)) for one, mine in zip(opened, chosen, strict=True)),
        return_exceptions=True,
    )
    await asyncio.gather(*(one.close() for one in opened))
    assert [one for one in found if one is True] == [True]
    assert sum(isinstance(one, key_check.WrongSecretKey) for one in found) == 3


async def test_the_check_is_wrapped_anew_with_all_else(settings: Settings, runtime) -> None:
    await key_check.check(runtime.database, runtime.keyring)
    present = settings.secret_key.get_secret_value()
    both = settings.model_copy(
        update={"secret_key": type(settings.secret_key)(f"new:{OTHER},old:{present}")}
    )
    ring = keyring(both)
    moved = type(runtime)(
        **{name: getattr(runtime, name) for name in runtime.__slots__ if name != "keyring"},
        keyring=ring,
    )
    assert (await rotation.rotate(moved)).failed == ()
    alone = settings.model_copy(update={"secret_key": type(settings.secret_key)(OTHER)})
    assert await key_check.check(runtime.database, keyring(alone)) is False
