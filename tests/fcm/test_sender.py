"""FCM's sender against the fake Google: what goes out, what comes back, and access tokens."""

import asyncio
import json
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from google.auth import crypt

from app.core.payload import ANDROID_PROFILES, OTHER_LIMIT, TOKEN_ROOM, android_ring, sample_facts
from app.core.push_policy import NoAnswer
from app.fcm import oauth
from app.fcm.message import message_of
from app.fcm.sender import FcmSender
from devkit.simulator import Simulator
from devkit.simulator.google.accounts import Account
from devkit.simulator.google.rules import read
from tests.apns.rig import QUICK, until
from tests.fcm.conftest import Rig, account_of, push_to, some_token


async def test_a_ring_is_data_alone_and_urgent(rig: Rig) -> None:
    token = rig.live()
    outcome = await rig.push(token)
    assert (outcome.code, outcome.reason) == (200, None)
    assert (outcome.unique_id or "").startswith("0:")
    [arrival] = rig.sim.deliveries(token)
    message = arrival.payload["message"]
    assert message == {
        "token": token,
        "data": {"call_cid": "default:abc"},
        "android": {"priority": "HIGH", "ttl": message["android"]["ttl"]},
    }
    assert message["android"]["ttl"] in {"29s", "30s"}
    assert arrival.header("content-type") == "application/json"
    await rig.settled()


async def test_many_workers_worth_of_pushes_share_one_access_token(rig: Rig) -> None:
    outcomes = await asyncio.gather(*(rig.push(within=5.0) for _ in range(200)))
    assert {one.code for one in outcomes} == {200}
    assert rig.token_requests() == 1
    assert rig.sender.stats().handshakes <= 4


async def test_an_access_token_is_renewed_before_it_ends_and_only_once(rig: Rig) -> None:
    rig.sim.set_access_token_life(oauth.LEAST_LEFT.__ceil__() + 4)  # renewed at half of its life
    assert (await rig.push()).code == 200
    rig.sim.set_access_token_life(3_599)
    rig.sender._tokens._renew_soon()
    await until(lambda: rig.token_requests() == 2)
    await until(lambda: rig.sender._tokens._good_until > rig.loop.time() + 3_000)
    assert [(await rig.push()).code for _ in range(3)] == [200, 200, 200]
    assert rig.token_requests() == 2


async def test_while_it_cannot_be_renewed_the_old_one_goes_on(rig: Rig) -> None:
    assert (await rig.push()).code == 200
    fault = rig.sim.fault(environment="fcm", topic="oauth", status=503, reason="UNAVAILABLE")
    rig.sender._tokens._renew_soon()
    await until(lambda: rig.sim.struck(fault) == 1)
    assert (await rig.push()).code == 200


async def test_who_is_told_that_its_token_is_no_good_fetches_another_once(rig: Rig) -> None:
    assert (await rig.push()).code == 200
    rig.sim.end_access_tokens()
    outcomes = await asyncio.gather(*(rig.push(within=5.0) for _ in range(20)))
    assert {one.reason for one in outcomes} <= {"UNAUTHENTICATED", None}
    assert (await rig.push(within=5.0)).code == 200
    assert rig.token_requests() == 2
    await rig.settled()


async def test_a_connection_that_opens_as_its_token_is_refused_still_asks_as_it_must(
    rig: Rig,
) -> None:
    fault = rig.sim.connection_fault(hold=True, environment="fcm", skip=1)  # the token's own
    pushed = asyncio.ensure_future(rig.push(within=5.0))
    tokens = rig.sender._tokens
    await until(lambda: rig.sim.held(fault) == 1)
    tokens.refused(tokens.token)  # as an answer on another connection has it
    rig.sim.release(fault)
    assert (await pushed).reason == "UNAUTHENTICATED"
    await rig.settled()


async def test_an_account_that_google_does_not_know_is_told_by_its_word(rig: Rig) -> None:
    rig.sim.change_account(rig.email, disabled=True)
    outcome = await rig.push()
    assert (outcome.code, outcome.no_answer) == (0, NoAnswer.NEVER_SENT)
    assert outcome.reason == "invalid_grant"
    assert not outcome.may_have_reached
    assert "account is disabled" in (outcome.cause or "")
    rig.sim.change_account(rig.email, disabled=False)
    await rig.settled()


async def test_a_token_endpoint_in_trouble_costs_time_and_no_push(rig: Rig) -> None:
    rig.sim.fault(environment="fcm", topic="oauth", status=503, reason="UNAVAILABLE", times=1)
    assert (await rig.push(within=5.0)).code == 200


async def test_trust_anchors_that_are_away_cost_time_and_no_push(rig: Rig, tmp_path: Path) -> None:
    away = tmp_path / "ca.pem"
    sender = FcmSender(
        rig.account, rig.sim.fcm_url, rig.sim.google_token_url,
        ca_file=away, wall_clock=time.time, timing=QUICK,
    )  # fmt: skip
    try:
        request = message_of(push_to(rig.live()))
        outcome = await sender.send(request, rig.loop.time() + 0.5)
        assert (outcome.no_answer, outcome.may_have_reached) == (NoAnswer.OUT_OF_TIME, False)
        assert "No such file" in (sender.stats().last_failure or "")
        away.write_bytes(rig.sim.ca_file.read_bytes())
        assert (await sender.send(request, rig.loop.time() + 5.0)).code == 200
    finally:
        await sender.close()


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (lambda rig: some_token(), 404, "UNREGISTERED"),
        (lambda rig: "no token at all", 400, "INVALID_ARGUMENT message.token"),
    ],
)
async def test_what_google_says_of_a_token(rig: Rig, make, code: int, reason: str) -> None:
    outcome = await rig.push(make(rig))
    assert (outcome.code, outcome.reason) == (code, reason)
    await rig.settled()


async def test_a_token_of_another_project_and_an_account_without_the_role(rig: Rig) -> None:
    token = some_token()
    rig.sim.fcm_live(token, project="another")
    assert (await rig.push(token)).reason == "SENDER_ID_MISMATCH"
    rig.sim.change_account(rig.email, may_send=False)
    outcome = await rig.push()
    assert (outcome.code, outcome.reason) == (403, "PERMISSION_DENIED")
    rig.sim.change_account(rig.email, may_send=True)
    await rig.settled()


ANSWERS = [
    ({"status": 429, "reason": "QUOTA_EXCEEDED", "retry_after": 7}, 429, "QUOTA_EXCEEDED"),
    ({"status": 503, "reason": "UNAVAILABLE"}, 503, "UNAVAILABLE"),
    ({"status": 500, "reason": "INTERNAL"}, 500, "INTERNAL"),
    ({"status": 401, "reason": "THIRD_PARTY_AUTH_ERROR"}, 401, "THIRD_PARTY_AUTH_ERROR"),
    ({"status": 502, "body": "<html>Bad Gateway</html>"}, 502, None),
    ({"status": 404, "body": ""}, 404, None),
    ({"status": 403, "body": '{"error":[{"status":3}]}'}, 403, None),
    ({"status": 400, "body": '{"error":{"status":"FAILED\\u0000PRECONDITION"}}'}, 400,
     "FAILED\ufffdPRECONDITION"),
    ({"status": 500, "reason": "INTERNAL", "pieces": 3}, 500, "INTERNAL"),
    ({"status": 418, "body": "{}"}, 418, None),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "code", "reason"), ANSWERS)
async def test_any_answer_is_an_outcome(rig: Rig, fault, code: int, reason: str | None) -> None:
    token = rig.live()
    rig.sim.fault(token=token, **fault)
    outcome = await rig.push(token)
    assert (outcome.code, outcome.reason) == (code, reason)
    assert outcome.retry_after == fault.get("retry_after")
    await rig.settled()


async def test_a_wait_may_be_given_as_a_date(rig: Rig) -> None:
    token = rig.live()
    said = formatdate(time.time() + 30, usegmt=True)
    rig.sim.fault(token=token, status=429, headers={"retry-after": said})
    outcome = await rig.push(token)
    assert 20 < (outcome.retry_after or 0) <= 30


SILENCES = [
    ({"silence": True}, True),
    ({"reset": "REFUSED_STREAM"}, False),
    ({"reset": "INTERNAL_ERROR"}, True),
    ({"close": "rst"}, True),
    ({"close": "tls"}, True),
    ({"goaway": {"covering": False}}, False),
    ({"goaway": {"covering": True}, "close": "rst"}, True),
    ({"cut": "body", "status": 500, "reason": "INTERNAL", "close": "rst"}, None),
]


@pytest.mark.parametrize(("fault", "reached"), SILENCES)
async def test_no_answer_is_an_outcome(rig: Rig, fault, reached: bool | None) -> None:
    """What APNs's connection bears, this one does: they are the same."""
    token = rig.live()
    rig.sim.fault(token=token, **fault)
    outcome = await rig.push(token, within=1.0)
    if reached is None:
        assert outcome.code == 500
    else:
        assert outcome.may_have_reached is reached
    await rig.settled()


def test_a_sender_opens_without_testing_the_primes_of_a_key_that_were_tested(
    google: tuple[Simulator, Account], monkeypatch: pytest.MonkeyPatch
) -> None:
    """That is 36 ms of the worker's loop; who reads the file has done it."""
    account = account_of(google[1].json)
    theirs = crypt.RSASigner.from_string(account.private_key, account.key_id)
    told = []
    load = serialization.load_pem_private_key

    def noted(*words: Any, **more: Any) -> Any:
        told.append(more)
        return load(*words, **more)

    monkeypatch.setattr(serialization, "load_pem_private_key", noted)
    ours = account.signer()
    assert told == [{"unsafe_skip_rsa_key_validation": True}]
    assert (ours.key_id, ours.sign(b"so")) == (theirs.key_id, theirs.sign(b"so"))
    account.private_key = "none"
    with pytest.raises(ValueError, match="the account's private key cannot be read"):
        account.signer()


@pytest.mark.parametrize("title", ["漢" * 128, "👨‍👩‍👧" * 25, "n" * 128, '"\\' * 64])
def test_what_android_shows_by_itself_fits_beside_the_fullest_data(title: str) -> None:
    """Google counts both: a ring with one name too many would be refused, and ring nobody."""
    facts = replace(sample_facts(1_790_000_000_000), display_name=title, custom={"x": "."})
    for profile in ANDROID_PROFILES:
        room = OTHER_LIMIT - len(android_ring(profile, facts).for_token("t" * TOKEN_ROOM))
        fullest = android_ring(profile, replace(facts, custom={"x": "." * (room + 1)}))
        assert not fullest.trimmed
        data = fullest.for_token("t" * TOKEN_ROOM)
        assert len(data) == OTHER_LIMIT
        body = message_of(replace(push_to(some_token()), payload=data, newer=True)).body
        read(body)
        shown = json.loads(body)["message"]["android_v2"]["remote_notification"]["notification"]
        assert title.startswith(shown["title"].removesuffix("…")[:20])
        assert shown["title"]


@pytest.mark.parametrize(
    "lives", ["3599", 3599.5, 18_446_744_073_709_551_615, 1e300, "1e9", 315_576_000_000]
)
async def test_how_long_an_access_token_lives_is_believed_in_whatever_form(
    rig: Rig, lives: object
) -> None:
    """Some send it as text (google-auth reads that as well), a proxy's stand-in any number."""
    rig.sim.set_access_token_life(lives)
    assert [(await rig.push(within=5.0)).code for _ in range(2)] == [200, 200]
    assert rig.token_requests() == 1


@pytest.mark.parametrize("lives", [True, -1, 0, "soon", "nan", "-inf", None, [3_599]])
async def test_what_is_no_time_is_no_access_token(quick_rig: Rig, lives: object) -> None:
    rig = quick_rig
    rig.sim.fault(
        environment="fcm", topic="oauth", status=200,
        body=json.dumps({"access_token": "ya29.x", "expires_in": lives}),
    )  # fmt: skip
    outcome = await rig.push(within=0.6)
    assert outcome.no_answer is NoAnswer.NEVER_SENT
    assert "gives no token" in str(outcome.cause)
    await rig.settled()


async def test_an_access_token_whose_time_is_not_said_lives_as_long_as_googles_do(rig: Rig) -> None:
    rig.sim.fault(
        environment="fcm", topic="oauth", status=200, body=json.dumps({"access_token": "ya29.x"})
    )
    assert (await rig.push()).code == 401  # the fake Google has given no such token
    assert rig.token_requests() == 1
