"""Is RINGLINE_SECRET_KEY the key of this database?

A known value rests sealed in one row. Whoever opens it has the key; whoever does not would take
rings that are never pushed, so no server starts, `/readyz` says no and `doctor` says why. The row
is made by `ringline migrate` or the first server, unless what is sealed already does not open.
"""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.infra import vault
from app.infra.db import Connection, Database, many, one
from app.infra.vault import Keyring, Place, SealedColumn, VaultError

KNOWN: Final = b"the key of this database"
ONLY: Final = UUID(int=1)
"""The row's id, and its tenant's, who is nobody."""
PLACE: Final = Place(ONLY, ONLY, "key_check")
SAMPLE: Final = 3
BATCH: Final = 200

TABLE: Final = "key_checks"
THERE = text(f"SELECT to_regclass('{TABLE}') IS NOT NULL")
CHECK = text("SELECT sealed FROM key_checks WHERE id = :id")
TABLES = text(
    "SELECT name FROM unnest(CAST(:names AS text[])) AS name WHERE to_regclass(name) IS NOT NULL"
)
MADE = text("""
    INSERT INTO key_checks (id, tenant_id, sealed) VALUES (:id, :id, :sealed)
    ON CONFLICT (id) DO NOTHING RETURNING id
""")


class WrongSecretKey(Exception):
    """The key of the settings does not open what the database holds. Says so in one sentence."""

    def __init__(self) -> None:
        super().__init__(
            "RINGLINE_SECRET_KEY is not the key that this database was begun with: set that one "
            "again, or several as new:secret,old:secret"
        )


async def check(database: Database, keyring: Keyring) -> bool:
    """Look whether the key is the right one; True when it has just become the right one.

    Raises WrongSecretKey. Makes the check's row where there is none and all that is sealed opens;
    says nothing of a database without tables.
    """
    async with database.transaction() as session:
        if not (await session.execute(THERE)).scalar_one():
            return False  # not migrated yet, which others tell
        row = await one(session, CHECK, {"id": ONLY})
        if row is None:
            if not await _opens_what_there_is(session, keyring):
                raise WrongSecretKey
            values = {"id": ONLY, "sealed": vault.seal(keyring, PLACE, KNOWN)}
            if await one(session, MADE, values) is not None:
                return True
            row = await one(session, CHECK, {"id": ONLY})  # another process was first
    assert row is not None
    try:
        opened = vault.unseal(keyring, PLACE, row["sealed"])
    except VaultError as error:
        raise WrongSecretKey from error
    if opened != KNOWN:
        raise WrongSecretKey
    return False


async def _opens_what_there_is(session: Connection, keyring: Keyring) -> bool:
    """Of each sealed column the newest rows: what was sealed before there was a check."""
    for column in vault.SEALED:
        # names of ours
        newest = text(f"""
            SELECT id, tenant_id, {column.column} AS sealed FROM {column.table}
            WHERE {column.column} IS NOT NULL ORDER BY id DESC LIMIT {SAMPLE}
        """)  # noqa: S608
        for row in await many(session, newest):
            place = Place(row["tenant_id"], row["id"], column.purpose)
            try:
                vault.unseal(keyring, place, row["sealed"])
            except VaultError:
                return False
    return True


async def sealed_columns(session: Connection) -> list[SealedColumn]:
    """Those of the tables that are there: before an upgrade is migrated, some are not."""
    there = await session.execute(TABLES, {"names": [one.table for one in vault.SEALED]})
    found = set(there.scalars())
    return [one for one in vault.SEALED if one.table in found]


async def open_all(session: Connection, keyring: Keyring) -> tuple[dict[str, int], list[str]]:
    """Open every sealed row, in batches: how many opened of each table, and which did not."""
    opened, failed = dict[str, int](), list[str]()
    for column in await sealed_columns(session):
        batch = text(f"""
            SELECT id, tenant_id, {column.column} AS sealed FROM {column.table}
            WHERE {column.column} IS NOT NULL AND id > :after ORDER BY id LIMIT {BATCH}
        """)  # noqa: S608  (names of ours)
        after, opened[column.table] = UUID(int=0), 0
        while rows := await many(session, batch, {"after": after}):
            after = rows[-1]["id"]
            for row in rows:
                try:
                    vault.unseal(
                        keyring, Place(row["tenant_id"], row["id"], column.purpose), row["sealed"]
                    )
                except VaultError:
                    failed.append(f"{column.table} {row['id']}")
                else:
                    opened[column.table] += 1
    return opened, failed
