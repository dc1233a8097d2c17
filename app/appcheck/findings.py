"""What a check says: facts of the app, and findings with how to mend each."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from app.core.frozen import frozen


class AppFileError(Exception):
    """The file is not what it should be; says which part and why."""


class Level(StrEnum):
    """`missing`: it will not ring. `warning`: it rings worse, or a file cannot tell. `good`: it
    was looked at and is right."""

    MISSING = "missing"
    WARNING = "warning"
    GOOD = "good"


@frozen
class Finding:
    """One thing that was looked at. `code` is stable; `mend` says what to do, and where."""

    code: str
    level: Level
    sentence: str
    mend: str | None = None


@frozen
class Report:
    """What a check found. `kind`: `ios` or `android`; `facts`: what was read, by name."""

    kind: str
    facts: dict[str, Any]
    findings: tuple[Finding, ...]

    @property
    def rings(self) -> bool:
        """Whether nothing is missing of what these files can tell."""
        return all(one.level is not Level.MISSING for one in self.findings)

    def of(self, level: Level) -> Iterator[Finding]:
        """Findings of a level, in order."""
        return (one for one in self.findings if one.level is level)


def judge(
    right: bool, code: str, good: str, bad: str, mend: str, level: Level = Level.MISSING
) -> Finding:
    """A finding about something that is either right or not."""
    return Finding(code, Level.GOOD, good) if right else Finding(code, level, bad, mend)
