"""How lists of past calls read."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.models import PAGE, Count, Cursor, Id, Name, Out
from app.api.models.calls import CallCore, CountsOut, OwnCallOut

Kept = Literal[
    "do_not_disturb", "quiet_hours", "call_type", "call_type_notify", "in_a_call", "devices_off"
]


class ListedCallOut(CallCore):
    """A call in a list: of one with more than ten members none is listed, only how many."""

    count: CountsOut = Field(description="how many members there are")


class CallsOut(Out):
    """A page of calls, the newest first."""

    calls: Annotated[list[ListedCallOut], PAGE] = Field(
        description="at most `limit`; perhaps fewer"
    )
    next_cursor: Name | None = Cursor


class PastCallOut(OwnCallOut):
    """A call as its member reads it in the own history."""

    direction: Literal["incoming", "outgoing"] = Field(description="who called whom")
    missed: bool = Field(description="whether it rang, or should have, and was not answered")
    seen: bool = Field(description="false for a missed call that has not been seen")
    suppressed: Kept | None = Field(
        description="why it was kept from this user, by their own preferences or since they were "
        "in another call; null: it was not"
    )
    others: Annotated[list[Id], PAGE] = Field(
        description="ten of the others at most, the caller first", examples=[["alice"]]
    )


class MissedOut(Out):
    """Among the user's newest 1,000 calls."""

    missed: Count = Field(description="how many were missed")
    unseen: Count = Field(description="how many of those have not been seen: a badge")


class OwnCallsOut(Out):
    """A page of a user's own calls, the newest first."""

    calls: Annotated[list[PastCallOut], PAGE] = Field(description="at most `limit`; perhaps fewer")
    next_cursor: Name | None = Cursor
    counts: MissedOut | None = Field(description="on the first page; null on others")
