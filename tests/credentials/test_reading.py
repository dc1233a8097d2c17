"""Every made file: the right answer, in bounded time and memory, and no private byte told."""

import time
import tracemalloc
from datetime import UTC, datetime

import pytest

from app.credentials.files.reading import read
from app.credentials.files.refusals import EXPLANATIONS, Refused
from app.credentials.parse import Upload, examine
from tests.credentials.files import FILES_MAKER as MAKER
from tests.credentials.files import IDS, NOW, Made
from tests.credentials.test_google_files import WRONG_GOOGLE_FILES

FILES = MAKER.everything
BY_NAME = {made.name: made for made in FILES}
MOST_SECONDS = 4.0
BEFORE_IT_GOES_OFF = 6.0
"""Seconds of CPU within which a bomb is refused, on a slow machine too."""
MOST_MEMORY = 20 * 1024 * 1024


def parse(made: Made, now: datetime = NOW):
    upload = Upload(
        data=made.data,
        password=made.password,
        app_id=made.app_id,
        environments=made.environments,
        **made.ids,
    )
    return examine(upload, now)


def test_there_are_more_than_forty_and_no_name_twice():
    assert len(FILES) > 100
    assert len(BY_NAME) == len(FILES)


@pytest.mark.parametrize("made", FILES, ids=lambda made: made.name)
def test_the_right_answer(made):
    began = time.process_time()
    if made.code is None:
        parsed = parse(made)
        for name, value in made.right.items():
            assert getattr(parsed, name) == value, name
        told = repr(parsed)
    else:
        with pytest.raises(Refused) as caught:
            parse(made)
        assert caught.value.code == made.code, caught.value.detail
        told = f"{caught.value.detail} {caught.value.more} {caught.value!r}"
    most = BEFORE_IT_GOES_OFF if made.code == "too_costly" else MOST_SECONDS
    assert time.process_time() - began < most
    assert not [secret for secret in MAKER.secrets if secret in told.encode()]


HEAVY = [
    f
    for f in FILES
    if f.code and len(f.data) > 20_000 and "small bombs" not in f.name and "RC2" not in f.name
]


@pytest.mark.parametrize("made", HEAVY, ids=lambda made: made.name)
def test_memory_is_bounded(made):
    """In Python's own memory; what OpenSSL takes is bounded by the sizes that reach it."""
    tracemalloc.start()
    try:
        with pytest.raises(Refused):
            parse(made)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()


def test_the_chain_follows_the_leaf_and_the_root_stays_out():
    private = parse(BY_NAME["PEM chain"]).private
    assert private.count(b"BEGIN CERTIFICATE") == 1
    assert private.count(b"BEGIN PRIVATE KEY") == 1
    assert private.index(b"BEGIN CERTIFICATE") < private.index(b"BEGIN PRIVATE KEY")


def test_days_left_are_whole_days():
    parsed = parse(BY_NAME["p12 AES-256"])
    assert parsed.days_left(NOW) == (parsed.not_after - NOW).days
    assert parsed.days_left(datetime(2030, 1, 1, tzinfo=UTC)) < 0


def test_fingerprints_are_those_of_openssl():
    """SHA-256 of the certificate's DER, and of the SubjectPublicKeyInfo."""
    import hashlib

    parsed = parse(BY_NAME[".cer"])
    assert parsed.fingerprint == hashlib.sha256(MAKER.voip.der).hexdigest()
    assert parsed.serial == f"{MAKER.voip.certificate.serial_number:x}"
    p8 = read(BY_NAME[".p8"].data, None, **IDS, now=NOW)
    assert p8.fingerprint == p8.key_fingerprint


@pytest.mark.parametrize("code", sorted(EXPLANATIONS))
def test_every_lesson_says_what_why_and_what_to_do(code):
    lesson = EXPLANATIONS[code]
    for sentence in lesson:
        assert sentence[0].isupper() or sentence == lesson.remedy
        assert sentence.endswith(".")
        assert "  " not in sentence


def test_every_lesson_is_met_by_a_file():
    # refused by the service, which knows the requests' keys and what is in use
    by_service = {"no_private_key", "google_other_project", "environments_not_googles"}
    met = {made.code for made in FILES} | {code for _, code, _ in WRONG_GOOGLE_FILES}
    assert set(EXPLANATIONS) - met == by_service
