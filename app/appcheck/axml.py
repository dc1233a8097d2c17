"""Android manifests, as text and as the binary XML inside an .apk.

Source: AOSP `frameworks/base/libs/androidfw/include/androidfw/ResourceTypes.h` (ResChunk_header,
ResStringPool_header, ResXMLTree_attrExt, Res_value). Attributes are known by their resource id
where tools have taken their names away.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from app.appcheck.findings import AppFileError

XML, STRINGS, IDS, START, END = 0x0003, 0x0001, 0x0180, 0x0102, 0x0103
UTF8: Final = 0x100
NONE: Final = 0xFFFFFFFF
TYPE_REFERENCE, TYPE_STRING, TYPE_INT, TYPE_HEX, TYPE_BOOLEAN = 0x01, 0x03, 0x10, 0x11, 0x12
NAMES: Final = {
    0x01010003: "name", 0x01010010: "exported", 0x0101020C: "minSdkVersion",
    0x01010270: "targetSdkVersion", 0x01010599: "foregroundServiceType",
    0x01010569: "showWhenLocked", 0x01010024: "value", 0x01010025: "resource",
}  # fmt: skip
"""Resource ids of `android.R.attr`."""
MOST_ELEMENTS: Final = 50_000
MOST_TEXT: Final = 16 * 2**20
"""Bytes of all strings: many may be said to lie in one place."""
DEEPEST: Final = 100
BROKEN: Final = (struct.error, IndexError, UnicodeDecodeError, ValueError)

Value = str | int | bool


@dataclass(slots=True)
class Element:
    """One element. Attributes are without their namespace; a resource is `@` and its number."""

    name: str
    attributes: dict[str, Value] = field(default_factory=dict)
    children: list["Element"] = field(default_factory=list)

    def all(self, name: str) -> Iterator["Element"]:
        """Elements of this name, at any depth."""
        for child in self.children:
            if child.name == name:
                yield child
            yield from child.all(name)

    def text(self, name: str) -> str:
        """An attribute that is a text; empty where it is absent or something else."""
        found = self.attributes.get(name)
        return found if isinstance(found, str) else ""


class _Tree:
    """Puts elements together from starts and ends, within bounds."""

    def __init__(self) -> None:
        self.top = Element("")
        self._open = [self.top]
        self._count = 0

    def start(self, name: str, attributes: dict[str, Value]) -> None:
        self._count += 1
        if self._count > MOST_ELEMENTS or len(self._open) > DEEPEST:
            raise AppFileError("the manifest has more elements than an app's")
        made = Element(name, attributes)
        self._open[-1].children.append(made)
        self._open.append(made)

    def end(self) -> None:
        if len(self._open) == 1:
            raise AppFileError("the manifest ends an element that it did not begin")
        self._open.pop()

    def manifest(self) -> Element:
        if len(self._open) != 1 or [one.name for one in self.top.children] != ["manifest"]:
            raise AppFileError("this XML is no Android manifest: its top is not <manifest>")
        return self.top.children[0]


def read_manifest(data: bytes) -> tuple[Element, bool]:
    """A manifest, and whether it was binary. Raises AppFileError."""
    if data[:2] == struct.pack("<H", XML):
        try:
            return _binary(data), True
        except BROKEN as error:
            raise AppFileError(f"the binary manifest is damaged: {error}") from None
    return _text(data), False


def _text(data: bytes) -> Element:
    tree = _Tree()
    parser = expat.ParserCreate()

    def no_doctype(*_args: object) -> None:
        raise AppFileError("the manifest has a DOCTYPE; Android's have none")

    def start(name: str, attributes: dict[str, str]) -> None:
        tree.start(name, {key.rpartition(":")[2]: value for key, value in attributes.items()})

    parser.StartDoctypeDeclHandler = no_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _name: tree.end()
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError) as error:
        raise AppFileError(f"the manifest is no XML: {error}") from None
    return tree.manifest()


def _binary(data: bytes) -> Element:
    tree = _Tree()
    strings: list[str] = []
    ids: tuple[int, ...] = ()
    at = struct.unpack_from("<H", data, 2)[0]
    while at + 8 <= len(data):
        kind, header, size = struct.unpack_from("<HHI", data, at)
        if size < max(header, 8) or at + size > len(data):
            raise AppFileError(f"the binary manifest has a part of {size} bytes at {at}")
        chunk = data[at : at + size]
        if kind == STRINGS and not strings:
            strings = _strings(chunk, header)
        elif kind == IDS:
            ids = struct.unpack_from(f"<{(size - header) // 4}I", chunk, header)
        elif kind == START:
            name, attributes = _element(chunk, header, strings, ids)
            tree.start(name, attributes)
        elif kind == END:
            tree.end()
        at += size
    return tree.manifest()


def _strings(chunk: bytes, header: int) -> list[str]:
    count, _, flags, start, _ = struct.unpack_from("<5I", chunk, 8)
    offsets = struct.unpack_from(f"<{count}I", chunk, header)
    read = _utf8 if flags & UTF8 else _utf16
    found: list[str] = []
    total = 0
    for offset in offsets:
        found.append(read(chunk, start + offset))
        total += len(found[-1])
        if total > MOST_TEXT:
            raise AppFileError("the binary manifest has more text than its size allows")
    return found


def _utf8(chunk: bytes, at: int) -> str:
    """Lengths in characters and in bytes, each of one or two bytes; then the text."""
    length = 0
    for _ in range(2):
        length = chunk[at]
        at += 1
        if length & 0x80:
            length = (length & 0x7F) << 8 | chunk[at]
            at += 1
    return _whole(chunk, at, length).decode("utf-8", "replace")


def _utf16(chunk: bytes, at: int) -> str:
    """The length in units, of one or two units; then the text."""
    (length,) = struct.unpack_from("<H", chunk, at)
    at += 2
    if length & 0x8000:
        length = (length & 0x7FFF) << 16 | struct.unpack_from("<H", chunk, at)[0]
        at += 2
    return _whole(chunk, at, 2 * length).decode("utf-16-le", "replace")


def _whole(chunk: bytes, at: int, size: int) -> bytes:
    found = chunk[at : at + size]
    if len(found) < size:
        raise AppFileError("the binary manifest has a text that is cut off")
    return found


def _element(
    chunk: bytes, header: int, strings: list[str], ids: tuple[int, ...]
) -> tuple[str, dict[str, Value]]:
    _, name, start, size, count = struct.unpack_from("<IIHHH", chunk, header)
    if count and size < 20:
        raise AppFileError(f"the binary manifest has attributes of {size} bytes")
    found: dict[str, Value] = {}
    for number in range(count):
        at = header + start + number * size
        _, key, raw = struct.unpack_from("<III", chunk, at)
        kind, value = struct.unpack_from("<3xBI", chunk, at + 12)
        known = NAMES.get(ids[key]) if key < len(ids) else None
        found[known or strings[key]] = _value(kind, value, raw, strings)
    return strings[name], found


def _value(kind: int, value: int, raw: int, strings: list[str]) -> Value:
    if kind == TYPE_STRING:
        return strings[value]
    if kind == TYPE_BOOLEAN:
        return value != 0
    if kind == TYPE_REFERENCE:
        return f"@{value:#x}"
    if kind in {TYPE_INT, TYPE_HEX}:
        return value
    return strings[raw] if raw != NONE else value
