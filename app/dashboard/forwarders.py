"""Proxies whose word about visitors was not believed: written down, so that `doctor` can say so.

Where all visitors seem to come from the proxy's own address, they share its tries to sign in, and
the audit log names the proxy.
"""

from sqlalchemy import text

from app.infra.db import Database, many
from app.infra.runtime import Runtime

MOST = 100
NOTE = text("""
    INSERT INTO untrusted_forwarders (address, seen_at)
    SELECT :address, clock_timestamp()
    WHERE (SELECT count(*) FROM untrusted_forwarders) < :most
    ON CONFLICT (address) DO UPDATE SET seen_at = excluded.seen_at
    WHERE untrusted_forwarders.seen_at < excluded.seen_at - interval '1 minute'
""")
FORGET = text("""
    DELETE FROM untrusted_forwarders WHERE seen_at < statement_timestamp() - interval '1 day'
""")
SEEN = text("""
    SELECT address FROM untrusted_forwarders
    WHERE seen_at > statement_timestamp() - interval '1 day' ORDER BY address
""")


async def note(runtime: Runtime, address: str | None) -> None:
    """Somebody asked for the sign-in page by way of a proxy at this address; None: of none such."""
    if address is None:
        return
    async with runtime.database.transaction() as session:
        await session.execute(FORGET)
        await session.execute(NOTE, {"address": address[:100], "most": MOST})


async def lately(database: Database) -> list[str]:
    """Addresses that have forwarded visitors within a day, and are not trusted."""
    async with database.autocommit() as session:
        return [row["address"] for row in await many(session, SEEN)]
