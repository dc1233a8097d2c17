"""Pages: credentials. A file is looked at first, stored only then; Apple is asked at once."""

import re
from itertools import groupby
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.datastructures import FormData

from app.audit import log as audit
from app.credentials import service
from app.credentials.parse import Upload
from app.credentials.rows import CredentialRow
from app.credentials.schemas import credential_out, understood_out
from app.dashboard import sealed_upload as held
from app.dashboard.access import Operator, TenantPage, Viewer, fields_of, file_of, text_of
from app.dashboard.once import once
from app.dashboard.pages import BASE, PageRoute, file, moved, render
from app.dashboard.sealed_upload import Held
from app.infra import clock
from app.infra.errors import AppError, Conflict
from app.infra.fields import RowId

router = APIRouter(
    prefix=BASE + "/t/{tenant_id}/credentials", route_class=PageRoute, include_in_schema=False
)
KEY_NAME = re.compile(r"AuthKey_([A-Z0-9]{10})\.p8")
MOST_BYTES = 512 * 1024


def _out(row: CredentialRow) -> dict[str, Any]:
    return credential_out(row, clock.now())


@router.get("")
async def list_page(request: Request, place: Viewer) -> Response:
    """Every credential by app, those that need a hand first, and where to drop a file."""
    return await _list(request, place)


async def _list(
    request: Request, place: TenantPage, *, status: int = 200, problem: AppError | None = None
) -> Response:
    rows = [_out(row) for row in await service.list_all(place.runtime, place.id)]
    order = {"active": 0, "standby": 1, "requested": 2, "retired": 3}
    rows.sort(key=lambda row: (row["app_id"], order.get(row["state"], 4)))
    apps = [(app, list(some)) for app, some in groupby(rows, key=lambda row: row["app_id"])]
    return render(request, "credentials.html", status=status, apps=apps, problem=problem)


@router.post("/preview")
async def preview(request: Request, place: Operator) -> Response:
    """What is understood of a file. Nothing is stored."""
    form = await fields_of(request)
    brought = await _brought(place, form)
    given = _given(form, brought)
    values: dict[str, Any] = {"understood": None, "refusal": None}
    status = 200
    try:
        understood, here = await service.preview(place.runtime, place.id, given)
        values["understood"] = understood_out(understood, clock.now(), key_is_here=here)
    except AppError as error:
        values["refusal"], status = error, error.status
    sealed = held.seal(place.runtime.keyring, place.id, place.visitor.id, brought)
    return render(
        request, "credential_preview.html", status=status,
        held=sealed, name=brought.name, given=given, wants=_wants(values["refusal"], brought),
        **values,
    )  # fmt: skip


@router.post("/add")
@once
async def add(request: Request, place: Operator) -> Response:
    """Store what was looked at, and ask Apple about it."""
    form = await fields_of(request)
    brought = await _brought(place, form)
    given = _given(form, brought)
    try:
        row = await service.add(place.runtime, place.id, given, actor=place.actor)
    except AppError as error:
        return await _list(request, place, status=error.status, problem=error)
    return moved(f"{place.path}/credentials/{row.id}", "credential_stored")


async def _brought(place: TenantPage, form: FormData) -> Held:
    """The file of a form: just chosen, or held since its preview."""
    name, data = await file_of(form, "file")
    password = str(form.get("password") or "") or None
    if not name and text_of(form, "held"):
        kept = held.unseal(place.runtime.keyring, place.id, place.visitor.id, text_of(form, "held"))
        return Held(kept.name, kept.data, password or kept.password)
    return Held(name[-120:], data[: MOST_BYTES + 1], password)


def _given(form: FormData, brought: Held) -> Upload:
    named = KEY_NAME.fullmatch(brought.name)
    return Upload(
        data=brought.data,
        password=brought.password,
        app_id=text_of(form, "app_id") or None,
        key_id=text_of(form, "key_id") or (named.group(1) if named else None),
        team_id=text_of(form, "team_id") or None,
        environments=["sandbox"] if text_of(form, "sandbox") else None,
    )


def _wants(refusal: AppError | None, brought: Held) -> set[str]:
    """Which fields could mend a refusal."""
    code = refusal.code if refusal else ""
    if code in {"password_missing", "wrong_password"}:
        return {"password"}
    if code == "development_certificate":
        return {"sandbox"}
    if code == "environments_not_googles":
        return {"production"}
    if code == "app_id_ambiguous":
        return {"app"}
    if code == "app_id_missing" and brought.data.lstrip()[:1] == b"{":
        return {"app"}
    if brought.name.endswith(".p8") or code in {"app_id_missing", "key_id_missing"}:
        return {"key"}
    return set()


@router.post("/request")
@once
async def make_request(request: Request, place: Operator) -> Response:
    """The first of three steps: a key that stays here, and its signing request."""
    app_id = text_of(await fields_of(request), "app_id")
    try:
        row = await service.request(place.runtime, place.id, app_id, actor=place.actor)
    except AppError as error:
        return await _list(request, place, status=error.status, problem=error)
    return moved(f"{place.path}/credentials/{row.id}")


@router.post("/vapid")
@once
async def make_vapid(request: Request, place: Operator) -> Response:
    """A VAPID key for a web app, in use from now on."""
    form = await fields_of(request)
    app_id, subject = text_of(form, "app_id"), text_of(form, "subject")
    try:
        row = await service.make_vapid(place.runtime, place.id, app_id, subject, actor=place.actor)
    except AppError as error:
        return await _list(request, place, status=error.status, problem=error)
    return moved(f"{place.path}/credentials/{row.id}", "credential_stored")


@router.get("/{credential_id}")
async def one_page(request: Request, place: Viewer, credential_id: RowId) -> Response:
    """One credential: what it is, what Apple says of it, what was done to it."""
    return await _one(request, place, credential_id)


async def _one(
    request: Request,
    place: TenantPage,
    credential_id: RowId,
    *,
    status: int = 200,
    problem: AppError | None = None,
) -> Response:
    row = _out(await service.get(place.runtime, place.id, credential_id))
    lines = await audit.page(place.runtime, place.id, target=f"credential:{credential_id}")
    return render(request, "credential.html", status=status, one=row, lines=lines, problem=problem)


@router.get("/{credential_id}/request")
async def download_request(place: Viewer, credential_id: RowId) -> Response:
    """The signing request, as a file for Apple's portal."""
    row = _out(await service.get(place.runtime, place.id, credential_id))
    if row["request"] is None:
        raise Conflict("no_request", "This credential has its certificate; no request is needed.")
    name = f"{row['app_id']}.certSigningRequest"
    return file(row["request"].encode(), "application/pkcs10", name)


@router.post("/{credential_id}/certificate")
async def complete(request: Request, place: Operator, credential_id: RowId) -> Response:
    """The third step: the .cer that Apple gave."""
    _, data = await file_of(await fields_of(request), "file")
    try:
        await service.complete(place.runtime, place.id, credential_id, data, actor=place.actor)
    except AppError as error:
        return await _one(request, place, credential_id, status=error.status, problem=error)
    return moved(f"{place.path}/credentials/{credential_id}", "credential_stored")


@router.post("/{credential_id}/{act}")
async def act_on(request: Request, place: Operator, credential_id: RowId, act: str) -> Response:
    """Probe, activate, retire or delete it."""
    confirm = bool(text_of(await fields_of(request), "confirm"))
    path = f"{place.path}/credentials/{credential_id}"
    runtime, actor = place.runtime, place.actor
    try:
        match act:
            case "probe":
                await service.probe(runtime, place.id, credential_id, actor=actor)
                return moved(path, "probed")
            case "activate":
                await service.activate(runtime, place.id, credential_id, actor=actor)
                return moved(path, "activated")
            case "retire":
                await service.retire(runtime, place.id, credential_id, confirm=confirm, actor=actor)
                return moved(path, "retired")
            case "delete":
                await service.delete(runtime, place.id, credential_id, confirm=confirm, actor=actor)
                return moved(f"{place.path}/credentials", "credential_deleted")
    except Conflict as error:
        return await _one(request, place, credential_id, status=error.status, problem=error)
    return await _one(request, place, credential_id, status=404)
