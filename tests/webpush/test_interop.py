"""Others' libraries agree: what we seal they open, and what they seal and sign our fake takes."""

import http_ece
import py_vapid
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from pywebpush import WebPushException, webpush

from app.webpush.base64url import decoded
from app.webpush.encryption import sealed
from app.webpush.vapid import VapidKey, VapidTokens, public_of
from devkit.simulator import Simulator
from devkit.simulator.webpush.subscriber import Subscriber
from tests.webpush.conftest import id_of

PAYLOAD = b'{"web_push":8030,"notification":{"title":"\xc3\xa4 \xf0\x9f\x93\x9e"}}'
ORIGIN = "https://push.example.net"


def test_http_ece_opens_what_we_seal() -> None:
    bob = Subscriber.made()
    body = sealed(PAYLOAD, bob.public, bob.auth)
    assert http_ece.decrypt(body, private_key=bob.private, auth_secret=bob.auth) == PAYLOAD


def test_py_vapid_verifies_what_we_sign() -> None:
    key = VapidKey.made("mailto:push@example.com")
    value = VapidTokens(key, lambda: 2e9).authorization(ORIGIN).decode()
    token, _, public = value.removeprefix("vapid t=").partition(", k=")
    assert public == public_of(key.loaded())
    assert py_vapid.Vapid02.verify(value.replace(", ", ","))  # as it writes the list itself
    head, claims, _ = token.split(".")
    said = decoded(claims)
    assert b'"aud":"https://push.example.net"' in said
    assert b'"sub":"mailto:push@example.com"' in said
    assert decoded(head) == b'{"typ":"JWT","alg":"ES256"}'


def test_the_fake_push_service_takes_pywebpush_and_refuses_what_it_should(
    simulator: Simulator,
) -> None:
    """By HTTP/1.1, which is all that pywebpush speaks."""
    simulator.clear_arrivals()
    old = simulator.connection_fault(environment="webpush", http1=True)
    theirs = requests.Session()
    theirs.verify, theirs.trust_env = str(simulator.ca_file), False
    vapid = py_vapid.Vapid02()
    vapid.generate_keys()
    numbers = vapid.public_key.public_numbers()
    point = b"\4" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")
    key = py_vapid.utils.b64urlencode(point)
    browser = simulator.web_subscribe(key)
    assert isinstance(vapid.private_key, ec.EllipticCurvePrivateKey)

    def push(subscription, **claims):
        return webpush(
            subscription, PAYLOAD, vapid_private_key=vapid, ttl=30,
            vapid_claims={"sub": "mailto:push@example.com", **claims}, requests_session=theirs,
        ).status_code  # fmt: skip

    assert push(browser) == 201
    [arrival] = simulator.deliveries(id_of(browser))
    assert arrival.raw == PAYLOAD
    assert push(simulator.web_subscribe(key)) == 201
    refused = [
        (simulator.web_subscribe("B" * 87), {}, 403),
        (browser, {"aud": ORIGIN}, 401),
        (browser | {"keys": simulator.web_subscribe(key)["keys"]}, {}, 400),
    ]
    for subscription, claims, status in refused:
        with pytest.raises(WebPushException, match=str(status)):
            push(subscription, **claims)
    assert [one.status for one in simulator.arrivals()] == [201, 201, 403, 401, 400]
    theirs.close()
    simulator.end_fault(old)
