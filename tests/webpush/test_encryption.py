"""RFC 8291's own example, what others open, and what is refused."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from app.webpush.base64url import decoded, encoded
from app.webpush.encryption import LONGEST, RECORD, sealed
from app.webpush.message import message_to
from app.webpush.subscription import Subscription, point, secret
from app.webpush.vapid import LIVES, RENEWED_AFTER, VapidKey, VapidTokens, public_of
from devkit.simulator.webpush import rules
from devkit.simulator.webpush.answers import Refusal
from devkit.simulator.webpush.subscriber import Subscriber

# RFC 8291, section 5 and appendix A
PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def test_the_example_of_rfc_8291_comes_out_as_it_stands_there() -> None:
    private = ec.derive_private_key(int.from_bytes(decoded(PRIVATE)), ec.SECP256R1())
    payload = b"When I grow up, I want to be a watermelon"
    body = sealed(payload, decoded(PUBLIC), decoded(AUTH), private=private, salt=decoded(SALT))
    assert encoded(body) == BODY


@given(st.binary(max_size=LONGEST))
def test_what_is_sealed_its_browser_opens_and_no_other(payload: bytes) -> None:
    bob, carol = Subscriber.made(), Subscriber.made()
    body = sealed(payload, bob.public, bob.auth)
    assert len(body) <= RECORD
    assert bob.open(body) == payload
    with pytest.raises(ValueError, match="not sealed for this subscriber"):
        carol.open(body)


def test_no_two_messages_share_a_key_or_a_salt() -> None:
    bob = Subscriber.made()
    bodies = [sealed(b"ring", bob.public, bob.auth) for _ in range(50)]
    assert len({body[:16] for body in bodies}) == len({body[21:86] for body in bodies}) == 50


def test_what_cannot_be_sealed() -> None:
    bob = Subscriber.made()
    with pytest.raises(ValueError, match="a push holds 3,993 bytes, not 3,994"):
        sealed(bytes(LONGEST + 1), bob.public, bob.auth)
    with pytest.raises(ValueError):
        sealed(b"", b"\4" + bytes(64), bob.auth)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "65 bytes"),
        (encoded(bytes(65)), "a point on the curve"),
        (encoded(b"\4" + bytes([1]) * 64), "a point on the curve"),
        ("+" * 87, "be base64url"),
        (PUBLIC[:-1] + "5", "be base64url"),  # bits that no byte has
        (AUTH, "65 bytes"),
    ],
)
def test_what_is_no_public_key(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        point(text)


def test_a_subscription_is_one_text_and_back() -> None:
    one = Subscription("key", point(PUBLIC), secret(AUTH + "=="), "https://push.example.net/a?b=c")
    assert Subscription.of(one.token) == one
    assert one.token.endswith(" https://push.example.net/a?b=c")
    for text in ("", "a b c", "a b c d e", f"key A {AUTH} https://x"):
        with pytest.raises(ValueError):
            Subscription.of(text)


@pytest.mark.parametrize(
    ("endpoint", "origin", "path"),
    [
        ("https://push.example.net/a/b?c=d", "https://push.example.net", b"/a/b?c=d"),
        ("https://push.example.net:443/a", "https://push.example.net", b"/a"),
        ("https://push.example.net:8443/", "https://push.example.net:8443", b"/"),
        ("https://push.example.net", "https://push.example.net", b"/"),
        ("https://push.example.net?a=/b", "https://push.example.net", b"/?a=/b"),
        ("https://[2001:db8::1]:8443/a", "https://[2001:db8::1]:8443", b"/a"),
    ],
)
def test_where_a_push_goes_and_for_whom_it_is_signed(
    endpoint: str, origin: str, path: bytes
) -> None:
    bob = Subscriber.made()
    to = Subscription("key", bob.public, bob.auth, endpoint)
    message = message_to(to, b"{}", ttl=-1.0, topic=b"a")
    assert (message.origin, message.path, message.ttl) == (origin, path, b"0")


ORIGIN = "https://push.example.net"


def test_who_sends_is_signed_for_one_push_service_and_kept_for_half_of_its_life() -> None:
    now = [1_800_000_000.0]
    key = VapidKey.made("mailto:push@example.com")
    tokens = VapidTokens(key, lambda: now[0])
    value = tokens.authorization(ORIGIN)
    said = rules.authenticate(value.decode(), ORIGIN, now[0])
    assert said == (public_of(key.loaded()), "mailto:push@example.com")
    with pytest.raises(Refusal, match="WrongAudience"):
        rules.authenticate(value.decode(), "https://elsewhere.example", now[0])
    with pytest.raises(Refusal, match="TokenExpired"):
        rules.authenticate(value.decode(), ORIGIN, now[0] + LIVES + 100)
    assert tokens.authorization("https://elsewhere.example") != value
    now[0] += RENEWED_AFTER - 1
    assert tokens.authorization(ORIGIN) == value
    now[0] += 2
    assert tokens.authorization(ORIGIN) != value
    now[0] -= RENEWED_AFTER  # a clock that was set back
    before = tokens.authorization(ORIGIN)
    rules.authenticate(before.decode(), ORIGIN, now[0])


def test_a_signature_of_another_key_is_none() -> None:
    value = VapidTokens(VapidKey.made("https://example.com/"), lambda: 1e9).authorization(ORIGIN)
    other = public_of(VapidKey.made("https://example.com/").loaded())
    token = value.decode().partition(", k=")[0]
    with pytest.raises(Refusal, match="BadToken"):
        rules.authenticate(f"{token}, k={other}", ORIGIN, 1e9)


def test_a_vapid_key_rests_as_bytes_and_shows_no_secret() -> None:
    key = VapidKey.made("mailto:push@example.com")
    assert VapidKey.of(key.sealed()) == key
    assert "PRIVATE" not in repr(key)
    for bad in ("", "no key", VapidKey.made("x").private[:60]):
        with pytest.raises(ValueError, match="cannot be read"):
            VapidKey("mailto:a@b.c", bad).loaded()
