"""Commands for tenants: the customer apps on this server."""

import shlex
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer
from pydantic import TypeAdapter

from app.calls import closing
from app.cli.answers import answer, columns, command, fields, step
from app.cli.base import Tenant, actor, checked, fail, group, with_runtime
from app.core.event import rfc3339
from app.infra.runtime import Runtime
from app.tenants import api_keys, service, signing_secrets
from app.tenants.schemas import TenantSettings
from app.tenants.scopes import SCOPES

key_app = group("key", "API keys: what a tenant's backend sends as `Authorization: Bearer`.")
secret_app = group("secret", "Signing secrets: what a tenant signs user tokens with.")
tenant_app = group("tenant", "Tenants: the customer apps on this server.")
CHANGE: TypeAdapter[dict[str, Any]] = TypeAdapter(dict[str, Any])


@command(tenant_app, "create")
def tenant_create(
    name: Annotated[str, typer.Argument(help="What it is called: by this, commands find it.")],
) -> None:
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
    """List all tenants; of those that were deleted, how many rows are left to be removed."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        rows = await service.every(runtime, deleted=True)
        return [row | await _left(runtime, row) for row in rows]

    rows = with_runtime(work)
    lines = [(row["name"], row["id"], row["created_at"], _state(row)) for row in rows]
    answer(rows, columns(("Name", "Id", "Made", "State"), lines))


async def _left(runtime: Runtime, row: Mapping[str, Any]) -> dict[str, Any]:
    """How many rows a deleted tenant still has; None of one that lives."""
    if row["deleted_at"] is None:
        return {"rows_left": None}
    return {"rows_left": sum((await closing.rows_of(runtime, row["id"])).values())}


def _state(row: Mapping[str, Any]) -> str:
    left = row["rows_left"]
    return "live" if left is None else f"being removed, {left:,} rows left"


@command(tenant_app, "show")
def tenant_show(tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")]) -> None:
    """A tenant, and how many rows it has in each table; up to 100,000 of one are counted."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        row = await service.find_any(runtime, tenant)
        known = {name: row[name] for name in ("name", "id", "created_at", "deleted_at")}
        return told(known) | {"rows": await closing.rows_of(runtime, row["id"])}

    found = with_runtime(work)
    rows = found["rows"]
    at = found["deleted_at"]
    state = f"deleted at {at}; {sum(rows.values()):,} rows left" if at else "live"
    shown = {"tenant": found["name"], "id": str(found["id"]), "made": found["created_at"]}
    answer(found, fields(shown | {"state": state}) + "\n" + _table(rows))


def _table(rows: Mapping[str, int]) -> str:
    return columns(("Table", "Rows"), [(name, f"{rows[name]:,}") for name in sorted(rows)])


Confirmed = Annotated[
    str | None, typer.Option("--confirm", help="The tenant's name once more: that one is meant.")
]


@command(tenant_app, "delete")
def tenant_delete(
    tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    confirm: Confirmed = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go, and change nothing.")
    ] = False,
) -> None:
    """Delete a tenant with all that it has; there is no way back but a backup.

    From now on its keys and tokens are refused, its phones stop ringing, and its name is free; its
    rows go by and by (`ringline tenant list`). The audit log keeps its lines.
    """
    if dry_run:
        _would_go(tenant)
        return

    async def work(runtime: Runtime) -> tuple[closing.Deleted, int, bool]:
        row = await service.find_live(runtime, tenant)
        tenant_id = row["id"]
        if confirm is None:
            fail(
                f"this deletes {row['name']!r} with all that it has: add `--confirm "
                f"{shlex.quote(row['name'])}`, or `--dry-run` to see what would go",
                code="not_confirmed",
            )
        deleted = await closing.delete(runtime, tenant_id, confirm, actor=actor())
        left = sum((await closing.rows_of(runtime, tenant_id)).values())
        return deleted, left, not await service.every(runtime)

    deleted, left, last = with_runtime(work)
    shown = {"tenant": deleted.name, "id": str(deleted.id), "deleted_at": rfc3339(deleted.at)}
    answer(shown | {"rows_left": left}, fields(shown | {"rows_left": f"{left:,}"}))
    step("A worker removes its rows; `ringline tenant list` says how many are left.")
    if last:
        step("It was the only tenant: `ringline tenant create` makes another.")


def _would_go(tenant: str) -> None:
    async def work(runtime: Runtime) -> tuple[str, UUID, dict[str, int]]:
        row = await service.find_live(runtime, tenant)
        return row["name"], row["id"], await closing.rows_of(runtime, row["id"])

    name, tenant_id, rows = with_runtime(work)
    told_of = {"tenant": name, "id": str(tenant_id), "dry_run": True, "rows": rows}
    answer(told_of, _table(rows) + "\n\nNothing was changed: these rows would go.")


@command(tenant_app, "stop")
def tenant_stop(tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")]) -> None:
    """Emergency: let no new ring of a tenant begin. Calls that live go on."""
    _switch(tenant, stopped=True)


@command(tenant_app, "resume")
def tenant_resume(tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")]) -> None:
    """Let a tenant that was stopped ring again."""
    _switch(tenant, stopped=False)


def merged(have: dict[str, Any], change: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """Settings with what is to change of them, as in RFC 7396: null takes a name away, an object
    changes what it names. A template, a key set and what a notification says are changed whole.
    """
    found = dict(have)
    for name, value in change.items():
        old = found.get(name)
        deeper = 1 if name == "templates" else depth - 1
        if value is None:
            found.pop(name, None)
        elif isinstance(value, dict) and deeper and name != "jwks":
            found[name] = merged(old if isinstance(old, dict) else {}, value, deeper)
        else:
            found[name] = value
    return found


def _switch(tenant: str, *, stopped: bool) -> None:
    async def work(runtime: Runtime) -> datetime | None:
        tenant_id = await service.find(runtime, tenant)
        return await service.stop_ringing(runtime, tenant_id, stopped=stopped, actor=actor())

    at = with_runtime(work)
    since = rfc3339(at) if at else None
    answer({"tenant": tenant, "stopped_at": since}, f"stopped at {since}" if since else "it rings")


@command(tenant_app, "settings")
def tenant_settings(
    tenant: Annotated[str, typer.Argument(help="Name or id of the tenant.")],
    change: Annotated[
        str | None,
        typer.Option(
            "--set",
            help="JSON of what is to change, as in RFC 7396: null is its default, all else stays.",
        ),
    ] = None,
) -> None:
    """A tenant's settings: limits, rate limits, who is busy, what users and their tokens may do."""
    wanted = None if change is None else checked(partial(CHANGE.validate_json, change), "--set")

    async def work(runtime: Runtime) -> TenantSettings:
        tenant_id = await service.find(runtime, tenant)
        settings = await service.settings_of(runtime, tenant_id)
        if wanted is None:
            return settings
        values = merged(settings.model_dump(exclude_defaults=True), wanted)
        new = checked(partial(TenantSettings.model_validate, values))
        return await service.change_settings(runtime, tenant_id, new, actor=actor())

    found = with_runtime(work).model_dump(mode="json")
    answer(found, orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())


@command(key_app, "create")
def key_create(
    tenant: Tenant,
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


@command(key_app, "list")
def key_list(tenant: Tenant) -> None:
    """List a tenant's API keys by name and last four characters; the keys are never shown."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        return await api_keys.every(runtime, await service.find(runtime, tenant))

    rows = [told(one) for one in with_runtime(work)]
    lines = [
        (row["name"], f"...{row['hint']}", "revoked" if row["revoked_at"] else "live",
         "everything" if "*" in row["scopes"] else ", ".join(row["scopes"]), row["created_at"],
         row["last_used_at"] or "never", row["id"])
        for row in rows
    ]  # fmt: skip
    heads = ("Name", "Ends in", "State", "May", "Made", "Last used", "Id")
    answer(rows, columns(heads, lines))


@command(key_app, "revoke")
def key_revoke(
    key: Annotated[str, typer.Argument(help="Its id, its name or its last four characters.")],
    tenant: Tenant,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Also if it is the only one: the backend is out then.")
    ] = False,
) -> None:
    """Revoke an API key: within a second it is good for nothing.

    For one that has leaked: `ringline key create`, give the new key to your backend, then this.
    """

    async def work(runtime: Runtime) -> dict[str, Any]:
        tenant_id = await service.find(runtime, tenant)
        found = await api_keys.find(runtime, tenant_id, key)
        await api_keys.revoke(runtime, tenant_id, found["id"], confirm=confirm, actor=actor())
        return found

    found = with_runtime(work)
    shown = {"id": found["id"], "name": found["name"], "hint": found["hint"]}
    answer(shown | {"state": "revoked"}, f"revoked: {found['name']} (...{found['hint']})")


def told(row: dict[str, Any]) -> dict[str, Any]:
    """A row as it is written: times as text."""
    return {
        name: rfc3339(value) if isinstance(value, datetime) else value
        for name, value in row.items()
    }


@command(secret_app, "list")
def secret_list(tenant: Tenant) -> None:
    """List a tenant's signing secrets by their kid; the secrets themselves are never shown."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        return await signing_secrets.every(runtime, await service.find(runtime, tenant))

    rows = [told(one) for one in with_runtime(work)]
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
    kid: Annotated[str, typer.Argument(help="Its id, as `ringline secret list` shows it.")],
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
