"""Some seconds of schemathesis, and no 500."""

import asyncio
import re

from tests.chance import often, run_seed
from tests.e2e.house import Tenant
from tests.fuzz.api import faults_in, fuzz

SECONDS = often(10, 120)


async def test_no_request_is_answered_by_a_failure_of_ours(tenant: Tenant) -> None:
    url, seed = str(tenant.api.base_url).rstrip("/"), run_seed()
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
