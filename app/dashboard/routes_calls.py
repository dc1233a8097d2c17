"""Pages: the list of calls, which updates by itself, and the story of one call."""

import hashlib
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response

from app.calls import history
from app.calls import service as calls
from app.core.call import Cancel, End
from app.core.cursor import cursor_of, row_place_of
from app.dashboard import explaining, store_lists, timeline, words
from app.dashboard.access import Operator, Viewer
from app.dashboard.pages import BASE, PageRoute, moved, nothing_here, render
from app.infra.errors import Conflict
from app.infra.fields import RowId, Text
from app.infra.traces import trace_id_of

router = APIRouter(
    prefix=BASE + "/t/{tenant_id}/calls", route_class=PageRoute, include_in_schema=False
)
ON_A_PAGE = 50
MOST_ROWS = 400
"""Of a kind, on the page of one call."""


@router.get("")
async def list_page(
    request: Request,
    place: Viewer,
    state: Text = "",
    user: Text = "",
    type: Text = "",  # noqa: A002
    before: Text = "",
) -> Response:
    """Calls, the newest first; `state` is `live` or a reason. Part of it updates by itself."""
    async with place.runtime.database.autocommit() as session:
        rows = await store_lists.calls(
            session,
            place.id,
            live=state == "live",
            reason=state if state in words.CALLS else None,
            call_type=type.strip() or None,
            user=user.strip() or None,
            before=row_place_of(before, "calls", place.id),
            limit=ON_A_PAGE + 1,
        )
    more = len(rows) > ON_A_PAGE
    rows = rows[:ON_A_PAGE]
    chosen = {"state": state, "user": user, "type": type}
    asked = {name: value for name, value in chosen.items() if value}
    last = rows[-1] if rows and more else None
    older = urlencode(
        asked | {"before": cursor_of(last["created_at"], str(last["id"]), "calls", place.id)}
    ) if last else None  # fmt: skip
    return part_or_page(
        request, "calls.html", rows=rows, chosen=chosen, asked=asked, older=older, before=before
    )


def part_or_page(request: Request, template: str, **values: Any) -> Response:
    """A page; or 304 when the browser, asking again by itself, has this very one already."""
    part = bool(request.headers.get("x-ringline-part"))
    response = render(request, template, part=part, **values)
    if not part:
        return response
    mark = '"' + hashlib.sha256(bytes(response.body)).hexdigest()[:24] + '"'
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers={"ETag": mark})
    response.headers["ETag"] = mark
    return response


@router.get("/{session_id}")
async def one_page(request: Request, place: Viewer, session_id: RowId) -> Response:
    """The story of one call: its lanes, and why a phone was not reached."""
    async with place.runtime.database.autocommit() as session:
        story = await history.of_call(session, place.id, session_id, limit=MOST_ROWS)
        if story is None:
            raise nothing_here()
        members = await store_lists.members(session, session_id, MOST_ROWS)
        users = [ring["user_id"] for ring in story.rings]
        names = {one["user_id"]: (one["person"] or {}).get("name") for one in members}
        tokens = await store_lists.ringing_tokens(session, place.id, users)
    return part_or_page(
        request,
        "call.html",
        story=story,
        members=members,
        all_members=members[0]["all_members"] if members else 0,
        most=MOST_ROWS,
        call=story.call,
        trace_id=trace_id_of(story.traceparent),
        rung=[names.get(user) or user for user in dict.fromkeys(users)],
        drawing=timeline.drawing(story),
        sentences=explaining.explain(story, tokens),
    )


@router.post("/{session_id}/end")
async def end(place: Operator, session_id: RowId) -> Response:
    """End a live call for everyone, as the server."""
    audited = (place.actor, "call.end")
    try:
        await calls.act(place.runtime, place.id, str(session_id), Cancel(), audited=audited)
    except Conflict:
        await calls.act(place.runtime, place.id, str(session_id), End(), audited=audited)
    return moved(f"{place.path}/calls/{session_id}", "cancelled")
