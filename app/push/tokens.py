"""Rows of push tokens: every statement that writes them, and how those of a ring are found."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app import senders
from app.core.push import ENVIRONMENTS, TOKEN_KINDS
from app.infra.arrays import of_users
from app.infra.db import Connection, Row, many
from app.infra.statements import planned_once
from app.infra.unreadable import readable
from app.push.claimed import ClaimedPush

User = tuple[UUID, str]
"""A tenant and one of its users."""

# A token of several parts, a subscription, is known by its last one: its endpoint, looked up by key
# whatever the planner thinks.
TOKENS_GIVEN_UP = planned_once("""
    SELECT t.id FROM tokens t
    JOIN unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[]), CAST(:tokens AS text[]))
        AS n(kind, app_id, token)
        ON t.kind = n.kind AND t.app_id = n.app_id AND t.token = n.token
    WHERE t.tenant_id = :tenant
        AND (t.user_id, t.device_row) IS DISTINCT FROM (CAST(:user AS text), CAST(:device AS uuid))
    UNION
    SELECT t.id
    FROM unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[]), CAST(:tokens AS text[]))
        AS n(kind, app_id, token)
    CROSS JOIN LATERAL (
        SELECT o.id FROM tokens o
        WHERE o.tenant_id = :tenant AND o.token LIKE '% %'
            AND md5(split_part(o.token, ' ', 4)) = md5(split_part(n.token, ' ', 4))
            AND o.kind = n.kind AND o.app_id = n.app_id AND o.token <> n.token
        OFFSET 0
    ) t
    WHERE n.token LIKE '% %'
    UNION
    SELECT t.id FROM tokens t
    WHERE t.device_row = CAST(:device AS uuid)
        AND (t.kind, t.app_id) IN (
            SELECT * FROM unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[])))
        AND t.token <> ALL(CAST(:tokens AS text[]))
    ORDER BY 1
""")


async def tokens_given_up(
    session: Connection, tenant_id: UUID, user_id: str, device: UUID, tokens: Sequence[Row]
) -> list[UUID]:
    """Tokens that a registration takes from another device, or replaces on this one."""
    values = {
        "tenant": tenant_id,
        "user": user_id,
        "device": device,
        "kinds": [token["kind"] for token in tokens],
        "bundles": [token["app_id"] for token in tokens],
        "tokens": [token["token"] for token in tokens],
    }
    return [row["id"] for row in await many(session, TOKENS_GIVEN_UP, values)]


LOCK_TOKENS = planned_once("""
    SELECT id FROM tokens
    WHERE id = ANY(ARRAY(
        SELECT t.id FROM tokens t
        JOIN unnest(CAST(:kinds AS text[]), CAST(:bundles AS text[]), CAST(:tokens AS text[]))
            AS n(kind, app_id, token)
            ON t.kind = n.kind AND t.app_id = n.app_id AND t.token = n.token
        WHERE t.tenant_id = :tenant
        UNION ALL
        SELECT id FROM tokens WHERE device_row = ANY(CAST(:devices AS uuid[]))
        UNION ALL
        SELECT unnest(CAST(:given_up AS uuid[]))))
    ORDER BY id FOR UPDATE
""")


async def lock_tokens(
    session: Connection,
    tenant_id: UUID,
    tokens: Sequence[Row],
    devices: Sequence[UUID],
    given_up: Sequence[UUID] = (),
) -> None:
    """Hold these tokens' rows, all those of these devices and what they give up, in order of id."""
    values = {"tenant": tenant_id, "devices": list(devices), "given_up": list(given_up)}
    for name, key in (("kinds", "kind"), ("bundles", "app_id"), ("tokens", "token")):
        values[name] = [token[key] for token in tokens]
    await session.execute(LOCK_TOKENS, values)


SAVE_TOKENS = text("""
    INSERT INTO tokens AS t (id, tenant_id, user_id, device_row, kind, app_id, environment,
                             token, registered_at, expires_at, retired_at, retired_reason, rings)
    SELECT i, :tenant, :user, :device, k, b, e, x, :now, :expires,
        CASE WHEN k = ANY(CAST(:activated AS text[])) THEN CAST(:now AS timestamptz) END,
        CASE WHEN k = ANY(CAST(:activated AS text[])) THEN 'not_activated' END,
        CAST(:rings AS boolean)
    FROM unnest(CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:bundles AS text[]),
                CAST(:environments AS text[]), CAST(:tokens AS text[])) AS n(i, k, b, e, x)
    ORDER BY k, b, x
    ON CONFLICT (tenant_id, kind, app_id, token) DO UPDATE SET
        user_id = excluded.user_id, device_row = excluded.device_row, rings = excluded.rings,
        environment = CASE WHEN t.proven_at IS NOT NULL AND t.device_row = excluded.device_row
                           THEN t.environment ELSE excluded.environment END,
        proven_at = CASE WHEN excluded.retired_at IS NOT NULL OR t.device_row = excluded.device_row
                         THEN t.proven_at END,
        registered_at = excluded.registered_at, expires_at = excluded.expires_at,
        retired_at = CASE WHEN t.proven_at IS NULL THEN excluded.retired_at END,
        retired_reason = CASE WHEN t.proven_at IS NULL THEN excluded.retired_reason END,
        version = t.version + 1
""")


async def save_tokens(
    session: Connection,
    *,
    tenant_id: UUID,
    user_id: str,
    device: UUID,
    tokens: Sequence[Row],
    ids: Sequence[UUID],
    now: datetime,
    expires: datetime,
    rings: bool,
) -> None:
    """Make, refresh or move tokens: each belongs to this device of this user from now on.

    One that has to be activated is retired until it is; once it has been it stays so wherever it
    moves, since who names it knows its secret.
    """
    values = {"tenant": tenant_id, "user": user_id, "device": device, "ids": list(ids)}
    values |= {"now": now, "expires": expires, "activated": sorted(senders.ACTIVATED_KINDS)}
    values["rings"] = rings
    for name, key in (("kinds", "kind"), ("bundles", "app_id"), ("tokens", "token")):
        values[name] = [token[key] for token in tokens]
    values["environments"] = [token["environment"] for token in tokens]
    await session.execute(SAVE_TOKENS, values)


REPLACED = text("""
    DELETE FROM tokens WHERE id = ANY(CAST(:ids AS uuid[])) AND token <> ALL(CAST(:kept AS text[]))
""")
DEVICES_OF_TOKENS = text("""
    SELECT DISTINCT device_row FROM tokens WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY 1
""")


async def devices_of_tokens(session: Connection, tokens: Sequence[UUID]) -> list[UUID]:
    """The devices that hold these tokens."""
    return [row["device_row"] for row in await many(session, DEVICES_OF_TOKENS, {"ids": tokens})]


async def forget_replaced(session: Connection, ids: Sequence[UUID], kept: Sequence[str]) -> None:
    """Delete those of the tokens that were given up whose text is not `kept`: they were replaced.

    By another of their device, or, a subscription, by one of the same endpoint.
    """
    await session.execute(REPLACED, {"ids": ids, "kept": kept})


TOKENS_OF_DEVICES = text("""
    SELECT id FROM tokens WHERE device_row = ANY(CAST(:ids AS uuid[])) ORDER BY id
""")


async def tokens_of_devices(session: Connection, ids: Sequence[UUID]) -> list[UUID]:
    """Every token that these devices hold."""
    return [row["id"] for row in await many(session, TOKENS_OF_DEVICES, {"ids": ids})]


HOLDING = text("""
    SELECT DISTINCT device_row FROM tokens
    WHERE device_row = ANY(CAST(:devices AS uuid[]))
        AND :token IN (token, split_part(token, ' ', 4))
""")


async def devices_holding(session: Connection, devices: Sequence[UUID], token: str) -> set[UUID]:
    """Those of these devices that hold this token (or endpoint), of whatever kind or app."""
    values = {"devices": list(devices), "token": token}
    return {row["device_row"] for row in await many(session, HOLDING, values)}


_KINDS = ", ".join(f"'{kind}'" for kind in senders.RING_KINDS)
REPEATED = ", ".join(f"'{kind}'" for kind in senders.REPEATED_KINDS)
"""SQL: the kinds that ring by notifications."""


def every(t: str) -> str:
    """SQL: seconds from one notification to the next by which the token `t` is rung; else NULL."""
    return f"""CASE WHEN {t}.kind IN ({REPEATED}) THEN (
        SELECT CAST(asks.settings #>> ARRAY['alert_rings', {t}.app_id] AS double precision)
        FROM tenants asks WHERE asks.id = {t}.tenant_id) END"""  # noqa: S608  (constants)


def live(t: str) -> str:
    """SQL: whether the token `t` is neither retired nor expired."""
    return f"{t}.retired_at IS NULL AND {t}.expires_at > clock_timestamp()"


def could_ring(t: str) -> str:
    """SQL: whether the token `t` is live and of a kind that rings, its device off or not."""
    return f"{live(t)} AND ({t}.kind IN ({_KINDS}) OR {every(t)} IS NOT NULL)"


def ringing(t: str) -> str:
    """SQL: whether the token `t` can be rung."""
    return f"({t}.rings AND {could_ring(t)})"


def rank(t: str) -> str:
    """SQL: how good an address of its device the token (or push) `t` is; the lowest goes first."""
    return f"array_position(ARRAY[{_KINDS}, {REPEATED}], {t}.kind)"


def best(t: str) -> str:
    """SQL: whether the token `t` is the best address of its device: one phone is rung once."""
    return f"""({t}.kind = '{senders.RING_KINDS[0]}' OR NOT EXISTS (
        SELECT FROM (SELECT * FROM tokens WHERE device_row = {t}.device_row OFFSET 0) o
        WHERE {ringing("o")} AND {rank("o")} < {rank(t)}))"""  # noqa: S608  (constants)


def of_user(w: str, which: str) -> str:
    """SQL: the tokens `t` of the user whom `w` names, `which` are not retired, as a joined table.

    By user, whatever the planner thinks: of a table that is small, or of which it knows nothing
    yet, it would read all that are not retired and compare each with each user.
    """
    return f"""CROSS JOIN LATERAL (
        SELECT t.* FROM tokens t
        WHERE t.tenant_id = {w}.tenant_id AND t.user_id = {w}.user_id AND t.retired_at IS NULL
            AND {which} OFFSET 0) AS t"""  # noqa: S608  (constants)


# Arrays by a SELECT of their own, here and where users are seen: were their length known to the
# planner it would make a plan anew for each lone ring, at four times the cost of the statement.
LIVE_TOKENS = """
    SELECT clock_timestamp() AS now, t.*
    FROM (SELECT 1) AS always LEFT JOIN (
        SELECT t.id, t.tenant_id, t.user_id {more}
        FROM unnest((SELECT CAST(CAST(:tenants AS text) AS uuid[])),
            (SELECT CAST(CAST(:users AS text) AS text[]))) AS w(tenant_id, user_id) {of_user}
    ) AS t ON true
"""
_WHICH = {"of_user": of_user("w", f"{ringing('t')} AND {best('t')}")}
_EVERY = f", {every('t')} AS every"
RINGABLE = text(LIVE_TOKENS.format(more=_EVERY, **_WHICH))
RINGABLE_BY_WAY = text(
    LIVE_TOKENS.format(more=_EVERY + ", t.kind, t.app_id, t.environment", **_WHICH)
)
"""The same with what tells which of them may lie in one batch of pushes."""
PUSHABLE = text(
    LIVE_TOKENS.format(
        **_WHICH, more=_EVERY + ", t.device_row, t.kind, t.app_id, t.environment, t.token"
    )
)


async def ringable(
    session: Connection, users: Sequence[tuple[UUID, str]]
) -> tuple[datetime, list[dict[str, Any]]]:
    """The database clock, and the tokens at which these users can be rung: `id`, whose, of what
    kind, app and environment, and `every` how many seconds it is rung again; None: not."""
    return clock_and_tokens(await many(session, RINGABLE_BY_WAY, wanted(users)))


async def pushable(session: Connection, user: User) -> tuple[datetime, list[dict[str, Any]]]:
    """The database clock, and the tokens of a user with all that a push needs."""
    return clock_and_tokens(await many(session, PUSHABLE, wanted([user])))


def wanted(users: Sequence[User]) -> dict[str, str]:
    """What LIVE_TOKENS wants to know of these."""
    return dict(zip(("tenants", "users"), of_users(users), strict=True))


def clock_and_tokens(rows: list[dict[str, Any]]) -> tuple[datetime, list[dict[str, Any]]]:
    """What LIVE_TOKENS returns, taken apart."""
    return rows[0]["now"], [row for row in rows if row["id"] is not None]


# statement_timestamp(), as an index knows nothing to do with the ever-moving clock_timestamp()
EXPIRED = text("""
    SELECT id FROM tokens
    WHERE retired_at IS NULL AND expires_at <= statement_timestamp()
        AND id <> ALL(CAST(:aside AS uuid[]))
    ORDER BY expires_at LIMIT :limit FOR UPDATE SKIP LOCKED
""")
EXPIRE = text("""
    WITH due AS (
        SELECT id FROM tokens
        WHERE id = ANY(CAST(:ids AS uuid[])) AND retired_at IS NULL
            AND expires_at <= clock_timestamp()
        ORDER BY id FOR UPDATE SKIP LOCKED
    )
    UPDATE tokens t SET retired_at = clock_timestamp(), retired_reason = 'expired',
        version = t.version + 1
    FROM due WHERE t.id = due.id
""")


async def expired_tokens(session: Connection, limit: int, aside: Sequence[UUID]) -> list[UUID]:
    """Tokens past their expiry that nobody holds, but for those `aside`."""
    values = {"limit": limit, "aside": list(aside)}
    return [row["id"] for row in await many(session, EXPIRED, values)]


async def expire_tokens(session: Connection, ids: Sequence[UUID]) -> None:
    """Retire those of these tokens that are free and past their expiry."""
    await session.execute(EXPIRE, {"ids": list(ids)})


OF_DEVICES = text("""
    SELECT id, device_row, kind, app_id, environment, right(token, 4) AS hint, registered_at,
           expires_at, retired_at, retired_reason
    FROM tokens WHERE device_row = ANY(CAST(:devices AS uuid[])) ORDER BY kind DESC, app_id
""")


async def of_devices(session: Connection, devices: Sequence[UUID]) -> list[dict[str, Any]]:
    """The tokens of these devices that can be read, of each the last four digits only."""
    rows = await many(session, OF_DEVICES, {"devices": list(devices)})
    return readable(rows, _known, "token", itemgetter("id"))


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """A token of a kind and an environment that we know."""
    if row["kind"] in TOKEN_KINDS and row["environment"] in ENVIRONMENTS:
        return row
    raise LookupError("a word of another version")


HEAL = text("""
    UPDATE tokens t SET environment = n.environment, proven_at = clock_timestamp()
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:environments AS text[]))
         AS n(id, version, environment)
    WHERE t.id = n.id AND t.version = n.version
""")
RETIRE = text("""
    UPDATE tokens t SET retired_at = clock_timestamp(), retired_reason = n.why,
        version = t.version + 1
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:whys AS text[]))
         AS n(id, version, why)
    WHERE t.id = n.id AND t.version = n.version AND t.retired_at IS NULL
""")


async def heal_tokens(session: Connection, pushes: Sequence[ClaimedPush]) -> None:
    """Remember the environment in which these pushes were taken, if the tokens are unchanged."""
    ordered = sorted(pushes, key=lambda push: push.token_id)
    values = {
        "ids": [push.token_id for push in ordered],
        "versions": [push.token_version for push in ordered],
        "environments": [push.environment for push in ordered],
    }
    await session.execute(HEAL, values)


async def retire_tokens(session: Connection, pushes: Sequence[tuple[ClaimedPush, str]]) -> None:
    """Retire tokens that are proved dead, unless they were registered anew meanwhile."""
    ordered = sorted(pushes, key=lambda pair: pair[0].token_id)
    values = {
        "ids": [push.token_id for push, _ in ordered],
        "versions": [push.token_version for push, _ in ordered],
        "whys": [why for _, why in ordered],
    }
    await session.execute(RETIRE, values)


SET_RINGS = text("""
    UPDATE tokens SET rings = :rings,
        turned_on_at = CASE WHEN :rings THEN clock_timestamp() ELSE turned_on_at END
    WHERE device_row = :device AND rings <> :rings
""")


async def set_rings(session: Connection, device: UUID, *, rings: bool) -> None:
    """Whether the tokens of a device ring, which are held, from the next ring on.

    When they were turned on is kept for the sweep: a ring may have passed them by meanwhile.
    """
    await session.execute(SET_RINGS, {"device": device, "rings": rings})


OWNERS_OF = text("""
    SELECT id, user_id, rings FROM tokens WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id
""")


async def owners_of(session: Connection, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """Whose these tokens are: `id`, `user_id`, and whether it `rings`."""
    return await many(session, OWNERS_OF, {"ids": ids})
