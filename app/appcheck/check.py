"""What a file is, told by its content, and what is to be said of it."""

from datetime import datetime
from pathlib import Path
from typing import Final

from app.appcheck import android, ios
from app.appcheck.axml import read_manifest
from app.appcheck.contents import Archive, Contents, Folder, Inside, read_file
from app.appcheck.findings import AppFileError, Report
from app.appcheck.ios import Expected, IosApp
from app.appcheck.plists import allowed_by, read_plist, read_profile

MANIFEST: Final = "AndroidManifest.xml"
PLIST: Final = "Info.plist"
ZIP: Final = b"PK"
KINDS: Final = "an .ipa, an .app, an Info.plist, an .apk or an AndroidManifest.xml"


def check(path: Path, expected: Expected, entitlements: Path | None, now: datetime) -> Report:
    """Look at an app. `entitlements`: a property list or a profile, for an Info.plist alone.

    Raises AppFileError with what is wrong with the file.
    """
    if path.is_dir():
        return _ios(_app_folder(path), expected, entitlements, now)
    with path.open("rb") as file:
        begins = file.read(16)
    if begins.startswith(ZIP):
        archive = Archive(path)
        if archive.has(MANIFEST):
            return _android(archive.read(MANIFEST), expected)
        return _ios(_payload(archive), expected, entitlements, now)
    data = read_file(path)
    if begins.startswith(b"bplist") or b"<plist" in data:
        app = IosApp(read_plist(data, path.name), None, "nothing: this is Info.plist alone")
        return ios.check(_with(app, entitlements), expected, now)
    if begins.startswith(b"\x03\x00") or b"<manifest" in data:
        return _android(data, expected)
    raise AppFileError(f"{path.name} is neither {KINDS}")


def _ios(folder: Contents, expected: Expected, entitlements: Path | None, now: datetime) -> Report:
    return ios.check(_with(ios.read_app(folder), entitlements), expected, now)


def _android(data: bytes, expected: Expected) -> Report:
    manifest, merged = read_manifest(data)
    return android.check(manifest, merged, expected.app_id)


def _app_folder(path: Path) -> Contents:
    found = Folder(path)
    if found.has(f"Contents/{PLIST}"):
        raise AppFileError(f"{path.name} is an app for the Mac, which gets no VoIP pushes")
    if not found.has(PLIST):
        raise AppFileError(f"there is no {PLIST} in {path.name}: it is no .app of iOS")
    return found


def _payload(archive: Archive) -> Contents:
    """The app inside an .ipa."""
    names = archive.names()
    if "base/manifest/AndroidManifest.xml" in names:
        raise AppFileError(
            "this is an .aab, whose manifest is in a form of its own: check an .apk made of it "
            "(bundletool build-apks --mode=universal)"
        )
    found = [
        name
        for name in names
        if name.startswith("Payload/") and name.endswith(f".app/{PLIST}") and name.count("/") == 2
    ]
    if len(found) != 1:
        raise AppFileError(
            f"the archive is neither an .ipa nor an .apk: it has no {MANIFEST}, and "
            f"{len(found)} files Payload/*.app/{PLIST}"
        )
    return Inside(archive, found[0].removesuffix(PLIST))


def _with(app: IosApp, entitlements: Path | None) -> IosApp:
    if entitlements is None:
        return app
    data = read_file(entitlements)
    if not data.lstrip().startswith((b"<?xml", b"bplist", b"<!DOCTYPE", b"<plist")):
        profile = read_profile(data, entitlements.name)
        return IosApp(app.info, allowed_by(profile), "the profile", profile)
    found = read_plist(data, entitlements.name)
    return IosApp(app.info, found, entitlements.name, app.profile)
