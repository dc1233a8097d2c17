"""The database's schema: brought to a revision by Alembic, and which it is at."""

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

from app.infra.db import Database
from app.infra.errors import AppError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


NEWER = (
    "a newer Ringline has migrated this database: that is well while an upgrade is under way; else "
    "install that version, or restore the backup from before it"
)


class DatabaseIsNewer(AppError):
    """The database is at a revision that this code does not have."""

    status = 409


Say = Callable[[str], object]


def _silent(_sentence: str) -> None:
    """Nobody listens."""


def upgrade(url: str, revision: str = "head", say: Say = _silent) -> None:
    """Bring the database at `url` to `revision` (Alembic). Blocks; needs no running loop.

    Waits for another process that does so, and for who holds tables; `say` is told. Raises
    DatabaseIsNewer where it is at a revision of another version, DatabaseAway, and a Conflict of
    `migrations.running` where it was waited for in vain.
    """
    from alembic.script.revision import ResolutionError  # noqa: PLC0415  (slow to import)
    from alembic.util import CommandError  # noqa: PLC0415

    try:
        _alembic("upgrade", url, revision, say)
    except CommandError as error:
        if isinstance(error.__cause__, ResolutionError):
            raise DatabaseIsNewer("database_is_newer", NEWER) from error
        raise


def downgrade(url: str, revision: str) -> None:
    """Take the database at `url` back to `revision` (Alembic)."""
    _alembic("downgrade", url, revision, _silent)


def _alembic(command: str, url: str, revision: str, say: Say) -> None:
    from alembic import command as commands  # noqa: PLC0415  (slow to import, rarely wanted)
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes.update(url=url, say=say)
    getattr(commands, command)(config, revision)


async def revision_of(database: Database) -> str | None:
    """The Alembic revision that the database is at; None when it is empty."""
    async with database.autocommit() as session:
        found = await session.execute(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
        if not found.scalar_one():
            return None
        result = await session.execute(text("SELECT version_num FROM alembic_version"))
        return result.scalar_one_or_none()


class Standing(Enum):
    """How a revision, of a database or of a backup, stands to those that this code has."""

    NONE = "none"
    """There are no tables yet."""
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"
    """This code does not have it, so a newer Ringline has made it."""


def standing(revision: str | None) -> Standing:
    """How a database at this revision stands: the one rule for who looks at it."""
    if revision is None:
        return Standing.NONE
    head, known = _revisions()
    if revision == head:
        return Standing.CURRENT
    return Standing.OLDER if revision in known else Standing.NEWER


def head_revision() -> str:
    """The newest revision that this code has."""
    return _revisions()[0]


@lru_cache(maxsize=1)
def _revisions() -> tuple[str, frozenset[str]]:
    """The newest, and all. Reads every migration, once: a server does so when it starts."""
    script = _script()
    head = script.get_current_head()
    assert head is not None
    return head, frozenset(str(one.revision) for one in script.walk_revisions())


def _script() -> "ScriptDirectory":
    from alembic.config import Config  # noqa: PLC0415  (slow to import)
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return ScriptDirectory.from_config(config)
