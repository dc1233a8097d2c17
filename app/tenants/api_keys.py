"""A tenant's API keys, once made: read, found by what they are called, and revoked. Commits.

No key rests here, only its digest: one is meant by its id, its name or its last four characters.
Every process has forgotten a revoked one within `REMEMBERED` of app.http.auth.
"""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from app.access import KEY_PREFIX
from app.audit.log import SERVER, Actor, record
from app.core.event import rfc3339
from app.core.nearest import nearest
from app.core.numerals import id_of
from app.core.text import clean_name
from app.infra.errors import Conflict, Invalid, NotFound
from app.infra.runtime import Runtime
from app.tenants import store

MOST_NAMED: Final = 5
"""Of keys of which it is not clear which is meant."""
LONGEST: Final = 100
"""Characters of a key's name."""


async def every(runtime: Runtime, tenant_id: UUID) -> list[dict[str, Any]]:
    """What may be shown of a tenant's API keys, live ones first, the newest first."""
    async with runtime.database.autocommit() as session:
        return await store.keys(session, tenant_id)


async def find(runtime: Runtime, tenant_id: UUID, said: str) -> dict[str, Any]:
    """The live key that is meant by its id, its name or its last four characters.

    Raises NotFound with the nearest name, Conflict when several are meant, and Invalid for a key
    itself, which belongs on no command line.
    """
    if said.strip().startswith(KEY_PREFIX):
        raise Invalid(
            "key_itself",
            "that is an API key itself, which would stay in the shell's history: say its last four "
            "characters, its name or its id (`ringline key list`)",
        )
    return _meant(await every(runtime, tenant_id), clean_name(said)[:LONGEST])


def _meant(rows: Sequence[dict[str, Any]], said: str) -> dict[str, Any]:
    live = [row for row in rows if row["revoked_at"] is None]
    known, hint = id_of(said), said.removeprefix("...").removeprefix("\u2026")
    found = [row for row in live if row["id"] == known] or [
        row for row in live if said == row["name"] or hint == row["hint"]
    ]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(str(row["id"]) for row in found[:MOST_NAMED])
        more = f" and {len(found) - MOST_NAMED} more" if len(found) > MOST_NAMED else ""
        raise Conflict(
            "ambiguous_key", f"{said!r} is {len(found)} live keys: say the id of one: {ids}{more}"
        )
    for row in rows:
        if known == row["id"] or said == row["name"] or hint == row["hint"]:
            at = rfc3339(row["revoked_at"])
            raise NotFound("key_not_found", f"the API key {said!r} was revoked already, at {at}")
    near = nearest(said, [row["name"] for row in live])
    meant = f"did you mean {near!r}?" if near else "`ringline key list` names all"
    raise NotFound("key_not_found", f"there is no live API key {said!r}; {meant}")


async def revoke(
    runtime: Runtime,
    tenant_id: UUID,
    key_id: UUID,
    *,
    confirm: bool = False,
    actor: Actor = SERVER,
) -> None:
    """Let a key be good for nothing from now on.

    Raises NotFound; Conflict for the only one, unless confirmed: the backend is shut out then.
    """
    async with runtime.database.transaction() as session:
        await store.lock_tenant(session, tenant_id)
        other = await store.has_other_key(session, tenant_id, key_id)
        row = await store.revoke_key(session, tenant_id, key_id)
        if row is None:
            raise NotFound("key_not_found", "There is no such live API key.")
        if not other and not confirm:
            raise Conflict(
                "last_api_key",
                "this is the only live API key: without it the backend is refused. Make another "
                "one first, or confirm (`--confirm`, `?confirm=true`)",
            )
        target = f"key:...{row['hint']}"
        await record(session, actor, tenant_id, "key.revoke", target, {"name": row["name"]})
