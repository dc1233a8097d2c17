"""Google's answers to a message, one row each. Pure data, read by `fcm.policy`.

Sources: "FCM error codes" and "Using OAuth 2.0 for server to server applications", Google. The
reason is the `errorCode` of the FcmError in an answer's details; without one the `status` of the
error; of the token endpoint its `error`. What Google says of a field is named behind it.
"""

from typing import Final

from app.core.answer_rows import (
    ACCEPTED,
    BUG,
    DEVICE,
    FORBIDDEN,
    INTERNAL,
    STOPPED,
    UNAVAILABLE,
    Retry,
    Row,
    Table,
)
from app.core.push_policy import (
    Alert,
    ConnectionAction,
    CredentialAction,
    ProviderTokenAction,
    Signal,
    TokenAction,
)

BAD_TOKEN: Final = "INVALID_ARGUMENT message.token"  # noqa: S105 - a reason
MISMATCH: Final = "SENDER_ID_MISMATCH"

WRONG_PROJECT: Final = Row(
    "topic_refused",
    403,
    credential=CredentialAction.STOP_TOPIC,
    alert=Alert.TOPIC_REFUSED,
    signal=Signal.REFUSED,
    other_credential=True,
)
"""Token after token belongs to another project: the credential is not this app's."""
OF_ANOTHER_PROJECT: Final = Row("another_project", 403, other_credential=True)
"""One token does: it may be a build of its own, so the others go on."""
GONE: Final = Row("gone", 404, token=TokenAction.RETIRE, signal=Signal.GOOD)
UNAUTHENTICATED: Final = Row(
    "access_token_refused",
    401,
    Retry.ONCE,
    connection=ConnectionAction.REPLACE,
    provider_token=ProviderTokenAction.SIGN_ANEW,
    signal=Signal.TROUBLE,
    other_credential=True,
)
QUOTA: Final = Row("quota_exceeded", 429, Retry.ONCE, signal=Signal.TROUBLE, wait=60.0)
"""A minute unless Google says otherwise: quotas are counted by it ("Best practices when sending FCM
messages at scale"). Most rings are over by then, and another address of the phone's has its turn.
"""
NO_ACCESS: Final = Row(
    "oauth_refused",
    0,
    credential=CredentialAction.STOP,
    alert=Alert.CREDENTIAL_REFUSED,
    signal=Signal.REFUSED,
    other_credential=True,
)
"""The token endpoint's word, before there is a connection."""
UNAUTHORISED: Final = Row(
    "unauthorised",
    401,
    alert=Alert.UNKNOWN_ANSWER,
    signal=Signal.UNEXPLAINED,
    other_credential=True,
)
NOT_FOUND: Final = Row(
    "not_found",
    404,
    alert=Alert.UNKNOWN_ANSWER,
    signal=Signal.UNEXPLAINED,
    other_credential=True,
)

TABLE: Final = Table(
    {
        "UNREGISTERED": GONE,
        MISMATCH: OF_ANOTHER_PROJECT,
        BAD_TOKEN: DEVICE,
        "INVALID_ARGUMENT": BUG,
        "UNAUTHENTICATED": UNAUTHENTICATED,
        "PERMISSION_DENIED": STOPPED,
        "QUOTA_EXCEEDED": QUOTA,
        "RESOURCE_EXHAUSTED": QUOTA,
        "UNAVAILABLE": UNAVAILABLE,
        "INTERNAL": INTERNAL,
        "invalid_grant": NO_ACCESS,
        "invalid_client": NO_ACCESS,
        "unauthorized_client": NO_ACCESS,
        "account_disabled": NO_ACCESS,
        "admin_policy_enforced": NO_ACCESS,
        "invalid_scope": NO_ACCESS,
    },
    {
        200: ACCEPTED,
        401: UNAUTHORISED,
        403: FORBIDDEN,
        404: NOT_FOUND,
        429: QUOTA,
        500: INTERNAL,
        503: UNAVAILABLE,
    },
)
