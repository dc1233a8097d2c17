"""Pages: users and their devices: searching, each device's life, test rings, removing."""

import re
from typing import Any
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import ValidationError

from app.audit.log import record
from app.calls import erase as erasing
from app.calls import histories, registration, ringing
from app.calls.ringer import ringer_of
from app.calls.schemas import CallerIn, RingIn
from app.core.identifiers import is_user_id
from app.credentials import store as credentials
from app.dashboard import store_lists
from app.dashboard.access import Operator, TenantPage, Viewer, fields_of, text_of
from app.dashboard.once import once
from app.dashboard.pages import BASE, PageRoute, moved, nothing_here, render
from app.devices import store as devices
from app.devices import test_push as trial
from app.http.problems import sentence_of
from app.infra.errors import AppError, Invalid
from app.infra.fields import AT_REST, Text
from app.tenants import revocations
from app.users import service as user_service
from app.users import store as users
from app.users.schemas import HandlesIn, PreferencesIn

router = APIRouter(prefix=BASE + "/t/{tenant_id}", route_class=PageRoute, include_in_schema=False)
ON_A_PAGE = 50
DIGITS = re.compile(r"[.…\s]*([0-9a-fA-F]{4,200})\s*")
TEST_CALLER = CallerIn(id="ringline-test", name="Ringline test")
TEST_SECONDS = 30.0


@router.get("/users")
async def list_page(request: Request, place: Viewer, q: Text = "", after: Text = "") -> Response:
    """Users by the beginning of their id, and tokens by their last digits."""
    q = q.strip()[:200]
    digits = DIGITS.fullmatch(q)
    tokens: list[dict[str, Any]] = []
    async with place.runtime.database.autocommit() as session:
        rows = await store_lists.users(session, place.id, q, after, ON_A_PAGE + 1)
        count = await store_lists.count_users(session, place.id, q)
        if digits:
            ending = digits.group(1).lower()
            tokens = await store_lists.tokens_ending(session, place.id, ending)
    more = rows[ON_A_PAGE - 1]["id"] if len(rows) > ON_A_PAGE else None
    return render(
        request, "users.html",
        rows=rows[:ON_A_PAGE], tokens=tokens, q=q, more=more, after=after,
        count=count, counted=store_lists.COUNTED,
    )  # fmt: skip


@router.get("/user")
async def one_page(request: Request, place: Viewer, id: Text = "") -> Response:  # noqa: A002
    """One user's devices, and what became of each."""
    return await _one(request, place, id)


async def _one(
    request: Request,
    place: TenantPage,
    user_id: str,
    *,
    status: int = 200,
    problem: AppError | None = None,
    tried: list[dict[str, Any]] | None = None,
    said: str | None = None,
) -> Response:
    if not is_user_id(user_id):
        raise nothing_here()
    async with place.runtime.database.autocommit() as session:
        found = await devices.devices_of(session, place.id, user_id)
        if not found and not await store_lists.user_exists(session, place.id, user_id):
            raise nothing_here()
        last = await store_lists.last_pushes(session, place.id, user_id)
        ringable = await credentials.ringable_apps(session, place.id)
        recent = await store_lists.calls(session, place.id, user=user_id, limit=8)
        wants = await users.preferences(session, place.id, user_id)
        blocks = await users.blocks(session, place.id, user_id)
        handles = await users.handles(session, place.id, user_id)
    if said is None:
        said = orjson.dumps(wants, option=orjson.OPT_INDENT_2).decode() if wants else ""
    if wants:  # with what is absent: what rests says no more than was set
        wants = PreferencesIn.model_validate(wants, context=AT_REST).model_dump(mode="json")
    counts = await histories.counts(place.runtime, place.id, user_id)
    return render(
        request, "user.html", status=status,
        user=user_id, devices=found, last=last, calls=recent, problem=problem, tried=tried,
        ringable=ringable, wants=wants, blocks=blocks, handles=handles, said=said,
        counts=counts,
    )  # fmt: skip


def _done(place: TenantPage, user_id: str, what: str) -> Response:
    """Back to the user's page, which says what was done."""
    return moved(f"{place.path}/user?id={quote(user_id, safe='')}", what)


async def _user_of(request: Request) -> str:
    user_id = text_of(await fields_of(request), "id")
    if not is_user_id(user_id):
        raise nothing_here()
    return user_id


@router.post("/user/ring")
@once
async def ring(request: Request, place: Operator) -> Response:
    """Ring all phones of a user with a real call, and go to its story."""
    user_id = await _user_of(request)
    wanted = RingIn(
        caller=TEST_CALLER,
        callees=[user_id],
        ring_time=TEST_SECONDS,
        custom={"ringline_test": True},
    )
    order = ringing.resolve(place.id, place.settings, wanted, device="server", key=None)
    answer = await ringer_of(place.runtime).submit(order)
    async with place.runtime.database.transaction() as session:
        await record(session, place.actor, place.id, "call.test", "user", user=user_id)
    return moved(f"{place.path}/calls/{answer['id']}")


@router.post("/user/test")
async def test_push(request: Request, place: Operator) -> Response:
    """Push to one phone, past calls and workers, and show Apple's very words."""
    user_id = await _user_of(request)
    device_id = text_of(await fields_of(request), "device_id") or None
    try:
        tried = await trial.ring_phones(
            place.runtime, place.id, user_id, device_id, actor=place.actor
        )
    except AppError as error:
        return await _one(request, place, user_id, status=error.status, problem=error)
    return await _one(request, place, user_id, tried=[one.as_dict() for one in tried])


@router.post("/user/remove")
async def remove(request: Request, place: Operator) -> Response:
    """Remove a device: it will not ring again."""
    user_id = await _user_of(request)
    device_id = text_of(await fields_of(request), "device_id")
    await registration.remove(place.runtime, place.id, user_id, device_id, actor=place.actor)
    return _done(place, user_id, "device_removed")


@router.post("/user/rings")
async def set_rings(request: Request, place: Operator) -> Response:
    """Turn ringing of a device off, or on again."""
    user_id = await _user_of(request)
    fields = await fields_of(request)
    device_id, rings = text_of(fields, "device_id"), text_of(fields, "rings") == "yes"
    await registration.set_rings(
        place.runtime, place.id, user_id, device_id, rings=rings, actor=place.actor
    )
    done = "device_on" if rings else "device_off"
    return _done(place, user_id, done)


@router.post("/user/block")
async def block(request: Request, place: Operator) -> Response:
    """Block somebody for a user."""
    user_id = await _user_of(request)
    blocked = text_of(await fields_of(request), "blocked_id")
    try:
        if not is_user_id(blocked):
            raise Invalid("invalid_user_id", "blocked_id: that is no user id.")
        await user_service.block(place.runtime, place.id, user_id, blocked, actor=place.actor)
    except AppError as error:
        return await _one(request, place, user_id, status=error.status, problem=error)
    return _done(place, user_id, "blocked")


@router.post("/user/unblock")
async def unblock(request: Request, place: Operator) -> Response:
    """Take a block of a user's back."""
    user_id = await _user_of(request)
    blocked = text_of(await fields_of(request), "blocked_id")
    await user_service.unblock(place.runtime, place.id, user_id, blocked, actor=place.actor)
    return _done(place, user_id, "unblocked")


@router.post("/user/handles")
async def set_handles(request: Request, place: Operator) -> Response:
    """Replace a user's handles: one on each line, `phone:+49 30 1234567`."""
    user_id = await _user_of(request)
    lines = text_of(await fields_of(request), "handles").splitlines()
    given = [one.partition(":") for line in lines if (one := line.strip())]
    try:
        wanted = HandlesIn.model_validate(
            {"handles": [{"kind": kind.strip(), "value": value} for kind, _, value in given]}
        )
        await user_service.set_handles(place.runtime, place.id, user_id, wanted, actor=place.actor)
    except ValidationError as error:
        problem = Invalid("invalid_handle", sentence_of(error))
        return await _one(request, place, user_id, status=422, problem=problem)
    except AppError as error:
        return await _one(request, place, user_id, status=error.status, problem=error)
    return _done(place, user_id, "handles_saved")


@router.post("/user/preferences")
async def set_preferences(request: Request, place: Operator) -> Response:
    """Replace what a user wants of rings, as the API takes it; nothing at all clears it."""
    user_id = await _user_of(request)
    said = text_of(await fields_of(request), "preferences")
    try:
        wanted = PreferencesIn.model_validate_json(said or "{}")
    except ValidationError as error:
        problem = Invalid("invalid_preferences", f"preferences: {sentence_of(error)}")
        return await _one(request, place, user_id, status=422, problem=problem, said=said)
    await user_service.set_preferences(place.runtime, place.id, user_id, wanted, actor=place.actor)
    done = "preferences_saved" if wanted.stored() else "preferences_cleared"
    return _done(place, user_id, done)


@router.post("/user/revoke")
async def revoke(request: Request, place: Operator) -> Response:
    """Revoke every token of a user."""
    user_id = await _user_of(request)
    at = await revocations.revoke(place.runtime, place.id, user_id, actor=place.actor)
    request.app.state.gate.revoked(place.id, user_id, at.timestamp())
    return _done(place, user_id, "user_revoked")


@router.post("/user/erase")
async def erase(request: Request, place: Operator) -> Response:
    """Erase a user."""
    user_id = await _user_of(request)
    await erasing.erase(place.runtime, place.id, user_id, actor=place.actor)
    request.app.state.gate.forget()
    return moved(f"{place.path}/users", "user_erased")
