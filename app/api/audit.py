"""HTTP: the audit log (an API key with the scope `audit`)."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from app.api.models import says
from app.api.models.server import AuditOut
from app.api.paging import Cursor, row_place
from app.audit import log as audit
from app.core.cursor import cursor_of
from app.core.event import rfc3339
from app.http.acting import runtime_of
from app.http.auth import server
from app.infra.fields import Text, WholeText, Within
from app.tenants.caller import Caller, require_scope

router = APIRouter(prefix="/v1/audit", tags=["audit"])
MOST = 200


@router.get("", **says("read_audit_log", AuditOut))
async def read(
    request: Request,
    caller: Annotated[Caller, Depends(server)],
    limit: Annotated[WholeText, Within(1, MOST, "invalid_field"), Query()] = 50,
    cursor: Cursor = None,
    target: Annotated[Text | None, Query(max_length=200)] = None,
) -> dict[str, Any]:
    """Who did what, when and from where, the newest first. `cursor` is `next_cursor` of before."""
    require_scope(caller, "audit")
    runtime = runtime_of(request)
    of = ("audit", caller.tenant_id)
    place = row_place(cursor, *of)
    before = None if place is None else place[1]
    lines = await audit.page(runtime, caller.tenant_id, before=before, limit=limit, target=target)
    last = lines[-1] if len(lines) == limit else None
    return {
        "audit": [line | {"id": str(line["id"]), "at": rfc3339(line["at"])} for line in lines],
        "next_cursor": cursor_of(last["at"], str(last["id"]), *of) if last else None,
    }
