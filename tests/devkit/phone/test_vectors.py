"""The phone model does what the vectors say that every client shares with it."""

import copy
import time
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import httpx
import pytest

from devkit.phone import Step
from devkit.phone.api import Answer
from devkit.phone.events import Lines, events_of
from devkit.phone.kit import told
from tests.clients.vectors import cases, vectors
from tests.devkit.phone.server import push_with

pytestmark = pytest.mark.asyncio(loop_scope="module")
SCREEN = vectors("screen")
NATIVE = [case for case in SCREEN["cases"] if case.get("native", case["reactions"]) is not None]


def names(case: dict[str, Any]) -> str:
    name: str = case["name"]
    return name


@pytest.mark.parametrize("case", NATIVE, ids=names)
async def test_the_screen(ringline, phones, case):
    """A ring comes by push; all else by the stream."""
    phone = await phones(SCREEN["device_id"], user=SCREEN["user_id"], stream=True)
    await phone.log.wait_for(Step.STREAM_OPEN)
    for message in case["messages"]:
        body, data = message["body"], message["body"]["data"]
        if message["type"] == "ring.started":
            if data["ring"] not in {
                uuid for call in ringline.calls.values() for uuid in call.rings
            }:
                ringline.ring(data["user_id"], data["ring"], call=body["session_id"])
            left = datetime.fromisoformat(data["expires_at"]).timestamp() * 1000 - SCREEN["now"]
            expires = int(time.time() * 1000 + left)
            phone.source.feed(
                ringline.push(data["ring"], phone.identity.device_id, expires_at=expires)
            )
            await phone.log.wait_for(Step.RINGING)
            await phone.log.wait_for(Step.STATE_READ, Step.ENDED)
        else:
            before = len(phone.log)
            ringline.tell(SCREEN["user_id"], message["type"], data, body["session_id"])
            await phone.log.wait_for(Step.EVENT, after=before)
    assert rings_and_stops(phone) == case.get("native", case["reactions"])


def rings_and_stops(phone) -> list[list[Any]]:
    """What a phone's screen has done."""
    found: list[list[Any]] = []
    for transition in phone.log:
        if transition.step is Step.RINGING:
            found.append(["ring", transition.uuid])
        elif transition.step is Step.ENDED:
            found.append(["stop", transition.uuid, transition.detail["reason"]])
    return found


PUSHES = [case for case in cases("pushes") if case.get("native", case["reactions"]) is not None]


@pytest.mark.parametrize("case", PUSHES, ids=names)
async def test_pushes(ringline, phones, case):
    """As they come; the deadlines are as far from now as in the case, the state is this server's."""
    phone = await phones()
    for push in copy.deepcopy(case["pushes"]):
        body, ring = push["payload"], push["payload"].get("ring", {})
        if "session_id" in ring:
            ring["state_url"] = f"{ringline.url}/v1/calls/{ring['session_id']}"
            ringline.ring("bob", ring["uuid"], call=ring["session_id"], cid=ring["cid"])
        if "expires_at" in ring:
            ring["expires_at"] += int(time.time() * 1000) - case["now"]
        before = len(phone.log)
        phone.source.feed(push_with(body, push["kind"]))
        await phone.log.wait_for(Step.PUSH_ARRIVED, after=before)
    assert rings_and_stops(phone) == case.get("native", case["reactions"])


@pytest.mark.parametrize("case", cases("answers"), ids=names)
async def test_answers_to_an_accept(case):
    assert told(Answer(case["status"], case["body"], 1)) == case["reason"]


async def chunks_of(case: dict[str, Any]) -> AsyncIterator[bytes]:
    for chunk in case["chunks"]:
        yield chunk.encode()


@pytest.mark.parametrize("case", cases("stream"), ids=names)
async def test_the_stream(case):
    found = [
        event async for event in events_of(httpx.Response(200, content=chunks_of(case)), Lines())
    ]
    expected = [(one["type"], one["body"]) for one in case["messages"]]
    assert [(event.event, dict(event.data)) for event in found] == expected
