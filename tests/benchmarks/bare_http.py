"""The FastAPI that a ring's CPU is held against: a POST that checks its body and does nothing."""

from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Body(BaseModel):
    """A request to ring."""

    type: str
    caller: dict[str, str]
    callees: list[str]
    video: bool
    ring_time: float


@app.post("/v1/calls", status_code=202)
async def ring(body: Body) -> dict[str, str]:
    """Take it."""
    return {"type": body.type}
