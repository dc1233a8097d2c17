"""Commands for tenants: the customer apps on this server."""

from datetime import datetime
from typing import Annotated, Any

import orjson
import typer
from pydantic import ValidationError

from app.cli.answers import answer, columns, command, fields, step
from app.cli.base import actor, fail, group, with_runtime
from app.core.event import rfc3339
from app.core.identifiers import is_user_id
from app.http.problems import field_errors
from app.infra.runtime import Runtime
from app.tenants import revocations, service, signing_secrets
from app.tenants.scopes import SCOPES, USER_SCOPES, check_scopes
from app.users import service as users
from app.users.schemas import PreferencesIn

user_app = group("user", "Users of a tenant: tokens, preferences, blocks.")
secret_app = group("secret", "Signing secrets: what a tenant signs user tokens with.")
tenant_app = group("tenant", "Tenants: the customer apps on this server.")


def user_id(text: str) -> str:
    """A user's id as typed. Raises BadParameter."""
    if not is_user_id(text):
        raise typer.BadParameter("that is no user id")
    return text


@command(tenant_app, "create")
def tenant_create(name: str) -> None:
    """Make a tenant; prints its API key and its signing secret, this once."""
    made = with_runtime(lambda runtime: service.create(runtime, name, actor=actor()))
    shown = {
        "tenant": made.name,
        "id": str(made.id),
        "api_key": made.api_key,
        "signing_key_id": made.kid,
        "signing_secret": made.signing_secret,
    }
    answer(shown, fields(shown))
    step(
        "\nKeep the key and the secret now: they are not shown again. Your backend sends the key as"
        "\n`Authorization: Bearer`; it signs user tokens (JWT, HS256, header kid = signing_key_id,"
        "\nclaims sub and exp) with the secret, or asks POST /v1/users/{id}/tokens for one."
    )


@command(tenant_app, "list")
def tenant_list() -> None:
    """List all tenants."""
    rows = with_runtime(service.every)
    lines = [(row["name"], row["id"], row["created_at"]) for row in rows]
    answer(rows, columns(("Name", "Id", "Made"), lines))


@command(tenant_app, "stop")
def tenant_stop(tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")]) -> None:
    """Emergency: let no new ring of a tenant begin. Calls that live go on."""
    _switch(tenant, stopped=True)


@command(tenant_app, "resume")
def tenant_resume(tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")]) -> None:
    """Let a tenant that was stopped ring again."""
    _switch(tenant, stopped=False)


def _switch(tenant: str, *, stopped: bool) -> None:
    async def work(runtime: Runtime) -> datetime | None:
        tenant_id = await service.find(runtime, tenant)
        return await service.stop_ringing(runtime, tenant_id, stopped=stopped, actor=actor())

    at = with_runtime(work)
    since = rfc3339(at) if at else None
    answer({"tenant": tenant, "stopped_at": since}, f"stopped at {since}" if since else "it rings")


@command(tenant_app, "key")
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

    key = with_runtime(work)
    answer({"api_key": key, "name": name, "scopes": scope or ["*"]}, key)


Tenant = Annotated[str, typer.Option("--tenant", help="Name or id of the tenant.")]


@command(secret_app, "list")
def secret_list(tenant: Tenant) -> None:
    """List a tenant's signing secrets by their kid; the secrets themselves are never shown."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        return await signing_secrets.every(runtime, await service.find(runtime, tenant))

    rows = [
        {
            name: rfc3339(value) if isinstance(value, datetime) else value
            for name, value in one.items()
        }
        for one in with_runtime(work)
    ]
    lines = [
        (row["kid"], "revoked" if row["revoked_at"] else "live", row["created_at"],
         row["last_used_at"] or "never")
        for row in rows
    ]  # fmt: skip
    answer(rows, columns(("Kid", "State", "Made", "Last used"), lines))


@command(secret_app, "rotate")
def secret_rotate(tenant: Tenant) -> None:
    """Make a second signing secret; prints it, this once. The first is good until revoked."""

    async def work(runtime: Runtime) -> signing_secrets.NewSecret:
        tenant_id = await service.find(runtime, tenant)
        return await signing_secrets.rotate(runtime, tenant_id, actor=actor())

    made = with_runtime(work)
    shown = {"signing_key_id": made.kid, "signing_secret": made.secret}
    answer(shown, fields(shown))
    step("Let your backend sign with it; then `ringline secret revoke OLD_KID`.")


@command(secret_app, "revoke")
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
    answer({"kid": kid, "state": "revoked"}, "revoked")


@command(user_app, "token")
def user_token(
    user: Annotated[str, typer.Argument(help="The user's id.", parser=user_id)],
    tenant: Tenant,
    expires_in: Annotated[int, typer.Option(help="Seconds.", min=60)] = 3600,
    scope: Annotated[
        list[str] | None, typer.Option(help=f"{', '.join(USER_SCOPES)}; default all.")
    ] = None,
) -> None:
    """Make a user token; prints it, this once."""
    check_scopes(scope or [], USER_SCOPES)

    async def work(runtime: Runtime) -> tuple[str, datetime]:
        tenant_id = await service.find(runtime, tenant)
        return await service.user_token(
            runtime, tenant_id, user, expires_in, scopes=scope, actor=actor()
        )

    token, expires = with_runtime(work)
    answer({"token": token, "expires_at": rfc3339(expires)}, token)


@command(user_app, "revoke")
def user_revoke(
    user: Annotated[str, typer.Argument(help="The user's id.", parser=user_id)], tenant: Tenant
) -> None:
    """Revoke every token of a user: within two seconds none is good, and its streams end."""

    async def work(runtime: Runtime) -> datetime:
        tenant_id = await service.find(runtime, tenant)
        return await revocations.revoke(runtime, tenant_id, user, actor=actor())

    at = with_runtime(work)
    answer({"user_id": user, "revoked_at": rfc3339(at)}, f"revoked at {rfc3339(at)}")


User = Annotated[str, typer.Argument(help="The user's id.", parser=user_id)]


@command(user_app, "preferences")
def user_preferences(
    user: User,
    tenant: Tenant,
    change: Annotated[
        str | None, typer.Option("--set", help="New preferences, as JSON; `{}` for none.")
    ] = None,
) -> None:
    """What a user wants of rings: do not disturb, quiet hours, call types, exceptions."""
    wanted = None if change is None else _preferences(change)

    async def work(runtime: Runtime) -> PreferencesIn:
        tenant_id = await service.find(runtime, tenant)
        if wanted is not None:
            await users.set_preferences(runtime, tenant_id, user, wanted, actor=actor())
        return await users.preferences(runtime, tenant_id, user)

    found = with_runtime(work).stored()
    answer(found, orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())


def _preferences(text: str) -> PreferencesIn:
    try:
        return PreferencesIn.model_validate_json(text)
    except ValidationError as error:
        first = field_errors(error.errors())[0]
        fail(f"{first['field']}: {first['detail']}".removeprefix(": "), code=first["code"])


@command(user_app, "blocks")
def user_blocks(user: User, tenant: Tenant) -> None:
    """Whom a user has blocked."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        return await users.blocks(runtime, await service.find(runtime, tenant), user)

    rows = [
        {"user_id": row["blocked_id"], "blocked_at": rfc3339(row["created_at"])}
        for row in with_runtime(work)
    ]
    lines = [(row["user_id"], row["blocked_at"]) for row in rows]
    answer({"blocks": rows}, columns(("User", "Since"), lines))


@command(user_app, "block")
def user_block(
    user: User,
    other: Annotated[str, typer.Argument(help="Who is not to ring them.", parser=user_id)],
    tenant: Tenant,
    undo: Annotated[bool, typer.Option("--undo", help="Take the block back.")] = False,
) -> None:
    """Block another user for a user, or take that back."""

    async def work(runtime: Runtime) -> None:
        tenant_id = await service.find(runtime, tenant)
        if undo:
            await users.unblock(runtime, tenant_id, user, other, actor=actor())
        else:
            await users.block(runtime, tenant_id, user, other, actor=actor())

    with_runtime(work)
    state = "not blocked" if undo else "blocked"
    answer({"user_id": user, "other": other, "state": state}, state)
