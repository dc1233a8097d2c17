"""Hooks for schemathesis (SCHEMATHESIS_HOOKS): one value in two of a request is from our diet."""

import copy
import math
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.fuzz.diet import CURSORS, EVERYTHING, NUMBERS, TEXTS

SURROGATES = range(0xD800, 0xE000)
IN_A_URL = tuple(
    one
    for one in (*TEXTS, *CURSORS)
    if len(one) < 1_000 and not any(ord(character) in SURROGATES for character in one)
)
SPELLABLE = tuple(
    one for one in EVERYTHING if not (isinstance(one, float) and not math.isfinite(one))
)
"""The client refuses to write NaN: tests/e2e/test_bad_input.py sends it as bytes."""
IN_A_HEADER = tuple(
    one for one in IN_A_URL if one and not set(one) & set("\x00\r\n") and ord(max(one)) < 256
)


def leaves(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of everything inside a value."""
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value[:20]))
    else:
        return []
    return [place for key, one in inner for place in ((*at, key), *leaves(one, (*at, key)))]


def replaced(value: Any, at: tuple[Any, ...], new: Any) -> Any:
    """The same with something else at this place."""
    changed = copy.deepcopy(value)
    inside = changed
    for key in at[:-1]:
        inside = inside[key]
    inside[at[-1]] = new
    return changed


def odd(value: Any, diet: tuple[Any, ...]) -> st.SearchStrategy[Any]:
    """The value as it is, or with one thing in it replaced."""
    places = leaves(value)
    if not places:
        return st.just(value)
    other = st.builds(replaced, st.just(value), st.sampled_from(places), st.sampled_from(diet))
    return st.one_of(st.just(value), other)


@schemathesis.hook
def flatmap_body(_context: Any, body: Any) -> st.SearchStrategy[Any]:
    """Anything that JSON can spell."""
    return odd(body, SPELLABLE)


@schemathesis.hook
def flatmap_query(_context: Any, query: Any) -> st.SearchStrategy[Any]:
    """What a query can spell."""
    return odd(query, (*IN_A_URL, *map(str, NUMBERS)))


@schemathesis.hook
def flatmap_path_parameters(_context: Any, path: Any) -> st.SearchStrategy[Any]:
    """What a path can spell; an empty segment is another path."""
    return odd(path, tuple(one for one in IN_A_URL if one.strip()))


@schemathesis.hook
def flatmap_headers(_context: Any, headers: Any) -> st.SearchStrategy[Any]:
    """What HTTP lets through in a field's value."""
    return odd(headers, IN_A_HEADER)
