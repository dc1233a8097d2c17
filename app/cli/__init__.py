"""The `ringline` command: its entry point, which imports little itself."""

from app.cli.interrupts import ends_at_once


def main() -> None:
    """Entry point."""
    with ends_at_once():
        from app.cli import commands  # noqa: PLC0415  (a second, in which one may think better)
    commands.run()
