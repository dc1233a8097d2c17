"""Logs tell what happened, and no secret."""

import asyncio
import json
import logging
from types import SimpleNamespace

import pytest
import structlog

from app.infra import repeats
from app.infra.observe import set_up_logging, write_soon

TOKEN = "ab" * 32
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJib2IifQ.c2lnbmF0dXJl"
KEY = "rl_sk_abcdefghijklmnopqrstuvwxyz0123456789ABCDEF"
PEM = "-----BEGIN PRIVATE KEY-----MIGH"


@pytest.fixture(autouse=True)
def logging_as_it_was():
    root = logging.getLogger()
    handlers, level, config = root.handlers[:], root.level, structlog.get_config()
    yield
    root.handlers[:], root.level = handlers, level
    structlog.configure(**config)


@pytest.mark.parametrize(
    "secret", [TOKEN, TOKEN.upper(), JWT, KEY, PEM, "rl_ct_AbC-_1", "rl_mt_AbC"]
)
def test_secrets_are_taken_out_by_their_shape(secret: str, capsys) -> None:
    set_up_logging("debug")
    structlog.get_logger("ours").info("said", url=f"/3/device/{secret}", nested={"a": [secret]})
    logging.getLogger("library").warning("failed for %s", secret)
    try:
        raise ValueError(f"broken {secret}")
    except ValueError:
        structlog.get_logger("ours").exception("went_wrong")
    shown = capsys.readouterr().err
    assert shown.count("\n") >= 3
    assert secret not in shown
    assert "[redacted]" in shown


def test_secrets_are_taken_out_by_their_name(capsys) -> None:
    set_up_logging("debug")
    structlog.get_logger("ours").info(
        "said", password="hunter2", webhook_secret=b"x", Authorization="y"
    )
    line = json.loads(capsys.readouterr().err)
    assert line["password"] == line["webhook_secret"] == line["Authorization"] == "[redacted]"


def test_lines_are_json_with_level_time_and_logger(capsys) -> None:
    set_up_logging("info")
    structlog.get_logger("ours").info("push", push="1", milliseconds=2.5)
    logging.getLogger("ours").debug("not shown")
    line = json.loads(capsys.readouterr().err)
    assert line["event"] == "push"
    assert line["milliseconds"] == 2.5
    assert {"level", "timestamp", "logger"} <= line.keys()


def test_what_the_queues_libraries_say_each_second_is_told_once_a_minute(
    capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Celery's loop does for as long as Redis is full, with a traceback each time."""
    now = 1_000.0
    monkeypatch.setattr(repeats, "time", SimpleNamespace(monotonic=lambda: now))
    set_up_logging("info")
    for second in range(61):
        now = 1_000.0 + second
        try:
            raise MemoryError("used memory > maxmemory")
        except MemoryError:
            logging.getLogger("kombu.asynchronous.timer").exception("Error in timer: %r", now)
        logging.getLogger("celery.worker").info("Connected")
        logging.getLogger("of.another").error("Exception in ASGI application")
    logging.getLogger("kombu.asynchronous.timer").error("Error in timer: %r", KeyError("another"))
    told = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    timer = [line.get("failures") for line in told if line["event"].startswith("Error in timer")]
    assert timer == [None, 60, None]
    assert len(told) == 3 + 2 * 61


def test_a_uuid_is_no_secret(capsys) -> None:
    set_up_logging("info")
    structlog.get_logger("ours").info("push", push="01a1fd6e-a275-7c7d-804c-7f991b58d0d7")
    assert "01a1fd6e-a275-7c7d-804c-7f991b58d0d7" in capsys.readouterr().err


def test_who_listens_beside_us_hears_our_lines_too(capsys) -> None:
    set_up_logging("info")
    heard: list[logging.LogRecord] = []
    listener = logging.Handler()
    listener.emit = heard.append  # type: ignore[method-assign]
    log = structlog.get_logger("ours")
    log.info("before")
    logging.getLogger().addHandler(listener)
    log.info("after")
    log.debug("not shown")
    shown = [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()]
    assert shown == ["before", "after"]
    assert len(heard) == 1


def test_a_line_that_cannot_be_written_harms_nobody(capsys) -> None:
    set_up_logging("info")
    structlog.get_logger("ours").info("said", name="a lone surrogate: \ud800")
    structlog.get_logger("ours").info("went_on")
    shown = capsys.readouterr().err
    assert "Logging error" in shown
    assert json.loads(shown.splitlines()[-1])["event"] == "went_on"


def test_a_logger_that_was_used_before_writes_as_is_wanted_since(capsys) -> None:
    set_up_logging("info", "text")  # as a command does, before it is a server
    ours = structlog.get_logger("ours")
    ours.info("a_command")
    set_up_logging("info")
    ours.info("a_server")
    first, second = capsys.readouterr().err.splitlines()
    assert "a_command" in first
    assert json.loads(second)["event"] == "a_server"


async def test_lines_of_one_turn_of_the_loop_are_written_together(capsys) -> None:
    set_up_logging("info")
    (handler,) = logging.getLogger().handlers
    written: list[str] = []
    handler.stream = SimpleNamespace(write=written.append, flush=lambda: None)
    structlog.contextvars.bind_contextvars(tenant="t")
    for n in range(3):
        assert write_soon("ours", logging.INFO, "said", {"n": n, "url": f"/3/device/{TOKEN}"})
    assert written == []
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (at_once,) = written
    lines = [json.loads(line) for line in at_once.splitlines()]
    assert [line["n"] for line in lines] == [0, 1, 2]
    assert TOKEN not in at_once
    structlog.get_logger("ours").info("said", n=0, url=f"/3/device/{TOKEN}")
    by_logger = json.loads(written[-1])
    assert list(by_logger) == list(lines[0])
    assert by_logger | {"timestamp": 0} == lines[0] | {"timestamp": 0}
    structlog.contextvars.clear_contextvars()


async def test_what_waits_for_the_end_of_a_turn_is_written_when_logging_ends(capsys) -> None:
    set_up_logging("info")
    assert write_soon("ours", logging.INFO, "said", {})
    logging.getLogger().handlers[0].flush()
    assert json.loads(capsys.readouterr().err)["event"] == "said"


async def test_who_listens_beside_us_is_told_by_a_logger() -> None:
    set_up_logging("info")
    logging.getLogger().addHandler(logging.Handler())
    assert not write_soon("ours", logging.INFO, "said", {})


@pytest.mark.parametrize("style", ["json", "text"])
def test_no_terminal_obeys_what_a_line_quotes(style: str, capsys) -> None:
    """Nor takes what somebody has sent for a line of ours."""
    set_up_logging("debug", style)
    sent = "\x1b]0;x\x07\x9b2J\u202e\nall is well"
    structlog.get_logger("ours").info("said", user_id=sent, short="\x1b[2J", nested={"a": sent})
    logging.getLogger("library").warning("failed for %s", sent)
    try:
        raise ValueError(sent)
    except ValueError:
        structlog.get_logger("ours").exception("went_wrong")
    shown = capsys.readouterr().err
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert ("\nall is well" in shown) == (style == "text")  # a traceback has lines of its own
    assert shown.count("\nall is well") <= 1
    assert "u202e" in shown
