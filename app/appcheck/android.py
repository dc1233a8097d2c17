"""Whether an Android app can ring: its manifest, merged in an .apk, or as one module's source.

Sources: Firebase, "Receive messages in an Android app"; Android, "Notification runtime
permission", "Foreground service types", "Full-screen intent limits" (Android 14).
"""

import re
from collections.abc import Iterator
from typing import Final

from app.appcheck.axml import Element
from app.appcheck.findings import Finding, Level, Report, judge
from app.core.app_id import app_id_of

MESSAGING: Final = "com.google.firebase.MESSAGING_EVENT"
CHANNEL: Final = "com.google.firebase.messaging.default_notification_channel_id"
PERMISSION: Final = "android.permission."
NEWEST: Final = 36
"""For a source that leaves it to Gradle: what Google Play asks of new apps in 2026."""
TYPES: Final = {
    "dataSync": 0x1, "mediaPlayback": 0x2, "phoneCall": 0x4, "location": 0x8,
    "connectedDevice": 0x10, "mediaProjection": 0x20, "camera": 0x40, "microphone": 0x80,
    "health": 0x100, "remoteMessaging": 0x200, "systemExempted": 0x400, "shortService": 0x800,
    "mediaProcessing": 0x2000, "specialUse": 0x40000000,
}  # fmt: skip
"""Flags of `foregroundServiceType` (android.content.pm.ServiceInfo)."""
OF_CALLS: Final = ("phoneCall", "microphone")
UNTYPED: Final = ("shortService", "systemExempted")
"""They need no permission of their own name."""
ASK = 'In AndroidManifest.xml: <uses-permission android:name="{}"/>'


def check(manifest: Element, merged: bool, app_id: str | None = None) -> Report:
    """Look at everything that ringing needs. `merged`: from an .apk, with what libraries add."""
    package = manifest.text("package")
    target = _target(manifest)
    asked = {
        one.text("name")
        for name in ("uses-permission", "uses-permission-sdk-23")
        for one in manifest.all(name)
    }
    services = list(manifest.all("service"))
    types = {name for one in services for name in _types(one)}
    facts = {
        "package": package or None,
        "target_sdk": target,
        "merged": merged,
        "foreground_service_types": sorted(types),
        "permissions": sorted(one.removeprefix(PERMISSION) for one in asked if one),
    }
    absent = Level.MISSING if merged else Level.WARNING
    findings = [
        *_of_package(package, merged, app_id),
        _of_messaging(services, absent),
        *_of_permissions(asked, target or NEWEST, absent),
        *_of_call_service(types, asked, target or NEWEST, absent),
        _of_lock_screen(manifest),
        _of_channel(manifest),
    ]
    return Report("android", facts, tuple(findings))


def _of_package(package: str, merged: bool, app_id: str | None) -> Iterator[Finding]:
    ours = app_id_of(package)
    if merged:
        yield judge(
            ours is not None, "package", f"the package is {package}",
            "the manifest names no package", "Build it anew: every .apk has one.",
        )  # fmt: skip
    if app_id is not None and (merged or ours):
        yield judge(
            ours is not None and app_id_of(app_id) == ours, "app_id", f"tokens of {app_id} are its",
            f"tokens are registered for {app_id}, and the app is {package or 'without a name'}",
            f"Register tokens with app_id {package}; a flavour of Gradle's may add a suffix.",
        )  # fmt: skip


def _of_messaging(services: list[Element], absent: Level) -> Finding:
    found = [
        service.text("name")
        for service in services
        for action in service.all("action")
        if action.text("name") == MESSAGING
    ]
    return judge(
        bool(found), "messaging_service", f"FCM's messages go to {', '.join(found)}",
        f"no service takes {MESSAGING}: a push starts nothing"
        + ("" if absent is Level.MISSING else ", unless a library brings one: check the .apk"),
        "Declare the service that extends FirebaseMessagingService, with an <intent-filter> of "
        "that action.", absent,
    )  # fmt: skip


def _of_permissions(asked: set[str], target: int, absent: Level) -> Iterator[Finding]:
    wanted = [
        ("INTERNET", "internet", "it cannot answer, decline or read the call", absent),
        ("USE_FULL_SCREEN_INTENT", "full_screen_intent",
         "a locked phone shows a notification instead of the call", absent),
        ("RECORD_AUDIO", "microphone", "nobody will be heard", Level.WARNING),
    ]  # fmt: skip
    if target >= 33:
        wanted.insert(1, (
            "POST_NOTIFICATIONS", "notifications",
            "from Android 13 on nothing is shown, and so nothing rings", absent,
        ))  # fmt: skip
    for name, code, without, level in wanted:
        full = PERMISSION + name
        yield judge(
            full in asked, code, f"{name} is asked for", f"{name} is not asked for: {without}",
            ASK.format(full), level,
        )  # fmt: skip


def _of_call_service(
    types: set[str], asked: set[str], target: int, absent: Level
) -> Iterator[Finding]:
    of_calls = [name for name in OF_CALLS if name in types]
    yield judge(
        bool(of_calls), "foreground_service_type",
        f"a service may run in the foreground as {', '.join(of_calls)}",
        "no service has the foreground type phoneCall or microphone: a call in the background "
        "loses its microphone, and from Android 14 on such a service does not start",
        'On the service of calls: android:foregroundServiceType="phoneCall|microphone".', absent,
    )  # fmt: skip
    if not types:
        return
    wanted = [PERMISSION + "FOREGROUND_SERVICE"]
    if target >= 34:
        wanted += [
            f"{PERMISSION}FOREGROUND_SERVICE_{re.sub('(?<!^)(?=[A-Z])', '_', name).upper()}"
            for name in sorted(types)
            if name not in UNTYPED
        ]
        if "phoneCall" in types:
            wanted.append(PERMISSION + "MANAGE_OWN_CALLS")
    for full in wanted:
        yield judge(
            full in asked, f"permission_{full.removeprefix(PERMISSION).lower()}",
            f"{full.removeprefix(PERMISSION)} is asked for",
            f"{full.removeprefix(PERMISSION)} is not asked for: starting the service in the "
            "foreground throws a SecurityException", ASK.format(full), absent,
        )  # fmt: skip


def _of_lock_screen(manifest: Element) -> Finding:
    shown = [
        one.text("name")
        for one in manifest.all("activity")
        if one.attributes.get("showWhenLocked") in {True, "true"}
    ]
    return judge(
        bool(shown), "show_when_locked", f"{', '.join(shown)} is shown over the lock screen",
        "no activity has showWhenLocked: the call stays behind the lock screen, if no code sets it",
        'On the activity of the call: android:showWhenLocked="true" android:turnScreenOn="true".',
        Level.WARNING,
    )  # fmt: skip


def _of_channel(manifest: Element) -> Finding:
    named = any(one.text("name") == CHANNEL for one in manifest.all("meta-data"))
    return judge(
        named, "notification_channel", "a channel for FCM's own notifications is named",
        "no notification channel is named; the one of calls is made in code, which no file shows",
        "Make a channel of IMPORTANCE_HIGH before the first ring: "
        "NotificationManager.createNotificationChannel.", Level.WARNING,
    )  # fmt: skip


def _target(manifest: Element) -> int | None:
    """The SDK whose rules apply to the app; None where Gradle says it."""
    for one in manifest.all("uses-sdk"):
        for name in ("targetSdkVersion", "minSdkVersion"):
            found = one.attributes.get(name)
            if isinstance(found, int) or (isinstance(found, str) and found.isdecimal()):
                return int(found)
    return None


def _types(service: Element) -> Iterator[str]:
    found = service.attributes.get("foregroundServiceType", 0)
    if isinstance(found, str):
        yield from (name for name in found.split("|") if name in TYPES)
    else:
        yield from (name for name, flag in TYPES.items() if found & flag)
