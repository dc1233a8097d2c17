"""The engine's entry point: a push in, an outcome out."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aioapns.common import NotificationRequest

from app.apns.credential import Credential, Identity
from app.apns.listener import ApnsListener
from app.apns.outcome import PushOutcome
from app.apns.pending import PendingPush
from app.apns.request import PushRequest
from app.http2.sender import PooledSender
from app.infra import clock


class Sender(PooledSender[PendingPush]):
    """Pushes of one credential to one environment, over connections that stay open.

    `url` is `https://host[:port]`; `ca_file` a PEM of trust anchors, None for the system's.
    `wall_clock` gives unix seconds for provider tokens and Retry-After; `of_pool` as
    `PooledSender` has it. Raises ValueError, in a sentence, for a credential or URL that cannot be
    used; connects to nothing yet.
    """

    def __init__(
        self,
        credential: Credential,
        url: str,
        *,
        ca_file: str | Path | None = None,
        topic: str | None = None,
        wall_clock: Callable[[], float] = clock.unix,
        **of_pool: Any,
    ) -> None:
        self._wall_clock = wall_clock
        self._topic = topic
        listener = ApnsListener()
        super().__init__(listener, Identity(credential, ca_file, wall_clock), url, **of_pool)
        listener.pool = self.pool

    async def send_notification(self, request: NotificationRequest) -> PushOutcome:
        """aioapns's entry point: `send` with the request's own deadline, else 30 s from now."""
        if not isinstance(request, PushRequest):
            request = PushRequest.of(request, now=self._wall_clock(), topic=self._topic)
        deadline = request.deadline
        if deadline is None:
            deadline = self.pool.loop.time() + self.timing.send
        outcome: PushOutcome = await self.send(request, deadline)
        return outcome

    def start(
        self, request: PushRequest, deadline: float, start_by: float = math.inf
    ) -> PendingPush:
        pending = PendingPush(request, deadline, self.pool.loop, self._wall_clock, start_by)
        self.pool.submit(pending)
        return pending

    def start_all(
        self, requests: Sequence[PushRequest], deadline: float, start_by: float = math.inf
    ) -> list[PendingPush]:
        loop, clock = self.pool.loop, self._wall_clock
        pushes = [PendingPush(one, deadline, loop, clock, start_by) for one in requests]
        self.pool.submit_all(pushes)
        return pushes
