"""When a line of a timeline was, counted from the call's beginning."""

from datetime import UTC, datetime, timedelta

from app.calls.timeline import Line

BEGAN = datetime(2026, 11, 28, 10, 43, 22, 31_700, UTC)


def test_nothing_is_before_the_call() -> None:
    """A batch keeps a push's times in whole milliseconds: one in the call's first moment was at -1."""
    cut = BEGAN.replace(microsecond=31_000)
    for at, ms in ((cut, 0), (BEGAN, 0), (BEGAN + timedelta(milliseconds=7), 7)):
        line = Line(at, 0, "ring_push.unsent", "it is not sent", None, None, {})
        assert line.out(BEGAN)["ms"] == ms
