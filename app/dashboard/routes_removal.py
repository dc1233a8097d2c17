"""Pages: deleting a tenant, by an owner, and how many of its rows are left."""

from uuid import UUID

from fastapi import APIRouter, Request, Response

from app.calls import closing
from app.dashboard.access import AnyViewer, Owner, actor_of, fields_of, text_of
from app.dashboard.once import once
from app.dashboard.pages import BASE, PageRoute, moved, nothing_here, render
from app.http.acting import runtime_of
from app.infra.errors import AppError, NotFound
from app.infra.fields import RowId
from app.infra.tenant_rows import COUNTED
from app.tenants import service as tenants

router = APIRouter(
    prefix=BASE + "/tenants/{tenant_id}", route_class=PageRoute, include_in_schema=False
)


@router.get("/delete")
async def delete_page(request: Request, _visitor: AnyViewer, tenant_id: RowId) -> Response:
    """What would go, and the form; of a tenant that was deleted, what is left."""
    return await _page(request, tenant_id)


async def _page(
    request: Request, tenant_id: UUID, *, status: int = 200, problem: str | None = None
) -> Response:
    runtime = runtime_of(request)
    try:
        row = await tenants.find_any(runtime, str(tenant_id))
    except NotFound:
        raise nothing_here() from None
    rows = await closing.rows_of(runtime, row["id"])
    return render(
        request, "tenant_delete.html", status=status, one=row, rows=sorted(rows.items()),
        left=sum(rows.values()), counted=COUNTED, problem=problem,
    )  # fmt: skip


@router.post("/delete")
@once
async def delete(request: Request, visitor: Owner, tenant_id: RowId) -> Response:
    """Delete the tenant, whose name was typed once more."""
    confirm = text_of(await fields_of(request), "confirm")
    actor = actor_of(request, visitor)
    try:
        await closing.delete(runtime_of(request), tenant_id, confirm, actor=actor)
    except AppError as error:
        return await _page(request, tenant_id, status=error.status, problem=error.detail)
    request.app.state.gate.closed(tenant_id)
    return moved(f"/tenants/{tenant_id}/delete", "tenant_deleted")
