"""Entitlements in the code signature of a Mach-O program, as `codesign` put them there.

Source: Apple's `mach-o/loader.h`, `mach-o/fat.h` and `kern/cs_blobs.h`. Only the list of load
commands and one blob of the signature are read, both bounded.
"""

import struct
from typing import IO, Final

from app.appcheck.findings import AppFileError

FAT: Final = {0xCAFEBABE: ">IIIII", 0xCAFEBABF: ">IIQQII"}
"""Programs for several processors: magic, and one entry (cputype, subtype, offset, ...)."""
HEADERS: Final = {b"\xcf\xfa\xed\xfe": 32, b"\xce\xfa\xed\xfe": 28}
"""Magic of 64 and of 32 bits, with the header's length in bytes."""
CODE_SIGNATURE: Final = 0x1D
SUPER_BLOB: Final = 0xFADE0CC0
ENTITLEMENTS: Final = 0xFADE7171
MOST_COMMANDS: Final = 2**20
MOST_BLOBS: Final = 64
MOST_ENTITLEMENTS: Final = 2**20
CUT: Final = "the program is cut off: it ends within {}"


def entitlements(file: IO[bytes]) -> bytes | None:
    """The entitlements as a property list (XML); None if it is not signed, or without any.

    Raises AppFileError for what is no Mach-O program, and for a damaged one.
    """
    start = _slice(file)
    header = _at(file, start, 32, "its header")
    length = HEADERS.get(header[:4])
    if length is None:
        raise AppFileError("the program is not Mach-O: it is no program of iOS")
    count, size = struct.unpack_from("<II", header, 16)
    if size > MOST_COMMANDS:
        raise AppFileError(f"the program claims {size:,} bytes of load commands")
    commands = _at(file, start + length, size, "its load commands")
    at = 0
    for _ in range(count):
        if at + 8 > size:
            raise AppFileError(CUT.format("its load commands"))
        command, step = struct.unpack_from("<II", commands, at)
        if step < 8:
            raise AppFileError(f"the program has a load command of {step} bytes")
        if command == CODE_SIGNATURE and at + 16 <= size:
            (offset,) = struct.unpack_from("<I", commands, at + 8)
            return _of_signature(file, start + offset)
        at += step
    return None


def _slice(file: IO[bytes]) -> int:
    """Where the first program begins, in a file that may hold several."""
    magic = int.from_bytes(_at(file, 0, 4, "its first bytes"), "big")
    if magic not in FAT:
        return 0
    form = FAT[magic]
    entry = _at(file, 8, struct.calcsize(form), "its list of processors")
    found: int = struct.unpack(form, entry)[2]
    return found


def _of_signature(file: IO[bytes], at: int) -> bytes | None:
    head = _at(file, at, 12, "its signature")
    magic, _, count = struct.unpack(">III", head)
    if magic != SUPER_BLOB or count > MOST_BLOBS:
        raise AppFileError("the program's code signature is damaged")
    index = _at(file, at + 12, 8 * count, "its signature")
    for _, offset in sorted(struct.iter_unpack(">II", index), key=lambda one: one[1]):
        magic, length = struct.unpack(">II", _at(file, at + offset, 8, "its signature"))
        if magic == ENTITLEMENTS:
            if not 8 <= length <= MOST_ENTITLEMENTS:
                raise AppFileError(f"the signature claims {length:,} bytes of entitlements")
            return _at(file, at + offset + 8, length - 8, "its entitlements")
    return None


def _at(file: IO[bytes], at: int, size: int, what: str) -> bytes:
    """So many bytes from there. In an archive going forward unpacks what lies between."""
    file.seek(at)
    found = file.read(size)
    if len(found) < size:
        raise AppFileError(CUT.format(what))
    return found
