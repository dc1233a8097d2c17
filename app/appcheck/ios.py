"""Whether an iOS app can ring: its Info.plist, its entitlements, its provisioning profile.

Sources: Apple, "Responding to VoIP Notifications from PushKit", "Configuring background execution
modes", "APS Environment Entitlement", and TN3125 ("Inside Code Signing: Provisioning Profiles").
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from app.appcheck import macho
from app.appcheck.contents import LARGEST_PROGRAM, Contents
from app.appcheck.findings import AppFileError, Finding, Level, Report, judge
from app.appcheck.plists import allowed_by, read_plist, read_profile, text_of, texts_of
from app.core.app_id import app_id_of
from app.core.frozen import frozen

PROFILE: Final = "embedded.mobileprovision"
APS: Final = "aps-environment"
SERVICES: Final = {"development": "sandbox", "production": "production"}
"""The environment that a token of such an app is to be registered with."""
CAPABILITIES: Final = "In Xcode: target, Signing & Capabilities"


@frozen
class IosApp:
    """What was read. `entitlements` is None where no file tells; `source` says which did."""

    info: dict[str, Any]
    entitlements: dict[str, Any] | None
    source: str
    profile: dict[str, Any] | None = None


@frozen
class Expected:
    """What the app is to fit: the `app_id` that rings name, and a credential's app and services."""

    app_id: str | None = None
    credential: str | None = None
    credential_app: str | None = None
    environments: tuple[str, ...] = ()


def read_app(folder: Contents) -> IosApp:
    """An .app as it is installed. Entitlements are those of the signature, else of the profile."""
    info = read_plist(folder.read("Info.plist"), "Info.plist")
    profile = None
    if folder.has(PROFILE):
        profile = read_profile(folder.read(PROFILE), PROFILE)
    program = text_of(info, "CFBundleExecutable")
    if not program or "/" in program:
        raise AppFileError("Info.plist names no CFBundleExecutable")
    with folder.opened(program, LARGEST_PROGRAM) as file:
        signed = macho.entitlements(file)
    if signed is not None:
        found = read_plist(signed.rstrip(b"\0"), "the signature's entitlements")
        return IosApp(info, found, "the signature", profile)
    if profile is not None:
        return IosApp(info, allowed_by(profile), "the profile", profile)
    return IosApp(info, None, "nothing: the app is not signed")


def check(app: IosApp, expected: Expected, now: datetime) -> Report:
    """Look at everything that ringing needs."""
    bundle_id = text_of(app.info, "CFBundleIdentifier")
    facts = {
        "bundle_id": bundle_id,
        "version": text_of(app.info, "CFBundleShortVersionString"),
        "background_modes": texts_of(app.info, "UIBackgroundModes"),
        "entitlements_from": app.source,
        APS: text_of(app.entitlements or {}, APS) or None,
    }
    findings = [
        *_of_info(app.info, bundle_id),
        *_of_entitlements(app, bundle_id),
        *_of_profile(app, now),
        *_expected(app, bundle_id, expected),
    ]
    return Report("ios", facts, tuple(findings))


def _of_info(info: dict[str, Any], bundle_id: str) -> Iterator[Finding]:
    modes = texts_of(info, "UIBackgroundModes")
    yield judge(
        app_id_of(bundle_id) is not None, "bundle_id", f"the bundle id is {bundle_id}",
        "Info.plist has no CFBundleIdentifier that Apple could push to",
        "Set the target's bundle identifier; a source's $(PRODUCT_BUNDLE_IDENTIFIER) is filled in "
        "by the build, so check the built .app.",
    )  # fmt: skip
    yield judge(
        "voip" in modes, "background_mode_voip", "the background mode `voip` is on",
        "the background mode `voip` is missing: PushKit gives no VoIP token",
        f"{CAPABILITIES}, Background Modes, Voice over IP; or `voip` in UIBackgroundModes.",
    )  # fmt: skip
    yield judge(
        "remote-notification" in modes, "background_mode_remote_notification",
        "the background mode `remote-notification` is on: a stop by background push arrives",
        "the background mode `remote-notification` is missing: a stop by background push does not "
        "wake the app, and it rings on until its live stream or the deadline says otherwise",
        f"{CAPABILITIES}, Background Modes, Remote notifications.", Level.WARNING,
    )  # fmt: skip
    yield judge(
        bool(text_of(info, "NSMicrophoneUsageDescription")), "microphone",
        "the microphone's use is described",
        "NSMicrophoneUsageDescription is missing: iOS ends an app that asks for the microphone",
        "Say in Info.plist, in a sentence, what the microphone is used for.", Level.WARNING,
    )  # fmt: skip


def _of_entitlements(app: IosApp, bundle_id: str) -> Iterator[Finding]:
    if app.entitlements is None:
        yield Finding(
            "entitlements", Level.WARNING, "no entitlements were read: whether it may be pushed "
            "to cannot be told", "Check the signed .ipa or .app, or add --entitlements FILE.",
        )  # fmt: skip
        return
    aps = text_of(app.entitlements, APS)
    yield judge(
        aps in SERVICES, "push_entitlement",
        f"`{APS}` is `{aps}`: register its tokens with environment `{SERVICES.get(aps)}`",
        f"the entitlement `{APS}` is missing: Apple gives it no push token" if not aps else
        f"the entitlement `{APS}` is {aps!r}, which is neither development nor production",
        f"{CAPABILITIES}, Push Notifications; the App ID needs it as well, and the profile is to "
        "be made anew after that.",
    )  # fmt: skip
    signed = text_of(app.entitlements, "application-identifier")
    team, _, named = signed.partition(".")
    if team and named and app.source != "the profile":
        yield judge(
            named == bundle_id, "signed_bundle_id", f"it is signed as {signed}",
            f"it is signed as {signed}, and Info.plist says {bundle_id}",
            "Sign it anew after the bundle id was changed.",
        )  # fmt: skip


def _of_profile(app: IosApp, now: datetime) -> Iterator[Finding]:
    if app.profile is None:
        return
    name = text_of(app.profile, "Name") or PROFILE
    ends = app.profile.get("ExpirationDate")
    if isinstance(ends, datetime):
        ends = ends if ends.tzinfo else ends.replace(tzinfo=UTC)
        yield judge(
            ends > now, "profile_expiry", f"the profile {name} is good until {ends:%Y-%m-%d}",
            f"the profile {name} ran out on {ends:%Y-%m-%d}: iOS starts the app no more",
            "Renew the profile at developer.apple.com and sign the app anew.",
        )  # fmt: skip
    aps, may = text_of(app.entitlements or {}, APS), text_of(allowed_by(app.profile), APS)
    if aps and app.source == "the signature":
        yield judge(
            may == aps, "profile_environment", f"the profile allows `{APS}` {aps}",
            f"the app asks for `{APS}` {aps}, and its profile allows {may or 'none'}",
            "Sign it with a profile of the same kind: development for sandbox, distribution for "
            "production.",
        )  # fmt: skip


def _expected(app: IosApp, bundle_id: str, expected: Expected) -> Iterator[Finding]:
    ours = app_id_of(bundle_id)
    if expected.app_id is not None:
        is_its = ours is not None and app_id_of(expected.app_id) == ours
        yield judge(
            is_its, "app_id", f"tokens of {expected.app_id} are its",
            f"tokens are registered for {expected.app_id}, and the app is {bundle_id}",
            f"Register tokens with app_id {bundle_id}, or check the other build.",
        )  # fmt: skip
    if expected.credential is None:
        return
    if expected.credential_app is not None:
        yield judge(
            expected.credential_app == ours, "credential_topic",
            f"the {expected.credential} is for {expected.credential_app}",
            f"the {expected.credential} is for {expected.credential_app}, and the app is "
            f"{bundle_id}: Apple answers DeviceTokenNotForTopic",
            f"Bring a VoIP certificate for {bundle_id}, or a .p8 key: it serves all of a team's.",
        )  # fmt: skip
    service = SERVICES.get(text_of(app.entitlements or {}, APS))
    if service is not None:
        yield judge(
            service in expected.environments, "credential_environment",
            f"the {expected.credential} serves {service}",
            f"the {expected.credential} serves {', '.join(expected.environments)} alone, and this "
            f"app's tokens are of {service}",
            f"Bring a credential that serves {service}, or sign the app for the other service.",
        )  # fmt: skip
