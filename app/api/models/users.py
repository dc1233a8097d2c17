"""How a user's blocks and handles read."""

from typing import Annotated

from pydantic import Field

from app.api.models import MANY, Id, Moment, Out, time
from app.api.models.calls import HandleOut


class BlockOut(Out):
    """Somebody who is blocked."""

    user_id: Id = Field(description="who", examples=["mallory"])
    blocked_at: Moment = time("since when")


class BlocksOut(Out):
    """Whom a user has blocked."""

    blocks: Annotated[list[BlockOut], MANY] = Field(description="by id")


class HandlesOut(Out):
    """By which handles a user may be rung."""

    handles: Annotated[list[HandleOut], MANY] = Field(description="as they were given, by kind")
