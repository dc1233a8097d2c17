"""A push service's answers, one row each. Pure data, read by `webpush.policy`.

Sources: RFC 8030 sections 5, 7.2, 7.3 and 8.4, RFC 8292 section 4.2. Who serves a subscription is
the user's choice, so no answer speaks for the others: nothing here stops a credential, and each
success is one, for whoever is not believed rings a phone twice (RFC 9110 section 15).
"""

from typing import Final

from app.core.answer_rows import ACCEPTED, INTERNAL, UNAVAILABLE, Retry, Row, Table
from app.core.push_policy import TokenAction

GONE: Final = Row("gone", 410, token=TokenAction.RETIRE)
VAPID_REFUSED: Final = Row("vapid_refused", 403)
TOO_LARGE: Final = Row("too_large", 413)
TOO_MANY: Final = Row("too_many", 429, Retry.ONCE)

REASONS: Final = {
    401: "vapid_refused",
    403: "vapid_refused",
    404: "subscription_gone",
    410: "subscription_gone",
    413: "too_large",
    429: "too_many",
}
"""What an answer is called; of any other its own words."""

TABLE: Final = Table(
    {},
    dict.fromkeys(range(200, 300), ACCEPTED)
    | {
        401: VAPID_REFUSED,
        403: VAPID_REFUSED,
        404: GONE,
        410: GONE,
        413: TOO_LARGE,
        429: TOO_MANY,
        500: INTERNAL,
        503: UNAVAILABLE,
    },
)
