"""The files inside an app, whether it is a folder, an archive or one file; all reading is bounded.

An archive's sizes are its own claims: what it says is too large is not opened, and zipfile gives no
byte more than was claimed.
"""

import io
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Final

from app.appcheck.findings import AppFileError

MIB: Final = 2**20
LARGEST_TEXT: Final = 4 * MIB
"""Bytes of a property list, a manifest, a profile."""
LARGEST_PROGRAM: Final = 2_048 * MIB
LARGEST_DIRECTORY: Final = 64 * MIB
"""Bytes of an archive's list of files: it is read whole."""
MOST_FILES: Final = 200_000
BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
    OSError,
)


class Contents(ABC):
    """Files by name, with `/` between folders."""

    @abstractmethod
    def has(self, name: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def opened(self, name: str, most: int) -> AbstractContextManager[IO[bytes]]:
        """A file, open; AppFileError if it is not there, broken, or larger than `most` bytes."""

    def read(self, name: str, most: int = LARGEST_TEXT) -> bytes:
        """All of a file."""
        with self.opened(name, most) as file:
            return file.read(most + 1)


class Folder(Contents):
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def has(self, name: str) -> bool:
        return (self._path / name).is_file()

    @contextmanager
    def opened(self, name: str, most: int) -> Iterator[IO[bytes]]:
        path = self._path / name
        if not path.is_file():
            raise AppFileError(f"there is no {name} in {self._path.name}")
        _check_size(name, path.stat().st_size, most)
        with path.open("rb") as file:
            yield file


class Archive(Contents):
    """A zip file: an .ipa or an .apk."""

    def __init__(self, path: Path) -> None:
        try:
            _check_directory(path)
            self._zip = zipfile.ZipFile(path)
        except BROKEN as error:
            raise AppFileError(f"the archive is damaged: {error}") from None
        self._sizes = {one.filename: one for one in self._zip.infolist() if not one.is_dir()}

    def names(self) -> list[str]:
        """All files, by name."""
        return sorted(self._sizes)

    def has(self, name: str) -> bool:
        return name in self._sizes

    @contextmanager
    def opened(self, name: str, most: int) -> Iterator[IO[bytes]]:
        found = self._sizes.get(name)
        if found is None:
            raise AppFileError(f"there is no {name} in the archive")
        if found.flag_bits & 1:
            raise AppFileError(f"{name} is encrypted in the archive")
        _check_size(name, found.file_size, most)
        try:
            with self._zip.open(found) as file:
                yield file
        except BROKEN as error:
            raise AppFileError(f"{name} is damaged in the archive: {error}") from None


class Inside(Contents):
    """One folder of other contents."""

    def __init__(self, outer: Contents, folder: str) -> None:
        self._outer = outer
        self._folder = folder

    def has(self, name: str) -> bool:
        return self._outer.has(self._folder + name)

    @contextmanager
    def opened(self, name: str, most: int) -> Iterator[IO[bytes]]:
        with self._outer.opened(self._folder + name, most) as file:
            yield file


def read_file(path: Path) -> bytes:
    """One file on disk, of at most LARGEST_TEXT bytes."""
    _check_size(path.name, path.stat().st_size, LARGEST_TEXT)
    with path.open("rb") as file:
        return file.read(LARGEST_TEXT)


def _check_size(name: str, size: int, most: int) -> None:
    if size > most:
        raise AppFileError(f"{name} has {size:,} bytes; more than {most:,} are not read")


def _check_directory(path: Path) -> None:
    """Look at how long the list of files says it is, before zipfile reads it into memory
    (APPNOTE 4.3.16, end of central directory record)."""
    with path.open("rb") as file:
        size = file.seek(0, io.SEEK_END)
        file.seek(max(0, size - 65_557))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise AppFileError("the archive is cut off: its list of files is missing")
    files = int.from_bytes(tail[at + 10 : at + 12], "little")
    listed = int.from_bytes(tail[at + 12 : at + 16], "little")
    if files == 0xFFFF or files > MOST_FILES or listed > LARGEST_DIRECTORY:
        raise AppFileError(f"the archive lists more files than an app has ({files:,})")
