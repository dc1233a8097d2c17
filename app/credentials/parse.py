"""Whether what a file is fits what is wanted of it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from app.apns.credential import load_pem
from app.core.app_id import VOIP, as_typed
from app.credentials.files.parsed_file import BOTH, PRODUCTION, SANDBOX, ParsedFile
from app.credentials.files.reading import clean_app_id, clean_bundle_id, read
from app.credentials.files.refusals import reject
from app.credentials.turns import Turns
from app.http2.tls import client_context
from app.infra import clock

_TURNS = Turns("credentials")
"""Reading a file may compute for a second. On one thread of its own it takes turns with the event
loop; on several, rings would wait behind all of them for Python's one lock."""

T = TypeVar("T")


async def off_the_loop(tenant_id: UUID, work: Callable[[], T]) -> T:
    """What `work` computes, on the one thread for such work, when it is this tenant's turn.

    Raises TooMany (429) when too much of this tenant waits already.
    """
    return await asyncio.wrap_future(_TURNS.take(tenant_id, work))


@dataclass(slots=True, frozen=True, kw_only=True)
class Upload:
    """A file as somebody brings it, and what they say of it.

    `app_id` may be None for a certificate, which names its own.
    """

    data: bytes = field(repr=False)
    password: str | None = field(default=None, repr=False)
    app_id: str | None = None
    key_id: str | None = None
    team_id: str | None = None
    environments: Sequence[str] | None = None


async def parse(tenant_id: UUID, upload: Upload) -> ParsedFile:
    """What a file is, checked against what is wanted of it; nothing is stored. Raises Refused."""
    return await off_the_loop(tenant_id, lambda: examine(upload, clock.now()))


def examine(upload: Upload, now: datetime) -> ParsedFile:
    """The same without a loop: up to two seconds of CPU. Raises Refused."""
    parsed = read(
        upload.data, upload.password, key_id=upload.key_id, team_id=upload.team_id,
        app_id=upload.app_id, environments=upload.environments, now=now,
    )  # fmt: skip
    wanted = fit(parsed, upload.app_id, upload.environments)
    if wanted.kind == "certificate":
        try:
            load_pem(client_context(), wanted.private)
        except ValueError as error:
            raise reject("unusable_certificate", why=str(error)) from None
    return wanted


def fit(parsed: ParsedFile, app_id: str | None, environments: Sequence[str] | None) -> ParsedFile:
    """The same for the bundle id and environments that are wanted. Raises Refused."""
    named = app_id or parsed.app_id
    if named is None:
        raise reject("app_id_missing")
    wanted = clean_bundle_id(named) if parsed.kind == "key" else clean_app_id(named)
    if parsed.app_id is not None and wanted != parsed.app_id:
        raise reject("app_id_mismatch", found=parsed.app_id, given=wanted)
    changes: dict[str, Any] = {"app_id": wanted}
    changes["environments"] = _environments(parsed, environments)
    if parsed.kind == "google_service_account":
        changes["topics"] = (wanted,)
    if parsed.kind == "key":
        spelling = as_typed(app_id or wanted)
        changes["topics"] = (spelling + VOIP, spelling)
    return replace(parsed, **changes)


def _environments(parsed: ParsedFile, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Those wanted; a development certificate must be wanted as such, lest production be silent."""
    if parsed.kind == "google_service_account":
        if SANDBOX in (wanted or ()):
            raise reject("environments_not_googles")
        return parsed.environments  # Google has one
    asked = tuple(name for name in BOTH if name in (wanted or ()))
    if not asked:
        if parsed.environments == (SANDBOX,):
            raise reject("development_certificate", subject=parsed.subject)
        return parsed.environments
    for name in asked:
        if name not in parsed.environments:
            kind = "development" if name == PRODUCTION else "production"
            raise reject(f"{kind}_certificate", subject=parsed.subject)
    return asked
