"""Putting a tombstone in an erased user's place in JSON that names them: by path, never as text.

An id may be any word, so also one of ours: `user_id`, `ringing`, `null`. Only the places that
`app.core.event` lists hold ids of users; whatever else is in a document keeps its meaning.
"""

# ruff: noqa: S608  (made of names of ours)

from app.core.event import USER_FIELDS, USER_LISTS, USER_OBJECTS

USER, TOMBSTONE = "CAST(:user AS text)", "CAST(:tombstone AS text)"


def _field(doc: str, name: str) -> str:
    return (
        f"CASE WHEN {doc} ->> '{name}' = {USER}"
        f" THEN jsonb_build_object('{name}', {TOMBSTONE}) ELSE '{{}}' END"
    )


def _list(doc: str, name: str) -> str:
    ids = f"{doc} -> '{name}'"
    return (
        f"CASE WHEN jsonb_typeof({ids}) = 'array' AND ({ids}) ? {USER}"
        f" THEN jsonb_build_object('{name}', ("
        f"SELECT jsonb_agg(CASE WHEN v = {USER} THEN {TOMBSTONE} ELSE v END ORDER BY n)"
        f" FROM jsonb_array_elements_text({ids}) WITH ORDINALITY AS a(v, n))) ELSE '{{}}' END"
    )


PERSON = "'name', NULL, 'avatar_url', NULL, 'handle', NULL"


def _objects(doc: str, name: str, shown: str = "") -> str:
    objects = f"{doc} -> '{name}'"
    gone = f"jsonb_build_object('user_id', {TOMBSTONE}, 'device_id', NULL{shown})"
    return (
        f"CASE WHEN jsonb_typeof({objects}) = 'array' AND ({objects}) @> {_one_of(USER)}"
        f" THEN jsonb_build_object('{name}', ("
        f"SELECT jsonb_agg(CASE WHEN v ->> 'user_id' = {USER} THEN v || {gone} ELSE v END"
        f" ORDER BY n) FROM jsonb_array_elements({objects}) WITH ORDINALITY AS a(v, n)))"
        f" ELSE '{{}}' END"
    )


def _one_of(user: str) -> str:
    return f"jsonb_build_array(jsonb_build_object('user_id', {user}))"


def _device(doc: str) -> str:
    """The device of an event about this user is the user's own: it goes too."""
    return (
        f"CASE WHEN {doc} ->> 'user_id' = {USER} AND {doc} ? 'device_id'"
        " THEN jsonb_build_object('device_id', NULL) ELSE '{}' END"
    )


def _shown(doc: str) -> str:
    """What the caller had screens show goes with the caller."""
    return (
        f"CASE WHEN {doc} ->> 'caller_id' = {USER} AND {doc} ?| ARRAY['caller', 'title']"
        " THEN jsonb_build_object('caller', NULL, 'title', NULL) ELSE '{}' END"
    )


def named(doc: str) -> str:
    """SQL: whether an event's data names `:user`."""
    fields = (f"{doc} ->> '{name}' = {USER}" for name in USER_FIELDS)
    lists = (f"({doc} -> '{name}') ? {USER}" for name in USER_LISTS)
    objects = (f"({doc} -> '{name}') @> {_one_of(USER)}" for name in USER_OBJECTS)
    return " OR ".join((*fields, *lists, *objects))


def buried(doc: str) -> str:
    """SQL: an event's data with `:tombstone` in the place of `:user`."""
    return " || ".join(
        (
            doc,
            _device(doc),
            _shown(doc),
            *(_field(doc, name) for name in USER_FIELDS),
            *(_list(doc, name) for name in USER_LISTS),
            *(_objects(doc, name) for name in USER_OBJECTS),
        )
    )


def buried_call(doc: str) -> str:
    """SQL: a call as clients read it, with `:tombstone` in the place of `:user`."""
    caller = (
        f"CASE WHEN {doc} #>> '{{caller,id}}' = {USER} THEN jsonb_build_object("
        f"'caller', jsonb_build_object('id', {TOMBSTONE}, {PERSON}),"
        " 'title', NULL, 'custom', '{}'::jsonb)"
        " ELSE '{}' END"
    ).replace("'{}'::jsonb", "CAST('{}' AS jsonb)")
    members = _objects(doc, "members", f", {PERSON}")
    return " || ".join((doc, caller, members, _objects(doc, "warnings")))
