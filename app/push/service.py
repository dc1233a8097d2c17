"""Push: what workers do. `Dispatcher` claims, sends and records."""

from app.push.dispatch import Dispatcher

__all__ = ["Dispatcher"]
