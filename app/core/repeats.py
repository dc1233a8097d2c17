"""What stands twice in a list of things that are to be there once."""

from collections.abc import Hashable, Iterable


def first_repeated(things: Iterable[Hashable]) -> int | None:
    """Where a thing stands that has stood before; None if each stands once."""
    seen = set[Hashable]()
    for n, thing in enumerate(things):
        if thing in seen:
            return n
        seen.add(thing)
    return None
