"""Events: what workers and commands call."""

from app.webhooks.dispatcher import Courier
from workers.retention import forget

__all__ = ["Courier", "forget"]
