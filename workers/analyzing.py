"""Tables that have doubled since they were analysed are so again, and plans made anew by it.

A prepared statement keeps its plan, and on a table without rows or statistics all indexes are
alike: what finds one row of thousands by a wrong one reads them all, for each ring. PostgreSQL's
autovacuum comes a minute later, in which a new house, or a burst, has rung ten thousand times.
"""

from typing import Final

from sqlalchemy import text

from app.infra.db import Database, many

EVERY: Final = 5.0
"""Seconds between looks, which cost a millisecond."""

SMALL: Final = 1_000
"""Rows that are read fast enough by any index: plans made anew cost the next rings more."""

# Neither waits for a lock, as a look at a table's size would. `reltuples` is as the last ANALYZE or
# VACUUM found it, -1 before. Another owner's tables are not ours.
GROWN = text("""
    SELECT quote_ident(c.relname) AS name FROM pg_class c
    WHERE c.relkind = 'r' AND c.relnamespace = CAST(current_schema() AS regnamespace)
        AND pg_stat_get_live_tuples(c.oid) > 2 * greatest(c.reltuples, 0) + :small
        AND pg_has_role(c.relowner, 'USAGE')
    ORDER BY c.relname
""")


async def analyze_grown(database: Database) -> list[str]:
    """Analyse what has doubled; its names. Waits for no lock: the next look comes soon."""
    async with database.patient.autocommit() as session:
        grown = [row["name"] for row in await many(session, GROWN, {"small": SMALL})]
        if grown:
            await session.execute(text(f"ANALYZE (SKIP_LOCKED) {', '.join(grown)}"))
    return grown
