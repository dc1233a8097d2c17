"""Half a minute of schemathesis, and no 500."""

import asyncio
import os

from tests.e2e.house import Tenant
from tests.fuzz.api import fuzz

SECONDS = 25
SEED = int(os.environ.get("RINGLINE_FUZZ_SEED", "0")) or None
"""To make the requests of a run again, whose seed was printed."""


async def test_no_request_is_answered_by_a_failure_of_ours(tenant: Tenant) -> None:
    url = str(tenant.api.base_url).rstrip("/")
    done = await asyncio.to_thread(fuzz, url, tenant.key, SECONDS, SEED)
    assert done.returncode == 0, f"{done.stdout[-6_000:]}\n{done.stderr[-2_000:]}"
    print(done.stdout[-1_500:])
