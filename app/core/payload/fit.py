"""Making a payload fit: what goes first when 5,120 bytes are not enough.

The context of the call's trace goes before all else: what it is for rings nobody. Then, each step
kept when the next is needed:

1. `user_ids` loses who joined last, then the next, down to the caller, who always stays. Whatever
   the later steps free is given back to it.
2. The avatar's URL goes: CallKit has no place for it.
3. The name and the title are cut to 64 characters: no call screen shows more.
4. Custom data goes, whole: half of an object would be a lie, and the state URL has all of it.
5. The title goes: who is calling says more.
6. The handle goes, whole: half of a number would ring somebody else.
7. The name is cut as far as it takes.

The caller's id, the uuid, the deadline, the state URL and the token are never cut. If they alone
do not fit the tenant's template or URL is at fault: PayloadError.
"""

from collections.abc import Callable
from typing import Final

from app.core.frozen import replace, replacing
from app.core.graphemes import cut_text
from app.core.payload.facts import PayloadError, Prepared, RingFacts
from app.core.payload.fields import OF_MEMBER, who_is_calling
from app.core.payload.template import Template, filled, render

_ENOUGH_OF_A_NAME: Final = 64

ForMember = Callable[[str, str], Prepared | None]
"""Prepares a payload for the member of this ring (uuid) and this user id."""


def prepared(template: Template, facts: RingFacts, limit: int, token_room: int) -> Prepared:
    """A payload serialised once, within `limit` bytes with the token. Raises PayloadError."""
    parts, trimmed = render(template, facts), tuple[str, ...]()
    if sum(map(len, parts)) + (len(parts) - 1) * token_room > limit:
        parts, trimmed = fitted(template, facts, limit, token_room)
    return Prepared(parts, token_room, trimmed, (template, limit))


def for_members(first: Prepared, facts: RingFacts) -> ForMember | None:
    """Of what was prepared for one member of a call, and these facts, how to do so for another.

    What fills the others' holes is written once. It gives None where something has to be cut; and
    it holds for members of whom none is who calls or has joined (`fields.OF_MEMBER`).
    """
    if first.source is None or first.trimmed:
        return None
    template, limit = first.source
    left, room = filled(template, facts, OF_MEMBER), first.token_room
    told = replacing(facts, "uuid", "receiver_id")

    def prepare(uuid: str, receiver_id: str) -> Prepared | None:
        parts = render(left, told(uuid, receiver_id))
        if sum(map(len, parts)) + (len(parts) - 1) * room > limit:
            return None
        return Prepared(parts, room)

    return prepare


def fitted(
    template: Template, facts: RingFacts, limit: int, token_room: int
) -> tuple[tuple[bytes, ...], tuple[str, ...]]:
    """Render within `limit` bytes, room for the token included.

    Gives the parts around the token and the names of what was cut. Raises PayloadError.
    """

    def too_long(candidate: RingFacts) -> int:
        parts = render(template, candidate)
        return sum(map(len, parts)) + (len(parts) - 1) * token_room - limit

    parts = render(template, facts)
    if sum(map(len, parts)) + (len(parts) - 1) * token_room <= limit:
        return parts, ()
    if facts.traceparent is not None:
        parts, more = fitted(template, replace(facts, traceparent=None), limit, token_room)
        return parts, ("traceparent", *more)
    facts = replace(facts, user_ids=who_is_calling(facts))
    cut = ["user_ids"]
    for name, step in _STEPS:
        before, facts = facts, step(facts)
        if facts != before:
            cut.append(name)
        if too_long(_ringing_alone(facts)) <= 0:
            break
    else:
        before, facts = facts, _shortest_names(facts, too_long)
        if facts != before:
            cut.append("names")
    fitting = _most_user_ids(facts, too_long)
    if len(fitting.user_ids) == len(facts.user_ids):
        cut.remove("user_ids")
    return render(template, fitting), tuple(dict.fromkeys(cut))


def _with_names(facts: RingFacts, length: int) -> RingFacts:
    return replace(
        facts,
        caller_name=cut_text(facts.caller_name, length) if facts.caller_name else None,
        display_name=cut_text(facts.display_name, length) if facts.display_name else None,
    )


_STEPS: Final[tuple[tuple[str, Callable[[RingFacts], RingFacts]], ...]] = (
    ("", lambda facts: facts),
    ("caller_avatar", lambda facts: replace(facts, caller_avatar=None)),
    ("names", lambda facts: _with_names(facts, _ENOUGH_OF_A_NAME)),
    ("custom", lambda facts: replace(facts, custom=None)),
    ("title", lambda facts: replace(facts, display_name=None)),
    ("caller_handle", lambda facts: replace(facts, caller_handle=None)),
)


def _ringing_alone(facts: RingFacts) -> RingFacts:
    return replace(facts, user_ids=(facts.caller_id,))


def _most_user_ids(facts: RingFacts, too_long: Callable[[RingFacts], int]) -> RingFacts:
    """The longest beginning of `user_ids` that fits; the caller alone is known to."""
    fits, fails = 1, len(facts.user_ids) + 1
    while fails - fits > 1:
        middle = (fits + fails) // 2
        if too_long(replace(facts, user_ids=facts.user_ids[:middle])) <= 0:
            fits = middle
        else:
            fails = middle
    return replace(facts, user_ids=facts.user_ids[:fits])


def _shortest_names(facts: RingFacts, too_long: Callable[[RingFacts], int]) -> RingFacts:
    alone = _ringing_alone(facts)
    for length in range(_ENOUGH_OF_A_NAME, -1, -4):
        if too_long(_with_names(alone, length)) <= 0:
            return _with_names(facts, length)
    raise PayloadError(
        f"the payload is {too_long(_with_names(alone, 0))} bytes too long with nothing left to cut"
    )
