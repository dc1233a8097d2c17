"""Apple's own X.509 extensions on push certificates: their numbers and their DER.

Source: certificates issued by Apple's developer portal; "Establishing a certificate-based
connection to APNs". Apple documents .3.4 and .3.6; the other two are what its certificates carry.
"""

from collections.abc import Iterator, Sequence

from cryptography import x509

DEVELOPMENT = x509.ObjectIdentifier("1.2.840.113635.100.6.3.1")
PRODUCTION = x509.ObjectIdentifier("1.2.840.113635.100.6.3.2")
VOIP = x509.ObjectIdentifier("1.2.840.113635.100.6.3.4")
TOPICS = x509.ObjectIdentifier("1.2.840.113635.100.6.3.6")

DER_NULL = b"\x05\x00"
_UTF8_STRING = 0x0C
_SEQUENCE = 0x30

TopicList = Sequence[tuple[str, Sequence[str]]]
"""Pairs of a topic and its kinds: `[("com.example.app.voip", ["voip"])]`."""


def encode_topics(topics: TopicList) -> bytes:
    """Encode the value of extension .3.6.

    A SEQUENCE in which each topic (UTF8String) is followed by a SEQUENCE of its kinds
    (`app`, `voip`, `complication`).
    """
    content = b""
    for topic, kinds in topics:
        content += _element(_UTF8_STRING, topic.encode())
        content += _element(_SEQUENCE, b"".join(_element(_UTF8_STRING, k.encode()) for k in kinds))
    return _element(_SEQUENCE, content)


def decode_topics(der: bytes) -> list[tuple[str, list[str]]]:
    """Decode the value of extension .3.6; ValueError when it is not of that form."""
    outer = list(_elements(der))
    if len(outer) != 1 or outer[0][0] != _SEQUENCE:
        raise ValueError("extension 1.2.840.113635.100.6.3.6 is not one SEQUENCE")
    topics: list[tuple[str, list[str]]] = []
    for tag, content in _elements(outer[0][1]):
        if tag == _UTF8_STRING:
            topics.append((content.decode(), []))
        elif tag == _SEQUENCE and topics:
            topics[-1][1].extend(kind.decode() for _, kind in _elements(content))
        else:
            raise ValueError(f"unexpected DER tag {tag:#x} in the list of topics")
    return topics


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _elements(der: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(der):
        if position + 2 > len(der):
            raise ValueError("DER ends inside an element")
        tag, size = der[position], der[position + 1]
        position += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(der[position : position + count], "big")
            position += count
        if position + size > len(der):
            raise ValueError("DER ends inside an element")
        yield tag, der[position : position + size]
        position += size
