"""Finding PEM blocks in text as people have it.

CRLF or bare CR, a byte-order mark, UTF-16 from Windows, "Bag Attributes" of openssl, indents from
YAML, `\\n` spelled out from an environment variable: none of it matters. Source: RFC 7468.
"""

import base64
import binascii
import codecs
from dataclasses import dataclass, field

BEGIN, END, DASHES = "-----BEGIN ", "-----END ", "-----"
MOST_BLOCKS = 40


class PemError(ValueError):
    """Text that looks like PEM and is not; `cut` when a block has no end."""

    def __init__(self, why: str, *, cut: bool = False) -> None:
        super().__init__(why)
        self.cut = cut


@dataclass(frozen=True, slots=True)
class Block:
    """One block: its label, its DER, and whether the old way of encrypting keys was used."""

    label: str
    der: bytes = field(repr=False)
    text: bytes = field(repr=False)
    encrypted: bool = False


def text_of(data: bytes) -> str:
    """The file as text with `\\n` line ends and no byte-order mark; never fails."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = data.decode("utf-16", "replace")
    else:
        text = data.removeprefix(codecs.BOM_UTF8).decode("latin-1")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if BEGIN in text and "\\n" in text:
        text = text.replace("\\r", "").replace("\\n", "\n")
    return text


def blocks(text: str) -> list[Block]:
    """Every block in the text, in its order. Raises PemError."""
    found: list[Block] = []
    position = text.find(BEGIN)
    while position >= 0:
        if len(found) == MOST_BLOCKS:
            raise PemError("too many PEM blocks")
        start = position + len(BEGIN)
        label_end = text.find(DASHES, start, start + 80)
        if label_end < 0:
            raise PemError("a PEM block whose first line is damaged", cut=True)
        label = text[start:label_end]
        closing = f"{END}{label}{DASHES}"
        end = text.find(closing, label_end)
        if end < 0:
            raise PemError("a PEM block without an end", cut=True)
        found.append(_block(label, text[label_end + len(DASHES) : end]))
        position = text.find(BEGIN, end + len(closing))
    return found


def _block(label: str, inside: str) -> Block:
    lines = [line.strip().lstrip(">").strip() for line in inside.strip().split("\n")]
    headers = [line for line in lines if ":" in line]
    body = "".join("".join(line.split()) for line in lines if ":" not in line)
    try:
        der = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        raise PemError("a PEM block that is not base64 inside") from None
    return Block(
        label=label,
        der=der,
        text=_rebuilt(label, headers, body),
        encrypted=any(line.startswith("Proc-Type") and "ENCRYPTED" in line for line in headers),
    )


def _rebuilt(label: str, headers: list[str], body: str) -> bytes:
    """The block as strict readers want it."""
    wrapped = [body[i : i + 64] for i in range(0, len(body), 64)]
    head = [*headers, ""] if headers else []
    return "\n".join(
        [f"{BEGIN}{label}{DASHES}", *head, *wrapped, f"{END}{label}{DASHES}", ""]
    ).encode("ascii", "replace")
