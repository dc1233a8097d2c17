"""Asking a push service, without ringing anybody, whether it takes a credential.

A push goes to nobody: what its sender calls a probe. The answer shows that the service looked at
the credential, and what it thinks of it.
"""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from app import senders
from app.core.outcome import Outcome
from app.core.push import Environment
from app.core.push_policy import Known, Signal, Verdict
from app.credentials.usable import Usable
from app.infra import clock
from app.infra.sender import Secret, Sender, Service
from app.infra.settings import Settings
from app.infra.tasks import beside

WITHIN = 5.0
"""Seconds that one environment may take to answer."""
FAILED_CONNECTS = 3
"""After so many failures to connect in a row no answer is to be expected."""
LOOK = 0.05

_REFUSING_ALERT = re.compile(
    r"alert[ _](bad[ _]certificate|certificate[ _](revoked|expired|unknown)|unknown[ _]ca"
    r"|unsupported[ _]certificate|access[ _]denied)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What one environment says: `yes`, `no` or `unknown`; `words` are its own, or what failed."""

    says: Literal["yes", "no", "unknown"]
    words: str | None
    status: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"says": self.says, "words": self.words, "status": self.status}


async def ask_all(settings: Settings, row: Usable, secret: Secret) -> dict[str, ProbeAnswer]:
    """The answer of each environment that the credential is for, asked at the same time."""
    answers = await asyncio.gather(*(ask(row, secret, name, settings) for name in row.environments))
    return {name.value: one for name, one in zip(row.environments, answers, strict=True)}


def sender_for(secret: Secret, environment: Environment, settings: Settings) -> Sender:
    """A sender of one connection, for asking. Raises ValueError for an unfit credential."""
    service = senders.of_credential(secret.kind)
    return service.open(secret, environment, settings, clock.unix, connections=1)


async def ask(
    row: Usable, secret: Secret, environment: Environment, settings: Settings
) -> ProbeAnswer:
    """One environment's answer, within `WITHIN` seconds. Never raises but CancelledError."""
    try:
        sender = sender_for(secret, environment, settings)
    except ValueError as error:
        return ProbeAnswer("no", str(error))
    loop = asyncio.get_running_loop()
    request = row.service.probe(row.app_id, row.topics)
    try:
        if request is None:
            return ProbeAnswer("yes", None)
        outcome, signal = await converse(row.service, sender, request, loop.time() + WITHIN)
        if outcome is None:
            return unreachable(sender)
        return _meaning(row.service, outcome, signal, sender)
    finally:
        await sender.close()


async def converse(
    service: Service, sender: Sender, request: Any, deadline: float
) -> tuple[Outcome | None, Signal]:
    """One push with the retries that its answers ask for, until `deadline` (loop time).

    The last outcome and what it says of the credential; None if there is nobody to connect to.
    """
    loop = asyncio.get_running_loop()
    earlier: Counter[str] = Counter()
    while True:
        outcome = await _send(sender, request, deadline)
        if outcome is None:
            return None, Signal.TROUBLE
        attempt = outcome.attempt(earlier.total() + 1, loop.time())
        known = Known(deadline, earlier=earlier)
        reaction = service.react(attempt, known, random.random())  # noqa: S311 - jitter
        earlier[reaction.row] += 1
        if reaction.verdict is not Verdict.RETRY or reaction.retry_at is None:
            return outcome, reaction.signal
        await asyncio.sleep(max(0.0, reaction.retry_at - loop.time()))


async def _send(sender: Sender, request: Any, deadline: float) -> Outcome | None:
    """The outcome; None as soon as it is clear that there is nobody to connect to."""
    async with beside("credentials.probe", sender.send(request, deadline)) as sending:
        while True:
            done, _ = await asyncio.wait({sending}, timeout=LOOK)
            if done:
                outcome: Outcome = sending.result()
                return outcome
            stats = sender.stats()
            if stats.connect_failures >= FAILED_CONNECTS and not stats.connections:
                return None


def _meaning(service: Service, outcome: Outcome, signal: Signal, sender: Sender) -> ProbeAnswer:
    status = outcome.code or None
    if outcome.code == 200 or outcome.reason in service.proofs:
        return ProbeAnswer("yes", outcome.reason, status)
    if signal is Signal.REFUSED:
        return ProbeAnswer("no", outcome.reason, status)
    if status is None:
        return unreachable(sender, outcome.cause)
    return ProbeAnswer("unknown", outcome.reason or f"status {status}", status)


def unreachable(sender: Sender, cause: str | None = None) -> ProbeAnswer:
    """No answer. A TLS alert about our certificate is the service's word all the same."""
    why = sender.stats().last_failure or cause or "no answer in time"
    return ProbeAnswer("no" if _REFUSING_ALERT.search(why) else "unknown", why)
