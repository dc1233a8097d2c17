"""The demo looks at its lab as a visitor would: the page, one click, a ringing phone."""

import asyncio
import time
from typing import Any

import httpx

PATIENCE = 15.0
EVERY = 0.02


async def ring_once(api_url: str) -> tuple[str, float]:
    """Open the page, ring Bob, and wait for a ringing phone: its name, and the milliseconds from
    the asking to its screen. The ring is taken back.

    Raises httpx.HTTPError, TimeoutError.
    """
    async with httpx.AsyncClient(base_url=f"{api_url}/lab", timeout=PATIENCE) as visitor:
        (await visitor.get("/")).raise_for_status()
        rung = await visitor.post("/ring", json={"callees": ["bob"]})
        session_id = rung.raise_for_status().json()["session_id"]
        found = await _ringing(visitor, session_id)
        (await visitor.post(f"/calls/{session_id}/cancel", json={})).raise_for_status()
        return found


async def _ringing(visitor: httpx.AsyncClient, session_id: str) -> tuple[str, float]:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        state: dict[str, Any] = (await visitor.get("/state")).raise_for_status().json()
        names = {phone["device_id"]: phone["name"] for phone in state["phones"]}
        for call in state["calls"]:
            for moment in call["times"]:
                if call["id"] == session_id and moment["what"] == "ringing":
                    return names[moment["phone"]], moment["ms"]
        await asyncio.sleep(EVERY)
    raise TimeoutError("no phone of the lab rang")
