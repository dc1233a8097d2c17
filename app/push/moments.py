"""Times that many pushes share, worked out once for those that come one after another."""

from datetime import UTC, datetime


class Unix:
    """Unix seconds of a time; what is asked for again at once is known."""

    __slots__ = ("_at", "_unix")

    def __init__(self) -> None:
        self._at: datetime | None = None
        self._unix = 0.0

    def of(self, at: datetime) -> float:
        """Seconds of this time."""
        if at is not self._at:
            self._at, self._unix = at, at.timestamp()
        return self._unix


class Moment:
    """Now, in Unix seconds (`unix`) and as a time in UTC."""

    __slots__ = ("_time", "unix")

    def __init__(self, unix: float) -> None:
        self.unix = unix
        self._time: datetime | None = None

    @property
    def time(self) -> datetime:
        """The same as a datetime, made when it is first asked for."""
        if self._time is None:
            self._time = datetime.fromtimestamp(self.unix, UTC)
        return self._time
