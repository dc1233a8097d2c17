"""Who is refused for long is told: by an event, once whichever processes refuse, and by a metric."""

from prometheus_client import REGISTRY

from app.core.rate_limits import LONG, RateLimits
from app.infra import clock
from app.infra.rate_limits import RateLimited, RateLimiter
from app.webhooks.dispatcher import WebhookDispatcher
from app.webhooks.limited import tell
from tests.e2e.house import Tenant
from tests.events.schemas import faults
from tests.webhooks.receiver import receiving

LIMIT = "rings_per_caller"


def refuse_for(limiter: RateLimiter, tenant: Tenant, seconds: float) -> None:
    """This limit has refused each minute until now; the last time for a request."""
    now = clock.unix()
    for minute in range(int(seconds // 60), 0, -1):
        limiter.refused(tenant.id, LIMIT, 1, now - 60 * minute)
    limits = RateLimits(rings_per_caller=1)
    for _ in range(2):
        try:
            limiter.take(tenant.id, limits, "too_many_rings", [(LIMIT, "alice")])
        except RateLimited:
            return
    raise AssertionError("nothing was refused")


def limited() -> float | None:
    return REGISTRY.get_sample_value("ringline_rate_limited_tenants", {"limit": LIMIT})


async def test_who_is_refused_for_ten_minutes_is_told_once_by_all_processes(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    runtime = backend.runtime
    async with receiving() as receiver:
        hook = {"url": receiver.url, "events": ["rate_limit.*"]}
        assert (await backend.api.post("/v1/webhooks", json=hook)).status_code == 201
        short, one, other = (RateLimiter(runtime.redis) for _ in range(3))
        refuse_for(short, backend, LONG - 60)
        await tell(runtime.database, short)
        assert limited() == 0
        for limiter in (one, other):
            refuse_for(limiter, backend, LONG)
            await tell(runtime.database, limiter)
            assert limited() == 1
        webhook_dispatcher.wake()
        (post,) = await receiver.wait_for(1)
        assert faults(post.data) == []
        said = post.data["data"]
        assert (said["limit"], said["most"], said["refused"] > 10) == (LIMIT, 1, True)
        events = await backend.rows("SELECT type FROM tenant_events WHERE tenant_id = :tenant")
        assert [row["type"] for row in events] == ["rate_limit.reached"]
