"""A batch's pushes are told, and go, as each of them would by itself."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.apns import PushRequest
from app.core.frozen import replace
from app.core.push import Environment, Purpose, TokenKind
from app.infra import vault
from app.infra.settings import Settings
from app.push.breakers import Breakers
from app.push.claimed import CallFacts, ClaimedPush
from app.push.deciding import CredentialSet, choose, choose_for_all, where_served
from app.push.moments import Moment
from app.push.preparing import Preparing
from app.push.stretch import runs
from tests.apns.test_together import told
from tests.push.test_deciding import ENVIRONMENT, NEW, OLD, TENANT, note
from tests.push.test_deciding import ended as ended_by
from tests.push.values import NOW, claimed

KEYRING = vault.keyring(Settings(environment="development"))
TOPICS = ("com.example.app.voip", "com.example.app")
CALL = UUID(int=9)
users = st.sampled_from(["bob", "carol", "Dörte", 'q"', "42", "alice"])
profiles = st.sampled_from(
    [{}, {"profiles": {"com.example.app": "connectycube"}}, {"store_and_forward": True},
     {"profiles": {"com.example.app": "stream"}}]
)  # fmt: skip
kinds = st.sampled_from([TokenKind.VOIP, TokenKind.VOIP, *TokenKind])


def preparing(settings: dict[str, Any]) -> Preparing:
    call = CallFacts(
        str(CALL), "default", "abc", "alice", "Alice", None, None, "A title", True, None,
        [("dave", {"name": "Dave", "avatar_url": None, "handle": None})], None,
    )  # fmt: skip
    return Preparing({CALL: call}, {TENANT: settings}, "https://ring.example.com", KEYRING)


def batch(kind: TokenKind, names: list[str], **fields: Any) -> list[ClaimedPush]:
    """As many rings of one call, two phones each."""
    return [
        claimed(
            id=uuid4(), ring=UUID(int=place), user_id=name, device_row=uuid4(), kind=kind,
            token=uuid4().hex * 2, session_id=CALL, tenant_id=TENANT, environment=ENVIRONMENT,
            **fields,
        )
        for place, name in enumerate(names)
        for _ in range(2)
    ]  # fmt: skip


@given(kinds, st.lists(users, min_size=1, max_size=5, unique=True), profiles)
def test_what_a_batch_is_told_is_what_each_would_be(
    kind: TokenKind, names: list[str], settings: dict[str, Any]
) -> None:
    pushes, moment = batch(kind, names), Moment(NOW.timestamp() + 1.5)
    together, each = preparing(settings), preparing(settings)
    make = together.alike(pushes[0], moment, TOPICS)
    assert (make is not None) == (kind is TokenKind.VOIP)
    for push in pushes if make is not None else []:
        request = make(push)
        assert isinstance(request, PushRequest)
        assert told(request) == told(each.request(push, moment, TOPICS))


@pytest.mark.parametrize("purpose", [one for one in Purpose if one is not Purpose.RING])
def test_only_what_rings_is_told_alike(purpose: Purpose) -> None:
    push = replace(batch(TokenKind.VOIP, ["bob"])[0], purpose=purpose, callkit_reason=2)
    assert preparing({}).alike(push, Moment(NOW.timestamp()), TOPICS) is None


def test_one_that_cannot_be_made_is_none_and_the_others_are() -> None:
    good, bad, last, _ = batch(TokenKind.VOIP, ["bob", "carol"])
    made = preparing({})
    make = made.alike(good, Moment(NOW.timestamp()), TOPICS)
    assert make is not None
    bad = replace(bad, token="not a token")
    assert make(bad) is None
    with pytest.raises(ValueError, match="device token"):
        made.request(bad, Moment(NOW.timestamp()), TOPICS)
    assert make(good).device_token == good.token
    assert make(last).device_token == last.token


troubles = st.lists(st.sampled_from([(200, None), (503, None), (403, "Forbidden")]), max_size=30)
rows = st.sampled_from([[NEW], [OLD, NEW], [], [replace(NEW, environments=())]])


@given(rows, troubles, st.sampled_from(Environment))
def test_by_what_all_go_each_would(found, trouble, environment: Environment) -> None:
    breakers = Breakers()
    for status, reason in trouble:
        note(breakers, NEW, ended_by(status, reason), 1)
    for number, push in enumerate(batch(TokenKind.VOIP, ["bob", "carol"])):
        push = replace(push, environment=environment)
        usable = CredentialSet(found)
        all_by = choose_for_all(push, usable, breakers)
        if all_by is not None:
            assert where_served(push, usable) is push
            assert choose(push, usable, breakers, float(number)) == (all_by, None)
            assert len(found) == 1


def test_a_batch_goes_by_one_where_there_is_one_and_it_is_well() -> None:
    push = batch(TokenKind.VOIP, ["bob"])[0]
    assert choose_for_all(push, CredentialSet([NEW]), Breakers()) is NEW
    assert choose_for_all(push, CredentialSet([OLD, NEW]), Breakers()) is None
    failing = Breakers()
    note(failing, NEW, ended_by(503, "ServiceUnavailable"), 1)
    assert choose_for_all(push, CredentialSet([NEW]), failing) is None


def test_rows_of_their_own_are_one_run() -> None:
    pushes = batch(TokenKind.VOIP, ["bob", "carol"], deadline=NOW + timedelta(seconds=9))
    assert [(of, run) for of, run in runs(pushes)] == [(None, pushes)]
    assert not list(runs([]))
