"""attempts lie in partitions by the week of their ids, so that old weeks go whole

The table as it is becomes the first partition: its bound is proven beforehand by a constraint that
is validated while everybody writes, so that nothing is read or rewritten under a lock. Each
statement that locks the table waits for it for a moment only, and is tried again.

Revision ID: 0149
Revises: 0148
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import sqlalchemy as sa
from alembic import op

from migrations.beside import beside_writers, in_a_moment

revision = "0149"
down_revision = "0148"
branch_labels = None
depends_on = None

WEEK = timedelta(days=7)
A_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)
WEEKS_AHEAD = 4
INDEXES = {"ix_attempts_push_id": "push_id", "ix_attempts_finished_at": "finished_at"}
MADE = "".join(f"CREATE INDEX {name} ON attempts ({column});" for name, column in INDEXES.items())
IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass('attempts')"


def upgrade() -> None:
    with op.get_context().autocommit_block():
        if not op.get_bind().execute(sa.text(IS_PARTITIONED)).scalar_one():
            _divide(_first_bound())


def downgrade() -> None:
    op.execute("LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE")
    op.execute("ALTER TABLE attempts RENAME TO attempts_by_week")
    op.execute("CREATE TABLE attempts (LIKE attempts_by_week INCLUDING DEFAULTS)")
    op.execute("INSERT INTO attempts SELECT * FROM attempts_by_week")
    op.execute("DROP TABLE attempts_by_week")
    op.execute("ALTER TABLE attempts ADD CONSTRAINT pk_attempts PRIMARY KEY (id)")
    for name, column in INDEXES.items():
        op.create_index(name, "attempts", [column])


def _divide(until: datetime) -> None:
    bounds = [_least_id(until + n * WEEK) for n in range(WEEKS_AHEAD)]
    check = "attempts_first_until"
    in_a_moment(f"ALTER TABLE attempts DROP CONSTRAINT IF EXISTS {check}")
    in_a_moment(f"ALTER TABLE attempts ADD CONSTRAINT {check} CHECK (id < {bounds[0]}) NOT VALID")
    beside_writers(f"ALTER TABLE attempts VALIDATE CONSTRAINT {check}")
    renamed = "".join(
        f"ALTER INDEX {name} RENAME TO {name.replace('attempts', 'attempts_first')};"
        for name in INDEXES
    )
    weeks = "".join(
        f"""
        CREATE TABLE attempts_{until + n * WEEK:%Y%m%d} PARTITION OF attempts
            FOR VALUES FROM ({bounds[n]}) TO ({bounds[n + 1]});"""
        for n in range(WEEKS_AHEAD - 1)
    )
    in_a_moment(f"""
        DO $$ BEGIN
        LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE;
        ALTER TABLE attempts RENAME CONSTRAINT pk_attempts TO pk_attempts_first;
        {renamed}
        ALTER TABLE attempts RENAME TO attempts_first;
        CREATE TABLE attempts (LIKE attempts_first INCLUDING DEFAULTS,
            CONSTRAINT pk_attempts PRIMARY KEY (id)) PARTITION BY RANGE (id);
        {MADE}
        ALTER TABLE attempts ATTACH PARTITION attempts_first
            FOR VALUES FROM (MINVALUE) TO ({bounds[0]});
        ALTER TABLE attempts_first DROP CONSTRAINT {check};
        {weeks}
        CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;
        END $$
    """)


def _first_bound() -> datetime:
    """The Monday from which on there is no row, and none will be for a day."""
    newest = "SELECT id FROM attempts ORDER BY id DESC LIMIT 1"
    now, last = op.get_bind().execute(sa.text(f"SELECT clock_timestamp(), ({newest})")).one()
    latest: datetime = now + timedelta(days=1)
    if last is not None:
        latest = max(latest, datetime.fromtimestamp((last.int >> 80) / 1_000, UTC))
    return latest - (latest - A_MONDAY) % WEEK + WEEK


def _least_id(at: datetime) -> str:
    return f"'{UUID(int=int(at.timestamp() * 1_000) << 80)}'"
