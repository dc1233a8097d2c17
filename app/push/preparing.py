"""From claimed rows to requests: payloads made once per ring, tokens spliced in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app import senders
from app.access import call_token, call_tokens
from app.core.event import milliseconds
from app.core.frozen import frozen
from app.core.payload import (
    ForMember,
    PayloadError,
    Prepared,
    RingFacts,
    Template,
    check_template,
    for_members,
)
from app.core.person import Person, person_from
from app.core.push import Purpose, TokenKind
from app.infra.sender import OutgoingPush, Service
from app.infra.vault import Keyring
from app.push.claimed import CallFacts, ClaimedPush, Rung
from app.push.moments import Moment, Unix
from app.push.tokens import User
from app.tenants.schemas import TenantSettings, tenant_settings

TOKEN_OUTLIVES_RING = 300.0
"""Seconds."""

Group = tuple[UUID, datetime, datetime]
"""The rings of one call, begun and over together."""

NOTIFIED = frozenset(
    (kind, purpose)
    for kind in TokenKind
    for purpose in Purpose
    if kind in senders.SHOWN_KINDS
    or purpose.is_alert
    or (kind in senders.REPEATED_KINDS and purpose is not Purpose.STOP)
)
"""Which pushes the phone's system shows by itself."""


@frozen
class Way:
    """What all tokens of one kind to one app of a tenant are told by, and what has been prepared.

    `rings_unseen`: a ring is no notification to them. `profiles`: its payloads' profile and its
    template, once they are asked for. `prepared`: what each ring says, by its id.
    `groups`: of the first ring of each what was prepared, and of what; `members` how the others
    are, once there are others.
    """

    settings: TenantSettings
    service: Service
    rings_unseen: bool
    newer: bool
    profiles: list[tuple[str, Template | None]] = field(default_factory=list)
    prepared: dict[UUID, Prepared] = field(default_factory=dict)
    groups: dict[Group, tuple[Prepared, RingFacts]] = field(default_factory=dict)
    members: dict[Group, ForMember | None] = field(default_factory=dict)


@frozen
class Preparing:
    """What making requests for one batch needs; `calls`, and `said`, the settings of tenants, as a
    claim gives them, by id.

    `badges`: how many missed calls those have not seen who are told of one; `locales`: in which
    language devices are, of those that are told in theirs."""

    calls: Mapping[UUID, CallFacts]
    said: Mapping[UUID, dict[str, Any]]
    public_url: str
    keyring: Keyring
    ways: dict[tuple[UUID, TokenKind, str], Way] = field(default_factory=dict)
    payloads: dict[tuple[UUID, TokenKind, str, str | None], Prepared] = field(default_factory=dict)
    badges: dict[User, int] = field(default_factory=dict)
    locales: dict[UUID, str] = field(default_factory=dict)
    until: Unix = field(default_factory=Unix)
    rings_until: Unix = field(default_factory=Unix)

    def request(self, push: ClaimedPush, now: Moment, topics: Sequence[str] = ()) -> Any:
        """What its sender takes of a claimed push; `topics` are what its credential is for.

        Raises PayloadError when its payload cannot be made.
        """
        way, purpose = self._way_of(push), push.purpose
        rings = purpose is Purpose.RING
        if rings and way.rings_unseen:
            body = self._ring_body(push, way, now)
        elif _is_notification(push):
            body = self._alert_body(push, way, now)
        elif purpose is Purpose.STOP:
            body = self._stop_body(push, way, now.time)
        else:
            body = self._ring_body(push, way, now)
        return way.service.request(self._outgoing(push, way, body, now, topics))

    def alike(
        self, push: ClaimedPush, now: Moment, topics: Sequence[str] = ()
    ) -> Callable[[ClaimedPush], Any] | None:
        """`request` for each of a batch of which this is one, with what they share said once.

        None: by `request` alone. Raises PayloadError as that does; what it returns does not, but
        gives None where `request` would raise.
        """
        way = self._way_of(push)
        if push.purpose is not Purpose.RING or not way.rings_unseen:
            return None
        made = way.service.alike(self._outgoing(push, way, b"", now, topics))
        if made is None:
            return None
        known = way.prepared
        token = call_tokens(
            self.keyring,
            tenant_id=push.tenant_id,
            now=now.unix,
            expires=self.rings_until.of(push.ring_deadline) + TOKEN_OUTLIVES_RING,
        )

        def request(one: ClaimedPush) -> Any:
            try:
                prepared = known.get(one.ring)
                if prepared is None:
                    prepared = known[one.ring] = self._ring(one, way)
                carried = token(one.ring, one.device_row) if prepared.carries_token else ""
                return made(str(one.id), one.token, prepared.for_token(carried))
            except Exception:  # noqa: BLE001  (one that cannot be made is no fault of the others)
                return None

        return request

    def _outgoing(
        self, push: ClaimedPush, way: Way, body: bytes, now: Moment, topics: Sequence[str]
    ) -> OutgoingPush:
        rings = push.purpose is Purpose.RING
        return OutgoingPush(
            str(push.id),
            str(push.ring),
            push.purpose,
            push.kind,
            push.app_id,
            push.token,
            body,
            self.rings_until.of(push.ring_deadline) if rings else self.until.of(push.deadline),
            now.unix,
            way.settings.store_and_forward,
            topics,
            way.newer,
        )

    def _way_of(self, push: ClaimedPush) -> Way:
        key = push.tenant_id, push.kind, push.app_id
        way = self.ways.get(key)
        if way is None:
            way = self.ways[key] = self._way(*key)
        return way

    def _way(self, tenant_id: UUID, kind: TokenKind, app_id: str) -> Way:
        settings = tenant_settings(self.said[tenant_id], tenant_id)
        unseen, newer = (kind, Purpose.RING) not in NOTIFIED, app_id in settings.android_v2
        return Way(settings, senders.serving(kind), unseen, newer)

    def _ring_body(self, push: ClaimedPush, way: Way, now: Moment) -> bytes:
        prepared = way.prepared.get(push.ring)
        if prepared is None:
            prepared = way.prepared[push.ring] = self._ring(push, way)
        return self._with_token(prepared, push, now)

    def _ring(self, push: ClaimedPush, way: Way) -> Prepared:
        """Of a group what all are told is written once."""
        call = self.calls[push.session_id]
        group = push.session_id, push.ring_created_at, push.ring_deadline
        alike = is_told_alike(call, push.user_id)
        first = way.groups.get(group) if alike else None
        if first is not None:
            if group not in way.members:
                way.members[group] = for_members(*first)
            another = way.members[group]
            prepared = another(str(push.ring), push.user_id) if another is not None else None
            if prepared is not None:
                return prepared
        facts = ring_facts(push, call, self.public_url)
        profile, template = _profile(push, way)
        prepared = way.service.ring_payload(profile, facts, template)
        if alike:
            way.groups[group] = prepared, facts
        return prepared

    def _with_token(self, prepared: Prepared, push: ClaimedPush, now: Moment) -> bytes:
        if not prepared.carries_token:
            return prepared.for_token("")
        token = call_token(
            self.keyring,
            tenant_id=push.tenant_id,
            ring=push.ring,
            device_row=push.device_row,
            now=now.unix,
            expires=self.rings_until.of(push.ring_deadline) + TOKEN_OUTLIVES_RING,
        )
        return prepared.for_token(token)

    def _stop_body(self, push: ClaimedPush, way: Way, now: datetime) -> bytes:
        ring = ring_facts(push, self.calls[push.session_id], self.public_url, sent_at=now)
        assert push.callkit_reason is not None  # a stop has one
        profile, template = _profile(push, way)
        return way.service.stop_payload(push.kind, profile, ring, push.callkit_reason, template)

    def _alert_body(self, push: ClaimedPush, way: Way, now: Moment) -> bytes:
        key = (push.ring, push.kind, push.app_id, self.locales.get(push.device_row))
        rings = push.purpose is Purpose.RING and push.kind in senders.SHOWN_KINDS
        prepared = self.payloads.get(key) if rings else None
        if prepared is None:
            prepared = self._alert(push, way, None if rings else now.time)
            if rings:
                self.payloads[key] = prepared
        return self._with_token(prepared, push, now)

    def _alert(self, push: ClaimedPush, way: Way, sent_at: datetime | None) -> Prepared:
        call = self.calls[push.session_id]
        texts = way.settings.alert(call.type, push.event, self.locales.get(push.device_row))
        facts = ring_facts(push, call, self.public_url, sent_at=sent_at)
        if push.purpose is Purpose.MISSED:
            facts = replace(facts, badge=self.badges.get((push.tenant_id, push.user_id)))
        return way.service.alert_payload(push.event, texts, facts)


def is_translated(push: ClaimedPush, preparing: Preparing) -> bool:
    """Whether it says the tenant's words, and these in several languages."""
    notifications = preparing.said.get(push.tenant_id, {}).get("notifications")
    if not notifications or not _is_notification(push):
        return False
    said = notifications.get(preparing.calls[push.session_id].type, {}).get(push.event) or {}
    return bool(said.get("languages"))


def are_translated(claimed: Sequence[ClaimedPush], preparing: Preparing) -> list[ClaimedPush]:
    """Those of them that are: of most tenants there are none."""
    if not any(one.get("notifications") for one in preparing.said.values()):
        return []
    return [push for push in claimed if is_translated(push, preparing)]


def _is_notification(push: ClaimedPush) -> bool:
    return (push.kind, push.purpose) in NOTIFIED


def _profile(push: ClaimedPush, way: Way) -> tuple[str, Template | None]:
    if not way.profiles:
        way.profiles.append(profile_for(way.settings, push.kind, push.app_id))
    return way.profiles[0]


def is_told_alike(call: CallFacts, receiver: str) -> bool:
    """Whether a member is told of a call what all are told who neither call nor have joined."""
    if not call.joined:
        return True
    return receiver != call.caller_id and all(user != receiver for user, _ in call.joined)


def ring_facts(
    ring: Rung, call: CallFacts, public_url: str, sent_at: datetime | None = None
) -> RingFacts:
    """What a payload says of a ring, from what a claim or `store.facts` reads."""
    caller, shown, user_ids = _who_calls(call, ring.user_id)
    return RingFacts(  # by their places: sixteen names cost as much as all the rest
        str(ring.ring),
        f"{call.type}:{call.name}",
        call.id,
        caller,
        ring.user_id,
        call.video,
        milliseconds(sent_at or ring.ring_created_at),
        milliseconds(ring.ring_deadline),
        f"{public_url}/v1/calls/{call.id}",
        shown.name,
        shown.avatar_url,
        shown.handle,
        call.title,
        user_ids,
        call.custom or None,
        None,
        None,
        call.traceparent,
    )


def _who_calls(call: CallFacts, receiver: str) -> tuple[str, Person, tuple[str, ...]]:
    """The caller's id, what is shown of them, and the ids of all who call, the caller first."""
    if not call.joined:
        return call.caller_id, call.caller, (call.caller_id,)
    joined = {user: person for user, person in call.joined if user != receiver}
    # a caller who has left and is rung to come back is called by those who are there
    back = call.caller_id == receiver and bool(joined)
    caller = next(iter(joined)) if back else call.caller_id
    shown = person_from(joined[caller]) if back else call.caller
    return caller, shown, (caller, *(user for user in joined if user != caller))


def profile_for(
    settings: TenantSettings, kind: TokenKind, app_id: str
) -> tuple[str, Template | None]:
    """The payload profile of an app's tokens, and its template if it is the tenant's own."""
    profile = settings.profile(kind, app_id)
    if profile != "custom":
        return profile, None
    return profile, check_template(settings.templates.get(app_id, {}))


def refused_payload(push: ClaimedPush, error: PayloadError) -> dict[str, str]:
    """What is logged of a payload that could not be made: our fault or the template's."""
    return {"push": str(push.id), "app_id": push.app_id, "why": str(error)}
