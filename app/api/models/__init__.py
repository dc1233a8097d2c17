"""What the API answers: a model for each response, one file per resource.

What is hot is written as JSON directly and never passes through these; tests hold every response
against its model, and find a member that it does not name.
"""

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

from app.core.app_id import LONGEST as LONGEST_APP_ID
from app.infra.fields import Said
from app.infra.urls import LONGEST as LONGEST_URL


class Out(BaseModel):
    """A response. A client passes over members that it does not know."""

    model_config = ConfigDict(extra="allow")


Moment = Annotated[str, Said(format="date-time")]
Uuid = Annotated[str, Said(format="uuid")]
Id = Annotated[str, Said(maxLength=128)]
"""A user's, a device's, or one that somebody else gave."""
Word = Annotated[str, Said(maxLength=64)]
Name = Annotated[str, Said(maxLength=200)]
AppName = Annotated[str, Said(maxLength=LONGEST_APP_ID + 5)]
Url = Annotated[str, Said(maxLength=LONGEST_URL)]
Sentence = Annotated[str, Said(maxLength=10_000)]
Secret = Annotated[str, Said(maxLength=4_096)]
Count = Annotated[int, Said(minimum=0, maximum=2**53 - 1)]
Status = Annotated[int, Said(minimum=100, maximum=599)]
Facts = Annotated[dict[str, Any], Said(maxProperties=500)]
Seconds = Annotated[float, Said(minimum=0, maximum=10_000_000)]
PAGE = Said(maxItems=200)
MANY = Said(maxItems=10_000)

TIME = "RFC 3339, UTC, with milliseconds"
EXAMPLE_TIME = "2026-11-21T08:00:00.123Z"
EXAMPLE_ID = "0198f7e2-8d0e-7a3b-9b7c-2f8f6f0d9a11"


def time(about: str) -> str:
    """A required time; `about` says of what."""
    found: str = Field(description=f"{about}; {TIME}", examples=[EXAMPLE_TIME])
    return found


def maybe_time(about: str) -> str | None:
    """A time that may be absent."""
    found: str | None = Field(description=f"{about}; {TIME}", examples=[EXAMPLE_TIME, None])
    return found


Reference = Annotated[
    str,
    Said(maxLength=129),
    Path(
        description="`type:id` (the live one, else the latest), or the id of a session",
        examples=["default:abc"],
    ),
]
Cursor = Field(description="give it as `cursor` for the next page; null on the last")


def says(operation_id: str, model: Any) -> dict[str, Any]:
    """How a route is told what it is called and what it answers; what is absent stays absent."""
    return {
        "operation_id": operation_id,
        "response_model": model,
        "response_model_exclude_unset": True,
    }
