"""All rows of one tenant, in whatever tables: these are found in the database's own catalog.

Nothing here knows a table by its name, so that one that comes later is covered as it is made: each
that has a `tenant_id` with which an index begins. Tables without such an index hold what goes with
another row (`tests/workers/test_removal.py` says which, and fails for a new one).
"""

from collections.abc import Sequence
from graphlib import TopologicalSorter
from typing import Final
from uuid import UUID

from sqlalchemy import TextClause, text

from app.core.frozen import frozen
from app.infra.db import Connection, many

KEPT: Final = frozenset({"audit"})
"""What is kept of a tenant that is gone: the audit log, of which the database deletes nothing."""

COUNTED: Final = 100_000
"""Rows of a table that are counted at most."""

TABLES = text("""
    SELECT c.relname AS name, ARRAY(
        SELECT CAST(a.attname AS text)
        FROM unnest(CAST(i.indkey AS int2[])) WITH ORDINALITY k(number, place)
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.number
        ORDER BY k.place) AS columns
    FROM pg_class c CROSS JOIN LATERAL (
        SELECT i.indkey FROM pg_index i JOIN pg_attribute t
            ON t.attrelid = c.oid AND t.attname = 'tenant_id' AND t.attnum = i.indkey[0]
        WHERE i.indrelid = c.oid AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indisvalid
        ORDER BY i.indisprimary DESC, i.indnatts, i.indexrelid LIMIT 1
    ) i
    WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND pg_table_is_visible(c.oid)
    ORDER BY c.relname
""")
REFER = text("""
    SELECT f.relname AS child, t.relname AS parent FROM pg_constraint k
    JOIN pg_class f ON f.oid = k.conrelid JOIN pg_class t ON t.oid = k.confrelid
    WHERE k.contype = 'f' AND f.oid <> t.oid AND NOT f.relispartition AND pg_table_is_visible(f.oid)
""")


@frozen
class TenantTable:
    """A table with rows of tenants, and the order in which an index has those of one."""

    name: str
    order: Sequence[str]


async def tables(session: Connection) -> list[TenantTable]:
    """Every table of which a tenant's rows are found by an index; what refers to another first."""
    found = {
        row["name"]: TenantTable(row["name"], row["columns"][1:] or row["columns"])
        for row in await many(session, TABLES)
        if row["name"] not in KEPT
    }
    sorter = TopologicalSorter[str](dict.fromkeys(found, ()))
    for row in await many(session, REFER):
        if row["child"] in found and row["parent"] in found:
            sorter.add(row["parent"], row["child"])
    return [found[name] for name in sorter.static_order()]


async def count(
    session: Connection, tenant_id: UUID, most: int = COUNTED, of: Sequence[TenantTable] = ()
) -> dict[str, int]:
    """How many rows of a tenant there are in each table that has some; `most` are counted of it."""
    each = " UNION ALL ".join(
        f"SELECT '{one.name}' AS name, (SELECT count(*) FROM ("  # noqa: S608  (names of the catalog)
        f"SELECT FROM {one.name} WHERE tenant_id = :tenant LIMIT :most) n) AS rows"
        for one in of or await tables(session)
    )
    found = await many(session, text(each), {"tenant": tenant_id, "most": most})
    return {row["name"]: row["rows"] for row in found if row["rows"]}


def finding(table: TenantTable) -> TextClause:
    """The statement that says where `:most` rows of `:tenant` lie, in the order of an index."""
    return text(f"""
        SELECT CAST(ctid AS text) AS key FROM {table.name} WHERE tenant_id = :tenant
        ORDER BY {", ".join(table.order)} LIMIT :most
    """)  # noqa: S608  (names of the catalog)


def unindexed(condition: str) -> str:
    """A condition that no index serves: rows are taken by where they lie, and only looked at by it.

    By an index each batch would pass over all that is deleted already, as a look for it does; of
    fewer than some 100,000 rows that is taken for the cheaper way.
    """
    return f"CASE WHEN {condition} THEN true END"


def removing(table: TenantTable) -> TextClause:
    """The statement that deletes the rows of `:tenant` that lie at these places, `:keys`.

    In another partition another of the same tenant's may lie there, and goes too.
    """
    of_tenant = unindexed("tenant_id = :tenant")
    return text(f"""
        DELETE FROM {table.name} WHERE {of_tenant} AND ctid = ANY(ARRAY(
            SELECT ctid FROM {table.name} WHERE {of_tenant}
                AND ctid = ANY(CAST(CAST(:keys AS text[]) AS tid[])) FOR UPDATE SKIP LOCKED))
    """)  # noqa: S608  (names of the catalog)


async def find(session: Connection, table: TenantTable, tenant_id: UUID, most: int) -> list[str]:
    """Where so many rows of a tenant lie."""
    values = {"tenant": tenant_id, "most": most}
    return [row["key"] for row in await many(session, finding(table), values)]


async def remove(
    session: Connection, table: TenantTable, tenant_id: UUID, keys: Sequence[str]
) -> int:
    """Delete these rows, but what somebody holds; returns how many."""
    values = {"tenant": tenant_id, "keys": list(keys)}
    return int((await session.execute(removing(table), values)).rowcount)
