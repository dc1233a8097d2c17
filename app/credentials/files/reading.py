"""`read`: from the bytes that an admin has to what they are, or to a refusal that teaches.

It computes for up to about two seconds (see `pbe.MOST_ROUNDS`), so call it off the event loop. It
opens no file, logs nothing, and no refusal repeats a private byte.
"""

import re
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.core.app_id import app_id_of
from app.credentials.files import google
from app.credentials.files.apple import MAX_BITS, MIN_BITS, Leaf, chain_of, fingerprint_of
from app.credentials.files.parsed_file import BOTH, ParsedFile
from app.credentials.files.refusals import reject
from app.credentials.files.sniff import Sniffed, sniff

MOST_BYTES = 128 * 1024
MOST_CERTIFICATES = 20
MOST_KEYS = 10
MOST_KEY_BYTES = 4_096
_TEN = re.compile(r"[A-Z0-9]{10}")

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def read(
    data: bytes,
    password: str | None = None,
    *,
    key_id: str | None = None,
    team_id: str | None = None,
    now: datetime,
) -> ParsedFile:
    """What `data` is: PKCS#12, PEM, `.p8`, `.cer`, or Google's JSON, told by content.

    `key_id` and `team_id` are needed for a `.p8` alone, which does not hold them. `now` decides on
    expiry. Raises Refused (422), with a code of `refusals.LESSONS`.
    """
    if len(data) > MOST_BYTES:
        raise reject("file_too_large", limit=f"{MOST_BYTES:,}")
    if not data.strip():
        raise reject("empty_file")
    gathered = sniff(data, password)
    if gathered.google is not None:
        return google.understand(gathered.google, gathered.notes)
    keys = _load_keys(gathered.keys)
    leaves = _load_certificates(gathered.certificates)
    if len(keys) > 1:
        raise reject("two_keys", count=len(keys))
    key = next(iter(keys.values()), None)
    if not leaves:
        return _understand_key(key, gathered, key_id, team_id)
    return _understand_certificate(leaves, key, gathered, now)


def clean_app_id(app_id: str) -> str:
    """A bundle id as typed, in its one spelling. Raises Refused."""
    found = app_id_of(app_id)
    if found is None:
        raise reject("app_id_malformed")
    return found


def _load_keys(found: list[bytes]) -> dict[str, PrivateKey]:
    """Private keys by the fingerprint of their public half: one key twice is one key."""
    if len(found) > MOST_KEYS:
        raise reject("two_keys", count=len(found))
    keys: dict[str, PrivateKey] = {}
    for der in found:
        key = _load_key(der)
        keys[fingerprint_of(key.public_key())] = key
    return keys


def _load_key(der: bytes) -> PrivateKey:
    """A key that TLS or a token can use. Its size is looked at before its primes are tested:
    that takes 0.25 s at 4,096 bits and 4 s at 8,192 (measured)."""
    if len(der) > MOST_KEY_BYTES:
        raise reject("weak_key", bits="more than 4,096")
    try:
        key = serialization.load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True)
        if isinstance(key, rsa.RSAPrivateKey):
            if not MIN_BITS <= key.key_size <= MAX_BITS:
                raise reject("weak_key", bits=key.key_size)
            key = serialization.load_der_private_key(der, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise reject("unusable_key") from None
    if not isinstance(key, PrivateKey):
        raise reject("wrong_key_type", kind=type(key).__name__.removesuffix("PrivateKey"))
    return key


def _load_certificates(found: list[bytes]) -> list[Leaf]:
    if len(found) > MOST_CERTIFICATES:
        raise reject("too_many_parts")
    leaves: dict[str, Leaf] = {}
    for der in found:
        try:
            leaf = Leaf(der)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise reject("unreadable", why="a certificate in it is damaged") from None
        leaves[leaf.fingerprint] = leaf
    return list(leaves.values())


def _understand_key(
    key: PrivateKey | None, gathered: Sniffed, key_id: str | None, team_id: str | None
) -> ParsedFile:
    if key is None:
        raise reject("not_a_credential", what="a file with neither key nor certificate")
    if isinstance(key, rsa.RSAPrivateKey):
        if gathered.form == "PKCS#12":
            raise reject("no_certificate")
        raise reject("wrong_key_type", kind=f"RSA {key.key_size}")
    if not isinstance(key.curve, ec.SECP256R1):
        raise reject("wrong_key_type", kind=f"EC {key.curve.name}")
    if gathered.form == "PKCS#12":
        raise reject("no_certificate")
    fingerprint = fingerprint_of(key.public_key())
    return ParsedFile(
        kind="key",
        form=".p8",
        app_id=None,
        topics=(),
        environments=BOTH,
        team_id=_ten(team_id, "team_id"),
        key_id=_ten(key_id, "key_id"),
        subject=None,
        serial=None,
        fingerprint=fingerprint,
        key_fingerprint=fingerprint,
        not_before=None,
        not_after=None,
        notes=gathered.notes,
        private=_key_pem(key),
    )


def _ten(value: str | None, name: str) -> str:
    value = (value or "").strip().upper()
    if not value:
        raise reject(f"{name}_missing")
    if not _TEN.fullmatch(value):
        raise reject(f"{name}_malformed")
    return value


def _understand_certificate(
    leaves: list[Leaf], key: PrivateKey | None, gathered: Sniffed, now: datetime
) -> ParsedFile:
    leaf, notes = _choose(leaves, key)
    leaf.judge(now)
    if key is not None and fingerprint_of(key.public_key()) != leaf.key_fingerprint:
        raise reject("key_mismatch", subject=leaf.subject)
    chain = chain_of(leaf, [one for one in leaves if one is not leaf])
    return ParsedFile(
        kind="certificate" if key is not None else "certificate_only",
        form=gathered.form,
        app_id=leaf.app_id,
        topics=leaf.topics,
        environments=leaf.environments,
        team_id=leaf.team_id,
        key_id=None,
        subject=leaf.subject,
        serial=leaf.serial,
        fingerprint=leaf.fingerprint,
        key_fingerprint=leaf.key_fingerprint,
        not_before=leaf.not_before,
        not_after=leaf.not_after,
        notes=gathered.notes + notes,
        private=b"".join(one.pem for one in (leaf, *chain)) + (_key_pem(key) if key else b""),
    )


def _choose(leaves: list[Leaf], key: PrivateKey | None) -> tuple[Leaf, tuple[str, ...]]:
    """The certificate that is meant: the newest one of the key; without a key, the only one."""
    if key is not None:
        mine = fingerprint_of(key.public_key())
        own = sorted(
            (leaf for leaf in leaves if leaf.key_fingerprint == mine),
            key=lambda leaf: (leaf.voip, leaf.not_after),
        )
        if len(own) > 1:
            return own[-1], (
                "The file holds older certificates of the same key; the newest is used.",
            )
        if own:
            return own[0], ()
    ends = [leaf for leaf in leaves if not leaf.is_authority] or leaves
    if len(ends) > 1 and key is None:
        raise reject("two_certificates")
    # With a key that fits none, the refusal should name the certificate that was meant.
    return max(ends, key=lambda leaf: (leaf.voip, leaf.not_after)), ()


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
