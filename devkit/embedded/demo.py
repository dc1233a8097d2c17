"""`ringline demo`: a phone rings, on the real path, and each step says when it happened."""

import asyncio
import base64
import contextlib
import os
import shlex
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.markup import escape

from app.calls import registration
from app.credentials import service as credentials
from app.dashboard import admins
from app.devices import service as devices
from app.infra.errors import Conflict
from app.infra.runtime import Runtime, open_runtime
from app.tenants import api_keys
from app.tenants import service as tenants
from devkit.embedded.children import EmbeddedError
from devkit.embedded.lab import ring_once
from devkit.embedded.stack import Stack, running_stack
from devkit.phone import EndedReason, Identity, Phone, SimulatorPushes, Step, Timing, Transition

BUNDLE = "com.example.ringline-demo"
ADMIN = "admin@example.com"
TENANT = "Demo"
PATIENCE = 10.0
RINGS_AT_REST = 10
HELD_SECONDS = 0.15

SHOWN = {
    Step.RINGING: "rings",
    Step.ANSWER_TAPPED: "answer tapped",
    Step.ACCEPTED: "has the call",
    Step.END_TAPPED: "end tapped",
    Step.ENDED: "screen gone",
    Step.NOT_REPORTED: "did not report the push",
    Step.KILLED: "killed by iOS",
    Step.REFUSED: "refused by the server",
}


class DemoFailed(Exception):
    """A step was wrong; the message says which."""


def run_demo(folder: Path, *, once: bool, own_servers: bool = False) -> int:
    """Run the demo; its exit status is 0 when every step was right."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen(Console(highlight=False, soft_wrap=True))
    screen.title("Ringline demo")
    try:
        with running_stack(folder, screen.part, own_servers=own_servers) as stack:
            screen.lab(stack.api_url)
            asyncio.run(_play(stack, screen, once=once))
    except KeyboardInterrupt:
        screen.console.print("\nStopped.")
    except (DemoFailed, EmbeddedError, TimeoutError, httpx.HTTPError) as error:
        screen.console.print(f"\n[bold red]The demo failed:[/] {escape(str(error))}")
        screen.console.print(f"Logs: {folder.absolute()}/api.log, worker.log")
        return 1
    return 0


@dataclass(slots=True)
class Screen:
    """What the demo prints: parts as they come up, steps with the time since the ring."""

    console: Console
    zero_ns: int = 0
    quiet: bool = False

    def title(self, text: str) -> None:
        self.console.print(f"\n[bold]{text}[/]")

    def part(self, name: str, detail: str) -> None:
        self.console.print(f"  [green]up[/]  {name:<18} {escape(detail)}")

    def lab(self, api_url: str) -> None:
        """The one address to open."""
        self.console.print(
            f"\n  Open [bold green]{api_url}/lab[/]: iPhones, an Android phone, one click to ring"
        )

    def start(self) -> int:
        """Set the zero of the times to come; returns it in Unix nanoseconds."""
        self.zero_ns = time.time_ns()
        return self.zero_ns

    def step(self, who: str, what: str, at_ns: int | None = None) -> None:
        """One line with the milliseconds since `start`."""
        passed = ((time.time_ns() if at_ns is None else at_ns) - self.zero_ns) / 1e6
        self.console.print(f"  [cyan]{passed:9.1f} ms[/]  {who:<18} {escape(what)}")

    def transition(self, phone: Phone, change: Transition) -> None:
        """A phone's transition, if it is one that people look at."""
        words = SHOWN.get(change.step)
        if words is None or self.quiet:
            return
        reason = EndedReason.of(change.detail.get("reason"))
        why = f" ({reason.name.lower().replace('_', ' ')}: {int(reason)})" if reason else ""
        self.step(phone.identity.name, words + why)


def _check(condition: bool, sentence: str) -> None:
    if not condition:
        raise DemoFailed(sentence)


async def _play(stack: Stack, screen: Screen, *, once: bool) -> None:
    tenant, password = await _make_tenant(stack)
    async with contextlib.AsyncExitStack() as parts:
        backend = await parts.enter_async_context(
            httpx.AsyncClient(
                base_url=stack.api_url,
                headers={"Authorization": f"Bearer {tenant.api_key}"},
                timeout=PATIENCE,
            )
        )
        screen.title("Setting up, by public API")
        screen.part("Tenant", tenant.name)
        await _add_certificate(stack, backend, screen)
        phones = await _phones(stack, backend, parts, screen)
        await _warm(stack)
        screen.title("Alice rings Bob, who has two phones, and Carol")
        await _ring_and_answer(stack, backend, phones, screen)
        await _at_rest(stack, backend, phones, screen)
        name, ms = await ring_once(stack.api_url)
        screen.title("The lab")
        screen.part("Page", f"{name} rang {ms:.1f} ms after one click")
        if once:
            screen.console.print("\n[bold green]Every step was right.[/]\n")
            return
        with _shell_of(stack, tenant) as file:
            _try_next(stack, tenant, file, password, screen)
            await _stay(phones, screen)


@dataclass(frozen=True, slots=True)
class DemoTenant:
    """The one tenant of the demo, with a key that was made for this run."""

    name: str
    api_key: str = field(repr=False)


async def _make_tenant(stack: Stack) -> tuple[DemoTenant, str]:
    """The tenant, as new, and the one-time password of the dashboard's administrator."""
    runtime = open_runtime(stack.settings)
    try:
        password = await admins.create_or_reset(runtime, ADMIN)
        try:
            made = await tenants.create(runtime, TENANT)
        except Conflict:
            return DemoTenant(TENANT, await _take_over(runtime)), password
        return DemoTenant(TENANT, made.api_key), password
    finally:
        await runtime.close()


async def _take_over(runtime: Runtime) -> str:
    """Take what an earlier run left: its calls stay to be looked at. Returns a new API key."""
    tenant_id = await tenants.find(runtime, TENANT)
    for key in await api_keys.every(runtime, tenant_id):
        if key["revoked_at"] is None:
            await api_keys.revoke(runtime, tenant_id, key["id"], confirm=True)
    for user in ("alice", "bob", "carol"):
        for device in await devices.list_of(runtime, tenant_id, user):
            await registration.remove(runtime, tenant_id, user, device["device_id"])
    for row in await credentials.list_all(runtime, tenant_id):
        await credentials.delete(runtime, tenant_id, row.id, confirm=True)
    return await tenants.add_key(runtime, tenant_id, "the demo's backend", ["*"])


async def _add_certificate(stack: Stack, backend: httpx.AsyncClient, screen: Screen) -> None:
    made = stack.simulator.voip_certificate(BUNDLE)
    file = made.p12("demo password")
    answer = await backend.post(
        "/v1/credentials",
        json={"file": base64.b64encode(file).decode(), "password": "demo password"},
    )
    _check(answer.status_code in {200, 201}, f"the certificate was not taken: {answer.text}")
    understood = answer.json()
    screen.part(
        "VoIP certificate", f"{understood['app_id']}, a .p12 with Apple's extensions, sealed"
    )


async def _phones(
    stack: Stack,
    backend: httpx.AsyncClient,
    parts: contextlib.AsyncExitStack,
    screen: Screen,
) -> list[Phone]:
    source = await parts.enter_async_context(SimulatorPushes(stack.simulator.control_url))
    phones = []
    for user, name in (
        ("bob", "Bob's iPhone"),
        ("bob", "Bob's other phone"),
        ("carol", "Carol's iPhone"),
    ):
        answer = await backend.post(f"/v1/users/{user}/tokens", json={"expires_in": 86_400})
        _check(answer.status_code == 201, f"no user token: {answer.text}")
        identity = Identity(user, answer.json()["token"], name=name, app_id=BUNDLE)
        await source.switch_on(identity)
        phone = Phone(identity, api=stack.api_url, source=source, timing=Timing(), stream=True)
        await parts.enter_async_context(phone)
        await phone.log.wait_for(Step.REGISTERED, seconds=PATIENCE)
        screen.part(name, f"registered for {user}: voip and alert token")
        phone.observe(partial(screen.transition, phone))
        phones.append(phone)
    return phones


async def _warm(stack: Stack) -> None:
    """Wait until the worker holds a connection to Apple open, as it does at rest."""
    until = time.monotonic() + PATIENCE
    while stack.simulator.statistics()["open_connections"] < 1:
        _check(time.monotonic() < until, "the worker opened no connection to the simulated Apple")
        await asyncio.sleep(0.02)
    await asyncio.sleep(0.5)


async def _ring(backend: httpx.AsyncClient, callees: list[str]) -> dict[str, Any]:
    answer = await backend.post(
        "/v1/calls",
        json={"caller": {"id": "alice", "name": "Alice"}, "callees": callees, "video": True},
    )
    _check(answer.status_code == 202, f"the ring was refused: {answer.text}")
    call: dict[str, Any] = answer.json()
    return call


async def _ring_and_answer(
    stack: Stack, backend: httpx.AsyncClient, phones: list[Phone], screen: Screen
) -> None:
    mine, twin, other = phones
    zero = screen.start()
    arrivals = asyncio.gather(*(_announce(stack, phone, screen) for phone in phones))
    screen.step("Backend", "POST /v1/calls: alice rings bob and carol")
    call = await _ring(backend, ["bob", "carol"])
    screen.step("Ringline", f"202, {call['cid']} committed with its pushes")
    uuids = {member["user_id"]: member["ring"] for member in call["members"]}
    for phone in phones:
        await _rung(stack, phone, call, uuids[phone.identity.user_id]["uuid"], zero)
    await arrivals
    bob = uuids["bob"]["uuid"]
    await mine.answer(bob)
    stopped = await twin.log.wait_for(Step.ENDED, uuid=bob, seconds=PATIENCE)
    _check(
        stopped.detail.get("reason") == EndedReason.ANSWERED_ELSEWHERE,
        f"{twin.identity.name} stopped for another reason: {dict(stopped.detail)}",
    )
    read = (await backend.get(f"/v1/calls/{call['cid']}")).json()
    held = {m["user_id"]: (m["state"], m["device_id"]) for m in read["members"]}
    _check(read["state"] == "active", f"the call is {read['state']}, not active")
    _check(held["bob"] == ("joined", mine.identity.device_id), f"bob is {held['bob']}")
    await other.decline(uuids["carol"]["uuid"])
    await mine.hang_up(bob, for_all=True)
    read = (await backend.get(f"/v1/calls/{call['session_id']}")).json()
    _check(read["state"] == "ended", f"the call is {read['state']}, not ended")
    screen.step("Ringline", f"the call has ended: {read['reason']}")


async def _announce(stack: Stack, phone: Phone, screen: Screen) -> None:
    """Say when Apple has a phone's push: by the simulator's own stamp."""
    arrived = await stack.simulator.arrived(token=phone.identity.voip_token, timeout=PATIENCE)
    for push in arrived:
        screen.step(
            "Apple, simulated", f"{push.status} for {phone.identity.name}", push.received_ns
        )


async def _rung(stack: Stack, phone: Phone, call: dict[str, Any], uuid: str, zero: int) -> None:
    """The push arrived at Apple's as it should, and the phone's screen is there."""
    await phone.log.wait_for(Step.RINGING, uuid=uuid, seconds=PATIENCE)
    token = phone.identity.voip_token
    arrived = [one for one in stack.simulator.arrivals(token) if one.received_ns > zero]
    _check(len(arrived) == 1, f"{phone.identity.name} got {len(arrived)} pushes, not one")
    push = arrived[0]
    alert = push.payload["aps"]["alert"]
    _check(push.status == 200, f"Apple answered {push.status} {push.reason}")
    _check(alert["call_cid"] == call["cid"], f"aps.alert.call_cid is {alert['call_cid']!r}")
    _check(alert["user_ids"].split(",") == ["alice"], f"user_ids is {alert['user_ids']!r}")


async def _at_rest(
    stack: Stack, backend: httpx.AsyncClient, phones: list[Phone], screen: Screen
) -> None:
    """Ring Carol a few more times, as a quiet server would be asked to, and time the pushes."""
    screen.title(f"{RINGS_AT_REST} more rings, one at a time: from the client's send to Apple")
    carol = phones[2]
    screen.quiet = True
    times = []
    for _ in range(RINGS_AT_REST):
        zero = time.time_ns()
        call = await _ring(backend, ["carol"])
        uuid = call["members"][1]["ring"]["uuid"]
        await carol.log.wait_for(Step.RINGING, uuid=uuid, seconds=PATIENCE)
        arrived = [
            one
            for one in stack.simulator.arrivals(carol.identity.voip_token)
            if one.received_ns > zero
        ]
        _check(len(arrived) == 1, f"a ring made {len(arrived)} pushes, not one")
        times.append((arrived[0].received_ns - zero) / 1e6)
        await backend.post(f"/v1/calls/{call['session_id']}/cancel")
        await carol.log.wait_for(Step.ENDED, uuid=uuid, seconds=PATIENCE)
        await asyncio.sleep(HELD_SECONDS)
    screen.quiet = False
    screen.console.print(
        f"  median [bold]{statistics.median(times):.1f} ms[/], "
        f"fastest {min(times):.1f} ms, slowest {max(times):.1f} ms"
    )


@contextlib.contextmanager
def _shell_of(stack: Stack, tenant: DemoTenant) -> Iterator[Path]:
    """A file for `.`: with it a shell has `ringline`, the settings of this demo, KEY and API.

    It is its owner's alone, and goes with the demo, for what it names ends then.
    """
    file = stack.folder / "shell"
    file.unlink(missing_ok=True)
    lines = [f'export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"']
    told = stack.variables | {"KEY": tenant.api_key, "API": stack.api_url}
    lines += [f"export {name}={shlex.quote(value)}" for name, value in sorted(told.items())]
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write("\n".join(lines) + "\n")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _try_next(stack: Stack, tenant: DemoTenant, file: Path, password: str, screen: Screen) -> None:
    lines = f"""
# KEY, API, and `ringline` with the settings of this demo
. {shlex.quote(str(file))}

# or only
KEY={tenant.api_key}
API={stack.api_url}

# ring Bob again: his phones, above, answer to nobody but you
curl -s $API/v1/calls -H "Authorization: Bearer $KEY" -H 'Content-Type: application/json' \\
  -d '{{"id":"mine","caller":{{"id":"alice","name":"Alice"}},"callees":["bob"],"video":true}}'

# what became of it
curl -s $API/v1/calls/default:mine -H "Authorization: Bearer $KEY"

# answer on one of his phones; the other stops
curl -s $API/v1/calls/default:mine/accept -H "Authorization: Bearer $KEY" \\
  -H 'Content-Type: application/json' -d '{{"user_id":"bob","device_id":"my-laptop"}}'

# end it for everyone
curl -s -X POST $API/v1/calls/default:mine/end -H "Authorization: Bearer $KEY"

# Bob's devices
curl -s "$API/v1/devices?user_id=bob" -H "Authorization: Bearer $KEY"

# the same by the command: all it can do says `ringline --help`
ringline call show default:mine --tenant {TENANT}
"""
    screen.title("Try next (paste into another terminal)")
    screen.console.print(lines, markup=False, highlight=False)
    screen.console.print(
        f"Dashboard: [bold]{stack.api_url}/dashboard[/]   sign in as {ADMIN}, "
        f"one-time password [bold]{password}[/]"
    )
    screen.console.print(f"API reference: {stack.api_url}/docs")
    screen.lab(stack.api_url)
    screen.console.print("  Ctrl-C ends the demo.\n")


async def _stay(phones: list[Phone], screen: Screen) -> None:
    """Stay up; each new ring starts the clock of what is printed."""

    def restart(change: Transition) -> None:
        if change.step is Step.PUSH_ARRIVED:
            screen.start()

    for phone in phones:
        phone.observe(restart)
    await asyncio.Event().wait()
