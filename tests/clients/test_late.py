"""A page that comes late shows what one shows that has heard all: a snapshot says as much as the
events before it."""

import contextlib
import random
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.chance import dice, often, run_seed
from tests.clients.processes import Process, node
from tests.e2e.house import Tenant, member
from tests.live.listener import Heard, listening

USERS = ("bob", "carol", "dave")
DEVICES = ("one", "two")
COMMANDS = ("ring", "ring", "accept", "accept", "decline", "join", "leave", "end")
STEPS = 12


def message(heard: Heard) -> dict[str, Any]:
    """As the client's reader gives it to a screen."""
    return {"id": heard.id, "type": heard.event, "body": heard.data}


class Walk:
    """Random commands of random devices on a few calls; the devices' screens are told what a phone
    in a page tells its own."""

    def __init__(self, tenant: Tenant, screens: Process, chance: random.Random) -> None:
        self.tenant, self.screens, self.chance = tenant, screens, chance
        self.calls: list[dict[str, Any]] = []

    async def step(self) -> None:
        kind = self.chance.choice(COMMANDS)
        if kind == "ring" or not self.calls:
            await self._ring()
        else:
            await self._act(kind, self.chance.choice(self.calls))

    async def _ring(self) -> None:
        caller, *callees = self.chance.sample(("alice", *USERS), self.chance.randint(2, 4))
        answer = await self._ask("/v1/calls", {"caller": {"id": caller}, "callees": callees})
        if answer.is_success:
            self.calls = [*self.calls[-2:], answer.json()]

    async def _act(self, kind: str, call: dict[str, Any]) -> None:
        user, device = self.chance.choice(USERS), self.chance.choice(DEVICES)
        session = call["session_id"]
        if kind == "decline":
            await self._settle(user, device, call)
        body = {"user_id": user, "device_id": device}
        if kind == "decline":
            body["reach"] = self.chance.choice(("user", "device"))
        path = f"/v1/calls/{session}/{kind}"
        if (await self._ask(path, body)).is_success and kind != "decline":
            does = "joined" if kind in {"accept", "join"} else "left"
            self.screens.tell(does, user, device, session)

    async def _settle(self, user: str, device: str, call: dict[str, Any]) -> None:
        members = (await self.tenant.read(call))["members"]
        for ring in [one["ring"] for one in members if one["user_id"] == user and one["ring"]]:
            self.screens.tell("settled", user, device, ring["uuid"])

    async def _ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        answer = await self.tenant.api.post(path, json=body)
        print(path, body, answer.status_code)
        return answer


async def shown(screens: Process, user: str, device: str, snapshot: Heard) -> Any:
    """What a device's screen shows, and what another one does that has the snapshot alone."""
    said = len(screens.said)
    screens.tell("compare", user, device, message(snapshot))
    await screens.wait_for(lambda lines: len(lines) > said)
    return screens.said[said]


@pytest.mark.parametrize("walk", range(often(2, 12)))
async def test_who_comes_late_shows_what_all_show(
    tenant: Tenant, typescript_project: Path, walk: int
) -> None:
    chance = dice(run_seed() + walk)
    url, given = tenant.house.apis[0].url, dict.fromkeys(USERS, 0)
    for user in ("bob", "carol"):  # pushes reach them
        for device in DEVICES:
            await tenant.phone(user, device)
    async with contextlib.AsyncExitStack() as stack:
        screens = await stack.enter_async_context(node(typescript_project, "late.mjs"))
        all_heard = {
            user: await stack.enter_async_context(listening(url, tenant.key, f"?user_id={user}"))
            for user in USERS
        }
        for one in all_heard.values():
            await one.wait_for("snapshot")
        walking = Walk(tenant, screens, chance)
        for _ in range(STEPS):
            await walking.step()
            for user, listener in all_heard.items():
                async with listening(url, tenant.key, f"?user_id={user}") as late:
                    snapshot = await late.wait_for("snapshot")
                number = snapshot.id or 0
                await listener.wait_for(lambda heard, end=number: (heard.id or 0) >= end)
                news = [one for one in listener.heard[given[user] :] if (one.id or 0) <= number]
                given[user] += len(news)
                for device in DEVICES:
                    screens.tell("took", user, device, [message(one) for one in news])
                    found = await shown(screens, user, device, snapshot)
                    assert found["late"] == found["all"], (user, device, snapshot.data)


async def test_who_comes_late_and_no_push_reaches_is_rung(
    tenant: Tenant, typescript_project: Path
) -> None:
    """A member whom nothing reached when it began is `unreachable`, and may answer all the same."""
    call = await tenant.ring("erin", caller="alice")
    await tenant.becomes(call, "erin", "unreachable")
    async with (
        node(typescript_project, "late.mjs") as screens,
        listening(tenant.house.apis[0].url, tenant.key, "?user_id=erin") as late,
    ):
        found = await shown(screens, "erin", "one", await late.wait_for("snapshot"))
    assert found["late"]["rings"] == [member(call, "erin")["ring"]["uuid"]]
    assert (await tenant.act(call, "accept", "erin", "one")).is_success


async def test_who_has_declined_for_itself_and_comes_late_is_not_rung(
    tenant: Tenant, typescript_project: Path
) -> None:
    """A page that was loaded anew rang again; the user's other devices go on."""
    for device in DEVICES:
        await tenant.phone("bob", device)
    call = await tenant.ring("bob", "carol", caller="alice")
    body = {"user_id": "bob", "device_id": "one", "reach": "device"}
    declined = await tenant.api.post(f"/v1/calls/{call['session_id']}/decline", json=body)
    assert declined.json()["state"] == "ringing"
    url = tenant.house.apis[0].url
    async with (
        node(typescript_project, "late.mjs") as screens,
        listening(url, tenant.key, "?user_id=bob") as late,
        listening(url, tenant.key, "?user_id=carol") as others,
    ):
        snapshot = await late.wait_for("snapshot")
        assert snapshot.data["calls"][0]["declined_on"] == ["one"]
        shows = [(await shown(screens, "bob", one, snapshot))["late"]["rings"] for one in DEVICES]
        assert shows == [[], [member(call, "bob")["ring"]["uuid"]]]
        (told,) = (await others.wait_for("snapshot")).data["calls"]
        assert told["declined_on"] == []  # what another's devices do is no business of hers
