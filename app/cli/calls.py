"""Commands for calls."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any

import typer
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from app.calls import histories, timeline
from app.calls.histories import Page, Place, Wanted
from app.calls.ringer import ringer_of
from app.calls.ringing import resolve
from app.calls.schemas import RingIn
from app.cli.answers import answer, columns, command
from app.cli.base import Tenant, checked, group, handle_in, user_id, with_runtime
from app.cli.options import decimal, whole, word
from app.core.call import SERVER
from app.core.cursor import YEARS
from app.core.model import CallState, Reason
from app.infra.fields import Time
from app.infra.runtime import Runtime
from app.tenants import service as tenants

call_app = group("call", "Calls: ring, list them, and what happened to a ring.")
TIME: TypeAdapter[AwareDatetime] = TypeAdapter(Time)


def moment(text: str) -> AwareDatetime:
    """A time with its zone, as typed. Raises BadParameter."""
    try:
        at = TIME.validate_python(text)
    except ValidationError:
        at = None
    if at is None or at.year not in YEARS:
        raise typer.BadParameter("a time with its zone, such as 2026-11-21T08:00:00Z")
    return at


Since = Annotated[AwareDatetime | None, typer.Option(help="Begun then or later.", parser=moment)]
Until = Annotated[AwareDatetime | None, typer.Option(help="Begun before then.", parser=moment)]
Most = Annotated[int, whole("So many at most.", low=1, high=1_000)]


async def newest(read: Callable[[Place | None], Awaitable[Page]], most: int) -> list[Any]:
    """The newest calls, over as many pages as it takes: one may be short and not the last."""
    calls: list[Any] = []
    place: Place | None = None
    while len(calls) < most:
        page = await read(place)
        calls += page.calls
        place = page.next
        if place is None:
            break
    return calls[:most]


@command(call_app, "ring")
def ring(
    caller: Annotated[str, typer.Argument(help="User id of the caller.")],
    callees: Annotated[list[str], typer.Argument(help="User ids to ring.")],
    tenant: Tenant,
    by_handle: Annotated[
        bool, typer.Option(help="They are handles: phone:NUMBER, email:ADDRESS, generic:TEXT.")
    ] = False,
    caller_name: Annotated[str | None, typer.Option(help="As the phones show it.")] = None,
    caller_avatar: Annotated[str | None, typer.Option(help="https address of a picture.")] = None,
    caller_handle: Annotated[
        str | None, typer.Option(help="phone:NUMBER, email:ADDRESS or generic:TEXT.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="The call's title.")] = None,
    cid: Annotated[str | None, typer.Option(help="`type:id` of the call.")] = None,
    urgent: Annotated[
        bool, typer.Option(help="Whatever the callees wish, but for blocks.")
    ] = False,
    video: Annotated[bool, typer.Option(help="A video call.")] = False,
    ring_time: Annotated[float | None, decimal("Seconds.")] = None,
) -> None:
    """Ring users' phones, as the tenant's backend would; prints the call."""
    person: dict[str, Any] = {"id": caller, "name": caller_name, "avatar_url": caller_avatar}
    if caller_handle is not None:
        person["handle"] = handle_in(caller_handle)
    rung = [{"handle": handle_in(one)} for one in callees] if by_handle else callees
    asked: dict[str, Any] = {"caller": person, "callees": rung, "title": title}
    asked |= {"video": video, "urgent": urgent, "ring_time": ring_time}
    if cid is not None:
        asked["type"], _, asked["id"] = cid.partition(":")
    request = checked(partial(RingIn.model_validate, asked))

    async def work(runtime: Runtime) -> dict[str, Any]:
        tenant_id = await tenants.find(runtime, tenant)
        settings = await tenants.settings_of(runtime, tenant_id)
        one = resolve(tenant_id, settings, request, device=SERVER, key=None)
        return await ringer_of(runtime).submit(one)

    call = with_runtime(work)
    warnings = "".join(f"\n{one['detail']}" for one in call["warnings"])
    answer(call, f"{call['cid']}  {call['state']}  ({call['session_id']}){warnings}")


@command(call_app, "list")
def list_calls(
    tenant: Tenant,
    user: Annotated[
        str | None, typer.Option(help="Only calls of this user.", parser=user_id)
    ] = None,
    state: Annotated[str | None, word(CallState, "How it stands.")] = None,
    reason: Annotated[str | None, word(Reason, "Why it ended.")] = None,
    type: Annotated[str | None, typer.Option(help="The call type.")] = None,  # noqa: A002
    since: Since = None,
    until: Until = None,
    limit: Most = 50,
) -> None:
    """The newest calls of a tenant, or of one of its users."""

    async def work(runtime: Runtime) -> list[Any]:
        wanted = Wanted(user, state, reason, type, since=since, until=until)
        tenant_id = await tenants.find(runtime, tenant)
        return await newest(
            lambda place: histories.of_tenant(runtime, tenant_id, wanted, place, min(limit, 100)),
            limit,
        )

    calls = with_runtime(work)
    lines = [
        (one["created_at"], one["cid"], one["caller"]["id"], one["reason"] or one["state"],
         f"{one['count']['members']}", one["session_id"])
        for one in calls
    ]  # fmt: skip
    heads = ("Began", "Call", "Caller", "State", "Members", "Session")
    answer({"calls": calls}, columns(heads, lines))


@command(call_app, "show")
def show(
    call: Annotated[str, typer.Argument(help="`type:id`, or the id of one session.")],
    tenant: Tenant,
) -> None:
    """The timeline of a call: sent, accepted by Apple, reported by the phone, answered, stopped."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        return await timeline.of_call(runtime, await tenants.find(runtime, tenant), call)

    found = with_runtime(work)
    about = found["call"]
    ended = f", {about['reason']}" if about.get("reason") else ""
    title = f"  {about['title']}" if about["title"] else ""
    head = f"{about['cid']}{title}  {about['state']}{ended}  ({about['session_id']})"
    if about["trace_id"]:
        head += f"\ntrace {about['trace_id']}"
    lines = [(f"{one['ms']:,}", one["user_id"] or "", one["text"]) for one in found["timeline"]]
    rest = "" if found["whole"] else "\nThere is more: only the first rows are read."
    answer(found, head + "\n" + columns(("ms", "Who", "What"), lines) + rest)
