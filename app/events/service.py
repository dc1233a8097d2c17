"""Events: what workers and commands call."""

from app.events.courier import Courier
from app.events.retention import forget
from app.events.timeline import of_call as timeline

__all__ = ["Courier", "forget", "timeline"]
