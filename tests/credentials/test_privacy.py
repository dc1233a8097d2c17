"""No private byte in any log, response, error, database row or file: searched for."""

import base64
import io
import logging
import os
import sys
import tempfile

import pytest

from app.infra.observe import set_up_logging
from tests.credentials.files import APP, FILES_MAKER, Made

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_written: list[str] = []
_watching = False
_hooked = False


def _watch(event: str, args: tuple) -> None:
    """Every file opened for writing, and every temporary file, while `_watching`."""
    if not _watching:
        return
    if event in {"tempfile.mkstemp", "tempfile.mkdtemp"}:
        _written.append(str(args[0]))
    elif event == "open":
        path, mode, flags = args
        wants = (isinstance(mode, str) and set(mode) & set("wax+")) or (flags or 0) & WRITES
        if wants and isinstance(path, (str, bytes)):
            _written.append(os.fsdecode(path))


@pytest.fixture
def heard(tmp_path, monkeypatch):
    """All that is logged, by anybody, at the finest level; and where files would turn up."""
    global _hooked, _watching
    if not _hooked:  # here, since it is for good: each `id()` of the process asks it
        sys.addaudithook(_watch)
        _hooked = True
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    root = logging.getLogger()
    before = root.handlers[:], root.level
    sink = io.StringIO()
    set_up_logging("debug", "json")
    plain = logging.StreamHandler(sink)  # before redaction, too
    root.handlers = [plain, *root.handlers]
    for handler in root.handlers:
        handler.setStream(sink)
    noisy = ("sqlalchemy.engine", "sqlalchemy.pool", "asyncio", "httpx", "uvicorn", "aioapns")
    levels = {name: logging.getLogger(name).level for name in noisy}
    for name in noisy:
        logging.getLogger(name).setLevel(logging.DEBUG)
    _written.clear()
    _watching = True
    yield sink
    _watching = False
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    root.handlers, root.level = before


def test_the_net_would_catch_a_key():
    whole = b"".join(made.data for made in FILES_MAKER.everything)
    assert sum(secret in whole for secret in FILES_MAKER.secrets) >= 10


async def test_no_private_byte_anywhere(api, heard, query, tmp_path):
    answers: list[str] = []
    for made in FILES_MAKER.everything:
        if len(made.data) > 500_000:
            continue
        ways = ("/v1/credentials/preview", "/v1/credentials")
        for path in ways[1:] if made.code == "too_costly" else ways:  # to refuse one costs a second
            answer = await api.post(path, json=_body(made))
            assert answer.status_code in {200, 201, 409, 422}, answer.text
            answers.append(answer.text)
    asked = await api.post("/v1/credentials/requests", json={"app_id": APP})
    answers.append(asked.text)
    answers.append((await api.get("/v1/credentials")).text)
    answers.append((await api.get("/v1/audit?limit=200")).text)
    rows = [str(row) for table in ("credentials", "audit", "tenant_events")
            for row in await query(f"SELECT t::text AS t FROM {table} t")]  # fmt: skip
    assert len(rows) > 20
    heard.flush()
    logged = heard.getvalue()
    assert "checked out from pool" in logged  # the net was out
    for where, text in (("answer", answers), ("log", [logged]), ("row", rows)):
        told = "\n".join(text).encode()
        assert not [secret for secret in FILES_MAKER.secrets if secret in told], where
        assert b"PRIVATE KEY" not in told, where
    assert list(tmp_path.iterdir()) == []
    assert [path for path in _written if not path.startswith(("/proc/", "/dev/"))] == []


def _body(made: Made) -> dict[str, object]:
    body: dict[str, object] = {"file": base64.b64encode(made.data).decode()}
    body |= {"password": made.password, "app_id": made.app_id, **made.ids}
    if made.environments:
        body["environments"] = list(made.environments)
    return body
