"""Good files in the wrappings, and under the spellings of a password, in which people have them."""

import json
from base64 import b64encode, encodebytes, urlsafe_b64encode
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from unicodedata import normalize
from urllib.parse import quote

from cryptography.hazmat.primitives import serialization

from tests.credentials import p12_writer as p12
from tests.credentials.p12_writer import Lock, Noise

if TYPE_CHECKING:
    from tests.credentials.files import Made, Maker

COMPOSED = normalize("NFC", "pä55 wörd é")
APART = normalize("NFD", COMPOSED)


def wrapped(maker: "Maker") -> Iterator["Made"]:
    from tests.credentials.files import APP, IDS, Made, pem_key, pkcs8

    pem = pem_key(maker.p8, serialization.PrivateFormat.PKCS8)
    der, text = pkcs8(maker.p8), pem.decode()
    good = {"kind": "key", "app_id": APP, "form": ".p8"}
    once = b64encode(pem)
    dashes = text.replace("-----BEGIN", "\u2014\u2013BEGIN").replace("KEY-----", "KEY\u2014\u2013")
    hexadecimal = der.hex()
    pairs = ":".join(hexadecimal[i : i + 2] for i in range(0, len(hexadecimal), 2))
    secret = "apiVersion: v1\nkind: Secret\ndata:\n  AuthKey.p8: " + once.decode() + "\n"
    as_data = "data:application/x-pem-file;base64,"
    forms: dict[str, bytes] = {
        "base64 of PEM": once,
        "base64 of PEM, in lines": encodebytes(pem),
        "base64 of PEM in CRLF": b64encode(pem.replace(b"\n", b"\r\n")),
        "base64 twice": b64encode(once),
        "base64 three times, newline": b64encode(b64encode(once + b"\n")) + b"\n",
        "base64 for URLs, no padding": urlsafe_b64encode(pem).rstrip(b"="),
        "base64 of DER for URLs": urlsafe_b64encode(der),
        "base64 of PEM in UTF-16": b64encode(text.encode("utf-16")),
        "base64 in UTF-16": once.decode().encode("utf-16"),
        "base64 with BOM": b"\xef\xbb\xbf" + once,
        "a Kubernetes secret": secret.encode(),
        "UTF-16 without a BOM": text.encode("utf-16-le"),
        "UTF-16, the other end first": b"\xfe\xff" + text.encode("utf-16-be"),
        "a JSON string": json.dumps(text).encode(),
        "a JSON string of base64": json.dumps(once.decode()).encode(),
        "a JSON string of a JSON string": json.dumps(json.dumps(text)).encode(),
        "shell quotes": b"'" + pem.replace(b"\n", b"\\n") + b"'",
        "an env line": b'APNS_KEY="' + pem.replace(b"\n", b"\\n") + b'"\n',
        "\\n escaped twice": pem.replace(b"\n", b"\\\\n"),
        "\\r\\n spelled out": pem.replace(b"\n", b"\\r\\n"),
        "a data URL": as_data.encode() + once,
        "a data URL, percent-encoded": b"data:text/plain," + quote(text).encode(),
        "percent-encoded": quote(text).encode(),
        "hex": hexadecimal.encode(),
        "HEX in pairs": pairs.upper().encode(),
        "hex of PEM": pem.hex().encode(),
        "hex with 0x": b"0x" + hexadecimal.encode() + b"\n",
        "hex as C writes it": "".join(f"\\x{one:02x}" for one in der).encode(),
        "dashes of a document": dashes.encode(),
        "PEM with zero-width spaces": text.replace("\n", "\u200b\n").encode(),
    }
    for name, data in forms.items():
        yield Made(f".p8: {name}", data, right=dict(good), ids=IDS, app_id=APP)
    yield Made(
        "p12 in base64 twice", b64encode(b64encode(maker.voip.p12())), right={"form": "PKCS#12"}
    )
    yield Made("PNG in base64", b64encode(b"\x89PNG\r\n" * 10), None, "not_a_credential")
    yield Made("text in base64", b64encode(b"hello world " * 10), None, "not_a_credential")


def passwords(maker: "Maker") -> Iterator["Made"]:
    from tests.credentials.files import APP, Made, pem_key, pkcs8

    of = maker.voip_ec
    certs, key = [p12.certificate_bag(of.der)], pkcs8(of.key)

    def file(password: str, scheme: str = "3des") -> bytes:
        lock = Lock(scheme, password)
        safes = [p12.safe(certs, lock), p12.safe([p12.key_bag(key, lock)])]
        return p12.pfx(safes, password=password)

    good: dict[str, Any] = {"kind": "certificate", "app_id": APP}
    cases = {
        "typed apart": (COMPOSED, APART),
        "typed composed": (APART, COMPOSED),
        "pasted with a newline": (COMPOSED, COMPOSED + "\r\n"),
        "pasted with spaces": ("secret", "  secret\t"),
        "apart and with a newline": (COMPOSED, APART + "\n"),
        "ligature and full width": ("file1", "\ufb01le\uff11"),
        "as old OpenSSL spells it": (COMPOSED.encode().decode("latin-1"), COMPOSED),
        "with a space of its own": (" secret ", " secret "),
    }
    for name, (set_as, typed) in cases.items():
        yield Made(f"password {name}", file(set_as), typed, right=good)
    locked = of.certificate_pem + pem_key(of.key, serialization.PrivateFormat.PKCS8, COMPOSED)
    yield Made("password of a PEM key, typed apart", locked, APART + "\n", right=good)
    yield Made("password, AES, typed apart", file(COMPOSED, "aes256"), APART, right=good)
    yield Made("password of spaces, wrong", file("x"), "   ", "wrong_password")
    yield Made("password far too long", file("x"), "x" * 380_000, "password_too_long")


def slow(maker: "Maker") -> Iterator["Made"]:
    """What took seconds to minutes: patterns that go back, and work that nobody counted."""
    from tests.credentials.files import Made, pkcs8

    for name, data in {
        "spaces": b"A" + b" " * 131_000 + b"!",
        "backslashes": b"-----BEGIN " + b"\\" * 131_000,
        "dashes": b"-" * 131_000 + b"BEGIN A",
        "marks": b"-----BEGIN " * 11_000,
        "equals": b"A" * 60_000 + b"=" * 60_000,
        "hex separators": b"30:" * 43_000 + b"!",
        "quotes": b'"' * 131_000,
    }.items():
        code = "truncated" if b"-----BEGIN" in data else "not_a_credential"
        yield Made(f"slow: {name}", data, None, code)
    certs, key = [p12.certificate_bag(maker.voip.der)], pkcs8(maker.voip.key)
    long_salt = Lock("3des", "pw", rounds=1, salt=b"s" * 20_000)
    bags = [p12.key_bag(key, long_salt) for _ in range(5)]
    whole = p12.pfx([p12.safe([*certs, *bags])], mac=False)
    yield Made("slow: long salts, long password", whole, "p" * 1_024, "wrong_password")
    heavy = p12.safe([*certs, *[p12.certificate_bag(bytes(9_000))] * 10], Noise("rc2-40", "pw"))
    yield Made("slow: much RC2", p12.pfx([heavy], mac=False), "x" * 1_024, "wrong_password")
