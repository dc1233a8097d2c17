"""A call as it is named in a path: `type:id`, or the id of one session."""

from uuid import UUID

from app.calls import store
from app.calls.refusals import not_found
from app.core.call import Call
from app.core.identifiers import is_call_name, is_call_type
from app.core.numerals import id_of
from app.infra.db import Connection
from app.infra.errors import NotFound


def call_reference(text: str) -> tuple[str, str] | UUID | None:
    """What names a call; None when it is neither."""
    kind, colon, name = text.partition(":")
    if colon:
        return (kind, name) if is_call_type(kind) and is_call_name(name) else None
    return id_of(text)


def names(reference: str, call: Call) -> bool:
    """Whether it is this call that is named."""
    return call_reference(reference) in {call.id, (call.type, call.name)}


async def find(session: Connection, tenant_id: UUID, reference: str) -> UUID:
    """The id of the session that is meant: of a cid the live one, else the latest.

    Raises NotFound. That an id is of one of the tenant's calls is not looked at.
    """
    named = call_reference(reference)
    if named is None:
        raise NotFound("call_not_found", "a call is named `type:id`, or by the id of its session")
    if isinstance(named, UUID):
        return named
    session_id = await store.id_by_name(session, tenant_id, *named)
    if session_id is None:
        raise not_found()
    return session_id
