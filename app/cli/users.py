"""Commands for users of a tenant: tokens, preferences, blocks, handles, and their own calls."""

from datetime import datetime
from functools import partial
from typing import Annotated, Any

import orjson
import typer

from app.calls import histories
from app.calls.histories import Wanted
from app.cli.answers import answer, columns, command
from app.cli.base import Tenant, actor, checked, group, handle_in, user_id, with_runtime
from app.cli.calls import Most, Since, Until, newest
from app.cli.options import whole, word
from app.core.event import rfc3339
from app.devices.schemas import LONGEST_MINTED
from app.infra.runtime import Runtime
from app.tenants import revocations, service
from app.tenants.scopes import USER_SCOPES, check_scopes
from app.users import service as users
from app.users.schemas import HandlesIn, PreferencesIn

user_app = group("user", "Users of a tenant: tokens, preferences, blocks, handles, own calls.")


User = Annotated[str, typer.Argument(help="The user's id.", parser=user_id)]


@command(user_app, "token")
def user_token(
    user: User,
    tenant: Tenant,
    expires_in: Annotated[int, whole("Seconds.", low=60, high=LONGEST_MINTED)] = 3600,
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
def user_revoke(user: User, tenant: Tenant) -> None:
    """Revoke every token of a user: within two seconds none is good, and its streams end."""

    async def work(runtime: Runtime) -> datetime:
        tenant_id = await service.find(runtime, tenant)
        return await revocations.revoke(runtime, tenant_id, user, actor=actor())

    at = with_runtime(work)
    answer({"user_id": user, "revoked_at": rfc3339(at)}, f"revoked at {rfc3339(at)}")


@command(user_app, "preferences")
def user_preferences(
    user: User,
    tenant: Tenant,
    change: Annotated[
        str | None, typer.Option("--set", help="New preferences, as JSON; `{}` for none.")
    ] = None,
) -> None:
    """What a user wants of rings: do not disturb, quiet hours, call types, exceptions."""
    wanted = (
        None
        if change is None
        else checked(partial(PreferencesIn.model_validate_json, change), "--set")
    )

    async def work(runtime: Runtime) -> PreferencesIn:
        tenant_id = await service.find(runtime, tenant)
        if wanted is not None:
            await users.set_preferences(runtime, tenant_id, user, wanted, actor=actor())
        return await users.preferences(runtime, tenant_id, user)

    found = with_runtime(work).stored()
    answer(found, orjson.dumps(found, option=orjson.OPT_INDENT_2).decode())


@command(user_app, "handles")
def user_handles(
    user: User,
    tenant: Tenant,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="phone:NUMBER, email:ADDRESS or generic:TEXT; all that it has."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take all away.")] = False,
) -> None:
    """By which handles a user may be rung."""
    given = [handle_in(one) for one in change or ()]
    wanted = checked(partial(HandlesIn.model_validate, {"handles": given}))

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        tenant_id = await service.find(runtime, tenant)
        if given or none:
            await users.set_handles(runtime, tenant_id, user, wanted, actor=actor())
        return await users.handles(runtime, tenant_id, user)

    rows = with_runtime(work)
    lines = [(row["kind"], row["value"]) for row in rows]
    answer({"handles": rows}, columns(("Kind", "Handle"), lines))


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


@command(user_app, "calls")
def user_calls(
    user: User,
    tenant: Tenant,
    direction: Annotated[str | None, word(("incoming", "outgoing"), "Who rang whom.")] = None,
    missed: Annotated[bool, typer.Option("--missed", help="Only missed ones.")] = False,
    since: Since = None,
    until: Until = None,
    seen: Annotated[
        bool, typer.Option("--seen", help="Mark what was missed by now as seen.")
    ] = False,
    limit: Most = 50,
) -> None:
    """A user's own calls as their app reads them, what was missed and what kept a ring away."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        tenant_id = await service.find(runtime, tenant)
        wanted = Wanted(user, direction=direction, missed=missed or None, since=since, until=until)
        if seen:
            await histories.see(runtime, tenant_id, user, None)
        calls = await newest(
            lambda place: histories.of_user(runtime, tenant_id, wanted, place, min(limit, 100)),
            limit,
        )
        return {"calls": calls, "counts": await histories.counts(runtime, tenant_id, user)}

    found = with_runtime(work)
    lines = [
        (one["created_at"], one["direction"], ", ".join(one["others"]), _own_end(one),
         "" if one["seen"] else "unseen", one["session_id"])
        for one in found["calls"]
    ]  # fmt: skip
    table = columns(("Began", "Direction", "With", "End", "Seen", "Session"), lines)
    counts = found["counts"]
    answer(found, f"{counts['missed']} missed, {counts['unseen']} unseen\n{table}")


def _own_end(one: dict[str, Any]) -> str:
    if one["suppressed"] is not None:
        return f"suppressed: {one['suppressed']}"
    return "missed" if one["missed"] else one["reason"] or one["state"]
