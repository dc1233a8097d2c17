"""One request to ring: its ids made, its limits looked up, and who may make it."""

import hashlib
from collections.abc import Mapping, Sequence
from uuid import UUID

import orjson

from app.calls import idempotency as kept_rows
from app.calls.idempotency import KeptKey
from app.calls.lost import User
from app.calls.schemas import PersonIn, RingIn
from app.calls.suppressing import Pair
from app.core.call import SERVER, Callee
from app.core.frozen import frozen, replace
from app.core.limits import CallLimits
from app.core.person import Handle
from app.core.suppression import Why
from app.core.text import is_plain
from app.infra.errors import Forbidden, Invalid
from app.infra.ids import uuid7, uuid7s
from app.tenants.caller import Caller, require_scope, require_server_or_user
from app.tenants.schemas import TenantSettings, WhenBusy

LONGEST_KEY = 255
CidKey = tuple[UUID, str, str]


@frozen
class RingRequest:
    """One request to ring, ready to be decided: ids made, limits resolved.

    `key` is its Idempotency-Key, of `owner` (an API key or a user), or None. `give_up`: whether
    the rings of whom nothing can ring end at once. `notify`: a notification tells of it, no more.
    `urgent`: of what its callees wish only a block counts. `traceparent`: of its span, if traced.
    `owed`: callees beside `callees`, whom later slices ring (`app.calls.slices`).
    """

    tenant_id: UUID
    request: RingIn
    session_id: UUID
    name: str
    limits: CallLimits
    callees: tuple[Callee, ...]
    device: str
    owner: str
    key: str | None
    give_up: bool
    notify: bool
    urgent: bool
    body_digest: bytes
    when_busy: WhenBusy = "ring"
    traceparent: str | None = None
    owed: tuple[Callee, ...] = ()

    @property
    def users(self) -> list[str]:
        """All whom it names, the caller last."""
        owed = [callee.user_id for callee in self.owed]
        return [*self.request.callee_ids, *owed, self.request.caller.id]

    @property
    def watched(self) -> bool:
        """Whether it matters that its callees are in another call."""
        return self.when_busy != "ring" and not self.notify

    @property
    def cid(self) -> CidKey:
        return self.tenant_id, self.request.type, self.name

    def to(self, users: Mapping[Handle, str]) -> "RingRequest":
        """The same, to these users where it names handles. Raises Invalid for what is nobody's."""
        request = self.request.found(users)
        return replace(self, request=request, callees=_callees(request.callees))

    @property
    def kept_key(self) -> KeptKey | None:
        """By what its answer is kept."""
        return None if self.key is None else (self.tenant_id, self.owner, self.key)

    def among(self, users: frozenset[User]) -> frozenset[str]:
        """Its callees that are among these; of none is it said who is only notified."""
        if self.notify or not users:
            return frozenset()
        return frozenset(one for one in self.request.callee_ids if (self.tenant_id, one) in users)

    @property
    def pairs(self) -> list[Pair]:
        """Whom it rings, by whom."""
        request = self.request
        return [
            (self.tenant_id, user, request.caller.id, request.type) for user in request.callee_ids
        ]

    def kept_from(
        self,
        quiet: Mapping[Pair, Why],
        in_calls: frozenset[User],
        silenced: frozenset[User],
    ) -> dict[str, str]:
        """Its callees that are not to be rung, and why; their own wishes come first.

        `silenced`: whose devices are all off, which no urgency turns on.
        """
        found = dict.fromkeys(self.request.callee_ids, Why.NOTIFY.value) if self.notify else {}
        found |= dict.fromkeys(self.among(silenced), Why.DEVICES_OFF.value) if silenced else {}
        for pair in self.pairs if quiet else ():
            why = quiet.get(pair)
            if why is Why.BLOCKED or (why is not None and not self.urgent):
                found[pair[1]] = why.value
        if in_calls and self.when_busy == "quiet":
            found = dict.fromkeys(self.among(in_calls), Why.IN_A_CALL.value) | found
        return found

    def told_busy(self, in_calls: frozenset[User]) -> frozenset[str]:
        """Its callees of whom it is told at once that they are busy."""
        return self.among(in_calls) if in_calls and self.when_busy == "busy" else frozenset()

    @property
    def ring_time(self) -> float:
        """Seconds for which it rings."""
        asked = self.request.ring_time
        return self.limits.ring if asked is None else asked


def resolve(
    tenant_id: UUID,
    settings: TenantSettings,
    request: RingIn,
    *,
    device: str,
    key: str | None,
    owner: str = "",
) -> RingRequest:
    """Make its ids, look up its limits.

    Raises Invalid (422) for more members than it may have, Forbidden (403) where none is urgent.
    """
    limits = settings.limits_for(request.type)
    if len(request.callees) + 1 > limits.members:
        raise Invalid(
            "too_many_members",
            f"callees: a call holds at most {limits.members:g} members, the caller included",
        )
    notify = (request.mode or settings.mode_for(request.type)) == "notify"
    if notify and settings.alert(request.type, "notify") is None:
        raise Invalid(
            "missing_template",
            f"mode: what a notification of a call of type {request.type} says is not set "
            "(`notifications`, event `notify`)",
        )
    if request.urgent and not settings.urgent_allowed:
        raise Forbidden(
            "urgent_not_allowed", "urgent: this tenant has no urgent rings (`urgent_allowed`)"
        )
    session_id = uuid7()
    return RingRequest(
        tenant_id=tenant_id,
        request=request,
        session_id=session_id,
        name=request.id or str(session_id),
        limits=limits,
        callees=() if request.wanted else _callees(request.callees),
        device=device,
        owner=owner,
        key=key,
        give_up=settings.end_unreachable,
        notify=notify,
        urgent=request.urgent,
        body_digest=b"" if key is None else _digest(request),
        when_busy=settings.busy_for(request.type),
    )


def _callees(named: Sequence[str | PersonIn]) -> tuple[Callee, ...]:
    made = uuid7s(len(named)) if len(named) > 1 else (uuid7(),)
    return tuple(
        [
            Callee(one, ring) if isinstance(one, str) else _shown(one, ring)
            for one, ring in zip(named, made, strict=True)
        ]
    )


def _shown(one: PersonIn, ring: UUID) -> Callee:
    assert one.id is not None
    return Callee(one.id, ring, one.person)


def _digest(request: RingIn) -> bytes:
    said = request.model_dump(mode="json")
    if request.mode is None:  # as before there were modes: a key is good over an upgrade
        del said["mode"]
    if not request.urgent:
        del said["urgent"]
    return hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).digest()


def ring_request(caller: Caller, request: RingIn, key: str | None) -> RingRequest:
    """A request to ring, resolved. Raises Forbidden (403) or Invalid (422)."""
    require_server_or_user(caller)
    require_scope(caller, "ring" if caller.kind == "user" else "calls")
    if caller.kind == "user":
        if request.caller.id != caller.user_id:
            raise Forbidden("wrong_user", "caller.id: a user token rings as its own subject only")
        if not caller.settings.users_may_ring:
            raise Forbidden(
                "ringing_not_allowed",
                "users of this tenant may not ring; ring with an API key, or set users_may_ring",
            )
    if key is not None and (not 1 <= len(key) <= LONGEST_KEY or not is_plain(key)):
        raise Invalid(
            "invalid_idempotency_key",
            f"Idempotency-Key: must have 1 to {LONGEST_KEY} printable characters",
        )
    device = request.caller.device_id or SERVER
    owner = "" if key is None else kept_rows.owner_of(key_id=caller.key_id, user_id=caller.user_id)
    return resolve(caller.tenant_id, caller.settings, request, device=device, key=key, owner=owner)
