"""Unpacking of archives with every Python of 3.11."""

import tarfile
from pathlib import Path
from typing import IO


def unpack(archive: IO[bytes], folder: Path) -> None:
    """All of a tar archive into the folder.

    Nothing lands outside the folder where Python has a filter for that: 3.11.4 and later (PEP 706);
    Debian 12's is 3.11.2, which has no `filter` to be told of.
    """
    with tarfile.open(fileobj=archive) as packed:
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(folder)
