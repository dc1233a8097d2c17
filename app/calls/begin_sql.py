"""What the functions of the database that write new calls have in common."""

import re
import textwrap
from collections.abc import Mapping
from typing import Final

from app.calls import idempotency
from app.infra.db import insert_sql

# Names that no column has: PL/pgSQL would not know which is meant.
SAID: Final = {
    "tenant_id": "the_tenant",
    "created_at": "the_moment",
    "due_at": "the_moment",
    "deadline": "the_deadline",
    "purpose": "'ring'",
}
# Of a key that somebody had before, or has at this moment: the long way knows what it is told.
KEEP: Final = """
        WITH kept AS ({kept})
        SELECT count(*) INTO the_kept FROM kept;
        IF the_kept < jsonb_array_length(asked -> 'keys') THEN
            {forget};
            RETURN NULL;
        END IF;"""
FORGET: Final = """DELETE FROM idempotency WHERE session_id = ANY (ARRAY(
                SELECT k.session_id FROM jsonb_to_recordset(asked -> 'keys') AS k(session_id uuid)
                {but}))"""

LINE: Final = 98


def in_lines(sql: str) -> str:
    """SQL with lines that a migration may have."""
    return "\n".join(map(_in_lines, sql.splitlines()))


def _in_lines(line: str) -> str:
    """A line of SQL as lines that a migration may have; no word of ours holds a space."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    if len(line) <= LINE:
        return line
    return textwrap.fill(
        line, LINE, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def bound(sql: str, values: Mapping[str, str]) -> str:
    """SQL with what its parameters are in the function."""
    return re.sub(r"(?<![:\w]):(\w+)", lambda found: values[found[1]], sql).strip()


def _keeping() -> str:
    said = {f"same0_{name}": SAID[name] for name in idempotency.NEW[4]}
    kept = bound(insert_sql(idempotency.NEW), {"rows0": "asked -> 'keys'"} | said)
    return KEEP.format(kept=kept, forget=FORGET.format(but=""))


KEEPING: Final = _keeping()
FORGETTING: Final = FORGET.format(but="WHERE k.session_id <> ALL (coalesce(the_taken, '{}'))")
"""Of keys whose calls were not taken."""
