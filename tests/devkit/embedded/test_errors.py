"""Errors say what is wrong and what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from devkit.embedded import EmbeddedError, Postgres, Valkey, running_postgres, running_valkey
from tests.devkit.embedded.people import repository


def test_a_setting_that_postgres_refuses_is_shown_with_the_log(tmp_path: Path) -> None:
    server = Postgres(tmp_path / "refused", settings={"shared_buffers": "much"})
    with pytest.raises(EmbeddedError) as raised:
        server.start()
    text = str(raised.value)
    assert 'invalid value for parameter "shared_buffers": "much"' in text
    assert str(server.log) in text
    assert "RINGLINE_DATABASE_URL" in text
    assert not server.is_running()
    server.close()
    with running_postgres(tmp_path / "refused") as mended:
        assert mended.is_running()


def test_an_option_that_valkey_refuses_is_shown_with_the_log() -> None:
    server = Valkey(options={"maxmemory": "much"})
    with pytest.raises(EmbeddedError, match=r"(?s)ended with status 1.*maxmemory.*much"):
        server.start()
    server.close()


def test_a_failed_with_leaves_nothing() -> None:
    server = running_valkey(options={"bogus": "1"})
    short = server.sockets.parent
    with pytest.raises(EmbeddedError), server:
        pass
    assert not short.exists()


@pytest.mark.parametrize("kind", ["Postgres", "Valkey"])
def test_without_the_wheels_the_text_names_the_settings(kind: str) -> None:
    code = f"import devkit.embedded as e; e.{kind}().__enter__()"
    done = subprocess.run(  # -S: no site-packages, as on a system that has no such wheel
        [sys.executable, "-E", "-S", "-c", code],
        cwd=repository(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    for part in ("ringline[demo]", "Alpine", "RINGLINE_DATABASE_URL", "RINGLINE_REDIS_URL"):
        assert part in done.stderr


def test_a_pid_before_the_start_is_an_error() -> None:
    with pytest.raises(EmbeddedError, match="has not been started"):
        _ = Valkey().pid


def test_more_settings_reach_the_servers(tmp_path: Path) -> None:
    with running_valkey(options={"maxmemory": "64mb"}) as server:
        from redis import Redis

        with Redis.from_url(server.url) as client:
            assert client.config_get("maxmemory") == {"maxmemory": str(64 * 1024 * 1024)}
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            assert client.config_get("save") == {"save": ""}


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = Postgres(tmp_path / "file" / "below")
    with pytest.raises(EmbeddedError, match=r"could not start in .*file"):
        server.start()
    server.close()
