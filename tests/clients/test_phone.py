"""The phone in a page, run in Node: rings, answers, stops beside others, and comes back from sleep."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chance import LONG
from tests.clients.cable import Cable
from tests.clients.processes import SOCKETS, Process, node
from tests.e2e.house import Tenant, eventually, member

pytestmark = pytest.mark.timeout(900 if LONG else 300)


def env(tenant: Tenant, user: str, device: str, url: str | None = None) -> dict[str, str]:
    return {
        "API": url or tenant.house.apis[0].url, "SECRET": tenant.secret, "KID": tenant.kid,
        "USER": user, "DEVICE": device,
    }  # fmt: skip


async def said(phone: Process, *what: Any) -> Any:
    """The first thing said that begins so."""
    return await phone.wait_for(
        lambda lines: next((one for one in lines if one[: len(what)] == list(what)), None), 120
    )


async def test_it_rings_answers_and_stops_beside_the_users_other_devices(
    tenant: Tenant, typescript_project: Path
) -> None:
    native = await tenant.phone("bob")
    async with (
        node(typescript_project, "phone.mjs", **env(tenant, "bob", "tab-1")) as first,
        node(typescript_project, "phone.mjs", **env(tenant, "bob", "tab-2")) as second,
    ):
        await said(first, "connection", True)
        await said(second, "connection", True)
        call = await tenant.ring("bob", caller="alice")
        uuid = member(call, "bob")["ring"]["uuid"]
        await said(first, "ring", uuid)
        await said(second, "ring", uuid)
        first.tell("accept", uuid)
        await said(first, "done", "accept", call["session_id"])
        await said(second, "stop", uuid, 4)
        (stopped,) = await tenant.sim.arrived(1, token=native.alert)
        assert stopped.header("apns-push-type") == "background"
        assert member(await tenant.read(call), "bob")["device_id"] == "tab-1"
        assert not [line for line in first.said if line[0] == "stop"]
        await tenant.act(call, "end")
        await said(first, "ended", call["session_id"], "ended_by_server")

        again = await tenant.ring("bob", caller="alice")
        uuid = member(again, "bob")["ring"]["uuid"]
        await said(second, "ring", uuid)
        second.tell("decline", uuid, "busy")
        await said(second, "done", "decline")
        await said(first, "stop", uuid, 5)
        assert (await tenant.read(again))["reason"] == "busy"
        first.tell("accept", again["session_id"])  # there is no such ring here any more
        await said(first, "refused", "accept")


@pytest.mark.parametrize("transport", ["sse", "websocket"])
async def test_it_is_connected_once_it_knows_what_rings(
    tenant: Tenant, typescript_project: Path, transport: str
) -> None:
    """A server that has let it in, and a pong, say nothing of calls yet."""
    call = await tenant.ring("bob", caller="alice")
    about = env(tenant, "bob", "tab") | {"TRANSPORT": transport, "NODE_OPTIONS": SOCKETS}
    async with node(typescript_project, "phone.mjs", **about) as phone:
        await said(phone, "connection", True)
        assert phone.said == [["ring", member(call, "bob")["ring"]["uuid"]], ["connection", True]]


async def test_a_ring_ends_in_its_time_though_nothing_is_heard(
    tenant: Tenant, typescript_project: Path
) -> None:
    """With a clock that is an hour fast; by the server where it is heard, with its reason."""
    async with (
        Cable(tenant.house.apis[0].url).laid() as cable,
        node(
            typescript_project, "phone.mjs", SKEW="3600", **env(tenant, "bob", "tab", cable.url)
        ) as phone,
    ):
        await said(phone, "connection", True)
        call = await tenant.ring("bob", caller="alice", ring_time=5)
        uuid = member(call, "bob")["ring"]["uuid"]
        await said(phone, "ring", uuid)
        cable.cut()
        await said(phone, "stop", uuid, 3)
        assert ["connection", True] not in phone.said[1:]


async def test_it_may_be_stopped_and_started_again(
    tenant: Tenant, typescript_project: Path
) -> None:
    """As when somebody signs out and in again: what began meanwhile rings."""
    async with node(typescript_project, "phone.mjs", **env(tenant, "bob", "tab")) as phone:
        await said(phone, "connection", True)
        phone.tell("stop")
        await said(phone, "connection", False)
        call = await tenant.ring("bob", caller="alice")
        phone.tell("start")
        await said(phone, "ring", member(call, "bob")["ring"]["uuid"])
        await phone.wait_for(lambda lines: lines[-1] == ["connection", True])


@pytest.mark.long(20)
async def test_it_comes_back_from_a_cut_and_from_sleep(
    tenant: Tenant, typescript_project: Path
) -> None:
    """Away and back within the time, removed after it; by a socket, with a clock an hour fast. In
    the long form with the server's own 30 s and 120 s."""
    if not LONG:
        limits = {"away": 5, "removed": 600, "alone": 600}
        settings = {"limits": limits, "call_types": {"hasty": {"away": 5, "removed": 10}}}
        # beforehand: a process trusts for a second what it has read of a tenant
        await tenant.execute(
            "UPDATE tenants SET settings = CAST(:s AS jsonb) WHERE id = :t",
            s=json.dumps(settings), t=tenant.id,
        )  # fmt: skip
    api = tenant.house.apis[0].url
    async with (
        Cable(api).laid() as cable,
        node(
            typescript_project, "phone.mjs", SKEW="3600", TRANSPORT="websocket",
            NODE_OPTIONS=SOCKETS, **env(tenant, "bob", "tab", cable.url),
        ) as phone,
    ):  # fmt: skip
        await said(phone, "connection", True)

        async def stands(call: dict[str, Any], state: str) -> bool:
            found: str = member(await tenant.read(call), "bob")["state"]
            return found == state

        async def joined(**more: str) -> dict[str, Any]:
            call = await tenant.ring("bob", caller="alice", **more)
            uuid = member(call, "bob")["ring"]["uuid"]
            await said(phone, "ring", uuid)
            phone.tell("accept", uuid)
            await said(phone, "done", "accept", call["session_id"])
            return call

        def heard(call: dict[str, Any]) -> list[str]:
            return [line[0] for line in phone.said if line[1:2] == [call["session_id"]]]

        call = await joined()
        cable.cut()
        await eventually(lambda: stands(call, "away"))
        await said(phone, "away", call["session_id"])
        cable.mend(api)
        await said(phone, "back", call["session_id"])
        await eventually(lambda: stands(call, "joined"))
        await tenant.act(call, "end")
        await said(phone, "ended", call["session_id"])
        assert heard(call) == ["away", "back", "ended"]

        call = await joined(**({} if LONG else {"type": "hasty"}))
        phone.freeze()
        cable.cut()
        await eventually(lambda: stands(call, "left"), timeout=200)
        cable.mend(api)
        phone.thaw()
        await said(phone, "removed", call["session_id"])
        assert heard(call) == ["away", "removed"]
        phone.tell("join", call["session_id"])
        await said(phone, "done", "join", call["session_id"])
        assert await stands(call, "joined")
