"""What the API answers: a model for each response, one file per resource.

What is hot is written as JSON directly and never passes through these; tests hold every response
against its model, and find a member that it does not name.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Out(BaseModel):
    """A response. A client passes over members that it does not know."""

    model_config = ConfigDict(extra="allow")


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


Cursor = Field(description="give it as `cursor` for the next page; null on the last")


def says(operation_id: str, model: Any) -> dict[str, Any]:
    """How a route is told what it is called and what it answers; what is absent stays absent."""
    return {
        "operation_id": operation_id,
        "response_model": model,
        "response_model_exclude_unset": True,
    }
