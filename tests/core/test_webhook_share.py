"""Whose turn it is among those that wait for a worker's places."""

from collections import Counter
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from app.core.webhook_share import (
    FIRST_WINDOW,
    MOST,
    PER_TENANT,
    PLACES,
    SLOW_AFTER,
    SLOW_WINDOW,
    WIDEST_WINDOW,
    Waiting,
    share,
    window_after,
)


def webhooks(tenant: UUID, count: int, room: int = 16, slow: bool = False) -> list[Waiting]:
    return [Waiting(uuid4(), tenant, slow, room) for _ in range(count)]


def test_a_tenant_with_many_webhooks_has_no_more_places_than_its_share() -> None:
    many, one = uuid4(), uuid4()
    waiting = webhooks(many, 20) + webhooks(one, 1)
    given_to = share(waiting, {})
    assert sum(given_to[w.webhook] for w in waiting if w.tenant == many) == PER_TENANT[False]
    assert given_to[waiting[-1].webhook] == 16


def test_places_go_to_who_has_the_fewest() -> None:
    full, empty = uuid4(), uuid4()
    waiting = webhooks(full, 1) + webhooks(empty, 1)
    taken = {(full, False): 20, (uuid4(), False): PLACES[False] - 21}
    assert share(waiting, taken) == {waiting[1].webhook: 1}


def test_of_those_that_have_nothing_the_first_is_served() -> None:
    waiting = [one for _ in range(5) for one in webhooks(uuid4(), 1)]
    taken = {(uuid4(), False): PLACES[False] - 2}
    assert set(share(waiting, taken)) == {one.webhook for one in waiting[:2]}


def test_the_slow_hold_up_only_themselves() -> None:
    slow, quick = [uuid4() for _ in range(100)], uuid4()
    waiting = [one for tenant in slow for one in webhooks(tenant, 20, slow=True)]
    waiting += webhooks(quick, 1)
    given_to = share(waiting, {})
    assert given_to[waiting[-1].webhook] == 16
    assert sum(given_to.values()) == 16 + PLACES[True]
    taken = {(tenant, True): PER_TENANT[True] for tenant in slow[:25]}
    assert share(waiting, taken) == {waiting[-1].webhook: 16}


@given(
    st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.integers(-2, 20)), max_size=60),
    st.dictionaries(st.tuples(st.integers(0, 8), st.booleans()), st.integers(0, 200), max_size=8),
)
def test_nothing_is_given_beyond_any_bound(
    rows: list[tuple[int, bool, int]], used: dict[tuple[int, bool], int]
) -> None:
    tenants = [UUID(int=n) for n in range(9)]
    waiting = [Waiting(uuid4(), tenants[t], slow, room) for t, slow, room in rows]
    taken = {(tenants[t], slow): count for (t, slow), count in used.items()}
    given_to = share(waiting, taken)
    total: Counter[tuple[UUID, bool]] = Counter(taken)
    for one in waiting:
        count = given_to.get(one.webhook, 0)
        assert 0 <= count <= max(0, one.room)
        total[one.tenant, one.slow] += count
    assert sum(given_to.values()) <= max(0, MOST - sum(taken.values()))
    for (tenant, slow), count in total.items():
        assert count <= max(PER_TENANT[slow], taken.get((tenant, slow), 0))


def test_windows_grow_with_quick_answers_and_shrink_with_one_slow() -> None:
    window = FIRST_WINDOW
    for _ in range(30):
        window = window_after(window, seconds=0.01)
    assert window == WIDEST_WINDOW
    assert window_after(window, seconds=SLOW_AFTER) == SLOW_WINDOW
    assert window_after(1, seconds=9) == 1
