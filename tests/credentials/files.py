"""Made files, good and bad, each with what is to be understood of it or why it is refused."""

import base64
import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID

from devkit.simulator import Authority, push_certificates
from tests.credentials import p12_writer as p12
from tests.credentials.files_as_they_come import passwords, slow, wrapped
from tests.credentials.p12_writer import Lock

APP = "com.example.app"
NOW = datetime.now(UTC)
PASSWORD = "pä55 wörd"
BOMB = 2**31 - 1
IDS = {"key_id": "ABC123DEFG", "team_id": "DEF123GHIJ"}


@dataclass(frozen=True)
class Made:
    """A file, what is typed with it, and what is right: attributes understood, or a code."""

    name: str
    data: bytes = field(repr=False)
    password: str | None = None
    code: str | None = None
    right: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    app_id: str | None = None
    environments: tuple[str, ...] | None = None


class Maker:
    """Makes every file once; `secrets` are the private numbers that must turn up nowhere."""

    def __init__(self) -> None:
        self.authority = Authority.create("Test authority")
        # RSA, as Apple's are, for each form once: to read such a key is 40 ms of CPU, an EC key 1
        self.voip = self._push(push_certificates.voip, key_kind="rsa")
        self.voip_ec = self._push(push_certificates.voip)
        self.p8 = ec.generate_private_key(ec.SECP256R1())
        self._made: list[Any] = [self.voip.key, self.voip_ec.key, self.p8]

    def _push(self, make: Any, bundle: str = APP, **options: Any) -> Any:
        options.setdefault("not_before", NOW - timedelta(days=30))
        return make(self.authority, bundle, **options)

    @cached_property
    def everything(self) -> list[Made]:
        return [*self.pkcs12(), *self.pem(), *self.keys(), *self.bare(), *self.kinds(),
                *self.strange(), *self.broken(), *self.hostile(),
                *wrapped(self), *passwords(self), *slow(self)]  # fmt: skip

    def keep(self, key: Any) -> Any:
        self._made.append(key)
        return key

    @property
    def secrets(self) -> set[bytes]:
        """Private numbers as they might be spelled: raw, hex, base64 in each alignment."""
        found: set[bytes] = set()
        for key in self._made:
            for secret in private_numbers(key):
                found |= spellings(secret)
        return found

    # --- good and bad, by form ------------------------------------------------------------------

    def pkcs12(self) -> Iterator[Made]:
        good = {"kind": "certificate", "form": "PKCS#12", "app_id": APP, "team_id": "TEAM123456"}
        authority = self.authority.certificate.public_bytes(serialization.Encoding.DER)
        bags = lambda lock: [p12.key_bag(pkcs8(self.voip_ec.key), lock)]  # noqa: E731
        certs = [p12.certificate_bag(self.voip_ec.der)]
        rsa_bags, rsa_certs = (
            [p12.key_bag(pkcs8(self.voip.key), Lock("3des", PASSWORD))],
            [p12.certificate_bag(self.voip.der)],
        )

        def old(password: str | None, scheme: str = "rc2-40", key_scheme: str = "3des") -> bytes:
            lock = Lock(key_scheme, password)
            safes = [p12.safe(certs, Lock(scheme, password)), p12.safe(bags(lock))]
            return p12.pfx(safes, password=password)

        yield Made("p12 AES-256", self.voip.p12(PASSWORD), PASSWORD, right=good)
        yield Made("p12 without a password", self.voip.p12(), right=good)
        yield Made("p12 without, one typed", self.voip.p12(), "typed", right=good)
        keychain = [p12.safe(rsa_certs, Lock("rc2-40", PASSWORD)), p12.safe(rsa_bags)]
        old_keychain = p12.pfx(keychain, password=PASSWORD)
        yield Made("p12 old Keychain RC2-40 and 3DES", old_keychain, PASSWORD, right=good)
        yield Made("p12 of EC, RC2-40 and 3DES", old(PASSWORD), PASSWORD, right=good)
        yield Made("p12 empty password, none typed", old(""), None, right=good)
        yield Made("p12 empty password, empty typed", old(""), "", right=good)
        yield Made("p12 absent password", old(None), None, right=good)
        yield Made("p12 absent password, empty typed", old(None), "", right=good)
        yield Made("p12 RC2-128 and 2DES", old("x", "rc2-128", "2des"), "x", right=good)
        yield Made("p12 RC4", old("x", "rc4-128", "rc4-40"), "x", right=good)
        yield Made("p12 AES-128 and AES-192", old("x", "aes128", "aes192"), "x", right=good)
        yield Made("p12 in BER", p12.in_ber(old("x")), "x", right=good)
        plain = [p12.safe(certs), p12.safe(bags(None))]
        yield Made("p12 PBMAC1", p12.pfx(plain, pbmac1=True), "pw", right=good)
        yield Made("p12 without MAC", p12.pfx(plain, mac=False), right=good)
        locked = [p12.safe([*certs, *bags(Lock())], Lock())]
        yield Made("p12 key inside the encrypted part", p12.pfx(locked), "pw", right=good)
        nested = [p12.safe([p12.nested_bag([p12.nested_bag([*certs, *bags(None)])])])]
        yield Made("p12 nested bags", p12.pfx(nested, mac=False), right=good)
        chained = [p12.safe([p12.certificate_bag(authority), *certs]), p12.safe(bags(None))]
        yield Made("p12 with its authority first", p12.pfx(chained), "pw", right=good)
        twice = [p12.safe(certs), p12.safe([*bags(None), *bags(Lock())])]
        yield Made("p12 one key twice", p12.pfx(twice), "pw", right=good)
        yield Made("p12 trailing newline", old("x") + b"\r\n", "x", right=good)
        yield Made("p12 in base64", base64.encodebytes(old("x")), "x", right=good)

        other = p12.key_bag(pkcs8(self.voip.key), None)
        two = [p12.safe([*bags(None), other, *certs])]
        yield Made("p12 two keys", p12.pfx(two), "pw", "two_keys")
        hidden = [p12.safe([*bags(None)]), p12.safe([*certs, other], Lock())]
        yield Made("p12 second key in the encrypted part", p12.pfx(hidden), "pw", "two_keys")
        yield Made("p12 wrong password", old("right"), "wrong", "wrong_password")
        yield Made("p12 password missing", old("right"), None, "password_missing")
        unmarked = p12.pfx([p12.safe([*certs, *bags(Lock())], Lock())], mac=False)
        yield Made("p12 wrong password, no MAC", unmarked, "wrong", "wrong_password")
        yield Made("p12 key alone", p12.pfx([p12.safe([other])]), "pw", "no_certificate")
        yield Made(
            "p12 EC key alone", p12.pfx([p12.safe(bags(None))]), "pw", "no_certificate", ids=IDS
        )
        yield Made(
            "p12 certificate alone",
            p12.pfx([p12.safe(certs)]),
            "pw",
            right={"kind": "certificate_only"},
        )
        wrong = [p12.safe([*certs, other])]
        yield Made("p12 of another key", p12.pfx(wrong), "pw", "key_mismatch")

    def pem(self) -> Iterator[Made]:
        good = {"kind": "certificate", "form": "PEM", "app_id": APP}
        cert, key = self.voip_ec.certificate_pem, self.voip_ec.key_pem
        bags = (
            b"Bag Attributes\n    friendlyName: VoIP Services: com.example.app\n"
            b"    localKeyID: 01 02\nsubject=/UID=com.example.app.voip\nissuer=/CN=Apple\n"
        )
        of_rsa, rsa_key = self.voip.certificate_pem, self.voip.key_pem
        pkcs1 = pem_key(self.voip.key, serialization.PrivateFormat.TraditionalOpenSSL)
        sec1 = pem_key(self.voip_ec.key, serialization.PrivateFormat.TraditionalOpenSSL)
        params = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
        whole = cert + key
        yield Made("PEM certificate, key", of_rsa + rsa_key, right=good)
        yield Made("PEM certificate, key of EC", whole, right=good)
        yield Made("PEM key, certificate", key + cert, right=good)
        yield Made("PEM CRLF", whole.replace(b"\n", b"\r\n"), right=good)
        yield Made("PEM old Mac line ends", whole.replace(b"\n", b"\r"), right=good)
        yield Made("PEM UTF-8 BOM", b"\xef\xbb\xbf" + whole, right=good)
        yield Made("PEM UTF-16", whole.decode().encode("utf-16"), right=good)
        yield Made("PEM bag attributes", bags + cert + bags + key, right=good)
        yield Made("PEM indented", b"\n".join(b"    " + x for x in whole.split(b"\n")), right=good)
        yield Made("PEM with \\n spelled out", whole.replace(b"\n", b"\\n"), right=good)
        yield Made("PEM on one line", whole.replace(b"\n", b" "), right=good)
        yield Made("PEM PKCS#1", of_rsa + pkcs1, right=good)
        yield Made("PEM SEC1", self.voip_ec.certificate_pem + params + sec1, right=good)
        yield Made("PEM chain", key + self.authority.pem + cert, right=good)
        locked = pem_key(self.voip_ec.key, serialization.PrivateFormat.PKCS8, PASSWORD)
        yield Made("PEM encrypted key", cert + locked, PASSWORD, right=good)
        former = pem_key(self.voip_ec.key, serialization.PrivateFormat.TraditionalOpenSSL, "x")
        yield Made("PEM key encrypted the old way", cert + former, "x", right=good)
        renewed = self._push(
            push_certificates.voip,
            csr_pem=csr(self.voip_ec.key),
            not_before=NOW - timedelta(days=1),
        )
        both = cert + renewed.certificate_pem + key
        newest = good | {"not_after": renewed.certificate.not_valid_after_utc}
        yield Made("PEM old and renewed certificate of one key", both, right=newest)

        yield from self.of_one_request(cert, key)

        yield Made("PEM wrong password", cert + locked, "wrong", "wrong_password")
        yield Made("PEM old way, wrong password", cert + former, "wrong", "wrong_password")
        yield Made("PEM password missing", cert + locked, None, "password_missing")
        yield Made("PEM key of another", cert + rsa_key, None, "key_mismatch")
        yield Made("PEM two keys", whole + rsa_key, None, "two_keys")
        yield Made("PEM two certificates", cert + of_rsa, None, "two_certificates")
        yield Made("PEM RSA key alone", rsa_key, None, "wrong_key_type", ids=IDS)

    def of_one_request(self, cert: bytes, key: bytes) -> Iterator[Made]:
        """One signing request serves for certificates of several apps, kinds and years."""

        def more(app_id: str, after: int = -1, **options: Any) -> bytes:
            options |= {"not_before": NOW + timedelta(days=after), "csr_pem": csr(self.voip_ec.key)}
            return self._push(push_certificates.voip, app_id, **options).certificate_pem

        whose = lambda app_id: {"right": {"app_id": app_id}, "app_id": app_id}  # noqa: E731
        two = cert + more("com.example.other") + key
        yield Made("PEM of two apps, the older named", two, **whose(APP))
        yield Made("PEM of two apps, the newer named", two, **whose("com.example.other"))
        yield Made("PEM of two apps, none named", two, None, "app_id_ambiguous")
        yield Made("PEM of two apps, a third named", two, None, "app_id_mismatch",
                   app_id="com.example.third")  # fmt: skip
        bare = cert + more("com.example.other")
        yield Made("PEM of two apps without a key, one named", bare, **whose(APP))
        production = {"environments": ("production", "sandbox")}
        dev = cert + more(APP, environments="development") + key
        yield Made("PEM with a newer one for development", dev, right=production)
        yield Made("PEM with a newer one, wanted for sandbox", dev, environments=("sandbox",),
                   right={"environments": ("sandbox",)})  # fmt: skip
        yield Made("PEM with one for next week", cert + more(APP, 7) + key, right=production)

    def keys(self) -> Iterator[Made]:
        good = {"kind": "key", "app_id": APP, "topics": (f"{APP}.voip", APP)} | IDS
        p8 = pem_key(self.p8, serialization.PrivateFormat.PKCS8)
        ok: dict[str, Any] = {"right": good, "ids": IDS, "app_id": APP}
        yield Made(".p8", p8, **ok)
        lower = {name: value.lower() for name, value in IDS.items()}
        yield Made(".p8, ids typed small", p8, **ok | {"ids": lower})
        yield Made(".p8, bundle id with .voip", p8, **ok | {"app_id": f"{APP}.voip"})
        yield Made(".p8 in DER", pkcs8(self.p8), **ok)
        yield Made(".p8 CRLF and BOM", b"\xef\xbb\xbf" + p8.replace(b"\n", b"\r\n"), **ok)
        yield Made(".p8 in SEC1", pem_key(self.p8, serialization.PrivateFormat.TraditionalOpenSSL),
                   **ok)  # fmt: skip
        locked = pem_key(self.p8, serialization.PrivateFormat.PKCS8, "x")
        yield Made(".p8 under a password", locked, "x", **ok)

        named = IDS | {"key_id": f"AuthKey_{IDS['key_id']}.p8"}
        yield Made(".p8, its file's name for the key id", p8, **ok | {"ids": named})
        spaced = p8.replace(b"\n", "\u00a0\n".encode())
        yield Made(".p8 with the spaces of a web page", spaced, **ok)
        yield Made(".p8 for a web app", p8, None, "app_id_of_the_web", ids=IDS,
                   app_id="https://app.example.com")  # fmt: skip

        rsa_key = self.keep(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        p384 = self.keep(ec.generate_private_key(ec.SECP384R1()))
        ed = self.keep(ed25519.Ed25519PrivateKey.generate())
        kind = serialization.PrivateFormat.PKCS8
        bad: dict[str, Any] = {"ids": IDS, "app_id": APP}
        yield Made(".p8 RSA", pem_key(rsa_key, kind), None, "wrong_key_type", **bad)
        yield Made(".p8 P-384", pem_key(p384, kind), None, "wrong_key_type", **bad)
        yield Made(".p8 Ed25519", pem_key(ed, kind), None, "wrong_key_type", **bad)
        no_key, no_team = {"team_id": IDS["team_id"]}, {"key_id": IDS["key_id"]}
        yield Made(".p8 without key id", p8, None, "key_id_missing", ids=no_key, app_id=APP)
        yield Made(".p8 without team id", p8, None, "team_id_missing", ids=no_team, app_id=APP)
        bent = IDS | {"key_id": "AuthKey_X"}
        yield Made(".p8 malformed key id", p8, None, "key_id_malformed", ids=bent, app_id=APP)
        bent = IDS | {"team_id": "ACME"}
        yield Made(".p8 malformed team id", p8, None, "team_id_malformed", ids=bent, app_id=APP)
        yield Made(".p8 without bundle id", p8, None, "app_id_missing", ids=IDS)
        yield Made(".p8 bad bundle id", p8, None, "app_id_malformed", ids=IDS, app_id="a b")

    def bare(self) -> Iterator[Made]:
        good = {"kind": "certificate_only", "app_id": APP}
        yield Made(".cer", self.voip.der, right=good)
        yield Made(".cer in PEM", self.voip.certificate_pem, right=good)
        yield Made(
            ".cer with its chain", self.authority.pem + self.voip.certificate_pem, right=good
        )

    def kinds(self) -> Iterator[Made]:
        push = push_certificates
        voip = lambda **options: self._push(push.voip, **options)  # noqa: E731
        short = voip(uid=APP)
        yield Made("VoIP, UID without .voip", short.pem, right={"app_id": APP})
        unlisted = voip(topic_list=False)
        yield Made("VoIP without a topic list", unlisted.pem, right={"topics": (f"{APP}.voip",)})
        both = ("production", "sandbox")
        yield Made("VoIP, no environment marked", voip(environments="none").pem,
                   right={"environments": both})  # fmt: skip
        universal = push.apns(self.authority, APP, voip_topic=True)
        right = {"app_id": APP, "kind": "certificate"}
        yield Made("APNs certificate with a VoIP topic", universal.pem, right=right)
        dev = voip(environments="development")
        right = {"environments": ("sandbox",)}
        yield Made("development, wanted so", dev.pem, right=right, environments=("sandbox",))
        production = voip(environments="production")
        right = {"environments": ("production",)}
        yield Made("production only", production.pem, right=right)
        yield Made("VoIP for production alone", self.voip.pem, right=right,
                   environments=("production",))  # fmt: skip

        yield Made("development for production", dev.pem, None, "development_certificate")
        yield Made("development for both", dev.pem, None, "development_certificate",
                   environments=both)  # fmt: skip
        yield Made("production for sandbox", production.pem, None, "production_certificate",
                   environments=("sandbox",))  # fmt: skip
        alerts = push.apns(self.authority, APP)
        yield Made("APNs certificate without VoIP", alerts.pem, None, "no_voip_topic")
        yield Made("its .cer", alerts.der, None, "no_voip_topic")
        signing = push.distribution(self.authority)
        yield Made("distribution certificate", signing.pem, None, "signing_certificate")
        signing = push.distribution(self.authority, common_name="Apple Development: Eve (X)")
        yield Made("development signing", signing.p12("x"), "x", "signing_certificate")
        yield Made("TLS certificate", self.authority.server().pem, None, "not_a_push_certificate")
        yield Made("authority's certificate", self.authority.pem, None, "authority_certificate")
        old = voip(not_before=NOW - timedelta(days=400), not_after=NOW - timedelta(seconds=1))
        yield Made("expired", old.pem, None, "expired")
        early = voip(not_before=NOW + timedelta(days=1))
        yield Made("not yet valid", early.pem, None, "not_yet_valid")
        yield Made("for another app", self.voip.pem, None, "app_id_mismatch",
                   app_id="com.example.other")  # fmt: skip
        weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
        yield Made("weak RSA", self._with(weak), None, "weak_key")
        small = ec.generate_private_key(ec.SECP192R1())
        yield Made("P-192, too weak for TLS", self._with(small), None, "unusable_certificate")

    def _with(self, key: Any) -> bytes:
        self.keep(key)
        issued = self._push(push_certificates.voip, csr_pem=csr(key))
        return bytes(issued.certificate_pem) + pem_key(key, serialization.PrivateFormat.PKCS8)

    def strange(self) -> Iterator[Made]:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("voip.p12", self.voip.p12("x"))
        png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 13, b"IHDR") + zlib.compress(b"\0" * 99)
        what = "not_a_credential"
        yield Made("ZIP", archive.getvalue(), None, what)
        yield Made("PNG", png, None, what)
        yield Made("PDF", b"%PDF-1.7\n%\xe2\xe3", None, what)
        yield Made("Java keystore", b"\xfe\xed\xfe\xed\0\0\0\2", None, what)
        yield Made("keychain", b"kych\0\1\0\0", None, what)
        yield Made("web page", b"<!DOCTYPE html><html>sign in</html>", None, what)
        yield Made("Google's JSON", b'{"type":"service_account","private_key":"x"}', None, what)
        yield Made("other JSON", b"[1, 2]", None, what)
        yield Made("plain text", b"please find attached", None, what)
        yield Made("noise", bytes(range(1, 256)) * 4, None, what)
        yield Made("CSR", csr(self.voip.key), None, "signing_request")
        request = x509.load_pem_x509_csr(csr(self.voip.key))
        der = request.public_bytes(serialization.Encoding.DER)
        yield Made("CSR in DER", der, None, "signing_request")
        certificates = [self.voip.certificate]
        p7b = pkcs7.serialize_certificates(certificates, serialization.Encoding.DER)
        yield Made("p7b", p7b, None, "certificates_only")
        p7b_pem = pkcs7.serialize_certificates(certificates, serialization.Encoding.PEM)
        yield Made("p7b in PEM", p7b_pem, None, "certificates_only")
        profile = (
            pkcs7.PKCS7SignatureBuilder()
            .set_data(b'<?xml version="1.0"?><plist version="1.0"><dict/></plist>')
            .add_signer(self.voip.certificate, self.voip.key, hashes.SHA256())
            .sign(serialization.Encoding.DER, [pkcs7.PKCS7Options.Binary])
        )
        yield Made("provisioning profile", profile, None, "provisioning_profile")
        public = self.p8.public_key()
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        pem = public.public_bytes(serialization.Encoding.PEM, spki)
        yield Made("public key", pem, None, "public_key")
        der = public.public_bytes(serialization.Encoding.DER, spki)
        yield Made("public key in DER", der, None, "public_key")
        ssh = pem_key(self.p8, serialization.PrivateFormat.OpenSSH)
        yield Made("SSH key", ssh, None, "ssh_key")
        yield Made("other PEM", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
                   None, what)  # fmt: skip
        yield Made("other ASN.1", p12.seq(p12.number(1), p12.NULL), None, what)

    def broken(self) -> Iterator[Made]:
        p12_file = self.voip.p12("x")
        pem = self.voip.pem
        yield Made("empty", b"", None, "empty_file")
        yield Made("white space", b" \r\n\t", None, "empty_file")
        yield Made("half a p12", p12_file[: len(p12_file) // 2], "x", "truncated")
        yield Made("three bytes of a p12", p12_file[:3], "x", "truncated")
        yield Made("half a .cer", self.voip.der[:400], None, "truncated")
        yield Made("half a PEM", pem[: len(pem) - 200], None, "truncated")
        yield Made("PEM, first line alone", b"-----BEGIN CERTIFICATE---", None, "truncated")
        bent = bytearray(p12_file)
        bent[len(bent) // 2] ^= 1
        yield Made("p12 with a bit flipped", bytes(bent), "x", "wrong_password")
        dirty = pem.replace(b"MII", b"M*I", 1)
        yield Made("PEM that is not base64", dirty, None, "unreadable")
        bent = bytearray(self.voip.der)
        bent[8] = 0x55
        yield Made(".cer with a wrong tag", bytes(bent), None, "unreadable")
        hollow = b"-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
        yield Made("hollow key", hollow, None, "unusable_key")

    def hostile(self) -> Iterator[Made]:
        cert, key = p12.certificate_bag(self.voip.der), pkcs8(self.voip.key)
        bomb = Lock(rounds=1, claimed=BOMB)
        big = Lock("aes256", rounds=1, claimed=BOMB)
        plain = [p12.safe([cert]), p12.safe([p12.key_bag(key, None)])]
        yield Made("5 MB of zeros", bytes(5_000_000), None, "file_too_large")
        yield Made("128 KB of zeros", bytes(128 * 1024), None, "not_a_credential")
        yield Made("p12 bomb: MAC", p12.pfx(plain, rounds=1, claimed=BOMB), "pw", "too_costly")
        yield Made("p12 bomb: PBMAC1", p12.pfx(plain, rounds=1, claimed=BOMB, pbmac1=True),
                   "pw", "too_costly")  # fmt: skip
        keyed = [p12.safe([cert]), p12.safe([p12.key_bag(key, bomb)])]
        yield Made("p12 bomb: key", p12.pfx(keyed), "pw", "too_costly")
        yield Made("p12 bomb: certificates", p12.pfx([p12.safe([cert], bomb)]), "pw", "too_costly")
        inner = [p12.safe([cert, p12.key_bag(key, big)], Lock())]
        yield Made("p12 bomb inside an encrypted part", p12.pfx(inner), "pw", "too_costly")
        some = Lock(rounds=100_000)
        many = [p12.safe([p12.key_bag(key, some)] * 50)]
        yield Made("p12 of 50 small bombs", p12.pfx(many), "pw", "too_costly")
        bags = [p12.safe([cert] * 101)]
        yield Made("p12 of 101 bags", p12.pfx(bags), "pw", "unreadable")
        deep = cert
        for _ in range(40):
            deep = p12.nested_bag([deep])
        yield Made("p12 nested 40 deep", p12.pfx([p12.safe([deep])]), "pw", "unreadable")
        yield Made("BER nested without end", b"\x30\x80" * 60_000, None, "unreadable")
        yield Made("a length of 4 GB", b"\x30\x84\xff\xff\xff\xff" + bytes(99), None, "truncated")
        algorithm, ciphertext = big.close(pkcs8(self.p8))
        locked = armour("ENCRYPTED PRIVATE KEY", p12.seq(algorithm, p12.octets(ciphertext)))
        yield Made("PEM bomb: PBKDF2", locked, "pw", "too_costly")
        scrypt = p12.seq(
            p12.oid("1.3.6.1.4.1.11591.4.11"),
            p12.seq(p12.octets(b"salt"), p12.number(2**30), p12.number(8), p12.number(1)),
        )
        cipher = p12.seq(p12.oid("2.16.840.1.101.3.4.1.42"), p12.octets(bytes(16)))
        pbes2 = p12.seq(p12.oid("1.2.840.113549.1.5.13"), p12.seq(scrypt, cipher))
        locked = armour("ENCRYPTED PRIVATE KEY", p12.seq(pbes2, p12.octets(bytes(32))))
        yield Made("PEM bomb: 1 TB of scrypt", locked, "pw", "too_costly")
        weak = p12.seq(
            p12.oid("1.2.840.113549.1.5.3"), p12.seq(p12.octets(b"8" * 8), p12.number(1))
        )
        locked = armour("ENCRYPTED PRIVATE KEY", p12.seq(weak, p12.octets(bytes(32))))
        yield Made("PEM MD5 and DES", locked, "pw", "unknown_encryption")
        block = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        yield Made("PEM of 2,000 blocks", block * 2_000, None, "unreadable")
        yield Made("PEM of 8,000 beginnings", b"-----BEGIN A----" * 8_000, None, "truncated")
        yield Made("PEM of 30 certificates", self._many(30), None, "too_many_parts")
        modulus = p12.der(0x02, b"\x7f" + b"\xff" * 100_000)
        rsa_key = p12.seq(p12.number(0), modulus, *[p12.number(65537)] * 7)
        inside = p12.seq(
            p12.number(0),
            p12.seq(p12.oid("1.2.840.113549.1.1.1"), p12.NULL),
            p12.octets(rsa_key),
        )
        yield Made("RSA of 800,000 bits", inside, None, "weak_key")

    def _many(self, count: int) -> bytes:
        return b"".join(self._push(push_certificates.voip).certificate_pem for _ in range(count))


def pkcs8(key: Any) -> bytes:
    return key.private_bytes(  # type: ignore[no-any-return]
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def pem_key(key: Any, form: serialization.PrivateFormat, password: str | None = None) -> bytes:
    lock: Any = serialization.NoEncryption()
    if password:
        lock = serialization.BestAvailableEncryption(password.encode())
    return key.private_bytes(serialization.Encoding.PEM, form, lock)  # type: ignore[no-any-return]


def csr(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An admin")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM)


def armour(label: str, der: bytes) -> bytes:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()


def private_numbers(key: Any) -> list[bytes]:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        size = key.key_size // 8
        return [numbers.d.to_bytes(size, "big"), numbers.p.to_bytes(size // 2, "big"),
                numbers.q.to_bytes(size // 2, "big")]  # fmt: skip
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return [key.private_numbers().private_value.to_bytes(key.key_size // 8, "big")]
    return [key.private_bytes_raw()]


def spellings(secret: bytes) -> set[bytes]:
    """Sixteen bytes of it, raw, in hex, and as base64 may have them at each alignment."""
    middle = secret[8:24]
    found = {middle, middle.hex().encode(), middle.hex().upper().encode(), repr(middle).encode()}
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + middle)
        found.add(encoded[4:-4])
    return found


FILES_MAKER = Maker()
"""Made once for all tests: keys take time."""
