"""What is said of a webhook when it is made, changed or given a new secret."""

from typing import Annotated

from pydantic import AfterValidator, Field

from app.core.event import event_filters, nearest_filter
from app.infra.fields import AtMost, Change, Flag, Name, Number, Said, Text, refuse, unsaid
from app.infra.fields import Request as Body

LONGEST_OVERLAP = 7 * 86_400.0


def _distinct(value: list[str]) -> list[str]:
    if not value:
        raise refuse("no_events", "name at least one, or `*` for all")
    return list(dict.fromkeys(value))


def _known(value: str) -> str:
    if value not in event_filters():
        raise refuse(
            "unknown_event",
            f"there is no such event; did you mean `{nearest_filter(value)}`? `*` is all",
        )
    return value


EventFilter = Annotated[
    str,
    Field(max_length=64),
    Said(pattern=r"^(\*|[a-z_]+\.(\*|[a-z_]+))$"),
    AfterValidator(_known),
]
Events = Annotated[
    list[EventFilter],
    AfterValidator(_distinct),
    AtMost(50, "too_many_events", "at most 50 filters; `*` stands for all", 1),
]
Url = Annotated[Text, Field(max_length=2_048)]


class WebhookIn(Body):
    """A new endpoint. `events`: `*`, `call.*` or whole types."""

    url: Url = Field(
        description="where events are sent: https, public", examples=["https://example.com/hooks"]
    )
    events: Events = Field(
        default_factory=lambda: ["*"],
        description="`*`, groups such as `call.*`, or types",
        examples=[["call.*"]],
    )
    description: Name = Field("", description="for people", examples=["our backend"])


class ChangeIn(Change):
    """What to change, and nothing is null; `enabled: true` also takes an endpoint back that
    Ringline has disabled."""

    url: Url = Field(
        default_factory=unsaid,
        description="where events are sent: https, public",
        examples=["https://example.com/hooks"],
    )
    events: Events = Field(
        default_factory=unsaid,
        description="`*`, groups such as `call.*`, or types",
        examples=[["call.*"]],
    )
    description: Name = Field(
        default_factory=unsaid, description="for people", examples=["our backend"]
    )
    enabled: Flag = Field(
        default_factory=unsaid,
        description="false turns it off; true takes back what Ringline has disabled",
    )


class RotateIn(Body):
    """`overlap`: seconds for which the old secret signs too."""

    overlap: Annotated[Number, Field(ge=0, le=LONGEST_OVERLAP)] = Field(
        86_400.0, description="seconds for which the old secret signs too"
    )
