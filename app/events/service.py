"""Events: what workers and commands call."""

from app.events.courier import Courier
from app.events.retention import forget

__all__ = ["Courier", "forget"]
