"""What is counted of a caller: rings, registrations, streams. What is too often is 429.

What is wrong with a request in another way is to be told first: nobody uses up what is another's.
"""

from collections.abc import Sequence

from app.infra.rate_limits import RateLimiter
from app.tenants.caller import Caller


def ring(limiter: RateLimiter, caller: Caller, by: str, callees: Sequence[str]) -> None:
    """Count a ring: of the key if it comes by one, of who calls, of each who is called."""
    asked = [("rings_per_caller", by), *(("rings_per_callee", one) for one in callees)]
    if caller.key_id is not None:
        asked.insert(0, ("rings_per_key", caller.key_id.hex))
    limiter.take(caller.tenant_id, caller.settings.rates, "too_many_rings", asked)


def called(limiter: RateLimiter, caller: Caller, callees: Sequence[str]) -> None:
    """Count a ring of each who was named by a handle alone, once it is known who that is."""
    asked = [("rings_per_callee", one) for one in callees]
    limiter.take(caller.tenant_id, caller.settings.rates, "too_many_rings", asked)


def register(limiter: RateLimiter, caller: Caller, user_id: str) -> None:
    """Count a registration of a device of this user."""
    asked = [("registrations_per_user", user_id)]
    limiter.take(caller.tenant_id, caller.settings.rates, "too_many_registrations", asked)


def open_stream(limiter: RateLimiter, caller: Caller, user_id: str) -> None:
    """Count a stream that is opened for this user."""
    asked = [("streams_per_tenant", ""), ("streams_per_user", user_id)]
    limiter.take(caller.tenant_id, caller.settings.rates, "too_many_streams", asked)
