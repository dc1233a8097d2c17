"""`ringline doctor`: is everything in order, and if not, how to mend it."""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from pydantic import ValidationError
from sqlalchemy import text

from app.credentials import health, key_check
from app.dashboard import forwarders
from app.dashboard.standing import UNSERVED, of_pushes, of_webhooks
from app.http2.tls import client_context
from app.http2.way_out import way_out
from app.infra import ca_files, clock, rabbitmq
from app.infra import redis_client as redis
from app.infra.database_hosts import NO_POOLER
from app.infra.db import Database, one
from app.infra.outage import DatabaseAway, is_of_a_pooler
from app.infra.postgresql import LIKE, unfit
from app.infra.schema import NEWER, Standing, head_revision, revision_of, standing
from app.infra.settings import LOOPBACK, Settings, unknown_variables
from app.infra.urls import http_url
from app.infra.vault import VaultError, keyring
from app.push import worker_store as push
from app.webhooks import backlog

PATIENCE = 5.0
KEYS = "write keys as id:secret,id:secret"
CA_FILE = "mount a readable PEM file there, correct the setting, or unset it"
ONE_REDIS = "give one server, or the sentinels of one: little is kept there, and nothing for good"
SETTINGS = "docs/guides/operation.md has the table of settings"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `mend` says what to do when it is not `ok`; None: only a remark."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    serious: bool = True


async def examine() -> list[Check]:
    """Look at everything. Raises nothing: what cannot be looked at is itself a finding."""
    settings, faults = _settings()
    if settings is None:
        return faults
    checks = _unknown() + _secret_key(settings)
    checks += [
        Check(name, False, found, CA_FILE) for name, found in ca_files.faults(settings).items()
    ]
    checks += await _database(settings)
    checks.append(await _redis(settings))
    checks += await _rabbitmq(settings)
    checks += _public_url(settings)
    checks += await _lab(settings)
    ways = _ways_to_apple(settings)
    if await _rings_android(settings):
        ways += _ways_to_google(settings)
    amiss = {check.name for check in checks if not check.ok}
    checks += [await _reach(way) for way in ways if way.variable not in amiss]
    told = {fault.name for fault in faults}
    return faults + [check for check in checks if check.name not in told]


def _unknown() -> list[Check]:
    """Variables that nobody reads: a setting that is misspelt has its default, in silence."""
    return [
        Check(
            name, False, "there is no such setting",
            f"did you mean {near}?" if near else f"remove it; {SETTINGS}",
            serious=False,
        )
        for name, near in unknown_variables().items()
    ]  # fmt: skip


def _settings() -> tuple[Settings | None, list[Check]]:
    """The settings, and a finding for each that cannot be read: its default stands in for it."""
    try:
        return Settings(), []
    except ValidationError as error:
        faults = error.errors()
    names = [str(fault["loc"][0]) if fault["loc"] else "" for fault in faults]
    checks = [
        Check(
            f"RINGLINE_{name.upper() or 'settings'}",
            False,
            str(fault["msg"]).removeprefix("Value error, "),
            f"correct the environment variable; {SETTINGS}",
        )
        for name, fault in zip(names, faults, strict=True)
    ]
    fields = Settings.model_fields
    try:
        return Settings(**{name: fields[name].default for name in names if name in fields}), checks
    except ValidationError:
        return None, checks


def _secret_key(settings: Settings) -> list[Check]:
    weak = settings.weaknesses()
    mend = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))', then set it"
    if weak:
        return [Check("RINGLINE_SECRET_KEY", False, sentence, mend) for sentence in weak]
    try:
        keyring(settings)
    except VaultError as error:
        return [Check("RINGLINE_SECRET_KEY", False, str(error), KEYS)]
    if settings.environment == "development":
        return [
            Check("RINGLINE_SECRET_KEY", True, "the development key: never store real credentials")
        ]
    return [Check("RINGLINE_SECRET_KEY", True, f"{len(settings.secret_keys())} key(s), none weak")]


async def _database(settings: Settings) -> list[Check]:
    name = "PostgreSQL"
    try:
        database = Database(settings.sqlalchemy_url, pool=2)
    except ValueError as error:
        return [Check(name, False, str(error), "set RINGLINE_DATABASE_URL to postgresql://...")]
    try:
        async with asyncio.timeout(PATIENCE):
            return await _database_checks(database, settings)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        cause = error.__cause__ if isinstance(error, DatabaseAway) and error.__cause__ else error
        why = str(getattr(cause, "orig", None) or cause) or type(cause).__name__
        mend = "start the server, or correct RINGLINE_DATABASE_URL (host, port, user, password)"
        if is_of_a_pooler(cause):
            mend = NO_POOLER
        return [Check(name, False, why.splitlines()[0][:200], mend)]
    finally:
        await database.close()


async def _key(database: Database, settings: Settings) -> Check:
    name = "Key of the data"
    if settings.weaknesses():
        return Check(name, False, "not looked at", "set RINGLINE_SECRET_KEY first")
    try:
        await key_check.check(database, keyring(settings))
    except key_check.WrongSecretKey as error:
        return Check(name, False, "opens nothing of this database", str(error))
    except VaultError as error:
        return Check(name, False, str(error), KEYS)
    return Check(name, True, "opens what the database holds; keep it")


async def _database_checks(database: Database, settings: Settings) -> list[Check]:
    async with database.autocommit() as session:
        row = await one(session, LIKE)
    assert row is not None
    found = f"version {row['version']}{', read-only' if row['read_only'] else ''}"
    wrong = unfit(row)
    mend = wrong or "Ringline needs one that takes writes: no standby"
    good = wrong is None and not row["read_only"]
    checks = [Check("PostgreSQL", good, found, mend)]
    await database.learn_time()
    skew = clock.skew()
    checks.append(
        Check(
            "Clocks", abs(skew) <= clock.NOTEWORTHY,
            f"this host is {abs(skew):.1f} s {'ahead of' if skew > 0 else 'behind'} the database",
            "keep both machines' clocks in step (NTP): Ringline goes by the database's, and Apple "
            "and phones must agree with it", serious=False,
        )
    )  # fmt: skip
    revision = await revision_of(database)
    current, newer = (standing(revision) is one for one in (Standing.CURRENT, Standing.NEWER))
    found = f"at {revision or 'nothing'}, this code is at {head_revision()}"
    mend = NEWER if newer else "run `ringline migrate`"
    checks.append(Check("Tables", current, found, mend, serious=not newer))
    checks.append(await _key(database, settings))
    if current:
        checks += await _rows(database)
    return checks


async def _rows(database: Database) -> list[Check]:
    async with database.autocommit() as session:
        workers, waited = await push.standing(session)
        unserved = workers > 0 and await backlog.is_unserved(session)
        late = of_pushes(waited if workers else 0)
        late += [UNSERVED] if unserved else of_webhooks(await backlog.behind(session))
        active = await one(
            session, text("SELECT count(*) AS n FROM credentials WHERE state = 'active'")
        )
    assert active is not None
    checks = [
        Check(
            "Workers", workers > 0, f"{workers} alive",
            "start one: `ringline worker`. Without it nothing is pushed and no ring times out",
        ),
        Check(
            "Credentials", active["n"] > 0, f"{active['n']} active",
            "add one: `ringline credential add FILE --tenant NAME`", serious=False,
        ),
    ]  # fmt: skip
    checks += [
        Check("Waiting", False, one.sentence, f"read docs/runbook/{one.page}.md", serious=False)
        for one in late
    ]
    checks += _forwarders(await forwarders.lately(database))
    mend = "`ringline credential list` shows all; add a new one before the old one ends"
    troubles = await health.troubles(database)
    return checks + [Check("Credential", False, one, mend, serious=False) for one in troubles]


def _forwarders(untrusted: list[str]) -> list[Check]:
    if not untrusted:
        return []
    names = ", ".join(untrusted[:5]) + (" and others" if len(untrusted) > 5 else "")
    return [
        Check(
            "Proxies", False, f"{names} forwards visitors, and is not trusted",
            "if that is your proxy, name it in RINGLINE_TRUSTED_PROXIES: until then all visitors "
            "count as one when sign-ins are limited, and the audit log names the proxy",
            serious=False,
        )
    ]  # fmt: skip


async def _redis(settings: Settings) -> Check:
    name, mend = "Redis", "start the server, make room in it, or correct RINGLINE_REDIS_URL"
    try:
        client = redis.connect(settings)
    except ValueError as error:
        return Check(name, False, str(error)[:200], "use redis://, rediss:// or unix:///path.sock")
    try:
        async with asyncio.timeout(PATIENCE):
            info = await client.info()
            await redis.look(client)
    except redis.Cluster as error:
        return Check(name, False, str(error), ONE_REDIS)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is the finding)
        return Check(name, False, str(error)[:200] or type(error).__name__, mend)
    finally:
        await redis.disconnect(client)
    version = info.get("valkey_version") or info.get("redis_version")
    server = "Valkey" if "valkey_version" in info else "Redis"
    policy = info.get("maxmemory_policy", "noeviction")
    return Check(
        name, policy == "noeviction", f"{server} {version}, maxmemory-policy {policy}",
        "set maxmemory-policy noeviction: a queue must not be evicted", serious=False,
    )  # fmt: skip


async def _rabbitmq(settings: Settings) -> list[Check]:
    if not settings.broker_url:
        return []
    return [Check("RabbitMQ", *await asyncio.to_thread(rabbitmq.look, settings))]


def _public_url(settings: Settings) -> list[Check]:
    parts = http_url(settings.public_url)
    local = parts.host in LOOPBACK
    return [
        Check(
            "RINGLINE_PUBLIC_URL", parts.scheme == "https" or local, settings.public_url,
            "phones call it with a token from the push: it must be https://",
        ),
        Check(
            "Reachable by phones", not local, "this machine only" if local else "as set",
            "set RINGLINE_PUBLIC_URL to the address that phones use", serious=False,
        ),
    ]  # fmt: skip


async def _lab(settings: Settings) -> list[Check]:
    """Only where a simulator is named; elsewhere there is no lab to speak of."""
    if settings.simulator_url is None:
        return []
    name = "RINGLINE_SIMULATOR_URL"
    if not settings.has_lab:
        return [
            Check(
                name, False, "set, but pushes go to Apple: there is no lab",
                "unset it, or point both RINGLINE_APNS_..._URL at the simulator", serious=False,
            )
        ]  # fmt: skip
    try:
        async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
            (await client.get(settings.simulator_url)).raise_for_status()
    except httpx.HTTPError as error:
        why = f"no simulator answers ({type(error).__name__}): there is no lab"
        mend = "start it: `ringline simulator`, and set the control API's address that it prints"
        return [Check(name, False, why, mend, serious=False)]
    here = http_url(settings.public_url).host in LOOPBACK
    found = f"the lab is at {settings.public_url}/lab, with no sign-in"
    return [Check(name, here, found, "unset it where others can reach this server", serious=False)]


APPLE: Final = ".push.apple.com"
APPLES_ROOT: Final = "USERTrust RSA Certification Authority"
"""The root of APNs' server certificates. Source: Apple, "Upcoming Changes to the Apple Push
Notification service server certificate" (sandbox January 2025, production February 2025)."""


def knows_apples_root(context: ssl.SSLContext) -> bool:
    """Whether this context trusts the authority in which Apple's chain ends.

    Certificates that are only in a folder are not listed: where none is, nobody can tell.
    """
    found = context.get_ca_certs()
    names = {pair for one in found for part in one["subject"] for pair in part}
    return not found or ("commonName", APPLES_ROOT) in names


async def _rings_android(settings: Settings) -> bool:
    """Whether there is an account of Google's; False too where the database cannot be asked."""
    statement = text(
        "SELECT EXISTS (SELECT FROM credentials WHERE kind = 'google_service_account') AS there"
    )
    try:
        database = Database(settings.sqlalchemy_url, pool=2)
    except ValueError:
        return False
    try:
        async with asyncio.timeout(PATIENCE), database.autocommit() as session:
            row = await one(session, statement)
    except Exception:  # noqa: BLE001  (that is a finding of its own)
        return False
    finally:
        await database.close()
    return row is not None and bool(row["there"])


@dataclass(frozen=True, slots=True)
class Way:
    """The way to a push service: where it is, and which file says whom to trust (a setting)."""

    name: str
    url: str
    service: str
    ca_file: Path | None
    variable: str
    speaks: tuple[str, ...] = ("h2",)


def _ways_to_apple(settings: Settings) -> list[Way]:
    trust = settings.apns_ca_file, "RINGLINE_APNS_CA_FILE"
    return [
        Way("APNs production", settings.apns_production_url, "Apple", *trust),
        Way("APNs sandbox", settings.apns_sandbox_url, "Apple", *trust),
    ]


def _ways_to_google(settings: Settings) -> list[Way]:
    trust = settings.google_ca_file, "RINGLINE_GOOGLE_CA_FILE"
    tokens = settings.google_token_url
    return [
        Way("FCM", settings.fcm_url, "Google", *trust),
        Way("Google's access tokens", tokens, "Google", *trust, speaks=("h2", "http/1.1")),
    ]


async def _reach(way: Way) -> Check:
    parts = http_url(way.url)
    context = client_context()  # trusts what the senders trust, and nothing beside it
    if way.ca_file is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    elif fault := ca_files.trust(context, way.ca_file):
        return Check(way.variable, False, fault, CA_FILE)
    if parts.host.endswith(APPLE) and not knows_apples_root(context):
        return Check(
            way.name, False,
            f"{APPLES_ROOT!r} is not trusted here: {parts.netloc} cannot be reached",
            "Apple's chain ends there since early 2025: update the system's ca-certificates, or "
            "add it to the file that RINGLINE_APNS_CA_FILE names",
        )  # fmt: skip
    context.set_alpn_protocols(list(way.speaks))
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(parts.host, parts.effective_port, ssl=context)
    except (OSError, TimeoutError) as error:
        why = f"{parts.netloc}: {(str(error) or 'no answer in time')[:150]}"
        return Check(way.name, False, why, way_out(parts.host, way.service, way.variable, error))
    protocol = writer.get_extra_info("ssl_object").selected_alpn_protocol()
    writer.transport.abort()  # nothing was said that the other side need hear the end of
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Check(
        way.name, protocol in way.speaks, f"{parts.netloc} answers, {protocol or 'no ALPN'}",
        f"something between here and {way.service} changes TLS: it speaks {way.speaks[0]}",
    )  # fmt: skip
