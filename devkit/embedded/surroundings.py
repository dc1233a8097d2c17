"""What a demo takes of the environment that it is started in: nothing that is set for a server.

Whoever has followed the README has a server's settings in the shell. A demo that went by them would
migrate that server's database and take the messages of its queue.
"""

import asyncio
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy import text

from app.credentials import key_check
from app.infra.db import connect
from app.infra.settings import PREFIX, Settings
from app.infra.vault import keyring
from devkit.embedded.children import EmbeddedError

SERVERS: Final = ("RINGLINE_DATABASE_URL", "RINGLINE_REDIS_URL")
KEPT: Final = ("RINGLINE_LOG_LEVEL", "RINGLINE_LOG_FORMAT")
"""They say how a process speaks, and lead nowhere."""

TABLES: Final = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
ANOTHERS: Final = (
    "the database of RINGLINE_DATABASE_URL is not this demo's, and nothing was changed in it. "
    "--own-servers wants an empty one, or one that a demo of the same --folder has begun."
)


@contextmanager
def without_settings(*, own_servers: bool) -> Iterator[list[str]]:
    """Take the settings out of the environment, of this process and of its children to come.

    They are there again after the block. With `own_servers` those of database and Redis stay.
    Yields the names of those taken out; raises EmbeddedError if there is nothing that could stay.
    """
    if own_servers and not any(name in os.environ for name in SERVERS):
        raise EmbeddedError(f"--own-servers: neither {SERVERS[0]} nor {SERVERS[1]} is set.")
    known = {PREFIX + name.upper() for name in Settings.model_fields} - {*KEPT}
    if own_servers:
        known -= {*SERVERS}
    aside = {name: value for name, value in os.environ.items() if name.upper() in known}
    for name in aside:
        del os.environ[name]
    try:
        yield sorted(aside)
    finally:
        os.environ.update(aside)


def told_of(aside: list[str]) -> str:
    """In one sentence that they are not used."""
    more = f" and {len(aside) - 3} more" if len(aside) > 3 else ""
    return (
        f"{', '.join(aside[:3])}{more} of your environment: not used, the demo has servers of its "
        "own (--own-servers takes yours)"
    )


def refuse_anothers(settings: Settings) -> None:
    """Raise EmbeddedError if the database holds anything but this demo's; writes nothing then."""
    asyncio.run(_refuse_anothers(settings))


async def _refuse_anothers(settings: Settings) -> None:
    database = connect(settings)
    try:
        async with database.autocommit() as session:
            tables = {*(await session.execute(TABLES)).scalars()}
        if not tables:
            return
        if key_check.TABLE not in tables:
            raise EmbeddedError(ANOTHERS)
        await key_check.check(database, keyring(settings))
    except key_check.WrongSecretKey as error:
        raise EmbeddedError(ANOTHERS) from error
    finally:
        await database.close()
