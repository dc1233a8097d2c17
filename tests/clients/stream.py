"""Follows a user's stream with tokens that it signs itself; says each message as a line of JSON.

SKEW: by how many seconds this machine's clock is wrong.
"""

import asyncio
import json
import os
import time

RIGHT, SKEW = time.time, float(os.environ["SKEW"])
time.time = lambda: RIGHT() + SKEW

from ringline_client import AsyncRingline, sign_user_token  # noqa: E402


async def main() -> None:
    tokens = 0

    def token() -> str:
        nonlocal tokens
        tokens += 1
        now = time.time() + ringline.clock_offset
        secret, kid, user = (os.environ[name] for name in ("SECRET", "KID", "USER"))
        return sign_user_token(secret, kid, user, expires_in=int(os.environ["EXPIRES"]), now=now)

    async with AsyncRingline(os.environ["API"], token) as ringline:
        async for event in ringline.events(silence=float(os.environ["SILENCE"])):
            line = {"id": event.id, "type": event.type, "what": event.body.get("what")}
            print(json.dumps(line | {"tokens": tokens}), flush=True)


asyncio.run(main())
