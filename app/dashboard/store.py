"""Rows of administrators, their sessions, and tries to sign in."""

from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.infra.db import Connection, Row, many, one

ADD = text("""
    INSERT INTO admins (id, email, role, password, one_time, one_time_until)
    VALUES (:id, :email, :role, :password, true,
            clock_timestamp() + make_interval(secs => :one_time_for))
    ON CONFLICT (email) DO NOTHING RETURNING id
""")
WHOLE = """
    SELECT id, email, role, password, one_time,
           one_time_until IS NULL OR one_time_until < clock_timestamp() AS late FROM admins
"""
BY_EMAIL = text(WHOLE + "WHERE email = :email")
BY_ID = text(WHOLE + "WHERE id = :id")
FACTOR: Final = """
    EXISTS (SELECT FROM admin_totp t WHERE t.admin_id = a.id AND t.confirmed)
    OR EXISTS (SELECT FROM admin_passkeys p WHERE p.admin_id = a.id) AS factor
"""
"""Whether administrator `a` has a second factor."""
ADMINS = text(f"""
    SELECT a.id, a.email, a.role, a.one_time, a.created_at, a.signed_in_at, {FACTOR}
    FROM admins a ORDER BY a.email
""")  # noqa: S608  (a text of ours)
LOCK_OWNERS = text("SELECT id FROM admins WHERE role = 'owner' ORDER BY id FOR UPDATE")


async def add_admin(session: Connection, values: Row) -> bool:
    """Make an administrator; False when there is one of this address."""
    return await one(session, ADD, values) is not None


async def admin_by_email(session: Connection, email: str) -> dict[str, Any] | None:
    """The administrator of this address (lower case), with the password's hash."""
    return await one(session, BY_EMAIL, {"email": email})


async def admin_by_id(session: Connection, admin_id: UUID) -> dict[str, Any] | None:
    """The administrator of this id, with the password's hash."""
    return await one(session, BY_ID, {"id": admin_id})


async def admins(session: Connection) -> list[dict[str, Any]]:
    """All administrators, by address."""
    return await many(session, ADMINS)


async def lock_owners(session: Connection) -> list[UUID]:
    """Every owner, held: two owners cannot unmake each other at the same time."""
    return [row["id"] for row in await many(session, LOCK_OWNERS)]


SET_ROLE = text("UPDATE admins SET role = :role WHERE id = :id")
SET_PASSWORD = text("""
    UPDATE admins SET password = :password,
        one_time = CAST(:one_time_for AS float8) IS NOT NULL,
        one_time_until = clock_timestamp() + make_interval(secs => CAST(:one_time_for AS float8))
    WHERE id = :id
""")
SIGNED_IN = text("UPDATE admins SET signed_in_at = clock_timestamp() WHERE id = :id")
REMOVE = text("DELETE FROM admins WHERE id = :id")


async def set_role(session: Connection, admin_id: UUID, role: str) -> None:
    """Change what an administrator may do."""
    await session.execute(SET_ROLE, {"id": admin_id, "role": role})


async def set_password(
    session: Connection, admin_id: UUID, hashed: str, *, one_time_for: float | None
) -> None:
    """Change an administrator's password; to a one-time one if it is good for some seconds only."""
    values = {"id": admin_id, "password": hashed, "one_time_for": one_time_for}
    await session.execute(SET_PASSWORD, values)


async def remove_admin(session: Connection, admin_id: UUID) -> None:
    """Delete an administrator and all their sessions."""
    await session.execute(REMOVE, {"id": admin_id})


ADD_SESSION = text("""
    INSERT INTO admin_sessions (digest, admin_id, source) VALUES (:digest, :admin, :source)
""")
SESSION = text(f"""
    SELECT a.id, a.email, a.role, a.one_time, {FACTOR},
           s.seen_at < clock_timestamp() - interval '1 minute' AS stale
    FROM admin_sessions s JOIN admins a ON a.id = s.admin_id
    WHERE s.digest = :digest
        AND s.created_at > clock_timestamp() - make_interval(secs => :longest)
        AND s.seen_at > clock_timestamp() - make_interval(secs => :idle)
""")  # noqa: S608
SEEN = text("UPDATE admin_sessions SET seen_at = clock_timestamp() WHERE digest = :digest")
END = text("DELETE FROM admin_sessions WHERE digest = :digest")
END_ALL = text("DELETE FROM admin_sessions WHERE admin_id = :admin")
FORGET_SESSIONS = text("""
    DELETE FROM admin_sessions
    WHERE created_at < clock_timestamp() - make_interval(secs => :longest)
""")


async def add_session(session: Connection, digest: bytes, admin_id: UUID, source: str) -> None:
    """A browser has signed in."""
    await session.execute(ADD_SESSION, {"digest": digest, "admin": admin_id, "source": source})
    await session.execute(SIGNED_IN, {"id": admin_id})


async def admin_of_session(
    session: Connection, digest: bytes, *, longest: float, idle: float
) -> dict[str, Any] | None:
    """Who has signed in with this session, if it is younger than `longest` and used within `idle`.

    Both in seconds. That it is used is noted at most once a minute.
    """
    values = {"digest": digest, "longest": longest, "idle": idle}
    row = await one(session, SESSION, values)
    if row is not None and row["stale"]:
        await session.execute(SEEN, {"digest": digest})
    return row


async def end_session(session: Connection, digest: bytes) -> None:
    """This browser has signed out."""
    await session.execute(END, {"digest": digest})


async def end_sessions(session: Connection, admin_id: UUID) -> None:
    """Sign an administrator out everywhere."""
    await session.execute(END_ALL, {"admin": admin_id})


ADD_TRY = text("""
    INSERT INTO sign_in_tries (id, email, source, browser)
    VALUES (:id, :email, :source, :browser)
""")
FORGET_TRY = text("DELETE FROM sign_in_tries WHERE id = :id")
FAILURES = text("""
    SELECT count(*) FILTER (WHERE browser IS NULL AND email = :email AND source = :source) AS pair,
           count(*) FILTER (WHERE browser IS NULL AND email = :email) AS account,
           count(*) FILTER (WHERE browser IS NULL AND source = :source) AS source,
           count(*) FILTER (WHERE browser = :browser) AS browser
    FROM sign_in_tries
    WHERE (email = :email OR source = :source OR browser = :browser)
        AND at > clock_timestamp() - make_interval(secs => :window)
""")
FORGET_TRIES_OF = text("""
    DELETE FROM sign_in_tries WHERE email = :email OR browser = 'password:' || CAST(:id AS text)
""")
FORGET_TRIES = text("""
    DELETE FROM sign_in_tries WHERE at < clock_timestamp() - make_interval(secs => :window)
""")


async def add_try(
    session: Connection, try_id: UUID, email: str, source: str, browser: str | None
) -> None:
    """A try begins; it counts as failed until it is forgotten. `browser`: a known one, if any."""
    values = {"id": try_id, "email": email, "source": source, "browser": browser}
    await session.execute(ADD_TRY, values)


async def forget_try(session: Connection, try_id: UUID) -> None:
    """This try was no failure: it succeeded, or was refused before it was looked at."""
    await session.execute(FORGET_TRY, {"id": try_id})


async def forget_tries(session: Connection, email: str, admin_id: UUID) -> None:
    """No try for this account has failed."""
    await session.execute(FORGET_TRIES_OF, {"email": email, "id": str(admin_id)})


async def failures(
    session: Connection, email: str, source: str, browser: str | None, window: float
) -> dict[str, int]:
    """Failed tries of the last `window` seconds: by unknown browsers for the `account`, from the
    `source` and both (`pair`), and by the known `browser`."""
    values = {"email": email, "source": source, "browser": browser, "window": window}
    row = await one(session, FAILURES, values)
    assert row is not None
    return row


async def forget_old(session: Connection, *, longest: float, window: float) -> None:
    """Delete sessions and tries too old to matter."""
    await session.execute(FORGET_SESSIONS, {"longest": longest})
    await session.execute(FORGET_TRIES, {"window": window})
