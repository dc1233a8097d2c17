"""Events: what workers and commands call."""

from app.events.courier import Courier

__all__ = ["Courier"]
