"""Files as they come: a key or certificate inside base64, hex, a data URL, another encoding.

Kubernetes keeps secrets in base64, so a `.p8` arrives as base64 of its PEM; environment variables
spell line ends out; editors write UTF-16; documents turn dashes into longer ones. Each layer taken
off is said to whoever brought the file. Every step is linear in the size of the file.
"""

import base64
import binascii
import codecs
import json
import re
from collections.abc import Callable
from typing import Final
from urllib.parse import unquote_to_bytes

from app.credentials.files.pem import BEGIN

_OF_GOOGLE: Final = ("private_key_id", "client_email", "project_info", "refresh_token")

MOST_LAYERS: Final = 5
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
SHORTEST: Final = 24
"""Bytes. What is shorter is no key in any encoding."""

BEGIN_IN_BASE64: Final = "LS0tLS1CRUdJTi"

_STANDARD: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_URL_SAFE: Final = re.compile(r"[A-Za-z0-9_\-]+={0,2}")
_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_HEX_SEPARATORS: Final = re.compile(r"\\x|0x|[:,\s]")
_INVISIBLE: Final = re.compile("[\u200b\u2060\ufeff\x00]")
_SPACES: Final = re.compile("[\u00a0\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]")
_DASHES: Final = re.compile("[\u2010-\u2015\u2212\u2e3a\u2e3b\uff0d]")
_MARK: Final = re.compile(r"-{1,5} ?(BEGIN|END) ([A-Z0-9 ]{3,40}?) ?-{1,5}(?=[^-]|$)")
_ESCAPED: Final = re.compile(r"\\{1,4}([nrt])")
_ENDS: Final = {"n": "\n", "r": "", "t": " "}

Layer = tuple[bytes, str]
"""What is inside, and what is said of the layer."""


def unwrap(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    """What is inside all layers, and a sentence for each that was taken off."""
    notes: list[str] = []
    for _ in range(MOST_LAYERS):
        layer = _layer(data)
        if layer is None:
            break
        data, said = layer
        notes.append(said)
    return data, tuple(notes)


def _layer(data: bytes) -> Layer | None:
    if _is_der(data):
        return None
    text = _text(data)
    if text is None:
        return None
    if b"\0" in data[:2] or data[:2] in UTF_16:
        return text.encode("utf-8", "replace"), "It was text in UTF-16, as Windows writes it."
    stripped = _INVISIBLE.sub("", _SPACES.sub(" ", text)).strip()
    if BEGIN in stripped and not text.isascii() and stripped != text.strip():
        return stripped.encode(), "It held invisible characters, which were taken out."
    if is_google(stripped):
        return None
    for take in _TAKEN_OFF:
        found = take(stripped)
        if found is not None and found[0] != data:
            return found if take is _url or len(found[0]) >= SHORTEST else None
    return None


def is_google(text: str) -> bool:
    """Whether this is JSON of Google's, whose key is spelled as JSON spells it."""
    return text.startswith("{") and any(f'"{name}"' in text for name in _OF_GOOGLE)


def _is_der(data: bytes) -> bool:
    """A SEQUENCE: every key, certificate and PKCS#12. Hexadecimal text may begin with `0` too."""
    return data[:1] == b"\x30" and not data[1:2].isalnum()


def _text(data: bytes) -> str | None:
    """The file as text, in the encodings that editors write; None for what is none."""
    if data.startswith(UTF_16):
        return data.decode("utf-16", "replace")
    head = data[:200]
    if len(head) > 3 and head.count(b"\0") * 3 > len(head):  # UTF-16 that does not say so
        return data.decode("utf-16-le" if head[1] == 0 else "utf-16-be", "replace")
    try:
        return data.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError:
        return None


def _quoted(text: str) -> Layer | None:
    """A JSON string, or quotes from a shell or YAML around the whole."""
    if len(text) < 2 or text[0] != text[-1] or text[0] not in "\"'`":
        return None
    if text[0] == '"':
        try:
            inner = json.loads(text)
        except (ValueError, RecursionError):
            inner = None
        if isinstance(inner, str):
            return inner.encode("utf-8", "replace"), "It stood in quotes, which were taken off."
    return text[1:-1].encode(), "It stood in quotes, which were taken off."


def _marks(text: str) -> Layer | None:
    """PEM whose line ends are spelled out, or whose dashes an editor has changed."""
    plain = _DASHES.sub("-", text) if "BEGIN " in text else text
    said = "Its dashes were those of a document, not of a file."
    if plain != text or ("BEGIN " in text and BEGIN not in text):
        plain = _MARK.sub(r"-----\1 \2-----", plain)
    if BEGIN in plain and "\\" in plain:
        plain = _ESCAPED.sub(lambda match: _ENDS[match[1]], plain)
        said = "Its line ends were spelled out (`\\n`), as in an environment variable."
    return (plain.encode(), said) if plain != text and BEGIN in plain else None


def _url(text: str) -> Layer | None:
    """A data URL (RFC 2397), or text that was percent-encoded."""
    if text[:5].lower() == "data:":
        head, comma, rest = text.partition(",")
        if not comma:
            return None
        said = "It was a data URL."
        if head.lower().endswith(";base64"):
            inner = from_base64(unquote_to_bytes(rest).decode("latin-1"))
            return None if inner is None else (inner, said)
        return unquote_to_bytes(rest), said
    if BEGIN not in text and "BEGIN%20" in text:
        return unquote_to_bytes(text), "It was percent-encoded."
    return None


def is_hexadecimal(text: str) -> bool:
    """Whether this is hexadecimal of DER or of PEM: most of it is base64 as well."""
    digits = _HEX_SEPARATORS.sub("", text).lower()
    return digits.startswith(("308", "2d2d2d")) and _HEX.fullmatch(digits) is not None


def _hexadecimal(text: str) -> Layer | None:
    digits = _HEX_SEPARATORS.sub("", text)
    if len(digits) % 2 or not is_hexadecimal(text):
        return None
    return bytes.fromhex(digits), "It was written in hexadecimal."


def _base64(text: str) -> Layer | None:
    inner = None if BEGIN in text else from_base64(text)
    if inner is None or not _promising(inner):
        return None
    return inner, f"It was base64 of {'a PEM file' if BEGIN.encode() in inner else 'a file'}."


def _within(text: str) -> Layer | None:
    """Base64 of PEM somewhere in a text, such as the manifest of a Kubernetes secret."""
    start = -1 if BEGIN in text else text.find(BEGIN_IN_BASE64)
    found = None if start < 0 else _STANDARD.match(text, start)
    inner = None if found is None else from_base64(found[0])
    return None if inner is None else (inner, "It was base64 of a PEM file, within other text.")


def _promising(data: bytes) -> bool:
    """Whether these bytes may be more than a word that happens to be base64."""
    return _is_der(data) or BEGIN.encode() in data or _text(data) is not None


def from_base64(text: str) -> bytes | None:
    """The bytes of base64 in either alphabet, with line breaks, with or without its padding."""
    if BEGIN in text:  # whose dashes and letters are of the other alphabet
        return None
    compact = "".join(text.split())
    if _STANDARD.fullmatch(compact) is None:
        if _URL_SAFE.fullmatch(compact) is None:
            return None
        compact = compact.replace("-", "+").replace("_", "/")
    bare = compact.rstrip("=")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


_TAKEN_OFF: Final[tuple[Callable[[str], Layer | None], ...]] = (
    _quoted,
    _marks,
    _url,
    _hexadecimal,
    _base64,
    _within,
)
