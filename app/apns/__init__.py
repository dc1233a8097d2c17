"""The APNs engine: a push in, an outcome out; always, within its deadline, and once.

The only importer of aioapns: its request, its result, its push types and `send_notification` are
the seam. What carries them is `app.http2`; why it is ours is a decision with figures, in `docs`.
Values in, an outcome out: no settings, no database, and nothing retries inside; what an answer
means is `app.apns.policy`'s to say.

    sender = Sender(
        CertificateCredential(pem=pem),            # or KeyCredential(p8=…, key_id=…, team_id=…)
        "https://api.push.apple.com",              # https://host[:port]
        ca_file=None,                              # PEM of trust anchors; None: the system's
        max_connections=4, warm_connections=1,
        wall_clock=database_time,                  # unix seconds, for provider tokens
    )                                              # on the running loop; ValueError if unfit
    await sender.warm()                            # handshakes now, not when a phone must ring
    request = PushRequest(token, payload_bytes, topic="com.example.app.voip",
                          notification_id=apns_id, expiration=0, priority=10)
    outcome = await sender.send(request, deadline) # deadline in loop.time() seconds
    outcome = await sender.send_notification(request)  # aioapns's name; request.deadline or 30 s
    outcome.code         # 200, 410, …; 0 if there was no answer, and then
    outcome.no_answer    # NoAnswer.OUT_OF_TIME, NEVER_SENT or LOST, with outcome.cause in words
    outcome.reason       # Apple's reason, also one from a GOAWAY
    outcome.timestamp    # milliseconds, with a 410
    outcome.may_have_reached, .retry_after, .apns_unique_id, .started, .ended, .connection,
    outcome.provider_token_age
    pending = sender.start(request, deadline)       # `send` without a task, for many at once:
    outcome = await pending.future                  # or sender.abandon(pending)
    sender.stats()                                 # connections, streams, waiting, handshakes, …
    await sender.drain(deadline)                   # a worker stops
    await sender.close()

A sender keeps at least one connection ready for as long as it lives: whoever stops a credential
closes its sender. What an answer means for connections and provider tokens is done in here, by
`apns.policy`'s table; what it means for retries, device tokens and credentials is the caller's.

A second kind of sender (FCM, Web Push) is a module beside this one with the same seam:
`async send(request, deadline) -> outcome`, which never raises but CancelledError.
"""

from aioapns.common import PushType

from app.apns.credential import CertificateCredential, Credential, KeyCredential
from app.apns.outcome import PushOutcome
from app.apns.pending import PendingPush
from app.apns.request import PushRequest
from app.apns.sender import Sender
from app.core.push_policy import NoAnswer
from app.http2.timing import Timing

__all__ = [
    "CertificateCredential",
    "Credential",
    "KeyCredential",
    "NoAnswer",
    "PendingPush",
    "PushOutcome",
    "PushRequest",
    "PushType",
    "Sender",
    "Timing",
]
