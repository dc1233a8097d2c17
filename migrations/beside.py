"""What a migration does to a large table while everybody works on it; in an autocommit block.

Everything here may be done again: a migration that was broken off is run from its beginning.
"""

from alembic import context, op

from migrations.running import Say, by_moments, holder

LONG = 5
"""Seconds after which a transaction that is waited for is told of."""


def in_a_moment(statement: str) -> None:
    """Do what locks a table when nobody is in the way: nobody waits behind it for longer than
    `MOMENT`. It is one transaction; several statements go into a DO block."""
    by_moments(op.get_bind(), lambda: op.execute(statement), _say())


def beside_writers(statement: str) -> None:
    """Do what holds up neither readers nor writers, but waits itself: VALIDATE, CONCURRENTLY.

    For a vacuum, or for every transaction that began before it, such as a dump's.
    """
    whom = holder(op.get_bind(), least=LONG)
    if whom is not None:
        _say()(f"May have to wait for {whom} ...")
    op.execute("SET lock_timeout = '10min'")
    try:
        op.execute(statement)
    finally:
        op.execute("RESET lock_timeout")


def index_beside_writers(name: str, on: str, *, unique: bool = False) -> None:
    """Make an index; what is left of one that was broken off, which nobody can use, goes first."""
    beside_writers(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
    kind = "UNIQUE INDEX" if unique else "INDEX"
    beside_writers(f"CREATE {kind} CONCURRENTLY {name} ON {on}")


def _say() -> Say:
    say: Say = context.config.attributes["say"]
    return say
