"""What of a dump is restored: Ringline's own objects, and nothing that belongs to the server.

`pg_restore --list` says what is in a dump, a line for each object; what is left out of that list is
not restored. A plain owner of a database may not make extensions, publications or the schema
`public`, and one of them would end the whole restore. Rows of feeds are left out: a client that
resumes a feed is told to read anew, from the first moment on that the tables are there.
"""

import re
from collections.abc import Collection
from typing import Final

ENTRY: Final = re.compile(r"\d+; \d+ \d+ (.+)")
OF_THE_SERVER: Final = re.compile(
    "(COMMENT - |SECURITY LABEL - )?"
    "(EXTENSION|PUBLICATION|PUBLICATION TABLE|SUBSCRIPTION|EVENT TRIGGER|DATABASE) "
)
FEEDS: Final = re.compile(r"TABLE DATA .+ (feeds|user_events(_first|_default|_\d{8})?) ")


def to_restore(listing: str, schemas: Collection[str]) -> str:
    """The lines of `pg_restore --list` that are restored where `schemas` are there already."""
    kept = []
    for line in listing.splitlines():
        entry = ENTRY.fullmatch(line)
        if entry is not None and not _is_left_out(entry[1], schemas):
            kept.append(line)
    return "\n".join(kept) + "\n"


def _is_left_out(what: str, schemas: Collection[str]) -> bool:
    return (
        OF_THE_SERVER.match(what) is not None
        or FEEDS.match(what) is not None
        or any(what.startswith((f"SCHEMA - {one} ", f"COMMENT - SCHEMA {one} ")) for one in schemas)
    )


def quoted(schema: str) -> str:
    """A schema's name as a pattern of pg_dump's that means this one alone."""
    return '"' + schema.replace('"', '""') + '"'
