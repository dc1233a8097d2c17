"""Reading ASN.1 in DER, and in BER as old exporters write it, within fixed bounds.

The file comes from whoever may upload, so nothing here trusts a length: depth, number of elements
and every size are checked before anything is copied. Source: ITU-T X.690, sections 8 and 10.
"""

from collections.abc import Iterator
from dataclasses import dataclass

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, NULL, OID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06
UTF8_STRING, SEQUENCE, SET = 0x0C, 0x30, 0x31
CONSTRUCTED = 0x20
CONTEXT_0, CONTEXT_0_PRIMITIVE = 0xA0, 0x80

MOST_DEPTH = 24
MOST_ELEMENTS = 5_000
INDEFINITE = 0x80


class DerError(ValueError):
    """These bytes are not the ASN.1 that was expected; `cut` when they end too early.

    The message holds none of them.
    """

    def __init__(self, why: str, *, cut: bool = False) -> None:
        super().__init__(why)
        self.cut = cut


@dataclass(frozen=True, slots=True, repr=False)
class Element:
    """One tag with its content; `raw` is the whole of it, header included."""

    tag: int
    content: bytes
    raw: bytes

    def expect(self, tag: int) -> "Element":
        """This element, if it has that tag; DerError otherwise."""
        if self.tag != tag:
            raise DerError(f"ASN.1 tag {tag:#x} was expected, {self.tag:#x} is there")
        return self

    def children(self) -> list["Element"]:
        """The elements inside a constructed one."""
        if not self.tag & CONSTRUCTED:
            raise DerError("an ASN.1 element that should hold others holds none")
        return list(elements(self.content))

    def integer(self) -> int:
        """A non-negative INTEGER of at most 8 bytes."""
        content = self.expect(INTEGER).content
        if not 1 <= len(content) <= 9 or content[0] & 0x80:
            raise DerError("an ASN.1 integer is out of bounds")
        return int.from_bytes(content, "big")

    def oid(self) -> str:
        """An OBJECT IDENTIFIER in dotted form."""
        content = self.expect(OID).content
        if not 1 <= len(content) <= 64 or content[-1] & 0x80:
            raise DerError("an ASN.1 object identifier is malformed")
        numbers, value = [], 0
        for byte in content:
            value = value << 7 | byte & 0x7F
            if not byte & 0x80:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def octets(self, depth: int = 0) -> bytes:
        """An OCTET STRING (or `[0] IMPLICIT` of one), put together if BER has it in pieces."""
        if not self.tag & CONSTRUCTED:
            return self.content
        if depth > MOST_DEPTH:
            raise DerError("ASN.1 is nested too deeply")
        return b"".join(child.octets(depth + 1) for child in self.children())


def element(data: bytes) -> Element:
    """The one element at the start of `data`; what follows it is not looked at."""
    found, _ = _read(data, 0, 0)
    return found


def elements(data: bytes) -> Iterator[Element]:
    """The elements that make up `data`, one after the other."""
    position = count = 0
    while position < len(data):
        count += 1
        if count > MOST_ELEMENTS:
            raise DerError("ASN.1 with too many elements")
        found, position = _read(data, position, 0)
        yield found


def _read(data: bytes, start: int, depth: int) -> tuple[Element, int]:
    tag, size, position = _header(data, start)
    if size >= 0:
        end = position + size
        if end > len(data):
            raise DerError("ASN.1 that ends too early", cut=True)
        return Element(tag, data[position:end], data[start:end]), end
    end = _end_of_contents(data, position, depth)
    return Element(tag, data[position : end - 2], data[start:end]), end


def _end_of_contents(data: bytes, position: int, depth: int) -> int:
    """Where an element of indefinite length ends, its two zero bytes included."""
    if depth >= MOST_DEPTH:
        raise DerError("ASN.1 is nested too deeply")
    for _ in range(MOST_ELEMENTS):
        if data[position : position + 2] == b"\0\0":
            return position + 2
        _, size, inside = _header(data, position)
        position = inside + size if size >= 0 else _end_of_contents(data, inside, depth + 1)
        if position > len(data):
            raise DerError("ASN.1 that ends too early", cut=True)
    raise DerError("ASN.1 with too many elements")


def _header(data: bytes, start: int) -> tuple[int, int, int]:
    """Tag, size (-1 for indefinite) and where the content begins."""
    if start + 2 > len(data):
        raise DerError("ASN.1 that ends too early", cut=True)
    tag, size, position = data[start], data[start + 1], start + 2
    if tag & 0x1F == 0x1F:
        raise DerError("ASN.1 with a tag that no key or certificate has")
    if size == INDEFINITE:
        if not tag & CONSTRUCTED:
            raise DerError("ASN.1 of indefinite length that holds no elements")
        return tag, -1, position
    if size & 0x80:
        count = size & 0x7F
        if count > 4:
            raise DerError("ASN.1 with a length that cannot be true")
        if position + count > len(data):
            raise DerError("ASN.1 that ends too early", cut=True)
        size = int.from_bytes(data[position : position + count], "big")
        position += count
    return tag, size, position
