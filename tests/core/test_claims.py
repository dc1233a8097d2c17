"""What a user token's claims may say, and with which words they are refused."""

from typing import Any

import pytest

from app.core.claims import LEEWAY, TokenRules, fault, is_revoked

NOW = 1_790_000_000.0
GOOD = {"sub": "bob", "exp": NOW + 600}


@pytest.mark.parametrize(
    "more",
    [{}, {"nbf": NOW + 2}, {"nbf": NOW + LEEWAY}, {"iat": NOW + 59.5}, {"nbf": None}, {"exp": NOW + 0.5},
     {"iat": -1}, {"exp": NOW + 366 * 86_400}, {"sub": "@foo/bar:matrix.org"}],
)  # fmt: skip
def test_good(more: dict[str, Any]) -> None:
    assert fault(GOOD | more, NOW) is None


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ({"nbf": NOW + 61}, "token_not_yet_valid", "`nbf`"),
        ({"iat": NOW + 3600}, "token_not_yet_valid", "`iat`"),
        ({"exp": NOW - 1}, "expired_token", "2026-09-21T14:13:19Z"),
        ({"exp": NOW}, "expired_token", "`exp`"),
        ({"exp": NOW + 367 * 86_400}, "token_lives_too_long", "366 days"),
        ({"exp": 9e10}, "token_lives_too_long", "`exp`"),
        ({"exp": (NOW + 600) * 1000}, "invalid_token", "milliseconds"),
        ({"nbf": NOW * 1000}, "invalid_token", "milliseconds"),
        ({"exp": 10**400}, "invalid_token", "no time"),
        ({"exp": -(10**400)}, "invalid_token", "no time"),
        ({"exp": float("inf")}, "invalid_token", "no time"),
        ({"exp": float("nan")}, "invalid_token", "no time"),
        ({"exp": -1e11 + 1}, "expired_token", "`exp`"),
        ({"exp": "soon"}, "invalid_token", "a number"),
        ({"exp": True}, "invalid_token", "a number"),
        ({"exp": None}, "invalid_token", "a number"),
        ({"iat": []}, "invalid_token", "a number"),
        ({"sub": 5}, "invalid_token", "`sub`"),
        ({"sub": ".."}, "invalid_token", "`sub`"),
        ({"sub": "a,b"}, "invalid_token", "`sub`"),
    ],
)
def test_faults(more: dict[str, Any], code: str, says: str) -> None:
    found = fault(GOOD | more, NOW)
    assert found is not None
    assert found.code == code
    assert says in found.sentence


def test_both_times_are_said() -> None:
    found = fault(GOOD | {"nbf": NOW + 120}, NOW)
    assert found is not None
    assert "2026-09-21T14:15:20Z" in found.sentence
    assert "2026-09-21T14:13:20Z" in found.sentence


@pytest.mark.parametrize(
    ("rules", "more", "code"),
    [
        (TokenRules(), {"iss": "x", "aud": "y", "scopes": []}, None),
        (TokenRules(), {"scopes": ["calls", "openid"]}, None),
        (TokenRules(), {"scopes": "calls"}, "invalid_token"),
        (TokenRules(), {"scopes": [1]}, "invalid_token"),
        (TokenRules(longest_life=600), {}, None),
        (TokenRules(longest_life=599), {}, "token_lives_too_long"),
        (TokenRules(longest_life=660), {"iat": NOW - 60}, None),
        (TokenRules(longest_life=660), {"iat": NOW - 61}, "token_lives_too_long"),
        (TokenRules(issuer="https://id.example/"), {"iss": "https://id.example/"}, None),
        (TokenRules(issuer="https://id.example/"), {"iss": "https://id.example"}, "wrong_issuer"),
        (TokenRules(issuer="https://id.example/"), {}, "wrong_issuer"),
        (TokenRules(audience="ring"), {"aud": "ring"}, None),
        (TokenRules(audience="ring"), {"aud": ["other", "ring"]}, None),
        (TokenRules(audience="ring"), {"aud": ["other", 7]}, "wrong_audience"),
        (TokenRules(audience="ring"), {"aud": "rings"}, "wrong_audience"),
        (TokenRules(audience="ring"), {}, "wrong_audience"),
    ],
)
def test_a_tenants_own_rules(rules: TokenRules, more: dict[str, Any], code: str | None) -> None:
    found = fault(GOOD | more, NOW, rules)
    assert (found and found.code) == code


@pytest.mark.parametrize(
    ("issued", "dead"),
    [(None, True), (100, True), (100.999, True), (99.5, True), (101, False), (101.0, False)],
)
def test_a_revocation_kills_its_whole_second(issued: float | None, dead: bool) -> None:
    for revoked in (100.0, 100.4, 100.999):
        assert is_revoked(issued, revoked) is dead
