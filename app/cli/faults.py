"""What went wrong, as one sentence that says how to mend it. No traceback, no secret.

Exit statuses: 1 it cannot be done as asked, or a setting is wrong; 2 the command is not called so;
3 a server (PostgreSQL, Redis) does not answer; 70 a fault of Ringline's own.
"""

from typing import Final

from pydantic import ValidationError
from redis.exceptions import RedisError
from sqlalchemy.exc import DBAPIError

from app.core.frozen import frozen
from app.infra.database_hosts import NO_POOLER
from app.infra.errors import AppError
from app.infra.outage import (
    NOT_MIGRATED,
    PROTOCOL_VIOLATION,
    DatabaseAway,
    is_busy,
    is_transient,
    name_of,
    sqlstate,
)
from app.infra.vault import VaultError

REFUSED: Final = 1
MISTYPED: Final = 2
AWAY: Final = 3
OURS: Final = 70
"""EX_SOFTWARE of sysexits.h."""

DOCTOR: Final = "`ringline doctor` says more"
BY_STATE: Final = {
    PROTOCOL_VIOLATION: f"RINGLINE_DATABASE_URL does not lead to PostgreSQL: {NO_POOLER}",
    "28P01": "PostgreSQL refuses the password of RINGLINE_DATABASE_URL: correct it",
    "28000": "PostgreSQL refuses the user of RINGLINE_DATABASE_URL: correct it, or pg_hba.conf",
    "3D000": "PostgreSQL has no database of the name in RINGLINE_DATABASE_URL: `createdb` it, or "
    "correct the name",
    "42P01": NOT_MIGRATED,
    "42703": "the database's tables are of another version: run `ringline migrate`",
    "42501": "PostgreSQL does not allow this to the user of RINGLINE_DATABASE_URL: make it the "
    "owner of the database (ALTER DATABASE ... OWNER TO) and of the tables in it, if another has "
    "made them (REASSIGN OWNED BY ... TO)",
    "25006": "PostgreSQL is read-only now: is it a standby, or its disk full?",
}
CONNECTING: Final = (ConnectionError, TimeoutError)


@frozen
class Fault:
    """A sentence, the code that machines read, and the exit status."""

    sentence: str
    code: str
    status: int = REFUSED


def fault_of(error: BaseException) -> Fault:
    """What to say of an error, whatever it is."""
    if isinstance(error, AppError):
        remedy = error.more.get("remedy")
        if not remedy or remedy in error.detail:
            return Fault(error.detail, error.code)
        end = "" if error.detail.endswith((".", "!", "?")) else "."
        return Fault(f"{error.detail}{end} {remedy}", error.code)
    if isinstance(error, ValidationError):
        return Fault(_of_settings(error), "wrong_setting")
    if isinstance(error, VaultError):
        return Fault(str(error), "vault")
    known = _of_database(error) or _of_network(error)
    if known is not None:
        return known
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return Fault(f"{where}{error.strerror or error}", "system")
    return Fault(
        f"Ringline failed ({type(error).__name__}). Run it again with RINGLINE_LOG_LEVEL=debug to "
        "see where, and report that",
        "internal_error",
        OURS,
    )


def _of_settings(error: ValidationError) -> str:
    said = []
    for one in error.errors():
        name = f"RINGLINE_{str(one['loc'][0]).upper()}" if one["loc"] else "the settings"
        said.append(f"{name}: {str(one['msg']).removeprefix('Value error, ')}")
    return "; ".join(said)


def _of_database(error: BaseException) -> Fault | None:
    for cause in _chain(error):
        # asyncpg's own errors, of a connection that SQLAlchemy never had, have it too
        state = sqlstate(cause) if isinstance(cause, DBAPIError) else _state(cause)
        if state in BY_STATE:
            return Fault(BY_STATE[state], "database", AWAY if state == "25006" else REFUSED)
    if is_busy(error):
        return Fault(
            f"PostgreSQL is busy with what was asked for ({name_of(error)}): another session holds "
            "it, or it takes too long; try again",
            "database_busy",
            AWAY,
        )
    if isinstance(error, DatabaseAway) or is_transient(error):
        return Fault(
            f"PostgreSQL does not answer ({name_of(error)}): start it, or correct "
            f"RINGLINE_DATABASE_URL; {DOCTOR}",
            "database_unavailable",
            AWAY,
        )
    if isinstance(error, DBAPIError):
        return Fault(f"PostgreSQL refused ({name_of(error)}); {DOCTOR}", "database")
    return None


def _state(error: BaseException) -> str:
    state = getattr(error, "sqlstate", None)
    return state if isinstance(state, str) else ""


def _of_network(error: BaseException) -> Fault | None:
    if isinstance(error, RedisError):
        return Fault(
            f"Redis does not answer ({type(error).__name__}): start it, or correct "
            f"RINGLINE_REDIS_URL; {DOCTOR}",
            "redis_unavailable",
            AWAY,
        )
    if isinstance(error, CONNECTING) or type(error).__name__ == "gaierror":
        return Fault(
            f"a server does not answer ({type(error).__name__}): {DOCTOR}", "unavailable", AWAY
        )
    if isinstance(error, OSError) and error.errno is None and "onnect" in str(error):
        # asyncio's "Multiple exceptions: [Errno 111] Connect call failed ..."
        return Fault(f"a server does not answer: {DOCTOR}", "unavailable", AWAY)
    return None


def _chain(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in found:
        found.append(at)
        at = at.__cause__ or at.__context__
    return found
