"""Provider tokens: the same bytes everywhere, never too many, and what a wrong clock does."""

import asyncio
import subprocess
import sys
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.apns import Timing
from app.apns.jwt import HALF_PERIOD, LEAST_AGE, PERIOD, ProviderTokens
from app.apns.policy import react
from app.core.breaker import Breaker, record
from app.core.push_policy import Alert, Known, NoAnswer, Verdict
from tests.apns.rig import Rig, holding, provider_key, rig_on, some_token, until

KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
)
START = 1_790_000_000 // PERIOD * PERIOD
TURN = START + LEAST_AGE
"""When the token of START comes into use."""


class Clock:
    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def tokens(now: float) -> tuple[ProviderTokens, Clock]:
    clock = Clock(now)
    return ProviderTokens(KEY, "ABCDE12345", "TEAM123456", clock), clock


def test_a_token_is_what_apple_asks_for() -> None:
    made, _ = tokens(TURN + 100)
    token, issued_at = made.current()
    public = load_pem_private_key(KEY, None).public_key()
    claims = jwt.decode(token, public, algorithms=["ES256"], options={"verify_iat": False})
    assert claims == {"iss": "TEAM123456", "iat": START}
    assert jwt.get_unverified_header(token) == {"alg": "ES256", "kid": "ABCDE12345"}
    assert issued_at == START


def test_another_process_makes_the_same_bytes() -> None:
    script = (
        "import sys; from app.apns.jwt import ProviderTokens;"
        "t = ProviderTokens(sys.stdin.buffer.read(), 'ABCDE12345', 'TEAM123456',"
        f" lambda: {TURN + 1_999});"
        "sys.stdout.buffer.write(t.current()[0])"
    )
    run = [sys.executable, "-W", "error", "-c", script]
    there = subprocess.run(run, input=KEY, capture_output=True, check=True).stdout
    assert there == tokens(TURN)[0].current()[0] == tokens(TURN + PERIOD - 1)[0].current()[0]


def test_a_day_has_as_many_tokens_as_periods_none_older_than_apple_allows() -> None:
    made, clock = tokens(TURN)
    seen = set()
    for second in range(0, 86_400, 20):
        clock.now = TURN + second
        token, issued_at = made.current()
        assert LEAST_AGE <= clock.now - issued_at < 3_600
        seen.add(token)
    assert len(seen) == 86_400 / PERIOD


def test_a_clock_that_trembles_at_the_boundary_does_not_alternate() -> None:
    made, clock = tokens(TURN + PERIOD - 0.01)
    seen = [made.current()[0]]
    for step in (0.02, -0.03, 0.04, -0.05, 1.0):
        clock.now += step
        seen.append(made.current()[0])
    assert len(set(seen)) == 2
    assert len(set(seen[1:])) == 1


def test_a_clock_set_back_does_not_leave_a_token_of_the_future() -> None:
    made, clock = tokens(TURN + PERIOD)
    made.current()
    for back in (100, 86_400):
        clock.now = TURN + PERIOD - back
        assert made.current()[1] <= clock.now - LEAST_AGE


def test_refused_as_expired_an_old_token_is_signed_anew_once() -> None:
    made, clock = tokens(TURN + HALF_PERIOD)
    old, issued_at = made.current()
    for _ in range(100):  # a hundred pushes carried it
        made.refused_as_expired(issued_at)
    new, later = made.current()
    assert (later, new != old) == (START + HALF_PERIOD, True)
    made.refused_as_expired(later)
    assert made.current() == (new, later)
    clock.now = TURN + PERIOD
    assert made.current()[1] == START + PERIOD  # back on the grid, 20 minutes later


def test_refused_as_expired_a_young_token_stays() -> None:
    made, _ = tokens(TURN + HALF_PERIOD - 1)
    before = made.current()
    made.refused_as_expired(before[1])
    assert made.current() == before


@pytest.mark.parametrize(
    "key",
    [
        b"",
        b"nonsense",
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        rsa.generate_private_key(65_537, 2_048).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
        ec.generate_private_key(ec.SECP384R1()).private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ),
    ],
    ids=["empty", "nonsense", "ed25519", "rsa", "p-384"],
)
def test_a_key_that_is_none(key: bytes) -> None:
    with pytest.raises(ValueError, match=r"the \.p8"):
        ProviderTokens(key, "ABCDE12345", "TEAM123456", time.time)


@pytest.mark.parametrize(
    ("key_id", "team_id"), [("short", "TEAM123456"), ("ABCDE12345", "TEAM-23456"), ("", "")]
)
def test_ids_have_ten_characters(key_id: str, team_id: str) -> None:
    with pytest.raises(ValueError, match="ten letters or digits"):
        ProviderTokens(KEY, key_id, team_id, time.time)


def distinct(rig: Rig) -> set[str | None]:
    return {x.header("authorization") for x in rig.sim.arrivals()}


async def test_it_starts_with_one_stream_and_opens_up(key_rig: Rig) -> None:
    """aioapns's defect 8, which is just how token authentication starts."""
    outcomes = await asyncio.gather(*(key_rig.push(within=5.0) for _ in range(300)))
    assert {x.code for x in outcomes} == {200}
    statistics = key_rig.sim.statistics()
    assert (statistics["limit_violations"], statistics["refused_streams"]) == (0, 0)
    assert key_rig.sender.stats().slots >= 1_000
    await key_rig.settled()


async def test_a_refused_device_opens_it_up_as_well(key_rig: Rig) -> None:
    assert (await key_rig.push(some_token())).reason == "BadDeviceToken"
    assert key_rig.sender.stats().slots >= 1_000
    await key_rig.settled()


async def test_a_refused_provider_token_does_not(key_rig: Rig) -> None:
    key_rig.sim.revoke_key(key_rig.sender.pool.manager.identity.tokens._key_id)
    outcomes = [await key_rig.push() for _ in range(5)]
    assert {x.reason for x in outcomes} == {"InvalidProviderToken"}
    assert {x.slots for x in key_rig.sender.pool.connections} == {1}


async def test_all_connections_carry_one_token(sim) -> None:
    """aioapns's defect 14: five connections, five tokens, TooManyProviderTokenUpdates."""
    sim.set_conduct(provider_token_scope="key", max_concurrent_streams=2)
    credential = provider_key(sim)
    async with rig_on(sim, credential, max_connections=5) as rig:
        hold, pushes = await holding(rig, 10)
        assert len({x.connection for x in sim.arrivals()}) == 5
        sim.release(hold)
        assert {x.code for x in await asyncio.gather(*pushes)} == {200}
        assert len(distinct(rig)) == 1
        await rig.settled()


async def test_the_authorization_is_sent_and_its_age_known(sim) -> None:
    now = time.time()
    async with rig_on(sim, provider_key(sim), wall_clock=lambda: now) as rig:
        outcome = await rig.push()
        assert outcome.code == 200
        assert outcome.provider_token_age == pytest.approx(
            now - (now - LEAST_AGE) // PERIOD * PERIOD
        )
        assert next(iter(distinct(rig))).startswith("bearer ey")


def ahead(seconds_into_period: float) -> float:
    """How far to move our clock so that it is so far into a period of the grid."""
    now = time.time()
    return (now // PERIOD + 1) * PERIOD + LEAST_AGE + seconds_into_period - now


async def test_an_old_token_refused_as_expired_is_signed_anew_and_accepted(sim) -> None:
    """aioapns's defect 13: the same token on the same connection, for ever."""
    shift = ahead(PERIOD - 100)
    sim.set_conduct(clock_offset=shift + 1_100)  # Apple is 18 minutes ahead: 61 minutes old
    async with rig_on(sim, provider_key(sim), wall_clock=lambda: time.time() + shift) as rig:
        outcome = await rig.push()
        assert (outcome.code, outcome.reason) == (403, "ExpiredProviderToken")
        reaction = react(outcome.attempt(1, 0.0), Known(45.0), 0.5)
        assert reaction.verdict is Verdict.RETRY
        again = await rig.push()
        assert again.code == 200
        assert again.connection != outcome.connection
        assert len(distinct(rig)) == 2
        await rig.settled()


@pytest.mark.parametrize("ahead_by", [60, 90, 240])
async def test_a_clock_a_little_ahead_does_not_stop_a_key(sim, ahead_by: int) -> None:
    """Just after a period's start, when a token is at its youngest."""
    shift = ahead(1)
    sim.set_conduct(clock_offset=shift - ahead_by)
    async with rig_on(sim, provider_key(sim), wall_clock=lambda: time.time() + shift) as rig:
        assert (await rig.push()).code == 200


@pytest.mark.parametrize("offset", [7_200, -7_200])
async def test_a_clock_two_hours_wrong_is_one_alarm_and_no_storm(sim, offset: float) -> None:
    shift = ahead(100)
    sim.set_conduct(clock_offset=shift + offset)
    timing = Timing(backoff_first=0.05, backoff_most=0.4)
    credential = provider_key(sim)
    clock = {"wall_clock": lambda: time.time() + shift}
    async with rig_on(sim, credential, timing=timing, **clock) as rig:
        alarms, breaker, refused = [], Breaker(), 0
        end = rig.loop.time() + 2.0
        while rig.loop.time() < end:
            outcome = await rig.push(within=0.5)
            refused += outcome.code == 403
            assert outcome.code == 403 or outcome.no_answer is NoAnswer.OUT_OF_TIME
            now = rig.loop.time()
            reaction = react(outcome.attempt(1, now), Known(now + 45), 0.5)
            breaker, alarm = record(breaker, reaction, now, subject="one")
            alarms += [alarm] if alarm else []
        assert len(distinct(rig)) == 1
        assert len(alarms) == 1
        if offset > 0:
            assert alarms == [Alert.CLOCK_SKEW]
        assert refused >= 2
        assert sim.statistics()["handshakes"] <= 30
        # The clock is put right: pushes go again by themselves.
        sim.set_conduct(clock_offset=shift)
        await until(lambda: rig.sender.stats().connections >= 1)
        assert (await rig.push(within=5.0)).code == 200
