"""What the claims of a user token (a JWT signed by a tenant's backend) must say.

RFC 7519: `exp`, `nbf` and `iat` are seconds since 1970, whole or not. Another's clock may be a
minute ahead: `nbf` and `iat` have a leeway, for .NET and others set them to the very second. `exp`
has none, as it says itself how long a token is to live. A revocation has none either: what a clock
that is ahead has signed just before it passes for newer, and cannot be told from what a right clock
signs in the minute after it, of who signs in anew (docs/guides/devices.md says what to do).
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from app.core.frozen import frozen
from app.core.identifiers import is_user_id

LEEWAY: Final = 60.0
"""Seconds."""
LONGEST_LIFE: Final = 366 * 86_400.0
"""Seconds from now to `exp`: a token that nobody can forget about is no token but a password."""
LATEST: Final = 1e11
"""No time in seconds: year 5138. Milliseconds of any day since 1973 are larger."""


@frozen
class ClaimFault:
    """What is wrong with a claim: a stable code and a sentence."""

    code: str
    sentence: str


@frozen
class TokenRules:
    """What a tenant asks of user tokens. `longest_life` in seconds, from `iat` to `exp`."""

    longest_life: float | None = None
    issuer: str | None = None
    audience: str | None = None


ANY: Final = TokenRules()


def fault(claims: Mapping[str, Any], now: float, rules: TokenRules = ANY) -> ClaimFault | None:
    """Why these claims will not do at `now` (Unix seconds); None when they will."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not is_user_id(subject):
        return ClaimFault("invalid_token", "the `sub` of this user token is not a user id")
    for name in ("exp", "nbf", "iat"):
        if name == "exp" or claims.get(name) is not None:
            wrong = _number_fault(name, claims.get(name))
            if wrong is not None:
                return ClaimFault("invalid_token", wrong)
    scopes = claims.get("scopes")
    if scopes is not None and not _is_list_of_text(scopes):
        return ClaimFault("invalid_token", "the `scopes` of a user token must be a list of names")
    for name, means in (("nbf", "is not valid before"), ("iat", "was issued at")):
        at = claims.get(name)
        if at is not None and at > now + LEEWAY:
            return ClaimFault(
                "token_not_yet_valid",
                f"this user token {means} {_said(at)} (`{name}`), and here it is {_said(now)}: "
                f"more than {LEEWAY:g} seconds apart; set the clock of whoever signs it",
            )
    if claims["exp"] > now + LONGEST_LIFE:
        return ClaimFault(
            "token_lives_too_long",
            f"this user token would live until {_said(claims['exp'])} (`exp`): at most "
            f"{LONGEST_LIFE / 86_400:g} days from now; sign one that ends sooner",
        )
    if claims["exp"] <= now:
        return ClaimFault(
            "expired_token",
            f"this user token has expired at {_said(claims['exp'])} (`exp`), and here it is "
            f"{_said(now)}; get a new one",
        )
    return _rule_fault(claims, now, rules)


def _rule_fault(claims: Mapping[str, Any], now: float, rules: TokenRules) -> ClaimFault | None:
    """RFC 7519, 4.1: `iss` is compared as it is; `aud` is one text, or a list that holds it."""
    since = claims.get("iat")
    life = claims["exp"] - (now if since is None else since)
    if rules.longest_life is not None and life > rules.longest_life:
        return ClaimFault(
            "token_lives_too_long",
            f"this user token lives for {life:.0f} seconds, from `iat` (without it, from now) to "
            f"`exp`; its tenant allows {rules.longest_life:g}",
        )
    if rules.issuer is not None and claims.get("iss") != rules.issuer:
        return ClaimFault("wrong_issuer", "the `iss` of this user token is not its tenant's issuer")
    if rules.audience is not None and rules.audience not in audiences(claims):
        return ClaimFault("wrong_audience", "the `aud` of this user token does not name its tenant")
    return None


def audiences(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """For whom a token says that it is."""
    said = claims.get("aud")
    found = said if isinstance(said, list) else [said]
    return tuple(one for one in found if isinstance(one, str))


def is_revoked(issued: float | None, revoked: float) -> bool:
    """Whether what was issued then is dead by a revocation (Unix seconds).

    In whole seconds, since most signers write no other: what was issued in the very second of the
    revocation is dead, and what does not say when it was issued is too.
    """
    return issued is None or math.floor(issued) <= math.floor(revoked)


def _number_fault(name: str, value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"the `{name}` of this user token must be a number: seconds since 1970"
    if -LATEST < value < LATEST:  # NaN is not
        return None
    if LATEST <= value < 1e14:
        return (
            f"the `{name}` of this user token looks like milliseconds; a JWT's times are seconds "
            "since 1970: divide it by 1,000"
        )
    return f"the `{name}` of this user token is no time; it must be seconds since 1970"


def _is_list_of_text(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) for one in value)


def _said(at: float) -> str:
    try:
        return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"
    except (OverflowError, ValueError, OSError):  # before the year 1
        return f"{at:g}"
