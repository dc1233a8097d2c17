"""`read`: from the bytes that an admin has to what they are, or to a refusal that teaches.

It computes for up to about two seconds (see `pbe.MOST_ROUNDS`), so call it off the event loop. It
opens no file, logs nothing, and no refusal repeats a private byte.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from app.core.app_id import app_id_of
from app.core.frozen import frozen
from app.credentials.files import google
from app.credentials.files.apple import MAX_BITS, MIN_BITS, Leaf, chain_of, fingerprint_of
from app.credentials.files.parsed_file import BOTH, PRODUCTION, ParsedFile
from app.credentials.files.refusals import reject
from app.credentials.files.sniff import Sniffed, sniff

MOST_BYTES = 128 * 1024
MOST_CERTIFICATES = 20
MOST_KEYS = 10
MOST_KEY_BYTES = 4_096
_TEN = re.compile(r"[A-Z0-9]{10}")
_KEY_FILE = re.compile(r"AuthKey_([A-Za-z0-9]{10})(?:\.p8)?")
"""What people give as a key's id: the name of the file in which it came."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def read(
    data: bytes,
    password: str | None = None,
    *,
    key_id: str | None = None,
    team_id: str | None = None,
    app_id: str | None = None,
    environments: Sequence[str] | None = None,
    now: datetime,
) -> ParsedFile:
    """What `data` is: PKCS#12, PEM, `.p8`, `.cer`, or Google's JSON, told by content.

    `key_id` and `team_id` are needed for a `.p8` alone, which does not hold them. Of several
    certificates of one key, `app_id` and `environments` say which is meant. `now` decides on
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
    wanted = Wanted(app_id_of(app_id or ""), frozenset(environments or ()), now)
    return _understand_certificate(leaves, key, gathered, wanted)


def clean_bundle_id(app_id: str) -> str:
    """The same of an app of Apple's, which is none of a web app's. Raises Refused."""
    found = clean_app_id(app_id)
    if "://" in found:
        raise reject("app_id_of_the_web", given=found)
    return found


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
        key_id=_ten(_KEY_FILE.sub(r"\1", (key_id or "").strip()), "key_id"),
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
    leaves: list[Leaf], key: PrivateKey | None, gathered: Sniffed, wanted: "Wanted"
) -> ParsedFile:
    leaf, notes = _choose(leaves, key, wanted)
    leaf.judge(wanted.now)
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


@frozen
class Wanted:
    """What a credential is to be for: an app and environments, both maybe not said, and when."""

    app_id: str | None
    environments: frozenset[str]
    now: datetime

    def rank(self, leaf: Leaf) -> tuple[bool, bool, bool, datetime]:
        """By how well a certificate serves that; of those that serve as well, the newest."""
        serves = self.environments or {PRODUCTION}
        good = leaf.not_before <= self.now < leaf.not_after
        return leaf.voip, good, serves <= set(leaf.environments), leaf.not_after

    def of_app(self, leaves: list[Leaf]) -> list[Leaf]:
        """Those of the app that is meant. Raises Refused where that could be one or another."""
        if self.app_id is not None:
            return [leaf for leaf in leaves if leaf.app_id == self.app_id] or leaves
        best = max(map(self.rank, leaves))[:3]
        apps = {leaf.app_id for leaf in leaves if self.rank(leaf)[:3] == best}
        if len(apps) > 1 and best[0]:
            raise reject("app_id_ambiguous", apps=", ".join(sorted(apps)))
        return leaves


def _choose(
    leaves: list[Leaf], key: PrivateKey | None, wanted: Wanted
) -> tuple[Leaf, tuple[str, ...]]:
    """The certificate that is meant, of those of the key; without a key, the only one of the app.

    One request serves for many certificates: of other apps, of development, of last year.
    """
    if key is not None:
        mine = fingerprint_of(key.public_key())
        own = [leaf for leaf in leaves if leaf.key_fingerprint == mine]
        if own:
            chosen = max(wanted.of_app(own), key=wanted.rank)
            return chosen, _of_others(chosen, own)
    ends = [leaf for leaf in leaves if not leaf.is_authority] or leaves
    if key is None and wanted.app_id is not None:
        ends = [leaf for leaf in ends if leaf.app_id == wanted.app_id] or ends
    if len(ends) > 1 and key is None:
        raise reject("two_certificates")
    # With a key that fits none, the refusal should name the certificate that was meant.
    return max(ends, key=wanted.rank), ()


def _of_others(chosen: Leaf, own: list[Leaf]) -> tuple[str, ...]:
    if len(own) == 1:
        return ()
    if all(leaf.app_id == chosen.app_id and leaf.not_after <= chosen.not_after for leaf in own):
        return ("The file holds older certificates of the same key; the newest is used.",)
    return ("The file holds other certificates of the same key; the one that fits is used.",)


def _key_pem(key: PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
