"""Commands for tenants: the customer apps on this server."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli.base import actor, group, out, with_runtime
from app.core.event import rfc3339
from app.infra.runtime import Runtime
from app.tenants import service, signing_secrets
from app.tenants.scopes import SCOPES

secret_app = group("secret", "Signing secrets: what a tenant signs user tokens with.")
tenant_app = group("tenant", "Tenants: the customer apps on this server.")


@tenant_app.command("create")
def tenant_create(
    name: str, as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False
) -> None:
    """Make a tenant; prints its API key and its signing secret, this once."""
    made = with_runtime(lambda runtime: service.create(runtime, name, actor=actor()))
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
        list[str] | None, typer.Option(help=f"{', '.join(SCOPES)}; default all.")
    ] = None,
) -> None:
    """Make another API key; prints it, this once."""

    async def work(runtime: Runtime) -> str:
        tenant_id = await service.find(runtime, tenant)
        return await service.add_key(runtime, tenant_id, name, scope or ["*"], actor=actor())

    sys.stdout.write(with_runtime(work) + "\n")


Tenant = Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]


@secret_app.command("list")
def secret_list(tenant: Tenant) -> None:
    """List a tenant's signing secrets by their kid; the secrets themselves are never shown."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        return await signing_secrets.every(runtime, await service.find(runtime, tenant))

    for row in with_runtime(work):
        state = "revoked" if row["revoked_at"] else "live"
        used = rfc3339(row["last_used_at"]) if row["last_used_at"] else "never"
        sys.stdout.write(
            f"{row['kid']}  {state:<7}  made {rfc3339(row['created_at'])}  used {used}\n"
        )


@secret_app.command("rotate")
def secret_rotate(
    tenant: Tenant,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Make a second signing secret; prints it, this once. The first is good until revoked."""

    async def work(runtime: Runtime) -> signing_secrets.NewSecret:
        tenant_id = await service.find(runtime, tenant)
        return await signing_secrets.rotate(runtime, tenant_id, actor=actor())

    made = with_runtime(work)
    fields = {"signing_key_id": made.kid, "signing_secret": made.secret}
    if as_json:
        sys.stdout.write(json.dumps(fields) + "\n")
        return
    for field, value in fields.items():
        sys.stdout.write(f"{field:<14}  {value}\n")
    out.print("Let your backend sign with it; then `ringline secret revoke OLD_KID`.")


@secret_app.command("revoke")
def secret_revoke(
    kid: str,
    tenant: Tenant,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Also if it is the only one: all users are out then.")
    ] = False,
) -> None:
    """Revoke a signing secret: within two seconds no token signed with it is good."""

    async def work(runtime: Runtime) -> None:
        tenant_id = await service.find(runtime, tenant)
        await signing_secrets.revoke(runtime, tenant_id, kid, confirm=confirm, actor=actor())

    with_runtime(work)
    out.print("revoked")
