"""Traces: real processes send spans over OTLP to a collector; a ring is one trace in all of them."""

import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from structlog.testing import capture_logs

from app.infra.settings import wants_traces
from app.infra.traces import open_traces
from tests.e2e.house import Tenant, bearer, eventually, new_tenant
from tests.houses import HouseMaker
from tests.webhooks.receiver import receiving

GIVEN = "4bf92f3577b34da6a3ce929d0e0e4736"
ABOVE = "00f067aa0ba902b7"
RUNG = {"POST /v1/calls", "hint", "claim", "push"}
PARTS = RUNG | {"POST /v1/calls/{reference}/report", "webhook"}


@dataclass
class Collector:
    """What it was sent: `(process, span)`. Held, it answers nobody."""

    url: str = ""
    spans: list[tuple[str, object]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    held: threading.Event = field(default_factory=threading.Event)
    """Set by a request that waits for `open`."""

    def take(self, body: bytes) -> None:
        self.bodies.append(body)
        for of_process in ExportTraceServiceRequest.FromString(body).resource_spans:
            said = {one.key: one.value.string_value for one in of_process.resource.attributes}
            for scope in of_process.scope_spans:
                self.spans += [(said["service.name"], span) for span in scope.spans]

    def of(self, trace_id: str) -> dict[str, list]:
        """The spans of a trace by name, each with the process that made it."""
        found: dict[str, list] = {}
        for process, span in list(self.spans):
            if span.trace_id.hex() == trace_id:
                found.setdefault(span.name, []).append((process, span))
        return found


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    made.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if not made.open.is_set():
                made.held.set()
                made.open.wait()
            made.take(body)
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.open.set()
        server.shutdown()
        thread.join()


async def ring(tenant: Tenant, user: str, **headers: str) -> dict:
    answer = await tenant.api.post(
        "/v1/calls", json={"caller": {"id": "alice"}, "callees": [user]}, headers=headers
    )
    assert answer.status_code == 202, answer.text
    return answer.json()


async def rang(tenant: Tenant, voip: str, call: dict) -> dict:
    """What the push says of the ring, its call token too."""

    async def arrived() -> list:
        return [
            one.payload["ring"]
            for one in tenant.sim.arrivals()
            if one.token == voip and one.payload["ring"]["session_id"] == call["session_id"]
        ]

    return (await eventually(arrived))[0]


async def told(tenant: Tenant, call: dict) -> str:
    answer = await tenant.api.get(f"/v1/calls/{call['session_id']}/timeline")
    return answer.json()["call"]["trace_id"]


async def test_a_ring_is_one_trace_over_all_processes(
    make_house: HouseMaker, collector: Collector
) -> None:
    house = make_house(
        apis=1,
        workers=1,
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="100",
        RINGLINE_WEBHOOK_ALLOW_PRIVATE="true",
    )
    async with new_tenant(house) as tenant, receiving() as receiver:
        hook = {"url": receiver.url, "events": ["device.delivered"]}
        assert (await tenant.api.post("/v1/webhooks", json=hook)).status_code == 201
        phone = await tenant.phone("bob-of-the-traces")
        call = await ring(tenant, phone.user, traceparent=f"00-{GIVEN}-{ABOVE}-01")
        pushed = await rang(tenant, phone.voip, call)
        token = pushed["token"]
        path = f"/v1/calls/{call['session_id']}/report"
        # as a phone does that goes on with what its push told it
        headers = bearer(token) | {"traceparent": pushed["traceparent"]}
        answer = await tenant.api.post(path, json={"status": "delivered"}, headers=headers)
        assert answer.status_code == 204
        [post] = await receiver.wait_for(1)
        assert await told(tenant, call) == GIVEN

        async def whole(trace_id: str, parts: set[str]) -> dict[str, list]:
            async def all_there() -> dict[str, list] | None:
                found = collector.of(trace_id)
                return found if found.keys() >= parts else None

            return await eventually(all_there)

        found = await whole(GIVEN, PARTS)
        assert {name: process for name in PARTS for process, _ in found[name]} == {
            name: "ringline-api" if name.startswith("POST") else "ringline-worker" for name in PARTS
        }
        [(_, root)] = found["POST /v1/calls"]
        assert root.parent_span_id.hex() == ABOVE
        others = [span for name in PARTS - {root.name} for _, span in found[name]]
        assert {span.parent_span_id for span in others} == {root.span_id}
        assert pushed["traceparent"] == f"00-{GIVEN}-{root.span_id.hex()}-01"
        assert not any(span.links for span in others)
        [(_, delivery)] = found["webhook"]
        assert post.headers["traceparent"] == f"00-{GIVEN}-{delivery.span_id.hex()}-01"

        # one that is not to be recorded, and one of nobody's: a trace of its own
        unseen = await ring(tenant, phone.user, traceparent=f"00-{GIVEN[::-1]}-{ABOVE}-00")
        await rang(tenant, phone.voip, unseen)
        alone = await ring(tenant, phone.user, traceparent="nonsense")
        secret = (await rang(tenant, phone.voip, alone))["token"]
        await whole(await told(tenant, alone), RUNG)
        assert not collector.of(GIVEN[::-1])
        sent = b"".join(collector.bodies)
        for private in (phone.user, phone.voip, phone.device_id, tenant.key, token, secret):
            assert private.encode() not in sent

        # a collector that answers nobody keeps no ring waiting, nor a process from ending
        collector.open.clear()
        await rang(tenant, phone.voip, await ring(tenant, phone.user))
        assert await eventually(lambda: _is(collector.held))
        await rang(tenant, phone.voip, await ring(tenant, phone.user))
        house.close()
        codes = [one._child.returncode for one in (*house.apis, *house.workers)]
        assert None not in codes
        assert -signal.SIGKILL not in codes


async def _is(event: threading.Event) -> bool:
    return event.is_set()


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({}, False),
        ({"EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, True),
        ({"EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, True),
        ({"TRACES_EXPORTER": "otlp"}, True),
        ({"TRACES_EXPORTER": "none", "EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, False),
        ({"SDK_DISABLED": "true", "TRACES_EXPORTER": "otlp"}, False),
    ],
)
def test_traces_are_off_unless_the_environment_says_where_they_go(
    said: dict[str, str], wanted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in said.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    assert wants_traces() is wanted
    if not wanted:
        assert open_traces("ringline-api") is None


def test_what_cannot_be_traced_rings_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    with monkeypatch.context() as wrong:
        wrong.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")
        wrong.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2")
        with capture_logs() as said:
            assert open_traces("ringline-api") is None
        assert [one["event"] for one in said] == ["traces_absent"]
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)  # as where it is absent
    with capture_logs() as said:
        assert open_traces("ringline-api") is None
    assert "ringline[otel]" in said[0]["why"]
