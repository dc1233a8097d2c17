"""How a screen shows a user: a name, a picture, and the handle that CallKit and contacts know.

All is what the tenant says for one call; nothing is looked up, and nothing of it is fetched.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from app.core.frozen import frozen


class HandleKind(StrEnum):
    """CXHandle.HandleType: what a handle is, so that a phone finds its contact and can redial."""

    PHONE = "phone"
    EMAIL = "email"
    GENERIC = "generic"


@frozen
class Handle:
    """An address of a person, as CallKit takes it."""

    kind: HandleKind
    value: str


def handle_key(handle: Handle) -> str:
    """What is the same in every spelling: `+49 30 1234` and `+49-30-1234` are one number.

    Of a mail address case does not matter, of a generic handle everything does.
    """
    if handle.kind is HandleKind.PHONE:
        return "".join(one for one in handle.value if one not in " ().-/")
    return handle.value.lower() if handle.kind is HandleKind.EMAIL else handle.value


@frozen
class Person:
    """What is shown of a user; `avatar_url` is https."""

    name: str | None = None
    avatar_url: str | None = None
    handle: Handle | None = None


NOBODY: Final = Person()


_NOTHING: Final = {"name": None, "avatar_url": None, "handle": None}


def person_json(person: Person) -> dict[str, Any]:
    """All three as clients read them, null where there is none."""
    if person is NOBODY:
        return dict(_NOTHING)
    return {
        "name": person.name,
        "avatar_url": person.avatar_url,
        "handle": handle_json(person.handle),
    }


def handle_json(handle: Handle | None) -> dict[str, str] | None:
    """A handle as clients read it and rows hold it."""
    return None if handle is None else {"kind": handle.kind.value, "value": handle.value}


def stored_person(person: Person) -> dict[str, Any] | None:
    """A person as a row holds it; nothing for nobody."""
    return None if person is NOBODY or person == NOBODY else person_json(person)


def person_from(stored: Mapping[str, Any] | None) -> Person:
    """A person as a row holds it."""
    if stored is None:
        return NOBODY
    return Person(stored["name"], stored["avatar_url"], handle_from(stored["handle"]))


def handle_from(stored: Mapping[str, str] | None) -> Handle | None:
    """A handle as a row holds it."""
    return None if stored is None else Handle(HandleKind(stored["kind"]), stored["value"])
