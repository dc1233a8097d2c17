"""Half a minute of schemathesis, and no 500."""

import asyncio
import os
import random
import re

from tests.e2e.house import Tenant
from tests.fuzz.api import faults_in, fuzz

SECONDS = 25
SEED = int(os.environ.get("RINGLINE_FUZZ_SEED", "0")) or None
"""To make the requests of a run again, whose seed was printed."""


async def test_no_request_is_answered_by_a_failure_of_ours(tenant: Tenant) -> None:
    url, seed = str(tenant.api.base_url).rstrip("/"), SEED or random.randrange(2**32)
    done = await asyncio.to_thread(fuzz, url, tenant.key, SECONDS, seed)
    if "Network Error" in done.stdout and "FAILURES" not in done.stdout:
        # a connection closed at an unlucky moment is seen once; one that we break, again
        done = await asyncio.to_thread(fuzz, url, tenant.key, SECONDS, seed)
    told = f"{done.stdout[-6_000:]}\n{done.stderr[-2_000:]}"
    assert not faults_in(done), told
    passed = re.search(r"generated, (\d+) passed", done.stdout)
    assert passed, told
    assert int(passed[1]) > 50, told
    print(done.stdout[-1_500:])
