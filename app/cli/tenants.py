"""Commands for tenants: the customer apps on this server."""

import json
import sys
from typing import Annotated

import typer
from rich.table import Table

from app.cli.base import group, out, with_runtime
from app.infra.runtime import Runtime
from app.tenants import service

tenant_app = group("tenant", "Tenants: the customer apps on this server.")


@tenant_app.command("create")
def tenant_create(
    name: str, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """Make a tenant; prints its API key and its signing secret, this once."""
    made = with_runtime(lambda runtime: service.create(runtime, name))
    fields = {
        "tenant": made.name,
        "id": str(made.id),
        "api_key": made.api_key,
        "signing_key_id": made.kid,
        "signing_secret": made.signing_secret,
    }
    if as_json:
        sys.stdout.write(json.dumps(fields) + "\n")
        return
    width = max(map(len, fields))
    for field, value in fields.items():
        sys.stdout.write(f"{field:<{width}}  {value}\n")
    out.print(
        "\nKeep the key and the secret now: they are not shown again. Your backend sends the key as"
        "\n`Authorization: Bearer`; it signs user tokens (JWT, HS256, header kid = signing_key_id,"
        "\nclaims sub and exp) with the secret, or asks POST /v1/users/{id}/tokens for one."
    )


@tenant_app.command("list")
def tenant_list() -> None:
    """List all tenants."""
    table = Table("Name", "Id", "Made", box=None, pad_edge=False)
    for row in with_runtime(service.every):
        table.add_row(row["name"], str(row["id"]), row["created_at"])
    out.print(table)


@tenant_app.command("key")
def tenant_key(
    tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    name: Annotated[str, typer.Option(help="What the key is for.")] = "another key",
    scope: Annotated[
        list[str] | None, typer.Option(help="calls, devices, users, credentials; default all.")
    ] = None,
) -> None:
    """Make another API key; prints it, this once."""

    async def work(runtime: Runtime) -> str:
        tenant_id = await service.find(runtime, tenant)
        return await service.add_key(runtime, tenant_id, name, scope or ["*"])

    sys.stdout.write(with_runtime(work) + "\n")
