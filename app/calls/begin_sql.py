"""What the functions of the database that write new calls have in common."""

import re
import textwrap
from collections.abc import Mapping
from typing import Final

from app.calls import idempotency
from app.infra.connections import SHORT
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

# As `events.tell_users` does, of what `apply` makes by `core.event.envelope`.
TELL: Final = """
        WITH told AS ({told}
        ), kept AS (
            INSERT INTO user_events (tenant_id, user_id, seq, at, body)
            SELECT the_tenant, t.user_id, CAST(the_feeds ->> t.user_id AS bigint) + t.later,
                the_moment, t.body
            FROM told t
        ), moved AS (
            UPDATE feeds f SET seq = CAST(the_feeds ->> f.user_id AS bigint) + n.later
            FROM (SELECT user_id, max(later) AS later FROM told GROUP BY user_id) n
            WHERE f.tenant_id = the_tenant AND f.user_id = n.user_id
            RETURNING f.user_id, f.seq
        )
        SELECT jsonb_object_agg(user_id, seq) INTO the_feeds FROM moved;"""
# A transaction's number comes first: who makes a feed, or erases a user, and is not seen by what
# follows waits for those who had one. `idle` is for how long a transaction may rest.
FUNCTION: Final = """CREATE OR REPLACE FUNCTION {name}(asked jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    the_number CONSTANT xid8 := pg_current_xact_id();
    the_tenant CONSTANT uuid := CAST(asked ->> 'tenant_id' AS uuid);
    the_moment CONSTANT timestamptz := CAST(asked ->> 'now' AS timestamptz);
    the_deadline CONSTANT timestamptz := CAST(asked ->> 'deadline' AS timestamptz);{declared}
    the_kept bigint;
    the_taken uuid[];
    the_webhooks jsonb;
    the_feeds jsonb;
BEGIN
    IF clock_timestamp() > the_moment + interval '{idle:g} seconds' OR EXISTS (
        SELECT FROM erasures WHERE tenant_id = the_tenant AND erased_at >= the_moment
    ) THEN
        RETURN NULL;
    END IF;
    IF asked ? 'keys' THEN{keep}
    END IF;
    {write};
    IF cardinality(the_taken) = jsonb_array_length(asked -> 'calls') THEN
        NULL;
    ELSE
        IF asked ? 'keys' THEN
            {forget};
        END IF;
        IF the_taken IS NULL THEN
            RETURN '{{"taken": []}}';
        END IF;{left}
    END IF;
    {hold};
    IF the_feeds IS NOT NULL THEN{feeds}
    END IF;
    RETURN jsonb_build_object(
        'taken', to_jsonb(the_taken), 'webhooks', the_webhooks, 'feeds', the_feeds);
END $$"""

LINE: Final = 98


def function(
    name: str, *, write: str, hold: str, told: str, declared: str = "", left: str = ""
) -> str:
    """The SQL that makes a function, as a migration has it word for word.

    `write` finds `the_taken`, the calls whose cid was free, and `hold` the number of each feed to
    be told, in `the_feeds`; one of them finds `the_webhooks`. `told` selects user_id, later
    (counted from 1 for each user) and body. `left`: what follows where some were not taken.
    """
    made = FUNCTION.format(
        name=name, declared=declared, idle=SHORT.idle, keep=KEEPING, write=write, left=left,
        forget=FORGETTING, hold=hold, feeds=TELL.format(told=told),
    )  # fmt: skip
    return in_lines(made)


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
