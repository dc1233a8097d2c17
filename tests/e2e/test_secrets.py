"""No secret ever reaches a log, at the loudest level."""

import json
import secrets

from app.infra.outage import NOT_MIGRATED
from tests.e2e.house import SECRET_KEY, bearer, eventually, new_tenant
from tests.houses import HouseMaker


async def test_logs_hold_no_token_key_or_password(make_house: HouseMaker) -> None:
    house = make_house(RINGLINE_LOG_LEVEL="debug")
    house.may_log |= {"database_error", "round_failed", "claims_given_back", "sweep_step_failed"}
    house.may_log |= {"task_failed"}  # of whatever asks while a table is hidden
    async with new_tenant(house) as tenant:
        certificate = tenant.sim.voip_certificate()
        phone, twin = await tenant.phone("bob"), await tenant.phone("bob")
        tenant.sim.fault(token=twin.voip, status=400, reason="BadDeviceToken", times=1)
        user_token = tenant.token_for("bob")
        name = f"Name {secrets.token_hex(8)}"
        key = secrets.token_hex(8)
        await tenant.api.post(
            "/v1/calls",
            json={"caller": {"id": "alice", "name": name}, "callees": ["bob"], "id": "one"},
            headers={"Idempotency-Key": key},
        )
        (arrival,) = await tenant.sim.arrived(1, token=phone.voip)
        call_token = arrival.payload["ring"]["token"]
        state = "/v1/calls/default:one"
        accepted = await tenant.api.post(f"{state}/accept", headers=bearer(call_token))
        member_token = accepted.json()["member_token"]
        for token in (user_token, call_token, member_token, member_token[:-1], "rl_sk_wrong"):
            await tenant.api.get(state, headers=bearer(token))
        await tenant.api.post("/v1/devices", json={"tokens": [{"token": phone.voip + "0"}]})

        async def finished() -> bool:
            rows = await tenant.rows("SELECT state FROM pushes WHERE tenant_id = :tenant")
            return not {row["state"] for row in rows} & {"pending", "sending"}

        await eventually(finished)
        # an error of the database, whose statement holds a token
        await tenant.execute("ALTER TABLE tokens RENAME TO hidden")
        assert (await tenant.register(phone)).status_code == 500
        await tenant.execute("ALTER TABLE hidden RENAME TO tokens")
    house.close()
    written = "".join(one.output() for one in (*house.apis, *house.workers))
    assert "database_error" in written
    assert '"debug"' in written, "it was loud"
    failed = [line for line in written.splitlines() if '"task_failed"' in line]
    assert all(json.loads(line).get("why") == NOT_MIGRATED for line in failed), failed
    private = certificate.key_pem.decode().splitlines()[1:-1]
    for what, secret in {
        "push token": phone.voip,
        "push token in capitals": phone.voip.upper(),
        "alert token": str(phone.alert),
        "refused token": twin.voip,
        "API key": tenant.key,
        "signing secret": tenant.secret,
        "user token": user_token,
        "user token's signature": user_token.rpartition(".")[2],
        "call token": call_token,
        "member token": member_token,
        "private key": private[0],
        "secret key": SECRET_KEY,
        "caller's name": name,
    }.items():
        assert secret not in written, what
