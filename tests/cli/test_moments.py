"""A time as a command takes it: written with its zone, and never a number that is guessed."""

import pytest
import typer

from app.cli.calls import moment


@pytest.mark.parametrize(
    "text", ["1700000000", "2026-11-21", "2026-11-21T08:00:00", "x", "9999-01-01T00:00:00Z"]
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="with its zone"):
        moment(text)


def test_what_is_one() -> None:
    assert moment("2026-11-21T08:00:00Z").isoformat() == "2026-11-21T08:00:00+00:00"
