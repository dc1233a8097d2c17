"""Rows of second factors, of sign-ins that wait for one, and of one's own sessions."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.dashboard.models import AdminRecoveryCode
from app.dashboard.store import FACTOR
from app.infra.db import Connection, Row, insert_rows, many, one

WAIT: Final = 300.0
"""Seconds for which a right password waits for the second factor, and a challenge is good."""

TOTP = text(
    "SELECT id, sealed, confirmed, last_step, created_at FROM admin_totp WHERE admin_id = :admin"
)
SET_TOTP = text("""
    INSERT INTO admin_totp (id, tenant_id, admin_id, sealed, confirmed, last_step)
    VALUES (:id, :tenant, :admin, :sealed, false, 0)
    ON CONFLICT (admin_id) DO UPDATE SET id = excluded.id, sealed = excluded.sealed, last_step = 0
        WHERE NOT admin_totp.confirmed
    RETURNING id
""")
TAKE_STEP = text("""
    UPDATE admin_totp SET last_step = :step, confirmed = true
    WHERE id = :id AND last_step < :step RETURNING id
""")
FORGET_TOTP = text("DELETE FROM admin_totp WHERE admin_id = :admin RETURNING id")


async def totp(session: Connection, admin_id: UUID) -> dict[str, Any] | None:
    """An administrator's authenticator app, confirmed or not."""
    return await one(session, TOTP, {"admin": admin_id})


async def set_totp(session: Connection, values: Row) -> bool:
    """Keep a new secret, not yet confirmed; False when a confirmed one is there."""
    return await one(session, SET_TOTP, values) is not None


async def take_step(session: Connection, totp_id: UUID, step: int) -> bool:
    """A code of this step has come; False when that step or a later one was taken before."""
    return await one(session, TAKE_STEP, {"id": totp_id, "step": step}) is not None


async def forget_totp(session: Connection, admin_id: UUID) -> bool:
    """Forget the authenticator app; False when there is none."""
    return await one(session, FORGET_TOTP, {"admin": admin_id}) is not None


PASSKEYS = text("""
    SELECT id, name, credential_id, public_key, sign_count, created_at, used_at
    FROM admin_passkeys WHERE admin_id = :admin ORDER BY id
""")
ADD_PASSKEY = text("""
    INSERT INTO admin_passkeys (id, admin_id, name, credential_id, public_key, sign_count)
    VALUES (:id, :admin, :name, :credential_id, :public_key, :sign_count)
    ON CONFLICT DO NOTHING RETURNING id
""")
PASSKEY_USED = text("""
    UPDATE admin_passkeys SET sign_count = :count, used_at = clock_timestamp() WHERE id = :id
""")
FORGET_PASSKEY = text("""
    DELETE FROM admin_passkeys WHERE id = :id AND admin_id = :admin RETURNING name
""")
FORGET_PASSKEYS = text("DELETE FROM admin_passkeys WHERE admin_id = :admin")


async def passkeys(session: Connection, admin_id: UUID) -> list[dict[str, Any]]:
    """An administrator's passkeys, the oldest first."""
    return await many(session, PASSKEYS, {"admin": admin_id})


async def add_passkey(session: Connection, values: Row) -> bool:
    """Keep a passkey; False when it is kept already."""
    return await one(session, ADD_PASSKEY, values) is not None


async def passkey_used(session: Connection, passkey_id: UUID, count: int) -> None:
    """It has signed, for the so manieth time as it says."""
    await session.execute(PASSKEY_USED, {"id": passkey_id, "count": count})


async def forget_passkey(session: Connection, admin_id: UUID, passkey_id: UUID) -> str | None:
    """Forget one of an administrator's passkeys; its name, or None when there is none such."""
    row = await one(session, FORGET_PASSKEY, {"id": passkey_id, "admin": admin_id})
    return None if row is None else row["name"]


CODES_LEFT = text("SELECT count(*) AS n FROM admin_recovery_codes WHERE admin_id = :admin")
USE_CODE = text("""
    DELETE FROM admin_recovery_codes WHERE admin_id = :admin AND digest = :digest RETURNING digest
""")
FORGET_CODES = text("DELETE FROM admin_recovery_codes WHERE admin_id = :admin")


async def codes_left(session: Connection, admin_id: UUID) -> int:
    """How many recovery codes are unused."""
    row = await one(session, CODES_LEFT, {"admin": admin_id})
    assert row is not None
    return int(row["n"])


async def replace_codes(session: Connection, admin_id: UUID, digests: Sequence[bytes]) -> None:
    """These recovery codes are good from now on, and no others."""
    await session.execute(FORGET_CODES, {"admin": admin_id})
    table = AdminRecoveryCode.__table__
    await insert_rows(session, table, [{"digest": d, "admin_id": admin_id} for d in digests])


async def use_code(session: Connection, admin_id: UUID, digest: bytes) -> bool:
    """Use up a recovery code; False when there is none such."""
    return await one(session, USE_CODE, {"admin": admin_id, "digest": digest}) is not None


async def forget_factors(session: Connection, admin_id: UUID) -> None:
    """Forget all second factors of an administrator, and the codes that stand in for them."""
    for statement in (FORGET_TOTP, FORGET_PASSKEYS, FORGET_CODES):
        await session.execute(statement, {"admin": admin_id})


HAS_FACTOR = text(f"SELECT {FACTOR} FROM (SELECT CAST(:admin AS uuid) AS id) a")  # noqa: S608
ADD_CHALLENGE = text("""
    INSERT INTO admin_challenges (digest, admin_id, challenge) VALUES (:digest, :admin, :challenge)
    ON CONFLICT (digest) DO UPDATE
        SET challenge = excluded.challenge, created_at = clock_timestamp()
""")
CHALLENGE = text("""
    SELECT admin_id, challenge FROM admin_challenges
    WHERE digest = :digest AND created_at > clock_timestamp() - make_interval(secs => :wait)
""")
USE_CHALLENGE = text("DELETE FROM admin_challenges WHERE digest = :digest RETURNING admin_id")
FORGET_CHALLENGES = text("""
    DELETE FROM admin_challenges
    WHERE created_at < clock_timestamp() - make_interval(secs => :wait)
""")


async def has_factor(session: Connection, admin_id: UUID) -> bool:
    """Whether a sign-in of this administrator needs a second factor."""
    row = await one(session, HAS_FACTOR, {"admin": admin_id})
    assert row is not None
    return bool(row["factor"])


async def add_challenge(
    session: Connection, digest: bytes, admin_id: UUID, challenge: bytes
) -> None:
    """Let this browser's challenge be this one; those that are over are forgotten."""
    await session.execute(FORGET_CHALLENGES, {"wait": WAIT})
    values = {"digest": digest, "admin": admin_id, "challenge": challenge}
    await session.execute(ADD_CHALLENGE, values)


async def challenge_of(session: Connection, digest: bytes) -> dict[str, Any] | None:
    """Whose challenge it is, and what is to be signed; None when it is over."""
    return await one(session, CHALLENGE, {"digest": digest, "wait": WAIT})


async def use_challenge(session: Connection, digest: bytes) -> bool:
    """Use a challenge up; False when somebody else just has."""
    return await one(session, USE_CHALLENGE, {"digest": digest}) is not None


SESSIONS = text("""
    SELECT digest, source, created_at, seen_at FROM admin_sessions
    WHERE admin_id = :admin
        AND created_at > clock_timestamp() - make_interval(secs => :longest)
        AND seen_at > clock_timestamp() - make_interval(secs => :idle)
    ORDER BY seen_at DESC, created_at DESC LIMIT 100
""")
END_ONE = text("""
    DELETE FROM admin_sessions WHERE admin_id = :admin AND digest = :digest RETURNING digest
""")
END_OTHERS = text("DELETE FROM admin_sessions WHERE admin_id = :admin AND digest <> :digest")


async def sessions(
    session: Connection, admin_id: UUID, *, longest: float, idle: float
) -> list[dict[str, Any]]:
    """An administrator's sessions that are good, the one used last first."""
    values = {"admin": admin_id, "longest": longest, "idle": idle}
    return await many(session, SESSIONS, values)


async def end_one(session: Connection, admin_id: UUID, digest: bytes) -> bool:
    """End one of an administrator's sessions; False when there is none such."""
    return await one(session, END_ONE, {"admin": admin_id, "digest": digest}) is not None


async def end_others(session: Connection, admin_id: UUID, digest: bytes) -> int:
    """End all sessions of an administrator but this one; how many."""
    done = await session.execute(END_OTHERS, {"admin": admin_id, "digest": digest})
    return done.rowcount
