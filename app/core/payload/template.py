"""Payload templates: JSON with named holes, compiled once, filled by joining strings.

A hole is `{{name}}` in a string value. When it is the whole string the field's own JSON type goes
in (`"{{video}}"` becomes `true`); within a longer string it becomes text. `{{name?}}` as the
whole value of an object's member leaves the member out when the field is absent. An object
`{"$json": {...}}` becomes a string that holds that JSON, as some clients want. Fields are in
`fields.py`, and `{{token}}` is the call token.

Compiling before any value is known is what makes splicing safe: no user's name can look like a
hole, and the static text is escaped once for all rings.
"""

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from json.encoder import encode_basestring
from typing import Any, Final

from app.core.frozen import frozen
from app.core.payload.facts import PayloadError, RingFacts
from app.core.payload.fields import FIELDS, TOKEN_FIELD, Field

_HOLE: Final = re.compile(r"\{\{\s*([a-z_]+)(\?)?\s*\}\}")
_TO_JSON: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), allow_nan=False
).encode

Read = Callable[[RingFacts], Any]
Encode = Callable[[Any], str]


@frozen
class Slot:
    """A hole: `encode` makes its text of what is read, empty for a member that is left out."""

    name: str
    read: Read
    encode: Encode


class _TokenHole:
    __slots__ = ()


_TOKEN: Final = _TokenHole()
Piece = str | Slot | _TokenHole
Part = tuple[str, tuple[tuple[Read, Encode], ...]]
"""What lies between two places of the token: a format with `%s` for each of what fills it."""


@frozen
class Template:
    """A compiled template. `names` are the fields that it asks for, `token` included."""

    pieces: tuple[Piece, ...]
    names: frozenset[str]
    parts: tuple[Part, ...]


def compile_template(body: Mapping[str, Any]) -> Template:
    """Compile a template that is already a JSON object. Raises PayloadError with a path."""
    return _template(_object(body, "", inner=False))


def filled(template: Template, facts: RingFacts, but: Collection[str]) -> Template:
    """The same with its holes filled, but for those of these names."""
    return _template(
        piece.encode(piece.read(facts))
        if isinstance(piece, Slot) and piece.name not in but
        else piece
        for piece in template.pieces
    )


def _template(found: Iterable[Piece]) -> Template:
    pieces: list[Piece] = []
    for piece in found:
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        else:
            pieces.append(piece)
    names = {piece.name for piece in pieces if isinstance(piece, Slot)}
    if any(isinstance(piece, _TokenHole) for piece in pieces):
        names.add(TOKEN_FIELD)
    return Template(tuple(pieces), frozenset(names), tuple(_parts(pieces)))


def _parts(pieces: Iterable[Piece]) -> Iterator[Part]:
    form, holes = "", list[tuple[Read, Encode]]()
    for piece in pieces:
        if isinstance(piece, str):
            form += piece.replace("%", "%%")
        elif isinstance(piece, Slot):
            form += "%s"
            holes.append((piece.read, piece.encode))
        else:
            yield form, tuple(holes)
            form, holes = "", []
    yield form, tuple(holes)


def render(template: Template, facts: RingFacts) -> tuple[bytes, ...]:
    """The payload's bytes before, between and after the places of the token."""
    # what is read off and what writes it are mostly C: one frame of ours between costs more
    return tuple(
        [
            _utf8(form % tuple([encode(read(facts)) for read, encode in holes]))
            for form, holes in template.parts
        ]
    )


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Half a surrogate pair in a name must not cost the ring; it shows as a question mark.
        return text.encode("utf-8", "replace")


def _object(body: Mapping[str, Any], path: str, *, inner: bool) -> Iterator[Piece]:
    """An object's pieces. Members that may be left out come last, so that commas stay right."""
    fixed: list[tuple[str, Any]] = []
    optional: list[tuple[str, str]] = []
    for key, value in body.items():
        if not isinstance(key, str):
            raise PayloadError(f"{path or 'the template'}: a key is not a string")
        if _braces(key):
            raise PayloadError(f"{path}/{key}: a key cannot hold a placeholder")
        name = _optional_name(value)
        if name is None:
            fixed.append((key, value))
        else:
            optional.append((key, name))
    if optional and not fixed:
        raise PayloadError(f"{path or 'the template'}: needs a member that is always there")
    # The token last within the rest: nothing depends on it, people find it there.
    yield "{"
    for index, (key, value) in enumerate(fixed):
        if index and index == len(fixed) - 1 and value == "{{" + TOKEN_FIELD + "}}":
            yield from _optional_members(optional, path, inner=inner)
            optional = []
        yield _static(f"{',' if index else ''}{encode_basestring(key)}:", inner=inner)
        yield from _value(value, f"{path}/{key}", inner=inner)
    yield from _optional_members(optional, path, inner=inner)
    yield "}"


def _optional_members(members: list[tuple[str, str]], path: str, *, inner: bool) -> Iterator[Piece]:
    for key, name in members:
        prefix = _static(f",{encode_basestring(key)}:", inner=inner)
        yield _slot(name, f"{path}/{key}", whole=True, inner=inner, prefix=prefix)


def _value(value: Any, path: str, *, inner: bool) -> Iterator[Piece]:
    if isinstance(value, str):
        yield from _string(value, path, inner=inner)
    elif isinstance(value, Mapping):
        if tuple(value) == ("$json",):
            yield from _json_in_string(value["$json"], path, inner=inner)
        else:
            yield from _object(value, path, inner=inner)
    elif isinstance(value, list | tuple):
        yield "["
        for index, item in enumerate(value):
            if index:
                yield ","
            yield from _value(item, f"{path}/{index}", inner=inner)
        yield "]"
    else:
        try:
            yield _TO_JSON(value)
        except (TypeError, ValueError) as error:
            raise PayloadError(f"{path}: {value!r} is no JSON value") from error


def _json_in_string(value: Any, path: str, *, inner: bool) -> Iterator[Piece]:
    if inner:
        raise PayloadError(f"{path}: $json cannot hold another $json")
    if not isinstance(value, Mapping):
        raise PayloadError(f"{path}: $json must hold an object")
    yield '"'
    yield from _object(value, path, inner=True)
    yield '"'


def _string(text: str, path: str, *, inner: bool) -> Iterator[Piece]:
    whole = _HOLE.fullmatch(text)
    if whole:
        if whole[2]:
            raise PayloadError(f"{path}: only a member of an object can be left out")
        if whole[1] == TOKEN_FIELD:
            quote = _static('"', inner=inner)
            yield quote
            yield _TOKEN
            yield quote
        else:
            yield _slot(whole[1], path, whole=True, inner=inner)
        return
    quote = _static('"', inner=inner)
    yield quote
    yield from _mixed_text(text, path, inner=inner)
    yield quote


def _mixed_text(text: str, path: str, *, inner: bool) -> Iterator[Piece]:
    position = 0
    for hole in _HOLE.finditer(text):
        if hole[2]:
            raise PayloadError(f"{path}: {hole[0]} must be the whole value")
        yield _static(_plain(text[position : hole.start()], path), inner=inner)
        position = hole.end()
        if hole[1] == TOKEN_FIELD:
            yield _TOKEN
        else:
            yield _slot(hole[1], path, whole=False, inner=inner)
    yield _static(_plain(text[position:], path), inner=inner)


def _plain(text: str, path: str) -> str:
    wrong = _braces(text)
    if wrong:
        raise PayloadError(f"{path}: {wrong} is no placeholder")
    return encode_basestring(text)[1:-1]


def _braces(text: str) -> str:
    """The first pair of double braces with what is between them; empty when there is none."""
    start = text.find("{{")
    end = -1 if start < 0 else text.find("}}", start + 2)
    return "" if end < 0 else text[start : end + 2]


def _optional_name(value: Any) -> str | None:
    hole = _HOLE.fullmatch(value) if isinstance(value, str) else None
    return hole[1] if hole and hole[2] else None


def _slot(name: str, path: str, *, whole: bool, inner: bool, prefix: str | None = None) -> Slot:
    field = FIELDS.get(name)
    if field is None:
        raise PayloadError(f"{path}: there is no placeholder {name!r}")
    if not whole and field.type in {"object", "array"}:
        raise PayloadError(f"{path}: {name} is an {field.type}; it must be the whole value")
    encode = _encoder(field, whole=whole, left_out=prefix is not None)
    encode = _again(encode) if inner else encode
    return Slot(name, field.read, encode if prefix is None else _with_prefix(encode, prefix))


def _with_prefix(encode: Encode, prefix: str) -> Encode:
    return lambda value: "" if value is None else prefix + encode(value)


def _encoder(field: Field, *, whole: bool, left_out: bool) -> Encode:
    if not whole:
        return _as_text
    encode = _ENCODERS.get(field.type, _TO_JSON)
    if left_out or not field.absent:  # then there is a value
        return encode
    return lambda value: "null" if value is None else encode(value)


def _as_boolean(value: object) -> str:
    return "true" if value else "false"


_ENCODERS: Final[dict[str, Encode]] = {
    "string": encode_basestring,
    "integer": str,
    "boolean": _as_boolean,
}


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else encode_basestring(str(value))[1:-1]


def _again(encode: Encode) -> Encode:
    """JSON that is itself inside a JSON string is escaped once more."""
    return lambda value: encode_basestring(encode(value))[1:-1]


def _static(text: str, *, inner: bool) -> str:
    return encode_basestring(text)[1:-1] if inner else text
