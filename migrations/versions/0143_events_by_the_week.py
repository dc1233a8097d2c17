"""events and user_events lie in partitions by the week, so that old weeks go whole

The table as it is becomes the first partition: its bound is proven beforehand by a constraint that
is validated while everybody writes, so that nothing is read or rewritten under a lock. Each
statement that locks a table waits for it for a moment only, and is tried again.

Revision ID: 0143
Revises: 0142
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from migrations.beside import beside_writers, in_a_moment, index_beside_writers

revision = "0143"
down_revision = "0142"
branch_labels = None
depends_on = None

WEEK = timedelta(days=7)
A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
WEEKS_AHEAD = 4

# table: the partition's key, the primary key's columns before and after
TABLES = {
    "events": ("session_id", "session_id, seq", "session_id, seq"),
    "user_events": ("at", "tenant_id, user_id, seq", "tenant_id, user_id, seq, at"),
}


def upgrade() -> None:
    with op.get_context().autocommit_block():
        for table, (key, before, after) in TABLES.items():
            if not _is_partitioned(table):
                _divide(table, key, before, after)


def downgrade() -> None:
    for table, (_, before, _) in TABLES.items():
        op.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        op.execute(f"ALTER TABLE {table} RENAME TO {table}_by_week")
        op.execute(f"CREATE TABLE {table} (LIKE {table}_by_week INCLUDING DEFAULTS)")
        op.execute(f"INSERT INTO {table} SELECT * FROM {table}_by_week")  # noqa: S608
        op.execute(f"DROP TABLE {table}_by_week")
        op.execute(f"ALTER TABLE {table} ADD CONSTRAINT pk_{table} PRIMARY KEY ({before})")
        op.execute(f"CREATE INDEX ix_{table}_at ON {table} (tenant_id, at)")


def _divide(table: str, key: str, before: str, after: str) -> None:
    until = _first_bound(table, key)
    bounds = [_literal(key, until + n * WEEK) for n in range(WEEKS_AHEAD)]
    check = f"{table}_first_until"
    if after != before:
        index_beside_writers(f"pk_{table}_first", f"{table} ({after})", unique=True)
        keyed = f"""
            ALTER TABLE {table} DROP CONSTRAINT pk_{table},
                ADD CONSTRAINT pk_{table}_first PRIMARY KEY USING INDEX pk_{table}_first;
        """
    else:
        keyed = f"ALTER TABLE {table} RENAME CONSTRAINT pk_{table} TO pk_{table}_first;"
    in_a_moment(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {check}")
    in_a_moment(f"ALTER TABLE {table} ADD CONSTRAINT {check} CHECK ({key} < {bounds[0]}) NOT VALID")
    beside_writers(f"ALTER TABLE {table} VALIDATE CONSTRAINT {check}")
    weeks = "".join(
        f"""
        CREATE TABLE {table}_{until + n * WEEK:%Y%m%d} PARTITION OF {table}
            FOR VALUES FROM ({bounds[n]}) TO ({bounds[n + 1]});"""
        for n in range(WEEKS_AHEAD - 1)
    )
    in_a_moment(f"""
        DO $$ BEGIN
        LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;
        {keyed}
        ALTER INDEX ix_{table}_at RENAME TO ix_{table}_first_at;
        ALTER TABLE {table} RENAME TO {table}_first;
        CREATE TABLE {table} (LIKE {table}_first INCLUDING DEFAULTS,
            CONSTRAINT pk_{table} PRIMARY KEY ({after})) PARTITION BY RANGE ({key});
        CREATE INDEX ix_{table}_at ON {table} (tenant_id, at);
        ALTER TABLE {table} ATTACH PARTITION {table}_first
            FOR VALUES FROM (MINVALUE) TO ({bounds[0]});
        ALTER TABLE {table}_first DROP CONSTRAINT {check};
        {weeks}
        CREATE TABLE {table}_default PARTITION OF {table} DEFAULT;
        END $$
    """)


def _first_bound(table: str, key: str) -> datetime:
    """The Monday from which on there is no row, and none will be for a day."""
    found = op.get_bind().execute(
        sa.text(
            f"SELECT clock_timestamp(), (SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1)"  # noqa: S608
        )
    )
    now, newest = found.one()
    latest: datetime = now + timedelta(days=1)
    if isinstance(newest, UUID):
        newest = datetime.fromtimestamp((newest.int >> 80) / 1_000, UTC)
    if newest is not None:
        latest = max(latest, newest)
    return latest - (latest - A_MONDAY) % WEEK + WEEK


def _literal(key: str, at: datetime) -> str:
    return (
        f"'{at.isoformat()}'" if key == "at" else f"'{UUID(int=int(at.timestamp() * 1_000) << 80)}'"
    )


def _is_partitioned(table: str) -> bool:
    found = op.get_bind().execute(
        sa.text("SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(:table)"),
        {"table": table},
    )
    return bool(found.scalar_one())
