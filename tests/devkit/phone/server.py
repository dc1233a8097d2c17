"""A small server with Ringline's HTTP shapes, on a real uvicorn: what the phone talks to in tests."""

import asyncio
import contextlib
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from devkit.phone import Push


@dataclass
class OneRing:
    uuid: str
    user_id: str
    state: str = "ringing"
    callkit_reason: int | None = None
    holder: str | None = None


@dataclass
class OneCall:
    id: str
    cid: str
    state: str = "ringing"
    reason: str | None = None
    rings: dict[str, OneRing] = field(default_factory=dict)


class SmallRingline:
    """Calls by id; tokens are `call:UUID:DEVICE`, `member:USER` and `user:USER`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.devices: dict[str, dict[str, Any]] = {}
        self.calls: dict[str, OneCall] = {}
        self.requests: list[tuple[str, str, str, Any]] = []
        self.streams: dict[str, list[asyncio.Queue[tuple[int, dict[str, Any]] | None]]] = {}
        self.history: list[tuple[str, int, dict[str, Any]]] = []
        self.stream_ids: list[str | None] = []
        self.has_stream = True
        self.refuse_with: tuple[int, dict[str, Any]] | None = None
        self.pushes: dict[str, list[dict[str, Any]]] = {}
        self.arrived = asyncio.Event()
        self.closed = False
        self.seq = 0

    # What a test does

    def ring(self, user_id: str, uuid: str, *, call: str = "call-1", cid: str = "default:abc"):
        made = self.calls.setdefault(call, OneCall(call, cid))
        made.rings[uuid] = OneRing(uuid, user_id)
        return made

    def payload(self, uuid: str, device: str = "dev", **changes: Any) -> dict[str, Any]:
        call = next(call for call in self.calls.values() if uuid in call.rings)
        now = time.time_ns() // 1_000_000
        ring = {
            "v": 2,
            "uuid": uuid,
            "cid": call.cid,
            "session_id": call.id,
            "caller": {"id": "alice", "name": "Alice"},
            "video": True,
            "sent_at": now,
            "expires_at": now + 45_000,
            "state_url": f"{self.url}/v1/calls/{call.id}",
            "token": f"call:{uuid}:{device}",
            **changes,
        }
        return {"aps": {"alert": {"call_cid": call.cid, "user_ids": "alice"}}, "ring": ring}

    def push(self, uuid: str, device: str = "dev", **changes: Any) -> Push:
        return push_with(self.payload(uuid, device, **changes))

    def settle(self, uuid: str, state: str, reason: int, device: str | None = None) -> None:
        ring = self.find(uuid)
        ring.state, ring.callkit_reason, ring.holder = state, reason, device
        self.tell(
            ring.user_id,
            "ring.settled",
            {
                "user_id": ring.user_id,
                "ring": uuid,
                "outcome": state,
                "device_id": device,
                "callkit_reason": reason,
            },
        )

    def end(self, session_id: str, reason: str) -> None:
        call = self.calls[session_id]
        call.state, call.reason = "ended", reason
        for ring in call.rings.values():
            self.tell(ring.user_id, "call.ended", {"reason": reason}, session_id)

    def tell(self, user: str, kind: str, data: dict[str, Any], session_id: str = "call-1") -> None:
        self.seq += 1
        event = {"type": kind, "session_id": session_id, "cid": "default:abc", "data": data}
        self.history.append((user, self.seq, event))
        for queue in self.streams.get(user, []):
            queue.put_nowait((self.seq, event))

    def break_streams(self, user: str) -> None:
        for queue in self.streams.pop(user, []):
            queue.put_nowait(None)

    def close(self) -> None:
        for user in list(self.streams):
            self.break_streams(user)
        self.closed = True
        self.arrived.set()

    def find(self, uuid: str) -> OneRing:
        return next(call.rings[uuid] for call in self.calls.values() if uuid in call.rings)

    def asked(self, ending: str) -> list[tuple[str, str, str, Any]]:
        return [request for request in self.requests if request[1].endswith(ending)]

    # What a phone asks

    async def devices_post(self, request: Request) -> Response:
        user, body = await self._note(request)
        if not user.startswith("user:"):
            return problem(401, "unauthenticated")
        self.devices[body["device_id"]] = {**body, "user": user}
        return JSONResponse(body)

    async def device_delete(self, request: Request) -> Response:
        await self._note(request)
        del self.devices[request.path_params["device_id"]]
        return Response(status_code=204)

    async def state_get(self, request: Request) -> Response:
        token, _ = await self._note(request)
        call = self.calls.get(request.path_params["session_id"])
        if call is None:
            return problem(404, "not_found")
        return JSONResponse(self._view(call, call.rings[token.split(":")[1]]))

    async def act(self, request: Request) -> Response:
        token, body = await self._note(request)
        if self.refuse_with is not None:
            return JSONResponse(self.refuse_with[1], self.refuse_with[0])
        key, action = request.path_params["session_id"], request.path_params["action"]
        call = self.calls.get(key) or next(c for c in self.calls.values() if c.cid == key)
        if action in {"report", "heartbeat", "leave"}:
            return JSONResponse({}, 410 if call.state == "ended" else 200)
        if action == "end":
            self.end(call.id, "completed")
            return JSONResponse({})
        return self._settle_by(call, token, body or {}, action)

    def _settle_by(self, call: OneCall, token: str, body: Any, action: str) -> Response:
        kind, who, *rest = token.split(":")
        device = rest[0] if kind == "call" else body["device_id"]
        wanted = who if kind == "call" else None
        ring = next(
            ring
            for ring in call.rings.values()
            if ring.uuid == wanted or (wanted is None and ring.user_id == who)
        )
        if action == "accept":
            if ring.holder not in (None, device):
                return problem(409, "answered_elsewhere")
            if call.state == "ended" or ring.state not in {"ringing", "accepted"}:
                return problem(410, "ring_over", reason=call.reason or ring.state)
            self.settle(ring.uuid, "accepted", 4, device)
            call.state = "active"
            return JSONResponse({**self._view(call, ring), "member_token": f"member:{device}"})
        if ring.state == "ringing":
            self.settle(ring.uuid, "declined", 5, device)
        return JSONResponse(self._view(call, ring))

    async def events(self, request: Request) -> Response:
        token, _ = await self._note(request)
        if not self.has_stream:
            return problem(404, "not_found")
        user = token.split(":")[1]
        last = request.headers.get("last-event-id")
        self.stream_ids.append(last)
        queue: asyncio.Queue[tuple[int, dict[str, Any]] | None] = asyncio.Queue()
        for who, number, event in self.history:
            if who == user and last is not None and number > int(last):
                queue.put_nowait((number, event))
        self.streams.setdefault(user, []).append(queue)

        async def body():
            yield ": hello\n\n"
            while (item := await queue.get()) is not None:
                yield f"id: {item[0]}\nevent: {item[1]['type']}\ndata: {json.dumps(item[1])}\n\n"

        return StreamingResponse(body(), media_type="text/event-stream")

    # What the simulator's control API gives

    async def device_pushes(self, request: Request) -> Response:
        token, after = request.path_params["token"], int(request.query_params["after"])
        end = time.monotonic() + min(float(request.query_params["wait"]), 5)
        while not (found := self.pushes.get(token, [])[after:]) and not self.closed:
            if time.monotonic() >= end:
                break
            self.arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.arrived.wait(), end - time.monotonic())
        return JSONResponse({"pushes": found, "after": after + len(found)})

    async def live(self, request: Request) -> Response:
        await self._note(request)
        return JSONResponse({})

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/v1/devices", self.devices_post, methods=["POST"]),
                Route("/v1/devices/{device_id}", self.device_delete, methods=["DELETE"]),
                Route("/v1/calls/{session_id}", self.state_get),
                Route("/v1/calls/{session_id}/{action}", self.act, methods=["POST"]),
                Route("/v1/events", self.events),
                Route("/devices/{token}/pushes", self.device_pushes),
                Route("/devices", self.live, methods=["POST"]),
            ]
        )

    async def _note(self, request: Request) -> tuple[str, Any]:
        raw = await request.body()
        body = json.loads(raw) if raw else None
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        self.requests.append((request.method, request.url.path, token, body))
        assert "token" not in str(request.url.query)
        return token, body

    def _view(self, call: OneCall, ring: OneRing) -> dict[str, Any]:
        return {
            "id": call.id,
            "cid": call.cid,
            "state": call.state,
            "reason": call.reason,
            "members": [],
            "ring": {
                "uuid": ring.uuid,
                "state": ring.state,
                "callkit_reason": ring.callkit_reason,
            },
        }


def problem(status: int, code: str, **more: Any) -> Response:
    return JSONResponse(
        {"status": status, "code": code, **more}, status, media_type="application/problem+json"
    )


def push_with(body: Any, kind: str = "voip", **headers: str) -> Push:
    return Push(kind, json.dumps(body).encode(), time.time_ns() // 1_000_000, headers)


def stop_push(uuid: str, reason: int, kind: str = "background") -> Push:
    ring = {"v": 2, "type": "stop", "uuid": uuid, "callkit_reason": reason}
    aps = {"content-available": 1} if kind == "background" else {"alert": {"call_cid": "d:a"}}
    return push_with({"aps": aps, "ring": ring}, kind)


class Web:
    """One uvicorn for many tests, since stopping one takes longer than most of them."""

    def __init__(self) -> None:
        self.url = ""
        self.app: Starlette | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@contextlib.asynccontextmanager
async def running():
    """A uvicorn on a port of its own, in this event loop; set `.app` to what it is to serve."""
    web = Web()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(web, log_level="error", lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    web.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        yield web
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
        listener.close()
