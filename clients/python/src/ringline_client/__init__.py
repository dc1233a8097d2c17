"""Ring phones through a Ringline server.

from ringline_client import Ringline

ringline = Ringline("https://ring.example.com", "rl_sk_...")
call = ringline.ring(caller={"id": "alice", "name": "Alice"}, callees=["bob"])
"""

from ringline_client.client import AsyncRingline, Ringline
from ringline_client.errors import (
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    InvalidRequest,
    NotFound,
    NoToken,
    RateLimited,
    RinglineError,
    ServerFailed,
    StreamEnded,
    Unauthorized,
    Unreachable,
    WebhookRefused,
)
from ringline_client.events import StreamEvent
from ringline_client.tokens import sign_user_token
from ringline_client.webhooks import verify_webhook

__all__ = [
    "ApiError",
    "AsyncRingline",
    "Conflict",
    "Forbidden",
    "Gone",
    "InvalidRequest",
    "NoToken",
    "NotFound",
    "RateLimited",
    "Ringline",
    "RinglineError",
    "ServerFailed",
    "StreamEnded",
    "StreamEvent",
    "Unauthorized",
    "Unreachable",
    "WebhookRefused",
    "sign_user_token",
    "verify_webhook",
]
