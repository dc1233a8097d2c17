"""Rows of credentials. Takes a session, never commits."""

from collections.abc import Collection, Sequence
from operator import itemgetter
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Table, delete, func, select, text, update

from app import senders
from app.core.credential import CredentialKind, CredentialState
from app.core.push import ENVIRONMENTS, TokenKind
from app.credentials.models import Credential
from app.credentials.rows import CredentialRow, HealthNews, KeyRow
from app.credentials.usable import Key, Usable, can_ring
from app.infra.db import Connection, Row, insert_rows, many, one
from app.infra.locks import APP_CREDENTIALS, hold
from app.infra.row_values import read
from app.infra.unreadable import mapping, readable, texts

credentials = cast("Table", Credential.__table__)
c = credentials.c

PUBLIC = tuple(column for column in c if column.name != "sealed")
"""Every column but the secret: what is read for showing."""


_COLUMNS = (
    "id", "version", "tenant_id", "app_id", "kind", "environments", "topics", "team_id",
    "key_id", "state", "activated_at", "refused", "probe", "sealed",
)  # fmt: skip
_USABLE = f"""
    {", ".join(f"c.{name}" for name in _COLUMNS)}, c.not_after <= clock_timestamp() AS expired
"""


FOR_BUNDLES = text(f"""
    SELECT {_USABLE}
    FROM credentials c
    JOIN unnest(CAST(:tenants AS uuid[]), CAST(:bundles AS text[])) AS w(tenant_id, app_id)
        USING (tenant_id, app_id)
    WHERE c.state IN ('active', 'standby')
    ORDER BY c.activated_at DESC NULLS LAST, c.id DESC
""")  # noqa: S608  (constants)


STAMP = """
    SELECT coalesce(string_agg(concat_ws(' ', c.id, c.xmin, c.expired), ',' ORDER BY c.id), '')
    FROM (SELECT DISTINCT tenant_id, app_id FROM {apps}) a CROSS JOIN LATERAL (
        SELECT c.id, c.xmin, c.not_after <= clock_timestamp() AS expired FROM credentials c
        WHERE c.tenant_id = a.tenant_id AND c.app_id = a.app_id
            AND c.state IN ('active', 'standby') OFFSET 0
    ) c
"""
"""SQL: a text that differs whenever what `for_apps` would answer of the (tenant_id, app_id) of
`{apps}` does: which rows they are, and by `xmin` which version of each."""


async def for_apps(session: Connection, pairs: Collection[tuple[UUID, str]]) -> list[Usable]:
    """What may push for these (tenant, bundle id): active ones, and those on standby.

    One query, whatever the number of pairs. `pick` says which one serves an environment.
    """
    ordered = sorted(pairs)
    wanted = {
        "tenants": [tenant for tenant, _ in ordered],
        "bundles": [name for _, name in ordered],
    }
    return _usables(await many(session, FOR_BUNDLES, wanted))


RINGABLE_APPS = text("""
    SELECT k.id, k.app_id, k.kind, k.topics FROM credentials k
    WHERE k.tenant_id = :tenant AND k.state IN ('active', 'standby')
        AND (k.not_after IS NULL OR k.not_after > statement_timestamp())
""")


async def ringable_apps(session: Connection, tenant_id: UUID) -> set[tuple[str, str]]:
    """The (kind of token, app) that some credential can ring, whether it is taken or not."""
    rows = await many(session, RINGABLE_APPS, {"tenant": tenant_id})
    of_each = readable(rows, _ringable, CredentialRow.KIND, itemgetter("id"))
    return {one for some in of_each for one in some}


def _ringable(row: Row) -> list[tuple[str, str]]:
    app_id = row["app_id"]
    return [(kind, app_id) for kind in can_ring(row["kind"], app_id, texts(row["topics"]))]


def _usables(rows: Sequence[Row]) -> list[Usable]:
    """Without those that cannot be read: another one may serve their app."""
    return readable(rows, usable, CredentialRow.KIND, itemgetter("id"))


def usable(row: Row) -> Usable:
    """A row with the columns of `_USABLE`. Raises as `unreadable.FAULTS`."""
    values = {name: row[name] for name in _COLUMNS if name != "probe"}
    values["kind"], values["state"] = CredentialKind(row["kind"]), CredentialState(row["state"])
    values["environments"] = tuple(ENVIRONMENTS[name] for name in texts(row["environments"]))
    values["topics"], values["refused"] = tuple(texts(row["topics"])), mapping(row["refused"])
    probe = {name: mapping(answer) for name, answer in mapping(row["probe"]).items()}
    proven = tuple(name for name, answer in probe.items() if answer.get("says") == "yes")
    return Usable(**values, expired=bool(row["expired"]), proven=proven)


# Keys alone, and no secret: that is read where a connection is to be opened, once.
#
# The first token at or after (tenant, bundle, environment) in the index made for it, and whether
# that is one of them: each worker asks this often. Asked with `=`, PostgreSQL walks over all the
# tokens of a large tenant to find none of an environment: it expects to find one at once.
_APPLES = ", ".join(
    f"'{kind}'" for kind in sorted(senders.serving(TokenKind.VOIP).credential_kinds)
)
# Each kind by itself: joined with a list of kinds, a plan reads the tokens from end to end.
_OTHERS = " UNION ALL ".join(
    f"""(SELECT c.id, c.version, 'production' AS environment
    FROM credentials c
    WHERE c.state = 'active' AND c.kind = '{credential}' AND EXISTS (
        SELECT FROM tokens t WHERE t.tenant_id = c.tenant_id AND t.kind = '{token}'
            AND t.app_id = c.app_id AND t.retired_at IS NULL OFFSET 0)
    ORDER BY c.id DESC LIMIT :most)"""  # noqa: S608  (constants)
    for one in senders.SERVICES
    for credential in sorted(one.credential_kinds)
    for token in sorted(one.ring_kinds - {TokenKind.VOIP})
)
WANTED = text(f"""
    (SELECT c.id, c.version, e.environment
    FROM credentials c
    CROSS JOIN unnest(ARRAY['production', 'sandbox']) AS e(environment)
    CROSS JOIN LATERAL (
        SELECT t.tenant_id, t.app_id, t.environment FROM tokens t
        WHERE t.kind = 'voip' AND t.retired_at IS NULL
            AND (t.tenant_id, t.app_id, t.environment)
                >= (c.tenant_id, c.app_id, e.environment)
        ORDER BY t.tenant_id, t.app_id, t.environment LIMIT 1) t
    WHERE c.state = 'active' AND c.kind IN ({_APPLES}) AND c.environments ? e.environment
        AND t.tenant_id = c.tenant_id AND t.app_id = c.app_id AND t.environment = e.environment
    ORDER BY c.id DESC LIMIT :most)
    UNION ALL {_OTHERS}
    UNION ALL
    SELECT id, version, NULL FROM credentials
    WHERE id = ANY(CAST(:used AS uuid[])) AND state IN ('active', 'standby')
""")  # noqa: S608  (constants)


async def wanted_keys(
    session: Connection, used: Sequence[UUID]
) -> tuple[list[Key], set[tuple[UUID, int]]]:
    """Each active credential with each environment for which a phone has registered.

    And (id, version) of those of `used` that may be pushed with.
    """
    rows = (await session.execute(WANTED, {"most": MOST_WARM, "used": list(used)})).all()
    wanted = [(one, version, ENVIRONMENTS[name]) for one, version, name in rows if name]
    return wanted, {(one, version) for one, version, name in rows if not name}


MOST_WARM = 200
"""Credentials for which a worker opens connections before they are wanted: the newest. What has
been used stays open as well."""

AMONG = text(f"""
    SELECT {_USABLE} FROM credentials c
    WHERE c.id = ANY(CAST(:ids AS uuid[])) AND c.state IN ('active', 'standby')
""")  # noqa: S608  (constants)


async def usable_among(session: Connection, ids: Sequence[UUID]) -> list[Usable]:
    """Those of these that may be pushed with, with their secrets."""
    return _usables(await many(session, AMONG, {"ids": list(ids)}))


async def add(session: Connection, row: Row) -> None:
    """Insert one credential."""
    await insert_rows(session, credentials, [row])


async def get(session: Connection, tenant_id: UUID, credential_id: UUID) -> CredentialRow | None:
    """What may be shown of one credential."""
    statement = select(*PUBLIC).where(c.id == credential_id, c.tenant_id == tenant_id)
    return next(iter(await read(session, statement, CredentialRow)), None)


USABLE_BY_ID = text(
    f"SELECT {_USABLE} FROM credentials c WHERE c.id = :id AND c.tenant_id = :tenant"  # noqa: S608
)


async def get_usable(session: Connection, tenant_id: UUID, credential_id: UUID) -> Usable | None:
    """One credential with its secret, whatever its state."""
    row = await one(session, USABLE_BY_ID, {"id": credential_id, "tenant": tenant_id})
    if row is None:
        return None
    kind, key = CredentialRow.KIND, itemgetter("id")
    return readable([row], usable, kind, key, leave_out=False)[0]


async def by_tenant(
    session: Connection, tenant_id: UUID, app_id: str | None = None
) -> list[CredentialRow]:
    """What may be shown of a tenant's credentials, the newest first; what can be read of them."""
    statement = select(*PUBLIC).where(c.tenant_id == tenant_id).order_by(c.id.desc())
    if app_id is not None:
        statement = statement.where(c.app_id == app_id)
    return await read(session, statement, CredentialRow, leave_out=True)


async def lock_bundle(session: Connection, tenant_id: UUID, app_id: str) -> list[CredentialRow]:
    """Every credential of one app that can be read, locked until the transaction ends, the newest
    first.

    The advisory lock also holds off a first one being added at the same time.
    """
    await hold(session, APP_CREDENTIALS, f"{tenant_id}:{app_id}")
    statement = (
        select(*PUBLIC)
        .where(c.tenant_id == tenant_id, c.app_id == app_id)
        .order_by(c.id.desc())
        .with_for_update(key_share=True)
    )
    return await read(session, statement, CredentialRow, leave_out=True)


async def by_key(session: Connection, tenant_id: UUID, key_fingerprint: str) -> list[KeyRow]:
    """A tenant's credentials of this private key; those that wait for a certificate first."""
    statement = (
        select(c.id, c.app_id, c.sealed)
        .where(
            c.tenant_id == tenant_id,
            c.key_fingerprint == key_fingerprint,
            c.kind == CredentialKind.CERTIFICATE,
        )
        .order_by((c.state == CredentialState.REQUESTED).desc(), c.id.desc())
    )
    return await read(session, statement, KeyRow)


async def count_requests(session: Connection, tenant_id: UUID) -> int:
    """How many of a tenant's keys wait for their certificate."""
    statement = (
        select(func.count()).select_from(credentials)
        .where(c.tenant_id == tenant_id, c.state == CredentialState.REQUESTED)
    )  # fmt: skip
    return int((await session.execute(statement)).scalar_one())


HOW_MANY = text("""
    SELECT count(*) FILTER (WHERE app_id = :app) AS of_app, count(*) AS of_tenant
    FROM credentials WHERE tenant_id = :tenant
""")


async def how_many(session: Connection, tenant_id: UUID, app_id: str) -> tuple[int, int]:
    """How many credentials are kept of an app, and of its tenant, in whatever state."""
    row = await one(session, HOW_MANY, {"tenant": tenant_id, "app": app_id})
    assert row is not None
    return int(row["of_app"]), int(row["of_tenant"])


MOST_COUNTED = 10_000
SUBSCRIBED = text("""
    SELECT count(*) FROM (
        SELECT FROM tokens WHERE tenant_id = :tenant AND kind = 'webpush' AND app_id = :app
            AND retired_at IS NULL AND split_part(token, ' ', 1) = :key
        LIMIT :most
    ) t
""")


async def subscriptions_of(session: Connection, row: CredentialRow) -> int:
    """How many live subscriptions were made with this VAPID key; at most MOST_COUNTED."""
    values = {"tenant": row.tenant_id, "app": row.app_id, "key": row.key_id, "most": MOST_COUNTED}
    return int((await session.execute(SUBSCRIBED, values)).scalar_one())


async def change(session: Connection, credential_id: UUID, **values: Any) -> None:
    """Set columns of one credential, whose row is locked."""
    await session.execute(update(credentials).where(c.id == credential_id).values(**values))


async def remove(session: Connection, credential_id: UUID) -> None:
    """Delete one credential and its secret for good."""
    await session.execute(delete(credentials).where(c.id == credential_id))


OF_ALL = text(f"""
    SELECT t.name, {", ".join(f"k.{column.name}" for column in PUBLIC)}
    FROM credentials k JOIN tenants t ON t.id = k.tenant_id
    WHERE t.deleted_at IS NULL AND k.state IN ('active', 'standby') ORDER BY t.name, k.app_id, k.id
""")  # noqa: S608  (names of ours)


async def in_use(session: Connection) -> list[tuple[str, CredentialRow]]:
    """Every credential that may be pushed with and can be read, by the name of its tenant."""
    rows = (await session.execute(OF_ALL)).all()
    return readable(rows, _named, CredentialRow.KIND, itemgetter(1))


def _named(row: Sequence[Any]) -> tuple[str, CredentialRow]:
    tenant, *columns = row
    return tenant, CredentialRow.from_row(columns)


CLAIM_DUE = text("""
    UPDATE credentials SET probe_due_at = clock_timestamp() + interval '5 minutes'
    WHERE id IN (
        SELECT id FROM credentials
        WHERE probe_due_at <= clock_timestamp() AND state IN ('active', 'standby')
        ORDER BY probe_due_at LIMIT :limit FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id, tenant_id
""")


async def claim_due(session: Connection, limit: int) -> list[tuple[UUID, UUID]]:
    """(tenant, id) of those whose daily look is due; nobody else gets them for five minutes."""
    return [
        (tenant_id, credential_id)
        for credential_id, tenant_id in await session.execute(CLAIM_DUE, {"limit": limit})
    ]


NOTE_REFUSAL = text("""
    WITH news AS (
        SELECT id, environment, reason FROM unnest(
            CAST(:ids AS uuid[]), CAST(:versions AS integer[]),
            CAST(:environments AS text[]), CAST(:reasons AS text[])
        ) AS n(id, version, environment, reason)
        JOIN credentials k USING (id, version)
        WHERE NOT jsonb_exists(k.refused, n.environment) AND k.state IN ('active', 'standby')
    ), old AS (
        SELECT k.id, k.failing_since FROM credentials k
        WHERE k.id IN (SELECT id FROM news) ORDER BY k.id FOR NO KEY UPDATE
    )
    UPDATE credentials k SET
        refused = k.refused || (
            SELECT jsonb_object_agg(environment, reason) FROM news WHERE news.id = k.id),
        trouble = (SELECT min(reason) FROM news WHERE news.id = k.id),
        failing_since = coalesce(k.failing_since, clock_timestamp()),
        probe_due_at = clock_timestamp() + interval '1 minute'
    FROM old WHERE old.id = k.id
    RETURNING k.id, k.tenant_id, k.app_id, k.trouble AS reason, k.failing_since AS at,
        old.failing_since IS NULL AS first
""")


async def note_refusals(
    session: Connection, refusals: Collection[tuple[Usable, str, str]]
) -> list[HealthNews]:
    """Record that Apple refuses these (credential, environment, reason).

    Returns those that were not known to be refused in any environment until now: one alarm each.
    """
    news = await read(session, NOTE_REFUSAL, HealthNews, _news(refusals))
    return [one for one in news if one.first]


NOTE_ACCEPTANCE = text("""
    UPDATE credentials k SET
        refused = k.refused - n.environments,
        trouble = CASE WHEN k.refused - n.environments = '{}' THEN NULL ELSE k.trouble END,
        failing_since =
            CASE WHEN k.refused - n.environments = '{}' THEN NULL ELSE k.failing_since END
    FROM (
        SELECT k.id, array_agg(n.environment) AS environments
        FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS integer[]),
                    CAST(:environments AS text[])) AS n(id, version, environment)
        JOIN credentials k USING (id, version)
        WHERE jsonb_exists(k.refused, n.environment)
        GROUP BY k.id ORDER BY k.id
    ) n
    WHERE k.id = n.id
    RETURNING k.id, k.tenant_id, k.app_id, NULL AS reason, clock_timestamp() AS at,
        k.refused = '{}' AS first
""")


async def note_acceptances(
    session: Connection, accepted: Collection[tuple[Usable, str]]
) -> list[HealthNews]:
    """Record that Apple takes these (credential, environment) again, where it was refused.

    Returns those that are refused nowhere any more.
    """
    values = _news([(row, environment, "") for row, environment in accepted])
    del values["reasons"]
    news = await read(session, NOTE_ACCEPTANCE, HealthNews, values)
    return [one for one in news if one.first]


def _news(news: Collection[tuple[Usable, str, str]]) -> dict[str, list[Any]]:
    ordered = sorted(news, key=lambda one: (one[0].id, one[1]))
    distinct = {(row.id, environment): (row, environment, why) for row, environment, why in ordered}
    return {
        "ids": [row.id for row, _, _ in distinct.values()],
        "versions": [row.version for row, _, _ in distinct.values()],
        "environments": [environment for _, environment, _ in distinct.values()],
        "reasons": [why for _, _, why in distinct.values()],
    }
