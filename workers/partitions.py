"""Each minute: the weeks to come have their partitions, and weeks that are over go whole.

The longest time for which any tenant keeps events decides when a week goes, of attempts too. Those
who keep events for less have theirs deleted by the batch (`workers.retention`).
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from sqlalchemy import text

from app.events.partitions import PARTITIONED as OF_EVENTS
from app.infra import partitions
from app.infra.db import many
from app.infra.leases import as_only
from app.infra.runtime import Runtime
from app.push.partitions import PARTITIONED as OF_PUSHES
from app.tenants.schemas import MOST_EVENTS_DAYS, tenant_settings

PARTITIONED: Final = (*OF_EVENTS, *OF_PUSHES)
EVERY: Final = 60.0
SETTINGS = text("SELECT settings FROM tenants")


async def keep_as_only(runtime: Runtime, worker: UUID) -> None:
    """`keep`, unless another worker is at it or has just been; then measure, each for itself.

    Raises what has failed, after the others: so the task does, and an alarm tells.
    """
    once = partial(keep, runtime)
    database, every = runtime.database, 0.9 * EVERY
    measuring = [partial(partitions.measure, database.patient, one) for one in PARTITIONED]
    keeping = partial(as_only, database, "partitions", worker, once, every=every)
    await partitions.each([keeping, *measuring])


async def keep(runtime: Runtime) -> None:
    """Make what is missing, and drop what is old. Raises what has failed, after the others."""
    database = runtime.database.patient
    async with database.autocommit() as session:
        tenants = await many(session, SETTINGS)
    kept = timedelta(days=longest([row["settings"] for row in tenants]))
    making = [partial(partitions.make_ahead, database, one) for one in PARTITIONED]
    dropping = [partial(partitions.drop_old, database, one, kept) for one in PARTITIONED]
    await partitions.each([*making, *dropping])


def longest(settings: Iterable[dict[str, Any]]) -> float:
    """Days for which any of these tenants keeps events; what cannot be read may mean the most."""
    try:
        return max(tenant_settings(one).keep_events_days for one in settings)
    except ValueError:
        return MOST_EVENTS_DAYS
