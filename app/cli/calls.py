"""Commands for calls."""

from app.cli.base import group

call_app = group("call", "Calls: what happened to a ring.")
