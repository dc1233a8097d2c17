"""Files that commands are given: bounded, and text in the encodings that editors write."""

import codecs
from pathlib import Path
from typing import Final

from app.cli.base import fail

MOST_BYTES: Final = 4 * 2**20
"""Of any file that a command reads whole: certificates, templates and texts have a hundredth."""
UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def bytes_in(file: Path) -> bytes:
    """All of a file, or a sentence and the end: a device or a pipe may have no end of its own."""
    with file.open("rb") as opened:
        data = opened.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        fail(f"{file}: is larger than {MOST_BYTES:,} bytes: this is another file", code="too_large")
    return data


def text_in(file: Path) -> str:
    """A file's text, without a byte-order mark: in UTF-8, or in UTF-16 as Windows writes it."""
    data = bytes_in(file)
    try:
        if data.startswith(UTF_16):
            return data.decode("utf-16")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        fail(f"{file}: is no text in UTF-8: save it as UTF-8", code="not_utf_8")


def line_in(file: Path) -> str:
    """What a file holds but for its line end: a password."""
    return text_in(file).rstrip("\r\n")
