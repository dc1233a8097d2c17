"""Commands for calls."""

from typing import Annotated, Any

import typer

from app.calls import timeline
from app.cli.answers import answer, columns, command
from app.cli.base import group, with_runtime
from app.infra.runtime import Runtime
from app.tenants import service as tenants

call_app = group("call", "Calls: what happened to a ring.")


@command(call_app, "show")
def show(
    call: Annotated[str, typer.Argument(help="`type:id`, or the id of one session.")],
    tenant: Annotated[str, typer.Option(help="Name or id of the tenant.")],
) -> None:
    """The timeline of a call: sent, accepted by Apple, reported by the phone, answered, stopped."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        return await timeline.of_call(runtime, await tenants.find(runtime, tenant), call)

    found = with_runtime(work)
    about = found["call"]
    ended = f", {about['reason']}" if about.get("reason") else ""
    head = f"{about['cid']}  {about['state']}{ended}  ({about['id']})"
    lines = [(f"{one['ms']:,}", one["user_id"] or "", one["text"]) for one in found["timeline"]]
    answer(found, head + "\n" + columns(("ms", "Who", "What"), lines))
