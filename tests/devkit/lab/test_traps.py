"""The traps of the client libraries: each goes the real way and does on the phone what it does."""

import json

import pytest

from app.core.payload import check_template
from devkit.lab.sample import trap_payload
from devkit.lab.traps import TRAPS
from devkit.lab.verdicts import LIBRARIES
from devkit.phone import parse
from tests.devkit.lab.conftest import Json, Visitor, call_of, moments, phone_of

FAULTS = {"crash": "crashed", "killed_by_watchdog": "watched", "never_rings": "watched"}


async def test_every_library_has_a_trap_and_each_says_why(lab: Visitor) -> None:
    listed = (await lab.client.get("/traps")).json()
    assert {one["profile"] for one in listed} == set(LIBRARIES)
    by_name = {one["trap"]: one for one in listed}
    assert by_name["connectycube.caller_id_is_a_string"]["outcome"] == "crash"
    assert "`caller_id` is a string" in by_name["connectycube.caller_id_is_a_string"]["reason"]
    assert by_name["stream.video_is_a_boolean"]["outcome"] == "crash"
    assert by_name["rn_callkeep.uuid_is_no_uuid"]["outcome"] == "never_rings"
    assert by_name["flutter_callkit_incoming.id_is_no_uuid"]["outcome"] == "killed_by_watchdog"
    assert by_name["flutter_callkit_incoming.is_video_is_a_string"]["notes"]
    assert by_name["flutter_webrtc_callkeep.has_an_aps_key"]["outcome"] == "killed_by_watchdog"
    assert by_name["flutter_webrtc_callkeep.no_caller_id"]["outcome"] == "crash"
    docs = by_name["expo_callkit_telecom.incoming_call_as_in_its_docs"]
    assert docs["outcome"] == "killed_by_watchdog"
    assert "as its docs have it" in docs["reason"]
    for one in listed:
        verdict = parse(one["profile"], trap_payload(one["trap"]))
        assert (one["outcome"], one["reason"]) == (verdict.outcome.value, verdict.reason)
        assert "xxxx" not in json.dumps(one["payload"]), "the call token's place is masked"


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_a_template_that_a_tenant_could_have_saved(name: str) -> None:
    assert check_template(TRAPS[name].template).names


async def test_each_trap_goes_the_real_way(lab: Visitor) -> None:
    for name, trap in TRAPS.items():
        await lab.post("/phones/carol-1/library", profile=trap.profile)
        await lab.post("/phones/carol-1/sends", trap=name)
        session_id = await lab.ring("carol")
        state = await lab.until(lambda s: done(s, session_id))  # noqa: B023
        carol = phone_of(state, "carol-1")
        assert carol["sends"] == {"trap": name}
        own = next(one for one in carol["verdicts"] if one["profile"] == trap.profile)
        times = call_of(state, session_id)
        if own["outcome"] == "reported":
            assert own["notes"], "a trap leaves something wrong on the screen"
            assert carol["calls"]
        else:
            assert carol["fault"]["kind"] == FAULTS[own["outcome"]], name
            assert carol["fault"]["why"] == own["reason"]
            assert moments(times, "push").keys() == {"carol-1"}
            assert not moments(times, "ringing")
        await lab.post(f"/calls/{session_id}/cancel")
        await lab.until_ended(session_id)


def done(state: Json, session_id: str) -> bool:
    """Whether this call's push has done to Carol's phone what it does."""
    times = call_of(state, session_id)
    return any(moments(times, what) for what in ("ringing", "crashed", "not_reported"))


async def test_what_ringline_sends_of_itself_rings_with_every_library(lab: Visitor) -> None:
    for profile in LIBRARIES:
        await lab.post("/phones/bob-1/library", profile=profile)
        session_id = await lab.ring("bob")
        state = await lab.until_rings("bob-1", "bob-2")
        bob = phone_of(state, "bob-1")
        own = next(one for one in bob["verdicts"] if one["profile"] == profile)
        assert (own["outcome"], own["notes"], bob["sends"]) == ("reported", [], {})
        await lab.post("/phones/bob-1/answer")
        assert (await lab.until_over("bob-2"))["reason"] == 4
        await lab.post(f"/calls/{session_id}/end")
        await lab.until_over("bob-1")


async def test_the_watchdog_kills_the_app_and_says_why(lab: Visitor) -> None:
    await lab.post("/phones/carol-1/library", profile="rn_callkeep")
    await lab.post("/phones/carol-1/sends", trap="rn_callkeep.uuid_is_no_uuid")
    session_id = await lab.ring("carol")
    state = await lab.until(lambda s: phone_of(s, "carol-1")["fault"])
    assert phone_of(state, "carol-1")["fault"]["kind"] == "watched"
    state = await lab.until(lambda s: phone_of(s, "carol-1")["fault"]["kind"] == "killed")
    carol = phone_of(state, "carol-1")
    assert carol["fault"]["title"] == "iOS killed the app"
    assert "`uuid`" in carol["fault"]["why"]
    assert carol["conditions"]["app"] == "killed"
    assert len(carol["kills"]) == 1
    call = call_of(state, session_id)
    gap = moments(call, "killed")["carol-1"] - moments(call, "not_reported")["carol-1"]
    assert 6_900 < gap < 9_000
    await lab.post(f"/calls/{session_id}/cancel")
    await lab.post("/phones/carol-1/sends")
    session_id = await lab.ring("carol")
    await lab.until_rings("carol-1")
    assert (await lab.phone("carol-1"))["fault"] is None
    await lab.post(f"/calls/{session_id}/cancel")


async def test_ios_wakes_an_app_no_more_after_three_and_installing_mends_it(lab: Visitor) -> None:
    await lab.post("/phones/carol-1/library", profile="connectycube")
    await lab.post("/phones/carol-1/sends", trap="connectycube.caller_id_is_a_string")
    for _ in range(4):
        session_id = await lab.ring("carol")
        kind = {"not_woken", "crashed"}
        await lab.until(
            lambda s: kind & {m["what"] for m in call_of(s, session_id)["times"]}  # noqa: B023
        )
        await lab.post(f"/calls/{session_id}/cancel")
    carol = await lab.phone("carol-1")
    assert (carol["silenced_by_ios"], carol["fault"]["kind"]) == (True, "asleep")
    await lab.post("/phones/carol-1/library", profile="connectycube")
    await lab.ring("carol")
    await lab.until_rings("carol-1")


async def test_another_librarys_payload_is_a_real_misconfiguration(lab: Visitor) -> None:
    await lab.post("/phones/carol-1/sends", profile="connectycube")
    session_id = await lab.ring("carol")
    state = await lab.until(lambda s: phone_of(s, "carol-1")["fault"])
    carol = phone_of(state, "carol-1")
    assert "signal_type" in carol["raw_push"]["payload"]
    assert carol["fault"]["kind"] == "watched"
    await lab.post(f"/calls/{session_id}/cancel")
