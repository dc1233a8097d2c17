"""HTTP: calls of the past, a tenant's and a user's own."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from app.api.models import says
from app.api.models.calls import Reason, State
from app.api.models.histories import CallsOut, MissedOut, OwnCallsOut
from app.api.paging import Cursor, row_place
from app.calls import histories
from app.calls.histories import Page, Wanted
from app.core.cursor import YEARS, cursor_of
from app.http.acting import runtime_of
from app.http.auth import server, server_or_user
from app.http.encoded_slashes import segment
from app.infra.errors import Invalid
from app.infra.fields import CallType, FlagText, Time, UserId, WholeText, Within
from app.infra.fields import Request as Body
from app.tenants.caller import Caller, require_scope

router = APIRouter(prefix="/v1", tags=["calls"])
MOST = 100
Limit = Annotated[WholeText, Within(1, MOST, "invalid_field"), Query(description="calls on a page")]
Moment = Annotated[Time | None, Query(examples=["2026-11-21T08:00:00Z"])]


class SeenIn(Body):
    """Until when missed calls have been seen; without it, until now."""

    until: Time | None = Field(
        None,
        description="missed calls until then have been seen",
        examples=["2026-11-21T08:00:00Z"],
    )


@router.get("/calls", **says("list_calls", CallsOut))
async def of_tenant(
    request: Request,
    caller: Annotated[Caller, Depends(server)],
    user_id: Annotated[UserId | None, Query(description="only calls of this user")] = None,
    state: State | None = None,
    reason: Reason | None = None,
    type: CallType | None = None,  # noqa: A002
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """The tenant's calls, the newest first. A page may be short and still have a next one.

    `since` and `until` bound `created_at`, the latter exclusively.
    """
    require_scope(caller, "calls")
    since, until = _span(since, until)
    wanted = Wanted(user_id, state, reason, type, since=since, until=until)
    of = ("calls", caller.tenant_id, user_id or "")
    page = await histories.of_tenant(
        runtime_of(request), caller.tenant_id, wanted, row_place(cursor, *of), limit
    )
    return _page_out(page, *of)


@router.get(f"/users/{segment('user_id')}/calls", **says("list_user_calls", OwnCallsOut))
async def of_user(
    user_id: UserId,
    request: Request,
    caller: Annotated[Caller, Depends(server_or_user)],
    direction: Literal["incoming", "outgoing"] | None = None,
    missed: FlagText | None = None,
    state: State | None = None,
    type: CallType | None = None,  # noqa: A002
    since: Moment = None,
    until: Moment = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """A user's own calls, the newest first, with direction, what was missed, and what is unseen.

    By a key, or by the user's own token. The first page says how many are missed and unseen.
    """
    user = _whose(caller, user_id)
    since, until = _span(since, until)
    wanted = Wanted(user, state, None, type, direction, missed, since=since, until=until)
    runtime = runtime_of(request)
    of = ("calls", caller.tenant_id, user)
    begins = row_place(cursor, *of)
    page = await histories.of_user(runtime, caller.tenant_id, wanted, begins, limit)
    counts = None if cursor else await histories.counts(runtime, caller.tenant_id, user)
    return _page_out(page, *of) | {"counts": counts}


@router.post(f"/users/{segment('user_id')}/calls/seen", **says("see_user_calls", MissedOut))
async def see(
    user_id: UserId,
    request: Request,
    caller: Annotated[Caller, Depends(server_or_user)],
    body: SeenIn | None = None,
) -> dict[str, Any]:
    """Mark what was missed as seen, on all the user's devices; returns what is still unseen."""
    user = _whose(caller, user_id)
    until = _near("until", body.until) if body else None
    return await histories.see(runtime_of(request), caller.tenant_id, user, until)


def _whose(caller: Caller, user_id: str) -> str:
    require_scope(caller, "history" if caller.kind == "user" else "calls")
    return caller.acting_for(user_id)


FAR = f"must be a time that a call can have, in the years {YEARS[0]} to {YEARS[-1]}"


def _near(name: str, at: datetime | None) -> datetime | None:
    if at is not None and at.year not in YEARS:
        raise Invalid("invalid_time", f"{name}: {FAR}")
    return at


def _span(
    since: datetime | None, until: datetime | None
) -> tuple[datetime | None, datetime | None]:
    """Bounds between which there may be calls. Raises Invalid (422)."""
    if since is not None and until is not None and since >= until:
        raise Invalid("invalid_time", "until: must be later than `since`")
    return _near("since", since), _near("until", until)


def _page_out(page: Page, *of: object) -> dict[str, Any]:
    following = None if page.next is None else cursor_of(page.next[0], str(page.next[1]), *of)
    return {"calls": page.calls, "next_cursor": following}
