"""The kinds of certificate that a developer might hand to a push server, right and wrong.

Subject and extensions are those of certificates from Apple's portal (see `apple_extensions`).
"""

from datetime import datetime
from typing import Literal

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from devkit.simulator import apple_extensions
from devkit.simulator.certificates import Authority, Issued, KeyKind, flag

Environments = Literal["both", "production", "development", "none"]
TEAM = "TEAM123456"
_CODE_SIGNING = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING])
_CLIENT = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])


def voip(
    authority: Authority,
    app_id: str,
    *,
    team_id: str = TEAM,
    uid: str | None = None,
    environments: Environments = "both",
    topic_list: bool = True,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
    key_kind: KeyKind = "ec",
    csr_pem: bytes | None = None,
) -> Issued:
    """Make a VoIP Services certificate.

    `uid` is the subject's UID: the bundle id, or (default) the bundle id with `.voip`; Apple has
    issued both. `environments` sets extensions .3.1 and .3.2, `topic_list` extension .3.6.
    """
    extensions: list[x509.ExtensionType] = [_CLIENT, *_environment_flags(environments)]
    extensions.append(flag(apple_extensions.VOIP))
    if topic_list:
        extensions.append(_topics(app_id, ("app", "voip", "complication")))
    return authority.issue(
        _subject(uid or f"{app_id}.voip", f"VoIP Services: {app_id}", team_id),
        extensions,
        not_before=not_before,
        not_after=not_after,
        key_kind=key_kind,
        csr=x509.load_pem_x509_csr(csr_pem) if csr_pem else None,
    )


def apns(
    authority: Authority,
    app_id: str,
    *,
    team_id: str = TEAM,
    environments: Environments = "both",
    voip_topic: bool = False,
    key_kind: KeyKind = "ec",
) -> Issued:
    """Make an "Apple Push Services" certificate: for alerts; by default without a VoIP topic."""
    prefix = (
        "Apple Push Services"
        if environments != "development"
        else "Apple Development IOS Push Services"
    )
    kinds = ("app", "voip", "complication") if voip_topic else ("app",)
    return authority.issue(
        _subject(app_id, f"{prefix}: {app_id}", team_id),
        [_CLIENT, *_environment_flags(environments), _topics(app_id, kinds)],
        key_kind=key_kind,
    )


def distribution(
    authority: Authority,
    team_id: str = TEAM,
    *,
    common_name: str = "iPhone Distribution: Example Ltd",
) -> Issued:
    """Make a code-signing certificate, which people upload by mistake."""
    return authority.issue(_subject(team_id, common_name, team_id), [_CODE_SIGNING])


def _subject(uid: str, common_name: str, team_id: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.USER_ID, uid),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, team_id),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Ltd"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        ]
    )


def _environment_flags(environments: Environments) -> list[x509.ExtensionType]:
    flags: list[x509.ExtensionType] = []
    if environments in ("both", "development"):
        flags.append(flag(apple_extensions.DEVELOPMENT))
    if environments in ("both", "production"):
        flags.append(flag(apple_extensions.PRODUCTION))
    return flags


def _topics(app_id: str, kinds: tuple[str, ...]) -> x509.UnrecognizedExtension:
    suffixes = {"app": "", "voip": ".voip", "complication": ".complication"}
    topics = [(app_id + suffixes[kind], [kind]) for kind in kinds]
    return x509.UnrecognizedExtension(
        apple_extensions.TOPICS, apple_extensions.encode_topics(topics)
    )
