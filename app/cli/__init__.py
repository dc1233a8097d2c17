"""The `ringline` command: its entry point, which imports little itself."""

import gc

from app.cli.interrupts import ends_at_once
from app.cli.streams import all_open


def main() -> None:
    """Entry point.

    What is imported does not go again: to look through it meanwhile is a seventh of the work.
    """
    all_open()
    gc.disable()
    with ends_at_once():
        from app.cli import commands  # noqa: PLC0415  (a second, in which one may think better)
    gc.freeze()
    gc.enable()
    commands.run()
