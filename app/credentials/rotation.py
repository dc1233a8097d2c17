"""Changing the key-encryption key while everything goes on.

Only the small wrapped data keys are written anew; what they guard is not touched, not even read.
Each row is compared and set, so a row that changes meanwhile keeps its change and is met again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import TextClause, text

from app.audit.log import SERVER, WHOLE_SERVER, Actor, record
from app.credentials.key_check import sealed_columns
from app.infra import vault
from app.infra.db import Connection, many
from app.infra.runtime import Runtime
from app.infra.vault import Keyring, Place, SealedColumn, VaultError

log = structlog.get_logger(__name__)

BATCH = 200

ROTATED = text("""
    SELECT DISTINCT jsonb_array_elements_text(detail -> 'from') AS key FROM audit
    WHERE tenant_id = :server AND action = 'vault.rotate' AND detail ? 'from'
""")
"""Marks of keys from which something was once taken."""

Say = Callable[[str], None]


def _silent(_sentence: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did, over all sealed columns. `failed` names rows that no key here opens.

    `never_used`: keys behind the first under which nothing rests, nor did when an earlier rotation
    found it: a new key that was not put first, most likely.
    """

    rewrapped: int
    failed: tuple[str, ...]
    never_used: tuple[str, ...] = ()


async def rotate(
    runtime: Runtime, *, batch: int = BATCH, actor: Actor = SERVER, say: Say = _silent
) -> Rotation:
    """Wrap every data key with the current key-encryption key. May be run again at any time.

    Rows that do not open are reported and left as they are: their key must come back.
    """
    rewrapped, failed, before = 0, [], set[str]()
    for column in vault.SEALED:
        count, lost, under = await _rotate_column(runtime, column, batch)
        rewrapped += count
        before |= under
        say(f"{column.table}: {count} re-wrapped")
        failed += [f"{column.table} {row_id}: {why}" for row_id, why in lost]
    async with runtime.database.transaction() as session:
        detail = {"rewrapped": rewrapped, "failed": len(failed), "from": sorted(before)}
        await record(session, actor, WHOLE_SERVER, "vault.rotate", "vault", detail)
        rows = await many(session, ROTATED, {"server": WHOLE_SERVER})
    log.info("vault_rotated", rewrapped=rewrapped, failed=len(failed))
    ring, known = runtime.keyring, {row["key"] for row in rows}
    never = [
        name
        for mark, name in ring.names.items()
        if mark != ring.current and not known & {mark, name} and not failed
    ]
    return Rotation(rewrapped, tuple(failed), tuple(never))


async def usage(runtime: Runtime) -> dict[str, dict[str, int]]:
    """Rows under each key, by table: a key that has none left can leave the settings.

    A key is named as in the settings, else by its mark.
    """
    found: dict[str, dict[str, int]] = {}
    async with runtime.database.autocommit() as session:
        for column in vault.SEALED:
            rows = await many(session, _counting(column))
            names = runtime.keyring.names
            found[column.table] = {
                names.get(row["key_id"], row["key_id"]): row["rows"] for row in rows
            }
    return found


async def marks(session: Connection) -> set[str]:
    """The marks of all keys that something rests under; of version 1 it is not told."""
    found = set[str]()
    for column in await sealed_columns(session):
        under = f"{column.column} FROM 3 FOR get_byte({column.column}, 1)"
        marked = text(f"""
            SELECT DISTINCT convert_from(substring({under}), 'UTF8') AS mark FROM {column.table}
            WHERE get_byte({column.column}, 0) = {vault.VERSION}
        """)  # noqa: S608
        found |= {row["mark"] for row in await many(session, marked)}
    return found


async def _rotate_column(
    runtime: Runtime, column: SealedColumn, batch: int
) -> tuple[int, list[tuple[UUID, str]], set[str]]:
    """How many rows, which did not open, and the marks of the keys under which the others were."""
    rewrapped, under = 0, set[str]()
    failed: list[tuple[UUID, str]] = []
    after = UUID(int=0)
    current = vault.head(runtime.keyring.current)
    while True:
        async with runtime.database.transaction() as session:
            values = {"after": after, "head": current, "size": len(current), "limit": batch}
            rows = await many(session, _selecting(column), values)
            if not rows:
                return rewrapped, failed, under
            done, lost = await asyncio.to_thread(_rewrap, runtime.keyring, column.purpose, rows)
            failed += lost
            under |= {vault.mark_of(old) for _, old, _ in done}
            if done:
                result = await session.execute(_setting(column), _columns(done))
                rewrapped += result.rowcount
        after = rows[-1]["id"]


def _rewrap(
    keyring: Keyring, purpose: str, rows: Sequence[dict[str, Any]]
) -> tuple[list[tuple[UUID, bytes, bytes]], list[tuple[UUID, str]]]:
    """(id, old, new) of those that open, and (id, why) of those that do not."""
    done: list[tuple[UUID, bytes, bytes]] = []
    lost: list[tuple[UUID, str]] = []
    for row in rows:
        try:
            new = vault.rewrap(keyring, Place(row["tenant_id"], row["id"], purpose), row["sealed"])
        except VaultError as error:
            lost.append((row["id"], str(error)))
            continue
        if new is not None:
            done.append((row["id"], row["sealed"], new))
    return done, lost


def _columns(done: Sequence[tuple[UUID, bytes, bytes]]) -> dict[str, list[Any]]:
    ids, olds, news = zip(*done, strict=True)
    return {"ids": list(ids), "olds": list(olds), "news": list(news)}


# Names of tables and columns come from vault.SEALED alone, never from a caller.


def _selecting(column: SealedColumn) -> TextClause:
    return text(f"""
        SELECT id, tenant_id, {column.column} AS sealed FROM {column.table}
        WHERE id > :after AND substring({column.column} FROM 1 FOR :size) <> :head
        ORDER BY id LIMIT :limit
    """)  # noqa: S608


def _setting(column: SealedColumn) -> TextClause:
    return text(f"""
        UPDATE {column.table} t SET {column.column} = n.new
        FROM (SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:olds AS bytea[]),
                                   CAST(:news AS bytea[])) AS n(id, old, new) ORDER BY id) n
        WHERE t.id = n.id AND t.{column.column} = n.old
    """)  # noqa: S608


def _counting(column: SealedColumn) -> TextClause:
    sealed = column.column
    return text(f"""
        SELECT convert_from(substring({sealed} FROM 3 FOR get_byte({sealed}, 1)), 'UTF8') AS key_id,
               count(*) AS rows
        FROM {column.table} GROUP BY 1 ORDER BY 1
    """)  # noqa: S608
