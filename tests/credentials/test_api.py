"""Credentials by public API: upload, preview, probe, take over, retire, delete, and the audit log."""

import base64
import json
from datetime import UTC, datetime

import pytest

from app.credentials.lifecycle import MOST_OF_APP, MOST_OF_TENANT
from app.infra.runtime import open_runtime
from app.tenants import service as tenants
from devkit.simulator.certificates import make_key, private_pem

APP = "com.example.app"
CREDENTIALS = "/v1/credentials"


def as_file(data: bytes) -> str:
    return base64.b64encode(data).decode()


async def upload(api, certificate, **more):
    return await api.post(CREDENTIALS, json={"file": as_file(certificate.p12("pw"))} | more)


async def test_what_was_understood_is_shown_before_it_is_stored(api, simulator):
    certificate = simulator.voip_certificate(APP)
    body = {"file": as_file(certificate.p12("pw")), "password": "pw"}
    answer = await api.post(f"{CREDENTIALS}/preview", json=body)
    assert answer.status_code == 200, answer.text
    shown = answer.json()
    assert shown["kind"] == "certificate"
    assert shown["form"] == "PKCS#12"
    assert shown["app_id"] == APP
    assert f"{APP}.voip" in shown["topics"]
    assert shown["environments"] == ["production", "sandbox"]
    assert shown["team_id"] == "TEAM123456"
    assert shown["days_left"] in {393, 394}
    assert shown["private_key"] == "in_file"
    assert len(shown["fingerprint"]) == 64
    assert (await api.get(CREDENTIALS)).json() == {"credentials": []}
    assert simulator.arrivals() == []


async def test_upload_list_get_and_delete(api, simulator):
    answer = await upload(api, simulator.voip_certificate(APP), password="pw")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["state"], made["health"], made["version"]) == ("active", "working", 1)
    assert made["probe"]["sandbox"] == {"says": "yes", "words": "BadDeviceToken", "status": 400}
    assert (await api.get(f"{CREDENTIALS}/{made['id']}")).json() == made
    assert (await api.get(CREDENTIALS, params={"app_id": APP})).json() == {"credentials": [made]}
    assert (await api.get(CREDENTIALS, params={"app_id": "x.y"})).json() == {"credentials": []}
    refused = await api.delete(f"{CREDENTIALS}/{made['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_credential")
    gone = await api.delete(f"{CREDENTIALS}/{made['id']}", params={"confirm": "true"})
    assert gone.status_code == 204
    lost = await api.get(f"{CREDENTIALS}/{made['id']}")
    assert (lost.status_code, lost.json()["code"]) == (404, "credential_not_found")


async def test_retire_activate_and_probe(api, simulator):
    made = (await upload(api, simulator.voip_certificate(APP), password="pw")).json()
    place = f"{CREDENTIALS}/{made['id']}"
    assert (await api.post(f"{place}/retire")).status_code == 409
    retired = await api.post(f"{place}/retire", json={"confirm": True})
    assert (retired.json()["state"], retired.json()["health"]) == ("retired", "retired")
    assert (await api.post(f"{place}/activate")).json()["state"] == "active"
    probed = await api.post(f"{place}/probe")
    assert probed.json()["probed_at"] > made["probed_at"]


async def test_every_act_is_in_the_audit_log(api, simulator):
    made = (await upload(api, simulator.voip_certificate(APP), password="pw")).json()
    await api.post(f"{CREDENTIALS}/{made['id']}/probe")
    await api.delete(f"{CREDENTIALS}/{made['id']}?confirm=true")
    log = (await api.get("/v1/audit")).json()
    assert [line["action"] for line in log["audit"]] == [
        "credential.delete",
        "credential.probe",
        "credential.activate",
        "credential.add",
        "tenant.create",
    ]
    for line in log["audit"][:-1]:
        assert line["actor"]["kind"] == "api_key"
        assert line["actor"]["id"]
        assert line["source"] == "203.0.113.9"
        assert line["target"] == f"credential:{made['id']}"
        assert datetime.fromisoformat(line["at"]) <= datetime.now(UTC)
    assert log["next_cursor"] is None
    first = (await api.get("/v1/audit", params={"limit": 3})).json()
    rest = (await api.get("/v1/audit", params={"cursor": first["next_cursor"]})).json()
    assert first["audit"] + rest["audit"] == log["audit"]
    of_another = await api.get("/v1/audit", params={"target": "credential:x"})
    assert of_another.json()["audit"] == []


async def test_a_key_that_never_leaves(api, simulator):
    """Request, sign with the authority, bring the .cer: by public API alone."""
    asked = await api.post(f"{CREDENTIALS}/requests", json={"app_id": APP})
    assert asked.status_code == 201, asked.text
    request = asked.json()
    assert request["state"] == "requested"
    assert request["request"].startswith("-----BEGIN CERTIFICATE REQUEST-----")
    early = await api.post(f"{CREDENTIALS}/{request['id']}/probe")
    assert (early.status_code, early.json()["code"]) == (409, "no_certificate_yet")
    issued = simulator.voip_certificate(APP, csr_pem=request["request"].encode())
    look = await api.post(f"{CREDENTIALS}/preview", json={"file": as_file(issued.der)})
    assert look.json()["private_key"] == "held_here"
    done = await api.post(
        f"{CREDENTIALS}/{request['id']}/certificate", json={"file": as_file(issued.der)}
    )
    assert done.status_code == 200, done.text
    made = done.json()
    assert made["id"] == request["id"]
    assert (made["state"], made["health"], made["version"]) == ("active", "working", 2)
    assert made["request"] is None
    actions = [line["action"] for line in (await api.get("/v1/audit")).json()["audit"]]
    assert actions == [
        "credential.activate", "credential.complete", "credential.request", "tenant.create"
    ]  # fmt: skip


async def test_a_bare_certificate_finds_its_key_by_itself(api, simulator):
    request = (await api.post(f"{CREDENTIALS}/requests", json={"app_id": APP})).json()
    issued = simulator.voip_certificate(APP, csr_pem=request["request"].encode())
    made = (await api.post(CREDENTIALS, json={"file": issued.certificate_pem.decode()})).json()
    assert made["id"] == request["id"]
    # next year's certificate of the same request: the key is still here
    renewed = simulator.voip_certificate(APP, csr_pem=request["request"].encode())
    again = await api.post(CREDENTIALS, json={"file": as_file(renewed.der)})
    assert again.status_code == 201, again.text
    assert again.json()["id"] != made["id"]
    assert again.json()["state"] == "active"


async def test_a_bare_certificate_without_its_key_is_refused(api, simulator):
    answer = await api.post(
        CREDENTIALS, json={"file": as_file(simulator.voip_certificate(APP).der)}
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "no_private_key")
    assert "ringline credential request" in answer.json()["remedy"]


async def test_a_certificate_for_another_request_or_app_is_refused(api, simulator):
    one = (await api.post(f"{CREDENTIALS}/requests", json={"app_id": APP})).json()
    other = (await api.post(f"{CREDENTIALS}/requests", json={"app_id": APP})).json()
    issued = simulator.voip_certificate(APP, csr_pem=other["request"].encode())
    place = f"{CREDENTIALS}/{one['id']}/certificate"
    answer = await api.post(place, json={"file": as_file(issued.der)})
    assert (answer.status_code, answer.json()["code"]) == (422, "key_mismatch")
    strange = simulator.voip_certificate("com.example.b", csr_pem=one["request"].encode())
    answer = await api.post(CREDENTIALS, json={"file": as_file(strange.der)})
    assert (answer.status_code, answer.json()["code"]) == (422, "app_id_mismatch")


async def test_requests_are_bounded(api, settings, simulator):
    from app.credentials import requests

    for _ in range(3):
        await api.post(f"{CREDENTIALS}/requests", json={"app_id": APP})
    runtime = open_runtime(settings)
    tenant = await tenants.find(runtime, "api tenant")
    for _ in range(requests.MOST_WAITING - 3):
        await requests.request(runtime, tenant, APP)
    await runtime.close()
    answer = await api.post(f"{CREDENTIALS}/requests", json={"app_id": APP})
    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_requests")


BAD_BODIES = (
    ({"file": "%%%"}, "invalid_base64"),
    ({}, "missing_field"),
    ({"file": "", "extra": 1}, "unknown_field"),
    ({"file": ""}, "empty_file"),
    ({"file": "AAAA", "environments": ["staging"]}, "invalid_field"),
    ({"file": as_file(b"PK\3\4")}, "not_a_credential"),
    ({"file": "data:application/x-pkcs12;base64,UEsDBA=="}, "not_a_credential"),
)


async def test_bad_bodies_are_told_and_not_repeated(api):
    for body, code in BAD_BODIES:
        for path in (CREDENTIALS, f"{CREDENTIALS}/preview"):
            answer = await api.post(path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
            assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_of_more_than_a_megabyte_is_too_large(api):
    answer = await api.post(CREDENTIALS, json={"file": as_file(bytes(5_000_000))})
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


async def test_a_p8_by_api(api, simulator):
    key = simulator.provider_key()
    body = {"file": key.p8, "app_id": APP, "key_id": key.key_id, "team_id": key.team_id}
    made = (await api.post(CREDENTIALS, json=body)).json()
    assert (made["kind"], made["health"], made["key_id"]) == ("key", "working", key.key_id)
    assert made["not_after"] is None
    unknown = body | {"file": private_pem(make_key()).decode(), "key_id": "ZZZZZZZZZZ"}
    made = (await api.post(CREDENTIALS, json=unknown)).json()
    assert (made["state"], made["health"]) == ("standby", "failing")
    assert made["reason"] == "InvalidProviderToken"


async def test_it_takes_a_key_with_the_scope(api, settings, simulator):
    runtime = open_runtime(settings)
    tenant = await tenants.find(runtime, "api tenant")
    narrow = await tenants.add_key(runtime, tenant, "calls only", ["calls"])
    token, _ = await tenants.user_token(runtime, tenant, "alice", 60)
    await runtime.close()
    for secret, status in ((narrow, 403), (token, 403), ("rl_sk_wrong", 401)):
        headers = {"Authorization": f"Bearer {secret}"}
        for path in (CREDENTIALS, "/v1/audit"):
            answer = await api.get(path, headers=headers)
            assert answer.status_code == status, (path, answer.text)


async def test_nothing_crosses_tenants(api, settings, simulator):
    made = (await upload(api, simulator.voip_certificate(APP), password="pw")).json()
    runtime = open_runtime(settings)
    stranger = await tenants.create(runtime, "stranger")
    await runtime.close()
    headers = {"Authorization": f"Bearer {stranger.api_key}"}
    place = f"{CREDENTIALS}/{made['id']}"
    assert (await api.get(CREDENTIALS, headers=headers)).json() == {"credentials": []}
    (line,) = (await api.get("/v1/audit", headers=headers)).json()["audit"]
    assert (line["action"], line["target"]) == ("tenant.create", f"tenant:{stranger.id}")
    for method, path in (
        ("GET", place),
        ("DELETE", f"{place}?confirm=true"),
        ("POST", f"{place}/probe"),
        ("POST", f"{place}/activate"),
        ("POST", f"{place}/retire"),
    ):
        assert (await api.request(method, path, headers=headers)).status_code == 404
    assert (await api.get(place)).status_code == 200


async def test_what_is_no_name_of_an_app_a_key_or_a_team_is_refused_by_its_field(api, simulator):
    p8 = {"file": as_file(private_pem(make_key())), "key_id": "A" * 10, "team_id": "B" * 10}
    certificate = {"file": as_file(simulator.voip_certificate(APP).p12("pw")), "password": "pw"}
    subject = {"subject": "mailto:ops@example.com"}
    for odd in ("com..x", ".com.x", "com.x.", "com.x..voip"):
        for path, body in (
            ("", p8), ("/preview", p8), ("", certificate), ("/requests", {}), ("/vapid", subject),
        ):  # fmt: skip
            answer = await api.post(CREDENTIALS + path, json=body | {"app_id": odd})
            told = answer.json()
            assert (answer.status_code, told["code"]) == (422, "app_id_malformed"), (
                path,
                odd,
                told,
            )
            assert [fault["field"] for fault in told["errors"]] == ["app_id"]
    for field in ("key_id", "team_id"):
        answer = await api.post(CREDENTIALS, json=p8 | {"app_id": APP, field: "com..x"})
        (fault,) = answer.json()["errors"]
        assert (answer.status_code, fault["code"]) == (422, f"{field}_malformed")
        assert fault["field"] == field
    odd = simulator.voip_certificate("com..x").p12("pw")
    answer = await api.post(CREDENTIALS, json={"file": as_file(odd), "password": "pw"})
    assert (answer.status_code, answer.json()["code"]) == (422, "app_id_malformed")


async def test_settings_that_name_what_was_an_app_before_are_read_all_the_same(api, query):
    odd = {"profiles": {"com..x": "stream"}}
    answer = await api.put("/v1/settings", json=odd)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_app_id")
    stored = json.dumps(odd)
    await query(
        "UPDATE tenants SET settings = CAST(:stored AS jsonb) WHERE name = 'api tenant' RETURNING id",
        stored=stored,
    )
    runtime = api._transport.app.state.runtime
    found = await tenants.find(runtime, "api tenant")
    assert (await tenants.settings_of(runtime, found)).profiles == odd["profiles"]


COPIES = """
    INSERT INTO credentials (id, tenant_id, app_id, kind, environments, topics, fingerprint,
        key_fingerprint, sealed, version, state, refused, probe, created_at)
    SELECT gen_random_uuid(), c.tenant_id, coalesce(CAST(:app AS text), 'com.app' || n), c.kind,
        c.environments, c.topics, c.fingerprint || n, c.key_fingerprint || n, c.sealed, 1,
        'standby', c.refused, c.probe, c.created_at
    FROM credentials c CROSS JOIN generate_series(2, CAST(:most AS integer)) n
    RETURNING id
"""


@pytest.mark.parametrize(
    ("app", "most"), [(APP, MOST_OF_APP), (None, MOST_OF_TENANT)], ids=["an app", "a tenant"]
)
async def test_an_app_and_a_tenant_have_only_so_many(api, query, simulator, app, most):
    """Each claim of a ring reads all that may serve its app, and others wait meanwhile."""
    first = await upload(api, simulator.voip_certificate(APP), password="pw")
    assert first.status_code == 201, first.text
    made = await query(COPIES, app=app, most=most)
    p8 = {"file": as_file(private_pem(make_key())), "key_id": "A" * 10, "team_id": "B" * 10}
    vapid = {"subject": "mailto:ops@example.com"}
    ways = (("", p8), ("/requests", {}), ("/vapid", vapid))
    for path, body in ways:
        answer = await api.post(CREDENTIALS + path, json=body | {"app_id": APP})
        told = answer.json()
        assert (answer.status_code, told["code"]) == (409, "too_many_credentials"), told
    another = await api.post(CREDENTIALS, json=p8 | {"app_id": "com.example.other"})
    assert another.status_code == (201 if app else 409)
    gone = await api.delete(f"{CREDENTIALS}/{made[0]['id']}?confirm=true")
    assert gone.status_code == 204, gone.text
    answer = await api.post(CREDENTIALS, json=p8 | {"app_id": APP, "key_id": "C" * 10})
    assert answer.status_code == 201, answer.text
