"""A worker's access token of one service account: fetched once, renewed before it ends.

One request at a time, whoever waits for it; the next is made some minutes before the token ends,
at a moment that differs between workers. While it cannot be renewed the old one is used as long as
it is good. Nothing is shared between workers and nothing is stored.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from random import random as random_float
from typing import Any, Final
from urllib.parse import urlencode

import orjson
import structlog
from google.auth import jwt

from app.core.outcome import readable
from app.core.text import is_token
from app.fcm.account import ServiceAccount, claims
from app.http2.manager import Refused
from app.infra.safe_http import SafeHttp
from app.infra.tasks import Tasks

log = structlog.get_logger(__name__)

GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
LONGEST_TOKEN: Final = 16_384
USUAL_LIFE: Final = 3_600.0
"""Seconds for which a token is taken to be good where that is not said (RFC 6749 section 5.1)."""
LONGEST_LIFE: Final = 12 * 3_600.0
"""Google's own bound; what says more is not believed for longer."""
RENEW_AHEAD: Final = 300.0
"""Seconds before its end at which a token is renewed at the latest; up to twice that, by chance."""
TRY_AGAIN: Final = 15.0
"""Seconds between tries to renew while that fails and the old token is still good."""
LEAST_LEFT: Final = 10.0
"""Seconds for which a token must still be good to be used."""


class AccessTokens:
    """The access token of an account, now. `url` is Google's token endpoint.

    `wall_clock` gives unix seconds (the database's). Raises ValueError for a key that cannot sign.
    """

    def __init__(
        self,
        account: ServiceAccount,
        url: str,
        http: SafeHttp,
        wall_clock: Callable[[], float],
        random: Callable[[], float] = random_float,
    ) -> None:
        self._account = account
        self._signer = account.signer()
        self._url = url
        self._http = http
        self._clock = wall_clock
        self._random = random
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks("fcm.oauth")
        self._fetching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._good_until = 0.0
        self.token = b""

    async def ensure(self) -> None:
        """Have a good token. Raises Refused when Google does not know us, OSError otherwise."""
        if self.token and self._loop.time() < self._good_until:
            return
        if self._fetching is None:
            self._fetching = self._tasks.spawn("fetch", self._fetch(), awaited=True)
            self._fetching.add_done_callback(self._fetched)
        await asyncio.shield(self._fetching)

    def refused(self, token: bytes) -> None:
        """Google does not take this token: if it is still ours, it is not used again."""
        if token == self.token:
            self.token = b""

    async def close(self) -> None:
        """Fetch nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.stop(1.0)

    def _fetched(self, task: asyncio.Task[None]) -> None:
        self._fetching = None
        if not task.cancelled():
            task.exception()  # whoever waited has had it

    async def _fetch(self) -> None:
        sign = jwt.encode  # a millisecond of RSA: off the loop
        said = claims(self._account, self._url, self._clock())
        assertion = await self._loop.run_in_executor(None, sign, self._signer, said)
        asked = self._loop.time()
        answer = await self._http.post(
            self._url,
            {"Content-Type": "application/x-www-form-urlencoded"},
            urlencode({"grant_type": GRANT, "assertion": assertion.decode()}).encode(),
            now=datetime.fromtimestamp(self._clock(), UTC),
            kept=LONGEST_TOKEN,
        )
        found = _object(answer.text)
        token, lives = found.get("access_token"), _seconds(found.get("expires_in", USUAL_LIFE))
        if answer.status == 200 and _is_token(token) and lives:
            self._keep(str(token).encode("ascii"), asked, lives)
            return
        error = found.get("error")
        if answer.status in {400, 401, 403} and isinstance(error, str) and error:
            words = readable(str(found.get("error_description") or "")[:200])
            raise Refused(readable(error[:64]), f"Google's token endpoint: {error} {words}".strip())
        said_instead = answer.status or answer.error
        raise ConnectionError(f"Google's token endpoint gives no token: {said_instead}")

    def _keep(self, token: bytes, asked: float, lives: float) -> None:
        self.token = token
        self._good_until = asked + lives - LEAST_LEFT
        if self._timer is not None:
            self._timer.cancel()
        ahead = min(RENEW_AHEAD * (1 + self._random()), lives / 2)
        self._timer = self._loop.call_at(asked + lives - ahead, self._renew_soon)

    def _renew_soon(self) -> None:
        self._tasks.spawn("renew", self._renew())

    async def _renew(self) -> None:
        """Fetch the next one while this one is good; who has none left fetches for itself."""
        try:
            await self._fetch()
        except (OSError, Refused) as error:
            log.warning("access_token_not_renewed", why=str(error))
            if self._loop.time() + TRY_AGAIN < self._good_until:
                self._timer = self._loop.call_later(TRY_AGAIN, self._renew_soon)


def _object(body: str | None) -> dict[str, Any]:
    try:
        found = orjson.loads(body or "")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _seconds(lives: object) -> float:
    """How long a token is good; 0.0 for what is no time. Some endpoints send it as text."""
    try:
        seconds = float(lives) if isinstance(lives, int | float | str) else 0.0
    except ValueError:
        return 0.0
    said = not isinstance(lives, bool) and seconds > 0  # which no NaN is
    return min(seconds, LONGEST_LIFE) if said else 0.0


def _is_token(value: object) -> bool:
    return isinstance(value, str) and is_token(value)
