"""Commands for calls."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from app.calls import timeline
from app.cli.base import group, out, with_runtime
from app.infra.runtime import Runtime
from app.tenants import service as tenants

call_app = group("call", "Calls: what happened to a ring.")


@call_app.command("show")
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
    out.print(f"[bold]{escape(about['cid'])}[/]  {about['state']}{ended}  ({about['id']})")
    table = Table("ms", "Who", "What", box=None, pad_edge=False)
    for line in found["timeline"]:
        who = line["user_id"] or ""
        table.add_row(f"{line['ms']:,}", escape(who), escape(line["text"]))
    out.print(table)
