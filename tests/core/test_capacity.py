"""What a load needs is the sum of its parts, and rounded up to what there can be."""

from dataclasses import asdict, replace

import pytest

from app.core.capacity import KINDS, Cost, Load, Parts, Room, counts, needs, parts_of, used

NOTHING = Cost(0, 0, 0, 0, 0, 0)
PARTS = Parts(
    rate=10,
    costs={kind: Cost(100, 200, 300, 4, 5_000, 600) for kind in KINDS},
    rest=Cost(1_000, 2_000, 3_000, 40, 500, 0),
    api_mib=100, worker_mib=120, stream_kib=32, stream_us=10, device_bytes=1_000, valkey_mib=8,
    pool=10, told=5, hooks=6,
)  # fmt: skip
ROOM = Room(cores=8, gib=16, spare=0.5, streams=10_000)


def test_a_load_is_so_many_of_each_kind() -> None:
    each = counts(PARTS, Load(10, devices=1_000, streams=250, webhooks=2, reached=3, answered=0.6))
    assert each == {
        "ring": 10, "push": 20, "answer": 6, "missed": 4, "webhook": 120, "told": 37.5, "heartbeat": 0
    }  # fmt: skip


def test_more_streams_than_devices_are_told_no_more_than_once_each() -> None:
    each = counts(PARTS, Load(10, devices=10, streams=1_000, reached=0))
    assert (each["told"], each["push"]) == (0, 0)
    assert counts(PARTS, Load(10, devices=10, streams=1_000, reached=1))["told"] == 50


def test_what_is_used_is_the_sum_of_parts_and_of_rest() -> None:
    each = {"ring": 100.0, "heartbeat": 50.0}
    found = used(PARTS, each, streams=1_000, apis=3, workers=2)
    assert found.api == pytest.approx((150 * 100 + 3 * 1_000 + 1_000 * 10) / 1e6)
    assert found.worker == pytest.approx((150 * 200 + 2 * 2_000) / 1e6)
    assert found.postgres == pytest.approx((150 * 300 + 3 * 3_000) / 1e6)
    assert (found.wal, found.disk) == (150 * 5_000 + 500, 150 * 600)


def test_nothing_to_do_takes_two_of_each_process_for_a_machine_that_fails() -> None:
    found = needs(PARTS, Load(0, devices=1), ROOM)
    assert (found["api"]["processes"], found["worker"]["processes"]) == (2, 2)
    assert found["machines"]["application"] == 2


def test_processes_are_what_cpu_or_streams_ask_for_with_room_left() -> None:
    by_cpu = needs(PARTS, Load(10_000, webhooks=0, reached=1, answered=1), ROOM)
    assert by_cpu["worker"]["processes"] == 1 + int((20_000 * 200 + 2_000) / 1e6 / 0.5)
    by_streams = needs(PARTS, Load(0, streams=40_000), ROOM)
    assert by_streams["api"]["processes"] == 8
    assert by_streams["api"]["mib_each"] == pytest.approx(100 + 5_000 * 32 / 1024)


def test_disk_is_calls_for_their_days_and_devices() -> None:
    load = Load(1, devices=1_000_000, webhooks=0, reached=1, answered=1, days=10, busy=5)
    found = needs(PARTS, load, ROOM)["postgresql"]
    assert found["disk_gib"] == pytest.approx((1_200 * 5 * 3_600 * 10 + 1e9) / 2**30)
    assert found["connections"] == 40


def test_what_breaks_first_is_what_is_fullest() -> None:
    first = needs(PARTS, Load(1_000), ROOM)["first"]
    assert first[0]["what"] == "PostgreSQL's write-ahead log"
    assert first[0]["full"] * first[0]["times"] == pytest.approx(1)
    for dear, what in (
        (Cost(0, 0, 0, 9_000, 0, 0), "Valkey's one core"),
        (Cost(0, 0, 90_000, 0, 0, 0), "PostgreSQL's CPU"),
    ):
        parts = replace(PARTS, costs={**PARTS.costs, "ring": dear})
        assert needs(parts, Load(1_000), ROOM)["first"][0]["what"] == what
    free = Parts(**{**asdict(PARTS), "costs": dict.fromkeys(KINDS, NOTHING), "rest": NOTHING})
    assert {one["times"] for one in needs(free, Load(1), ROOM)["first"]} == {None}


def test_a_file_of_parts_is_read_whole_or_refused() -> None:
    data = asdict(PARTS)
    assert parts_of(data | {"at": "2026-11-26", "whole": {}}) == PARTS
    for broken in (
        {name: value for name, value in data.items() if name != "told"},
        data | {"costs": {"ring": asdict(NOTHING)}},
        data | {"rate": "fast"},
        data | {"rest": {"api": 1}},
        data | {"stream_kib": -1},
    ):
        with pytest.raises((KeyError, TypeError, ValueError)):
            parts_of(broken)
