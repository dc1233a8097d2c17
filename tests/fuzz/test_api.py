"""Some seconds of schemathesis, and no 500."""

import asyncio
import re

from tests.chance import often, run_seed
from tests.e2e.house import Tenant
from tests.fuzz.api import faults_in, fuzz

SECONDS = often(8, 120)
ENOUGH = 50


async def test_no_request_is_answered_by_a_failure_of_ours(tenant: Tenant) -> None:
    url, seed = str(tenant.api.base_url).rstrip("/"), run_seed()
    done = await asyncio.to_thread(fuzz, url, tenant.key, SECONDS, seed)
    before = 0
    unlucky = "Network Error" in done.stdout and "FAILURES" not in done.stdout
    if unlucky or passed(done.stdout) <= ENOUGH:
        assert unlucky or not faults_in(done), done.stdout[-6_000:]
        # a connection closed at an unlucky moment is seen once, one that we break, again;
        # and a busy machine comes to little in so many seconds
        before = 0 if unlucky else passed(done.stdout)
        done = await asyncio.to_thread(fuzz, url, tenant.key, 6 * SECONDS, seed + (not unlucky))
    told = f"{done.stdout[-6_000:]}\n{done.stderr[-2_000:]}"
    assert not faults_in(done), told
    assert before + passed(done.stdout) > ENOUGH, told
    print(done.stdout[-1_500:])


def passed(told: str) -> int:
    """How many requests were answered well."""
    found = re.search(r"generated, (\d+) passed", told)
    return int(found[1]) if found else 0
