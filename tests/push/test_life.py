"""One life of a worker: how long it may begin pushes, and what it may claim after an outage."""

import math
from datetime import UTC, datetime, timedelta

from app.infra.boottime import boottime
from app.push.claims import ALWAYS
from app.push.life import FRESH, LEASE, Life
from app.push.worker_store import Renewal

BORN = datetime(2026, 1, 1, tzinfo=UTC)


def renewal(after: float, unbroken_for: float | None = None) -> Renewal:
    now = BORN + timedelta(seconds=after)
    return Renewal(now, BORN if unbroken_for is None else now - timedelta(seconds=unbroken_for))


def test_what_was_read_is_good_for_a_moment_and_within_three_quarters_of_the_lease() -> None:
    life = Life()
    assert not life.is_alive()
    assert life.start_by(100.0) == -math.inf
    begun = boottime()
    assert not life.renewed(begun, renewal(0))
    assert life.is_alive()
    assert life.start_by(begun) == begun + FRESH
    assert life.start_by(begun + 1.4) == begun + 0.75 * LEASE
    life.ended = True
    assert not life.is_alive()
    assert life.start_by(begun) == -math.inf


def test_a_lease_that_is_three_quarters_over_is_over() -> None:
    life = Life()
    life.renewed(boottime() - 0.76 * LEASE, renewal(0))
    assert not life.is_alive()


def test_after_an_outage_nothing_older_is_claimed_for_a_lease() -> None:
    life = Life()
    begun = boottime()
    life.renewed(begun, renewal(0))
    assert not life.renewed(begun + 0.5, renewal(0.5))
    assert life.since == ALWAYS
    gap = LEASE + 1
    assert life.renewed(begun + gap, renewal(gap, unbroken_for=0))
    assert life.since == BORN + timedelta(seconds=gap)
    assert not life.renewed(begun + gap + 1, renewal(gap + 1, unbroken_for=1))
    assert life.since == BORN + timedelta(seconds=gap)
    life.renewed(begun + gap + LEASE, renewal(gap + LEASE, unbroken_for=LEASE))
    assert life.since == ALWAYS
