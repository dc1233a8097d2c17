"""Trouble costs those that have it: not other phones of the app, and not the ring."""

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from app.core.push_policy import Alert
from app.credentials import service as credentials
from app.credentials.parse import Upload
from devkit.simulator import Issued
from tests.e2e.house import BUNDLE, eventually
from tests.events.schemas import data_faults
from tests.push.conftest import Bench


async def newest(bench: Bench) -> Issued:
    """A certificate beside the tenant's own, which goes first."""
    issued = bench.sim.voip_certificate(BUNDLE)
    await credentials.add(bench.tenant.runtime, bench.tenant.id, Upload(data=issued.pem))
    return issued


def fingerprint(issued: Issued) -> str:
    return issued.certificate.fingerprint(hashes.SHA256()).hex()


async def ended(bench: Bench, call: dict[str, Any], timeout: float = 60) -> dict[str, Any]:
    session = call.get("session_id", call["session_id"])

    async def look() -> dict[str, Any] | None:
        rows = [row for row in await bench.pushes() if str(row["session_id"]) == session]
        return next((row for row in rows if row["state"] not in ("pending", "sending")), None)

    found: dict[str, Any] = await eventually(look, timeout=timeout)
    return found


async def test_three_phones_in_trouble_hold_up_nobody_else(bench: Bench) -> None:
    bench.start_worker()
    for user in ("bob", "carol", "dave"):
        (phone,) = await bench.phones(1, user)
        bench.sim.fault(token=phone.voip, status=503, reason="ServiceUnavailable")
    await bench.ring("bob", "carol", "dave")
    await eventually(lambda: enough_sends(bench, 15))
    for user in ("erin", "frank"):
        await bench.phones(1, user)
        push = await ended(bench, await bench.ring(user))
        assert (push["state"], push["attempts"]) == ("accepted", 1)


async def enough_sends(bench: Bench, count: int) -> bool:
    (row,) = await bench.tenant.rows(
        "SELECT count(*) AS n FROM attempts JOIN pushes p ON p.id = push_id "
        "WHERE p.tenant_id = :tenant"
    )
    return int(row["n"]) >= count


async def test_first_attempts_pass_though_twenty_phones_are_in_trouble(bench: Bench) -> None:
    bench.start_worker()
    phones = [(await bench.phones(1, f"user{n}"))[0] for n in range(22)]
    for phone in phones:
        bench.sim.fault(token=phone.voip, status=503, reason="ServiceUnavailable")
    await bench.ring(*(phone.user for phone in phones))
    await eventually(lambda: enough_sends(bench, 24))
    await bench.phones(1, "erin")
    push = await ended(bench, await bench.ring("erin"))
    assert push["state"] == "accepted"


async def test_429_without_a_body_and_503_in_turn_are_each_counted(bench: Bench) -> None:
    """A 429 is tried again once in a push's life, whatever comes in between."""
    bench.start_worker()
    (phone,) = await bench.phones(1)
    for status in (429, 503, 429):
        bench.sim.fault(token=phone.voip, status=status, body="", times=1)
    push = await ended(bench, await bench.ring("bob"))
    assert (push["state"], push["status"], push["attempts"]) == ("refused", 429, 3)
    assert bench.sends([phone]) == [3]


@pytest.mark.parametrize(
    "fault",
    [{"close": "tls"}, {"goaway": {"close": "now"}}, {"silent": True}],
    ids=lambda fault: next(iter(fault)),
)
async def test_a_credential_that_breaks_without_a_reason_costs_no_ring(
    bench: Bench, fault: dict[str, Any]
) -> None:
    issued = await newest(bench)
    bench.sim.connection_fault(fingerprint=fingerprint(issued), **fault)
    bench.start_worker()
    users = ["bob", "carol", "dave"]
    for user in users:
        await bench.phones(1, user)
    await bench.ring(*users)
    rows = await bench.all_in("accepted")
    assert {row["attempts"] for row in rows} <= {2, 3}
    # It is known now: the next goes by the other one at once, and a person is told once.
    push = await ended(bench, await bench.ring("bob"))
    assert (push["state"], push["attempts"]) == ("accepted", 1)
    assert await alarms(bench) == [Alert.CREDENTIAL_FAILING.value]


async def test_a_credential_that_does_not_open_is_told_once_to_its_tenant(bench: Bench) -> None:
    await bench.tenant.execute(
        "UPDATE credentials SET sealed = 'no seal' WHERE tenant_id = :t", t=bench.tenant.id
    )
    bench.start_worker()
    await bench.phones(1)
    for _ in range(2):
        push = await ended(bench, await bench.ring("bob"))
        assert (push["state"], push["reason"]) == ("refused", "credential_unfit")
    assert await alarms(bench) == [Alert.CREDENTIAL_UNFIT.value]


async def alarms(bench: Bench) -> list[str]:
    rows = await bench.tenant.rows(
        "SELECT data FROM tenant_events WHERE tenant_id = :tenant AND type = 'push.alarm'"
    )
    assert [fault for row in rows for fault in data_faults("push.alarm", row["data"])] == []
    return [row["data"]["alarm"] for row in rows]


async def test_a_403_of_an_unknown_reason_deserves_one_try_by_another(bench: Bench) -> None:
    await newest(bench)
    bench.start_worker()
    (phone,) = await bench.phones(1)
    bench.sim.fault(token=phone.voip, status=403, reason="SomethingNew", times=1)
    push = await ended(bench, await bench.ring("bob"))
    assert (push["state"], push["attempts"]) == ("accepted", 2)
    kinds = {str(arrival.client["fingerprint"]) for arrival in bench.sim.arrivals(phone.voip)}
    assert len(kinds) == 2
    bench.sim.fault(token=phone.voip, status=403, reason="SomethingNew")
    push = await ended(bench, await bench.ring("bob"))
    assert (push["state"], push["reason"], push["attempts"]) == ("refused", "SomethingNew", 2)


async def test_one_silence_does_not_cost_the_ring(bench: Bench) -> None:
    """A try has a limit, what may have arrived is repeated once, by another connection."""
    bench.start_worker()
    (phone,) = await bench.phones(1)
    bench.sim.fault(token=phone.voip, silence=True, times=1)
    push = await ended(bench, await bench.ring("bob"))
    assert (push["state"], push["attempts"]) == ("accepted", 2)
    first, second = bench.sim.arrivals(phone.voip)
    assert first.apns_id == second.apns_id
    assert first.connection != second.connection
