"""HTTP: credentials, for the tenant's backend (an API key with the scope `credentials`)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from app.api.models import says
from app.api.models.credentials import CredentialOut, CredentialsOut, PreviewOut, TestPushOut
from app.credentials import service
from app.credentials.rows import CredentialRow
from app.credentials.schemas import (
    ConfirmIn,
    CredentialIn,
    FileIn,
    RequestIn,
    TestPushIn,
    VapidIn,
    credential_out,
    understood_out,
)
from app.devices import test_push as trial
from app.http.acting import actor_of, runtime_of
from app.http.auth import server_with
from app.infra import clock
from app.infra.fields import AppId, FlagText, RowId
from app.tenants.caller import Caller

router = APIRouter(prefix="/v1/credentials", tags=["credentials"])


Admin = Annotated[Caller, Depends(server_with("credentials"))]


def _out(row: CredentialRow) -> dict[str, Any]:
    return credential_out(row, clock.now())


@router.post("/preview", **says("preview_credential", PreviewOut))
async def preview(body: CredentialIn, request: Request, caller: Admin) -> dict[str, Any]:
    """What is understood of a file; nothing is stored, and Apple is not asked."""
    understood, key_is_here = await service.preview(
        runtime_of(request), caller.tenant_id, body.upload
    )
    return understood_out(understood, clock.now(), key_is_here=key_is_here)


@router.post("", status_code=201, **says("add_credential", CredentialOut))
async def add(body: CredentialIn, request: Request, caller: Admin) -> dict[str, Any]:
    """Add a credential. Apple is asked about it, so this takes up to 5 s."""
    actor = actor_of(request, caller)
    return _out(await service.add(runtime_of(request), caller.tenant_id, body.upload, actor=actor))


@router.get("", **says("list_credentials", CredentialsOut))
async def list_all(request: Request, caller: Admin, app_id: AppId | None = None) -> dict[str, Any]:
    """Every credential, the newest first; of one app if `app_id` is given."""
    rows = await service.list_all(runtime_of(request), caller.tenant_id, app_id)
    return {"credentials": [_out(row) for row in rows]}


@router.post("/requests", status_code=201, **says("request_certificate", CredentialOut))
async def make_request(body: RequestIn, request: Request, caller: Admin) -> dict[str, Any]:
    """Make a key that never leaves, and the signing request (`request`) for Apple's portal."""
    actor = actor_of(request, caller)
    row = await service.request(runtime_of(request), caller.tenant_id, body.app_id, actor=actor)
    return _out(row)


@router.post("/vapid", status_code=201, **says("make_vapid_key", CredentialOut))
async def make_vapid(body: VapidIn, request: Request, caller: Admin) -> dict[str, Any]:
    """Make a VAPID key for a web app; `key_id` is what its browsers subscribe with from now on.

    Browsers that have subscribed before go on by the key that they know.
    """
    actor = actor_of(request, caller)
    row = await service.make_vapid(
        runtime_of(request), caller.tenant_id, body.app_id, body.subject, actor=actor
    )
    return _out(row)


@router.post("/{credential_id}/certificate", **says("complete_certificate", CredentialOut))
async def complete(
    credential_id: RowId, body: FileIn, request: Request, caller: Admin
) -> dict[str, Any]:
    """Bring the `.cer` that Apple gave for a signing request."""
    actor = actor_of(request, caller)
    row = await service.complete(
        runtime_of(request), caller.tenant_id, credential_id, body.data, actor=actor
    )
    return _out(row)


@router.post("/test-push", **says("test_push", TestPushOut))
async def test_push(body: TestPushIn, request: Request, caller: Admin) -> dict[str, Any]:
    """Ring a user's phones (or one of them) once, marked as a test: what Apple says of each."""
    tried = await trial.ring_phones(
        runtime_of(request),
        caller.tenant_id,
        body.user_id,
        body.device_id,
        actor=actor_of(request, caller),
    )
    return {"devices": [one.as_dict() for one in tried]}


@router.get("/{credential_id}", **says("read_credential", CredentialOut))
async def get(credential_id: RowId, request: Request, caller: Admin) -> dict[str, Any]:
    """One credential."""
    return _out(await service.get(runtime_of(request), caller.tenant_id, credential_id))


@router.post("/{credential_id}/probe", **says("probe_credential", CredentialOut))
async def probe(credential_id: RowId, request: Request, caller: Admin) -> dict[str, Any]:
    """Ask Apple now whether it takes this credential, and in which environments."""
    actor = actor_of(request, caller)
    row = await service.probe(runtime_of(request), caller.tenant_id, credential_id, actor=actor)
    return _out(row)


@router.post("/{credential_id}/activate", **says("activate_credential", CredentialOut))
async def activate(credential_id: RowId, request: Request, caller: Admin) -> dict[str, Any]:
    """Use this one from now on: brings back one that was replaced or retired."""
    actor = actor_of(request, caller)
    row = await service.activate(runtime_of(request), caller.tenant_id, credential_id, actor=actor)
    return _out(row)


@router.post("/{credential_id}/retire", **says("retire_credential", CredentialOut))
async def retire(
    credential_id: RowId, request: Request, caller: Admin, body: ConfirmIn | None = None
) -> dict[str, Any]:
    """Use it no more, but keep it. The last working one, and a VAPID key that browsers know, want
    `{"confirm": true}`."""
    row = await service.retire(
        runtime_of(request),
        caller.tenant_id,
        credential_id,
        confirm=body is not None and body.confirm,
        actor=actor_of(request, caller),
    )
    return _out(row)


@router.delete("/{credential_id}", status_code=204, operation_id="delete_credential")
async def delete(
    credential_id: RowId, request: Request, caller: Admin, *, confirm: FlagText = False
) -> Response:
    """Delete it and its private key for good. The last working one, and a VAPID key that browsers
    know, want `?confirm=true`."""
    await service.delete(
        runtime_of(request),
        caller.tenant_id,
        credential_id,
        confirm=confirm,
        actor=actor_of(request, caller),
    )
    return Response(status_code=204)
