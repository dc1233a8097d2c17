"""What an iOS app's files lack to ring. The files are made by the tests (`made.py`)."""

import plistlib
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.appcheck.check import check
from app.appcheck.findings import AppFileError, Level, Report
from app.appcheck.ios import Expected
from tests.appcheck.made import BUNDLE, ENTITLED, INFO, NOW, ipa, profile, program


def looked(path: Path, entitlements: Path | None = None, **expected: Any) -> Report:
    return check(path, Expected(**expected), entitlements, NOW)


def bad(report: Report) -> dict[str, str]:
    """Codes and levels of what is not right; each says how to mend it."""
    found = [one for one in report.findings if one.level is not Level.GOOD]
    assert all(one.mend for one in found)
    return {one.code: one.level.value for one in found}


def test_an_app_that_lacks_nothing(tmp_path: Path) -> None:
    report = looked(
        ipa(tmp_path / "Calls.ipa", profile=profile(ENTITLED)), app_id=BUNDLE.lower(),
        credential="certificate", credential_app=BUNDLE.lower(), environments=("production",),
    )  # fmt: skip
    assert bad(report) == {}
    assert report.rings
    assert report.facts == {
        "bundle_id": BUNDLE, "version": "1.2",
        "background_modes": ["voip", "remote-notification"],
        "entitlements_from": "the signature", "aps-environment": "production",
    }  # fmt: skip


CHANGED: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "no background modes": (
        {"info": {"UIBackgroundModes": None}},
        {"background_mode_voip": "missing", "background_mode_remote_notification": "warning"},
    ),
    "no bundle id": (
        {"info": {"CFBundleIdentifier": None}},
        {"bundle_id": "missing", "signed_bundle_id": "missing"},
    ),
    "no microphone": ({"info": {"NSMicrophoneUsageDescription": None}}, {"microphone": "warning"}),
    "no push": (
        {"entitlements": {"application-identifier": f"ABCDE12345.{BUNDLE}"}},
        {"push_entitlement": "missing"},
    ),
    "pushes of another world": (
        {"entitlements": ENTITLED | {"aps-environment": "staging"}}, {"push_entitlement": "missing"},
    ),
    "signed as another": (
        {"entitlements": ENTITLED | {"application-identifier": "ABCDE12345.com.example.other"}},
        {"signed_bundle_id": "missing"},
    ),
    "not signed": ({"entitlements": None}, {"entitlements": "warning"}),
    "not signed, with a profile": ({"entitlements": None, "profile": profile(ENTITLED)}, {}),
    "an old profile": (
        {"profile": profile(ENTITLED, NOW - timedelta(days=1))}, {"profile_expiry": "missing"},
    ),
    "a profile of the other kind": (
        {"profile": profile(ENTITLED | {"aps-environment": "development"})},
        {"profile_environment": "missing"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), CHANGED.values(), ids=CHANGED)
def test_what_is_missing_is_said(
    tmp_path: Path, changes: dict[str, Any], expected: dict[str, str]
) -> None:
    report = looked(ipa(tmp_path / "Calls.ipa", **changes))
    assert bad(report) == expected
    assert report.rings == ("missing" not in expected.values())


def test_what_it_is_to_fit(tmp_path: Path) -> None:
    entitlements = ENTITLED | {"aps-environment": "development"}
    path = ipa(tmp_path / "Calls.ipa", entitlements=entitlements)
    report = looked(
        path, app_id="com.example.other", credential="certificate",
        credential_app="com.example.another", environments=("production",),
    )  # fmt: skip
    missing = ("app_id", "credential_topic", "credential_environment")
    assert bad(report) == dict.fromkeys(missing, "missing")


@pytest.mark.parametrize("made", [{"fat": True}, {"fat": False}, {"bits": 32}])
def test_a_folder_and_every_form_of_program(tmp_path: Path, made: dict[str, Any]) -> None:
    folder = tmp_path / "Calls.app"
    folder.mkdir()
    (folder / "Info.plist").write_bytes(plistlib.dumps(INFO))
    (folder / "Calls").write_bytes(program(ENTITLED, **made))
    assert bad(looked(folder)) == {}


def test_info_plist_alone_and_with_what_is_beside_it(tmp_path: Path) -> None:
    info, entitled, provisioned = (
        tmp_path / name for name in ("Info.plist", "a.entitlements", "a")
    )
    info.write_bytes(plistlib.dumps(INFO))
    assert bad(looked(info)) == {"entitlements": "warning"}
    entitled.write_bytes(plistlib.dumps({}))
    assert bad(looked(info, entitled)) == {"push_entitlement": "missing"}
    provisioned.write_bytes(profile(ENTITLED))
    assert bad(looked(info, provisioned)) == {}


def zipped(path: Path, **files: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def test_what_is_no_app_is_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = ipa(tmp_path / "whole.ipa").read_bytes()
    start = whole.index(b"Payload/Calls.app/Calls") + 60
    damaged = whole[:start] + bytes(40) + whole[start + 40 :]
    files = {
        "empty": (b"", "is neither"), "text": (b"hello", "is neither"),
        "cut": (whole[:-30], "cut off"), "damaged": (damaged, "damaged"),
        "plist": (b"<plist><dict>", "no property list"), "list": (plistlib.dumps([1]), "no dictionary"),
        "bomb": (b'<?xml version="1.0"?><!DOCTYPE p [<!ENTITY a "a">]><plist><string>&a;</string></plist>',
                 "no property list"),
    }  # fmt: skip
    for name, (data, reason) in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(AppFileError, match=reason):
            looked(tmp_path / name)
    for path, reason in (
        (zipped(tmp_path / "other.zip", a=b"b"), "neither an .ipa nor an .apk"),
        (zipped(tmp_path / "b.aab", **{"base/manifest/AndroidManifest.xml": b""}), "an .aab"),
        (zipped(tmp_path / "large.ipa", **{"Payload/A.app/Info.plist": bytes(5 * 2**20)}), "bytes"),
        (ipa(tmp_path / "p.ipa", info={"CFBundleExecutable": "../x"}), "CFBundleExecutable"),
        (ipa(tmp_path / "elf.ipa", program=b"\x7fELF" + bytes(60)), "not Mach-O"),
        (ipa(tmp_path / "short.ipa", program=b"\xcf\xfa\xed\xfe"), "cut off"),
        (ipa(tmp_path / "tail.ipa", program=program(ENTITLED)[:-20]), "cut off"),
    ):
        with pytest.raises(AppFileError, match=reason):
            looked(path)


def test_no_damage_to_a_program_is_more_than_an_error(tmp_path: Path) -> None:
    """Each four bytes of the header, of the commands and of the signature, overwritten."""
    whole = program(ENTITLED)
    places = [*range(0, 128, 4), *range(len(whole) - 600, len(whole), 4)]
    folder = tmp_path / "Calls.app"
    folder.mkdir()
    (folder / "Info.plist").write_bytes(plistlib.dumps(INFO))
    refused = 0
    for at in places:
        (folder / "Calls").write_bytes(whole[:at] + b"\xff\xff\xff\x7f" + whole[at + 4 :])
        try:
            looked(folder)
        except AppFileError:
            refused += 1
    assert refused > 20
