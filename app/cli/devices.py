"""Commands for devices: a user's phones."""

from typing import Annotated, Any

import typer
from pydantic_core import PydanticCustomError

from app.calls import registration
from app.cli.answers import answer, columns, command
from app.cli.base import Tenant, actor, group, user_id, with_runtime
from app.devices import service
from app.devices.schemas import LONGEST_TOKEN, push_token
from app.infra.runtime import Runtime
from app.tenants import service as tenants

device_app = group("device", "Devices: a user's phones, turned off and on, and taken away.")
User = Annotated[str, typer.Argument(help="User id.", parser=user_id)]


@command(device_app, "list")
def device_list(user: User, tenant: Tenant) -> None:
    """A user's devices, the newest first; of each token the last four digits."""

    async def work(runtime: Runtime) -> list[dict[str, Any]]:
        return await service.list_of(runtime, await tenants.find(runtime, tenant), user)

    found = with_runtime(work)
    lines = [
        (one["device_id"], one["name"] or "", token["kind"], token["app_id"], token["ends_with"],
         token["retired_reason"] or ("live" if one["rings"] else "off"))
        for one in found for token in one["tokens"]
    ]  # fmt: skip
    answer(found, columns(("Device", "Name", "Token", "App", "Ends with", "State"), lines))


@command(device_app, "remove")
def device_remove(
    user: User, device: Annotated[str, typer.Argument(help="Device id.")], tenant: Tenant
) -> None:
    """Remove a device with its tokens: it will not ring again."""

    async def work(runtime: Runtime) -> None:
        tenant_id = await tenants.find(runtime, tenant)
        await registration.remove(runtime, tenant_id, user, device, actor=actor())

    with_runtime(work)
    answer({"removed": device}, f"removed {device} of {user}")


@command(device_app, "ringing")
def device_ringing(
    user: User,
    device: Annotated[str, typer.Argument(help="Device id.")],
    tenant: Tenant,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether it is rung.")],
) -> None:
    """Turn ringing of a device off, or on again, from the next ring on."""

    async def work(runtime: Runtime) -> dict[str, Any]:
        tenant_id = await tenants.find(runtime, tenant)
        return await registration.set_rings(
            runtime, tenant_id, user, device, rings=on, actor=actor()
        )

    answer(with_runtime(work), f"{device} of {user} is {'on' if on else 'off'}")


@command(device_app, "unregister")
def device_unregister(
    user: User,
    tenant: Tenant,
    token_file: Annotated[typer.FileText, typer.Option(help="`-`: standard input.")],
) -> None:
    """Remove the device that holds a push token, which stands in a file."""
    try:
        token = push_token(token_file.read(LONGEST_TOKEN + 100).strip(), None)
    except PydanticCustomError as error:
        raise typer.BadParameter(f"the token {error.message()}") from None

    async def work(runtime: Runtime) -> None:
        tenant_id = await tenants.find(runtime, tenant)
        await registration.unregister(runtime, tenant_id, user, token, actor=actor())

    with_runtime(work)
    answer({"unregistered": token[-4:]}, f"removed the device of {user} with …{token[-4:]}")
