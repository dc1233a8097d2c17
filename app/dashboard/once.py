"""A form that makes something makes it once, however often it is sent.

Such a form brings an id of its own (`csrf(once=true)` in its template). Who sends it first takes
the id, in the rows of kept answers; whoever sends the same again, by a double click, a reload or
the way back, is answered what the first was. A form whose content was changed is another one. An
answer that shows a secret rests sealed, and is shown again for ten minutes only.
"""

import asyncio
import hashlib
import time
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Final, TypeVar
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.audit.log import WHOLE_SERVER
from app.calls import idempotency
from app.calls.idempotency import KeptKey
from app.core.numerals import id_of
from app.dashboard.access import fields_of, text_of
from app.dashboard.admins import Visitor
from app.http.acting import runtime_of
from app.infra import clock, vault
from app.infra.errors import AppError, Conflict
from app.infra.runtime import Runtime
from app.infra.vault import Place, VaultError

FIELD: Final = "once"
LONGEST_ID: Final = 64
PURPOSE: Final = "form_answer"
SHOWN_FOR: Final = 600.0
"""Seconds for which an answer that may show a secret is shown again."""

PATIENCE: Final = 5.0
"""Seconds to wait for the one that was first."""

LOOK: Final = 0.05
"""Seconds between two looks at whether it has ended; no connection is held between them."""

NOT_PART: Final = {"csrf", FIELD}
REFUSED: Final = 400

Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, Response]])
ENDPOINTS: Final[set[Callable[..., Any]]] = set()
"""Those that are answered once for each form."""


def once(endpoint: Endpoint) -> Endpoint:
    """A route whose form makes something: what is sent again is answered what the first was."""

    @wraps(endpoint)
    async def answer(**given: Any) -> Response:
        request: Request = given["request"]
        key = await _key_of(request)
        if key is None:
            return await endpoint(**given)
        return await _once(request, key, lambda: endpoint(**given))

    ENDPOINTS.add(answer)
    return answer  # type: ignore[return-value]


async def _key_of(request: Request) -> KeptKey | None:
    """By what this form's answer is kept: its id, its content and who sends it; None without id.

    A keyed digest of the content: it may hold a password.
    """
    form = await fields_of(request)
    mark = text_of(form, FIELD)
    if not mark or len(mark) > LONGEST_ID:
        return None
    content = hashlib.sha256(request.url.path.encode())
    for name, value in form.multi_items():
        if name in NOT_PART:
            continue
        said = value.encode() if isinstance(value, str) else await value.read()
        if not isinstance(value, str):
            await value.seek(0)
        content.update(f"{len(name.encode())} {name} {len(said)} ".encode() + said)
    visitor: Visitor = request.state.visitor
    digest = runtime_of(request).keyring.token_mac(content.digest()).hex()
    tenant = id_of(str(request.path_params.get("tenant_id", ""))) or WHOLE_SERVER
    return tenant, f"form:{visitor.id}", f"{mark}.{digest}"


async def _once(
    request: Request, key: KeptKey, work: Callable[[], Coroutine[Any, Any, Response]]
) -> Response:
    runtime = runtime_of(request)
    async with runtime.database.autocommit() as session:
        first = await idempotency.take(session, key, b"")
    if not first:
        return await _again(request, key)
    try:
        response = await work()
    except AppError:  # refused: nothing was made
        await _forget(runtime, key)
        raise
    # what broke off may have been made all the same: its id stays taken, and says so
    if response.status_code >= REFUSED:
        await _forget(runtime, key)
        return response
    place = Place(key[0], request.state.visitor.id, PURPOSE)
    async with runtime.database.autocommit() as session:
        await idempotency.answered(session, key, _kept(runtime, place, response))
    return response


async def _forget(runtime: Runtime, key: KeptKey) -> None:
    async with runtime.database.autocommit() as session:
        await idempotency.forget_answers(session, [key])


def _kept(runtime: Runtime, place: Place, response: Response) -> dict[str, Any]:
    to = response.headers.get("location")
    if to is not None:
        return {"to": to}
    page = vault.seal(runtime.keyring, place, zlib.compress(bytes(response.body)))
    return {"page": b64encode(page).decode(), "until": clock.unix() + SHOWN_FOR}


async def _again(request: Request, key: KeptKey) -> Response:
    """What the first was answered, waited for without a connection. Raises Conflict."""
    runtime, end = runtime_of(request), time.monotonic() + PATIENCE
    while True:
        async with runtime.database.autocommit() as session:
            row = (await idempotency.kept_answers(session, [key])).get(key)
        if row is None:  # the first was refused just now, and its page says why
            raise Conflict(
                "form_refused", "This form was sent twice, and refused. Go back and send it again."
            )
        if isinstance(row["answer"], dict):
            return _told(runtime, request.state.visitor.id, key[0], row["answer"])
        if time.monotonic() > end:
            raise Conflict(
                "form_in_progress",
                "This form was sent before, and it is not known yet what became of that. Look "
                "whether it was made; if not, open the page anew and send it again.",
            )
        await asyncio.sleep(LOOK)


def _told(runtime: Runtime, admin: UUID, tenant: UUID, answer: dict[str, Any]) -> Response:
    if "to" in answer:
        return RedirectResponse(answer["to"], status_code=303)
    page = _opened(runtime, Place(tenant, admin, PURPOSE), answer)
    if page is None:
        raise Conflict(
            "made_before",
            "This form has made it already, and what it made is not shown again. Open the page "
            "anew to make another.",
        )
    return HTMLResponse(page)


def _opened(runtime: Runtime, place: Place, answer: dict[str, Any]) -> bytes | None:
    """The page again; None after its time, or where the key that sealed it is gone."""
    if answer["until"] < clock.unix():
        return None
    try:
        return zlib.decompress(vault.unseal(runtime.keyring, place, b64decode(answer["page"])))
    except VaultError:
        return None
