"""Asking Apple, without ringing anybody, whether it takes a credential.

A push goes to a device token that cannot exist. "BadDeviceToken" is the answer hoped for: Apple
looks at the token only after it has taken the credential and the topic (order of checks as seen of
APNs; "Handling notification responses from APNs" for the reasons).
"""

import asyncio
import random
import re
import secrets
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal
from uuid import uuid4

from app.apns import Credential, PushOutcome, PushRequest, Sender
from app.apns.policy import react
from app.core.app_id import VOIP, spelled
from app.core.push import Environment
from app.core.push_policy import Known, Signal, Verdict
from app.credentials.usable import Usable
from app.infra.settings import Settings
from app.infra.tasks import beside

WITHIN = 5.0
"""Seconds that one environment may take to answer."""
FAILED_CONNECTS = 3
"""After so many failures to connect in a row no answer is to be expected."""
LOOK = 0.05

ACCEPTING = frozenset({"BadDeviceToken", "DeviceTokenNotForTopic", "Unregistered", "ExpiredToken"})
OTHER_ENVIRONMENT = frozenset(
    {"BadCertificateEnvironment", "BadEnvironmentKeyInToken", "BadEnvironmentKeyIdInToken"}
)
"""Apple's words for "not in this environment": the credential is good, for the other one."""
_REFUSING_ALERT = re.compile(
    r"alert[ _](bad[ _]certificate|certificate[ _](revoked|expired|unknown)|unknown[ _]ca"
    r"|unsupported[ _]certificate|access[ _]denied)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What one environment says: `yes`, `no` or `unknown`; `words` are Apple's, or what failed."""

    says: Literal["yes", "no", "unknown"]
    words: str | None
    status: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"says": self.says, "words": self.words, "status": self.status}


async def ask_all(
    settings: Settings, row: Usable, credential: Credential
) -> dict[str, ProbeAnswer]:
    """The answer of each environment that the credential is for, asked at the same time."""
    voip = row.app_id + VOIP
    topic = spelled(voip, row.topics) or (row.topics[0] if row.topics else voip)
    answers = await asyncio.gather(
        *(ask(credential, name, topic, settings) for name in row.environments)
    )
    return {name.value: one for name, one in zip(row.environments, answers, strict=True)}


def sender_for(credential: Credential, environment: Environment, settings: Settings) -> Sender:
    """A sender of one connection, for asking. Raises ValueError for an unfit credential."""
    sandbox = environment is Environment.SANDBOX
    url = settings.apns_sandbox_url if sandbox else settings.apns_production_url
    return Sender(credential, url, ca_file=settings.apns_ca_file, max_connections=1)


async def ask(
    credential: Credential, environment: Environment, topic: str, settings: Settings
) -> ProbeAnswer:
    """One environment's answer, within `WITHIN` seconds. Never raises but CancelledError."""
    try:
        sender = sender_for(credential, environment, settings)
    except ValueError as error:
        return ProbeAnswer("no", str(error))
    loop = asyncio.get_running_loop()
    try:
        return await _answer(sender, topic, loop.time() + WITHIN)
    finally:
        await sender.close()


async def _answer(sender: Sender, topic: str, deadline: float) -> ProbeAnswer:
    request = PushRequest(
        secrets.token_hex(32),
        b'{"aps":{},"ringline":"probe"}',
        topic=topic,
        notification_id=str(uuid4()),
        push_type="voip" if topic.endswith(VOIP) else "background",
        priority=10 if topic.endswith(VOIP) else 5,
    )
    outcome, signal = await converse(sender, request, deadline)
    if outcome is None:
        return unreachable(sender)
    return _meaning(outcome, signal, sender)


async def converse(
    sender: Sender, request: PushRequest, deadline: float
) -> tuple[PushOutcome | None, Signal]:
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
        reaction = react(attempt, known, random.random())  # noqa: S311 - jitter
        earlier[reaction.row] += 1
        if reaction.verdict is not Verdict.RETRY or reaction.retry_at is None:
            return outcome, reaction.signal
        await asyncio.sleep(max(0.0, reaction.retry_at - loop.time()))


async def _send(sender: Sender, request: PushRequest, deadline: float) -> PushOutcome | None:
    """The outcome; None as soon as it is clear that there is nobody to connect to."""
    async with beside("credentials.probe", sender.send(request, deadline)) as sending:
        while True:
            done, _ = await asyncio.wait({sending}, timeout=LOOK)
            if done:
                outcome: PushOutcome = sending.result()
                return outcome
            stats = sender.stats()
            if stats.connect_failures >= FAILED_CONNECTS and not stats.connections:
                return None


def _meaning(outcome: PushOutcome, signal: Signal, sender: Sender) -> ProbeAnswer:
    status = outcome.code or None
    if outcome.code == 200 or outcome.reason in ACCEPTING:
        return ProbeAnswer("yes", outcome.reason, status)
    if signal is Signal.REFUSED:
        return ProbeAnswer("no", outcome.reason, status)
    if status is None:
        return unreachable(sender, outcome.cause)
    return ProbeAnswer("unknown", outcome.reason or f"status {status}", status)


def unreachable(sender: Sender, cause: str | None = None) -> ProbeAnswer:
    """No answer. A TLS alert about our certificate is Apple's word all the same."""
    why = sender.stats().last_failure or cause or "no answer in time"
    return ProbeAnswer("no" if _REFUSING_ALERT.search(why) else "unknown", why)
