"""What an Android app's manifest lacks to ring. The files are made by the tests (`made.py`)."""

from pathlib import Path

import pytest

from app.appcheck.check import check
from app.appcheck.findings import AppFileError, Level, Report
from app.appcheck.ios import Expected
from tests.appcheck.made import NOW, PERMISSIONS, Axml, apk, manifest
from tests.appcheck.test_ios import bad
from tests.chance import dice


def looked(path: Path, app_id: str | None = None) -> Report:
    return check(path, Expected(app_id), None, NOW)


@pytest.mark.parametrize("utf8", [False, True])
@pytest.mark.parametrize("nameless", [False, True])
def test_an_apk_that_lacks_nothing(tmp_path: Path, utf8: bool, nameless: bool) -> None:
    """In either spelling of strings, and where a tool has taken the attributes' names away."""
    data = Axml(manifest(), utf8=utf8, nameless=nameless).data
    report = looked(apk(tmp_path / "a.apk", data), app_id="com.example.calls")
    assert bad(report) == {}
    assert report.facts == {
        "package": "com.example.calls", "target_sdk": 35, "merged": True,
        "foreground_service_types": ["microphone", "phoneCall"], "permissions": sorted(PERMISSIONS),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("without", "code", "level"),
    [
        ("com.google.firebase.MESSAGING_EVENT", "messaging_service", "missing"),
        (' android:foregroundServiceType="phoneCall|microphone"', "foreground_service_type", "missing"),
        (' android:showWhenLocked="true"', "show_when_locked", "warning"),
        ("com.google.firebase.messaging.default_notification_channel_id", "notification_channel", "warning"),
        (' package="com.example.calls"', "package", "missing"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(tmp_path: Path, without: str, code: str, level: str) -> None:
    report = looked(apk(tmp_path / "a.apk", Axml(manifest(without)).data))
    assert bad(report) == {code: level}
    assert report.rings == (level == "warning")


def test_every_permission_is_missed(tmp_path: Path) -> None:
    report = looked(apk(tmp_path / "a.apk", Axml(manifest(permissions=())).data))
    assert bad(report) == {
        "internet": "missing", "notifications": "missing", "full_screen_intent": "missing",
        "microphone": "warning", "permission_foreground_service": "missing",
        "permission_foreground_service_microphone": "missing",
        "permission_foreground_service_phone_call": "missing",
        "permission_manage_own_calls": "missing",
    }  # fmt: skip


def test_an_older_target_needs_less(tmp_path: Path) -> None:
    text = manifest(
        permissions=("INTERNET", "USE_FULL_SCREEN_INTENT", "RECORD_AUDIO", "FOREGROUND_SERVICE")
    )
    report = looked(apk(tmp_path / "a.apk", Axml(text.replace('"35"', '"32"')).data))
    assert bad(report) == {}


def test_a_source_is_read_too_and_libraries_may_add_to_it(tmp_path: Path) -> None:
    path = tmp_path / "AndroidManifest.xml"
    path.write_text(manifest())
    assert bad(looked(path, app_id="com.example.other")) == {"app_id": "missing"}
    path.write_text(manifest("com.google.firebase.MESSAGING_EVENT", permissions=()))
    report = looked(path)
    assert report.rings
    assert "messaging_service" in bad(report)
    assert {one.level for one in report.findings} == {Level.WARNING, Level.GOOD}


def test_what_is_no_manifest_is_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = Axml(manifest()).data
    deep = b"<manifest>" + b"<a>" * 200
    for data, reason in (
        (b"<manifest", "no XML"), (b"<a><manifest/></a>", "its top is not"), (deep, "more elements"),
        (b"<!DOCTYPE manifest [<!ENTITY a 'b'>]><manifest>&a;</manifest>", "DOCTYPE"),
        (whole[:40], "damaged|bytes"), (whole[:-4], "bytes"), (b"\x03\x00\x08\x00", "its top is not"),
    ):  # fmt: skip
        path = tmp_path / "AndroidManifest.xml"
        path.write_bytes(data)
        with pytest.raises(AppFileError, match=reason):
            looked(path)


def test_strings_that_are_said_to_lie_in_one_place_do_not_fill_memory(tmp_path: Path) -> None:
    """A pool of 60,000 strings, all of them the same 30,000 characters."""
    path = tmp_path / "AndroidManifest.xml"
    path.write_bytes(bomb(60_000, 30_000))
    with pytest.raises(AppFileError, match="more text"):
        looked(path)


def bomb(strings: int, length: int) -> bytes:
    size = bytes([0x80 | length >> 8, length & 0xFF])
    text = size + size + b"a" * length + b"\0"
    words = [0x1C0001, 28 + 4 * strings + len(text), strings, 0, 0x100, 28 + 4 * strings, 0]
    pool = b"".join(word.to_bytes(4, "little") for word in words) + bytes(4 * strings) + text
    return b"\x03\x00\x08\x00" + (8 + len(pool)).to_bytes(4, "little") + pool


def test_no_damage_is_more_than_an_error(tmp_path: Path) -> None:
    whole, path = Axml(manifest()).data, tmp_path / "AndroidManifest.xml"
    chance = dice()
    refused = 0
    for _ in range(300):
        at = chance.randrange(4, len(whole))
        path.write_bytes(whole[:at] + chance.randbytes(4) + whole[at + 4 :])
        try:
            looked(path)
        except AppFileError:
            refused += 1
    assert refused
