"""The readers underneath: RC2, DER and BER, PEM, and whatever bytes come."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.credentials.files import pbe, pem, rc2
from app.credentials.files.der import DerError, element, elements
from app.credentials.files.parsed_file import ParsedFile
from app.credentials.files.pbe import Meter, Password, TooCostly
from app.credentials.files.reading import read
from app.credentials.files.refusals import Refused
from tests.chance import dice
from tests.credentials.files import FILES_MAKER, IDS, NOW

RFC_2268 = [  # key, effective bits, plaintext, ciphertext (section 5)
    ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88", 64, "0000000000000000", "61a8a244adacccf0"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
    (
        "88bca90e90875a7f0f79c384627bafb216f80a6f85920584c42fceb0be255daf1e",
        129, "0000000000000000", "5b78d3a43dfff1f1",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "bits", "plain", "cipher"), RFC_2268)
def test_rc2_by_the_rfcs_own_vectors(key, bits, plain, cipher):
    got = rc2.decrypt(bytes.fromhex(key), bits, bytes(8), bytes.fromhex(cipher))
    assert got.hex() == plain


def test_the_key_derivation_of_pkcs12_by_published_vectors():
    """Those that Bouncy Castle and OpenSSL test with ("smeg" and "queeg")."""
    smeg = Password("smeg").bmp()
    salt = bytes.fromhex("0a58cf64530d823f")
    key = pbe.pkcs12_kdf("sha1", pbe.KEY, smeg, salt, 1, 24, Meter())
    assert key.hex() == "8aaae6297b6cb04642ab5b077851284eb7128f1a2a7fbca3"
    iv = pbe.pkcs12_kdf("sha1", pbe.IV, smeg, salt, 1, 8, Meter())
    assert iv.hex() == "79993dfe048d3b76"
    queeg = Password("queeg").bmp()
    salt = bytes.fromhex("05dec959acff72f7")
    key = pbe.pkcs12_kdf("sha1", pbe.KEY, queeg, salt, 1000, 24, Meter())
    assert key.hex() == "ed2034e36328830ff09df1e1a07dd357185dac0d4f9eb3d4"


def test_the_meter_stops_before_the_work():
    meter = Meter(10)
    meter.spend(10)
    with pytest.raises(TooCostly):
        meter.spend(1)


def test_long_and_indefinite_lengths():
    short = b"\x30\x03\x02\x01\x05"
    long = b"\x30\x82\x00\x03\x02\x01\x05"
    open_ended = b"\x30\x80\x02\x01\x05\x00\x00"
    for data in (short, long, open_ended):
        assert element(data).children()[0].integer() == 5
    assert element(open_ended + b"rest").raw == open_ended
    pieces = b"\x24\x80\x04\x01a\x24\x03\x04\x01b\x04\x01c\0\0"
    assert element(pieces).octets() == b"abc"


@pytest.mark.parametrize(
    ("data", "cut"),
    [
        (b"", True),
        (b"\x30", True),
        (b"\x30\x05\x02", True),
        (b"\x30\x82\x01", True),
        (b"\x30\x80\x02\x01\x05", True),
        (b"\x30\x89" + b"\1" * 9, False),
        (b"\x1f\x81\x01\x00", False),
        (b"\x04\x80\x00\x00", False),
    ],
)
def test_lengths_that_lie(data, cut):
    with pytest.raises(DerError) as error:
        element(data)
    assert error.value.cut is cut


def test_object_identifiers():
    assert element(b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01").oid() == "1.2.840.113549.1.7.1"
    assert element(b"\x06\x03\x55\x04\x03").oid() == "2.5.4.3"
    with pytest.raises(DerError):
        element(b"\x06\x02\x2a\x86").oid()


def test_a_number_out_of_bounds():
    for data in (b"\x02\x01\xff", b"\x02\x00", b"\x02\x0a" + b"\1" * 10, b"\x04\x01\x01"):
        with pytest.raises(DerError):
            element(data).integer()


def test_too_many_elements():
    with pytest.raises(DerError):
        list(elements(b"\x05\x00" * 6_000))


def test_pem_blocks_come_as_they_are():
    text = "before\n-----BEGIN A-----\nAAEC\n-----END A-----\n-----BEGIN B-----\r\nAw==\n-----END B-----"
    assert [(b.label, b.der) for b in pem.blocks(text)] == [("A", b"\0\1\2"), ("B", b"\3")]


def outcome(data: bytes, password: str | None) -> None:
    began = time.process_time()
    with contextlib.suppress(Refused):
        assert isinstance(read(data, password, **IDS, now=NOW), ParsedFile)
    assert time.process_time() - began < 5


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", b"\x30\x80", b"\x30\x82\x01\x00", b"-----BEGIN CERTIFICATE-----\n"]))  # fmt: skip
def test_any_bytes_end_in_an_answer(data, start):
    outcome(start + data, "pw")


SMALL = [made for made in FILES_MAKER.everything if len(made.data) < 10_000 and made.code is None]


@settings(max_examples=300, deadline=None)
@given(made=st.sampled_from(SMALL), seed=st.integers(0, 2**32))
def test_any_damage_ends_in_an_answer(made, seed):
    chance = dice(seed)
    bent = bytearray(made.data)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(bent))
        match chance.randint(0, 2):
            case 0:
                bent[place] = chance.randrange(256)
            case 1:
                del bent[place : place + chance.randint(1, 40)]
            case 2:
                bent[place:place] = chance.randbytes(chance.randint(1, 4))
        if not bent:
            break
    outcome(bytes(bent), made.password)


def test_a_damaged_issuer_is_refused():
    """It is parsed late, when the rest has long been read."""
    name, bent = b"\x0c\x0eTest authority", b"\x74\x0eTest authority"
    met = [made for made in SMALL if name in made.data]
    assert met
    for made in met:
        outcome(made.data.replace(name, bent), made.password)
