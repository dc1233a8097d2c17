"""The lab's addresses, below `/lab`. `door.py` has looked at who asks before any of this runs."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import orjson
from fastapi import APIRouter, Body, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import app
from app.http.pages import POLICY, read_files
from app.infra.errors import NotFound
from devkit.lab.bench import MODEL_NOTE, PHONES, Bench
from devkit.lab.feed import Feed
from devkit.lab.lab import Lab
from devkit.lab.phone_view import Sends
from devkit.lab.sample import trap_list
from devkit.lab.schemas import (
    ConditionsIn,
    LibraryIn,
    NextPushIn,
    NothingIn,
    PayloadIn,
    RingIn,
    SendsIn,
    SubscriptionIn,
)
from devkit.lab.setup import Refused
from devkit.lab.verdicts import LIBRARIES, LIMIT, verdicts

router = APIRouter()
HERE: Final = Path(__file__).resolve().parent
DASHBOARD: Final = Path(app.__file__).resolve().parent / "dashboard" / "static"
# The lab looks as the dashboard does: its sheet and its mark, and what is the lab's own.
STATIC: Final = read_files(
    [
        *(DASHBOARD / "ringline.css", DASHBOARD / "ringline.svg"),
        *sorted((HERE / "static").iterdir()),
        # the browser's part of clients/typescript, as `make clients` compiles it
        *sorted((HERE / "static" / "client").iterdir()),
    ]
)
TEMPLATES: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
# The lab's page may frame the phone in a page, and nothing else may frame either.
FRAMING: Final = {"Content-Security-Policy": f"{POLICY}; frame-src 'self'"}
FRAMED: Final = {
    "Content-Security-Policy": POLICY.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
}
ADDRESS: Final = f"/lab/static/{STATIC.version}"
TEMPLATES.globals |= {"base": "/lab", "static": ADDRESS, "shared": ADDRESS}


def _lab(request: Request) -> Lab:
    found: Lab = request.app.state.lab
    return found


async def _bench(request: Request) -> Bench:
    return await _lab(request).bench()


TheLab = Annotated[Lab, Depends(_lab)]
TheBench = Annotated[Bench, Depends(_bench)]
Nothing = Annotated[NothingIn | None, Body()]


@router.get("/")
async def page(lab: TheLab) -> Response:
    """The page."""
    lab.prepare()
    names = [name for _, _, name in PHONES]
    html = TEMPLATES.get_template("lab.html").render(
        model_note=MODEL_NOTE, phones=names, libraries=LIBRARIES, limit=LIMIT
    )
    return HTMLResponse(html, headers=FRAMING)


@router.get("/web_phone")
async def web_phone(lab: TheLab, framed: Literal["yes", "no"] = "no") -> Response:
    """A phone in a page: Bob's browser."""
    lab.prepare()
    html = TEMPLATES.get_template("web_phone.html").render(framed=framed == "yes")
    return HTMLResponse(html, headers=FRAMED if framed == "yes" else None)


@router.post("/web_phone/token")
async def web_phone_token(bench: TheBench, _body: Nothing = None) -> dict[str, Any]:
    """What the tenant's backend gives to Bob's browser."""
    return {"token": await bench.token_of("bob")}


@router.post("/web_phone/subscription")
async def web_phone_subscription(
    body: SubscriptionIn, lab: TheLab, bench: TheBench
) -> dict[str, Any]:
    """Subscribe Bob's browser at the simulated push service, with keys that it has made."""
    key = await bench.vapid_key(body.origin)
    return await lab.apple.subscribe(key, body.private, body.auth)


@router.get("/web_phone/pushes")
async def web_phone_pushes(
    lab: TheLab,
    id: Annotated[str, Query(pattern="^[0-9a-f]{32}$")],  # noqa: A002 - the page's name
    after: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """What the push service has opened for it; waited for, for some seconds."""
    lab.check_feeds()
    with lab.one_feed():
        return await lab.apple.pushes(id, after)


@router.get("/static/{version}/{name}")
async def static(name: str) -> Response:
    """A file of the page."""
    found = STATIC.answer(name)
    if found is None:
        raise NotFound("not_found", "Not Found")
    return found


@router.get("/state")
async def state(bench: TheBench) -> Response:
    """All that the page draws, once."""
    return _json(bench.view())


@router.get("/feed")
async def feed(lab: TheLab, bench: TheBench) -> Response:
    """The same at each change."""
    lab.check_feeds()
    return Feed(lab, bench)


@router.post("/ring", status_code=202)
async def ring(body: RingIn, lab: TheLab, bench: TheBench) -> dict[str, Any]:
    """Alice rings."""
    lab.count_ring()
    call = await bench.calls.ring(
        list(body.callees), video=body.video, ring_time=body.ring_time, call_type=body.type
    )
    return {"session_id": call.id}


@router.post("/calls/{session_id}/cancel", status_code=202)
async def cancel(session_id: str, bench: TheBench, _body: Nothing = None) -> dict[str, Any]:
    """Alice gives up."""
    await bench.calls.act(session_id, "cancel", {"user_id": "alice"})
    return {}


@router.post("/calls/{session_id}/end", status_code=202)
async def end(session_id: str, bench: TheBench, _body: Nothing = None) -> dict[str, Any]:
    """The server ends it for everyone."""
    await bench.calls.act(session_id, "end", {})
    return {}


@router.get("/calls/{session_id}/timeline")
async def timeline(session_id: str, bench: TheBench) -> dict[str, Any]:
    """What Ringline tells of the call: each push, and what became of each device."""
    return {"timeline": await bench.calls.timeline(session_id)}


@router.post("/calls/{session_id}/answer_at_once", status_code=202)
async def answer_at_once(session_id: str, bench: TheBench, _body: Nothing = None) -> dict[str, Any]:
    """Every phone that rings for it taps answer in the same moment."""
    return {"phones": bench.answer_at_once(session_id)}


Tap = Literal["answer", "decline", "busy", "hang_up"]


@router.post("/phones/{device_id}/conditions", status_code=202)
async def conditions(device_id: str, body: ConditionsIn, bench: TheBench) -> dict[str, Any]:
    """Set a phone's switches."""
    bench.set_conditions(device_id, body.model_dump(exclude_none=True))
    return {}


@router.post("/phones/{device_id}/next_push", status_code=202)
async def next_push(device_id: str, body: NextPushIn, bench: TheBench) -> dict[str, Any]:
    """What happens to the phone's next push on its way."""
    phone = bench.handset(device_id).phone
    if body.duplicate is not None:
        phone.duplicate_next(body.duplicate)
    if body.reorder is not None:
        phone.reorder_next(body.reorder)
    if body.held_seconds is not None:
        phone.delay_next(body.held_seconds)
    bench.changed()
    return {}


@router.post("/phones/{device_id}/library", status_code=202)
async def library(device_id: str, body: LibraryIn, bench: TheBench) -> dict[str, Any]:
    """Install the phone's app anew, built with this library."""
    await bench.build_with(device_id, body.profile)
    return {}


@router.post("/phones/{device_id}/sends", status_code=202)
async def sends(device_id: str, body: SendsIn, bench: TheBench) -> dict[str, Any]:
    """Let Ringline send this to the phone's app."""
    await bench.let_send(device_id, Sends(body.profile, body.trap))
    return {}


@router.post("/phones/{device_id}/{tap}", status_code=202)
async def tap(device_id: str, tap: Tap, bench: TheBench, _body: Nothing = None) -> dict[str, Any]:
    """Tap a button of a phone's call screen."""
    match tap:
        case "answer":
            bench.answer(device_id)
        case "hang_up":
            bench.hang_up(device_id)
        case "decline" | "busy":
            bench.decline(device_id, busy=tap == "busy")
    return {}


@router.post("/verdicts")
async def judge(body: PayloadIn) -> dict[str, Any]:
    """What each library would make of a payload."""
    payload = body.payload.encode("utf-8", "replace")
    return {
        "bytes": len(payload),
        "limit": LIMIT,
        "fits": len(payload) <= LIMIT,
        "verdicts": verdicts(payload),
    }


@router.get("/traps")
async def traps() -> Response:
    """The traps of the client libraries, each with its verdict."""
    return Response(trap_list(), media_type="application/json")


@router.post("/reset", status_code=202)
async def reset(lab: TheLab, _body: Nothing = None) -> dict[str, Any]:
    """New phones."""
    await lab.reset()
    return {}


def _json(value: Any) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


async def on_refused(_request: Request, error: Exception) -> Response:
    """The public API's own words for what it refused."""
    assert isinstance(error, Refused)
    status = error.status if 400 <= error.status < 500 else 503
    return Response(
        orjson.dumps(error.problem), status_code=status, media_type="application/problem+json"
    )
