"""How a user's blocks read."""

from typing import Annotated

from pydantic import Field

from app.api.models import MANY, Id, Moment, Out, time


class BlockOut(Out):
    """Somebody who is blocked."""

    user_id: Id = Field(description="who", examples=["mallory"])
    blocked_at: Moment = time("since when")


class BlocksOut(Out):
    """Whom a user has blocked."""

    blocks: Annotated[list[BlockOut], MANY] = Field(description="by id")
