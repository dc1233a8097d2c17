"""What admins send about credentials, and how one reads. Nothing private is in any answer."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from app.core.credential import CredentialState
from app.core.event import rfc3339
from app.credentials.files.parsed_file import ParsedFile
from app.credentials.files.pbe import MOST_PASSWORD
from app.credentials.files.unwrap import from_base64, is_hexadecimal, unwrap
from app.credentials.health import health_of
from app.credentials.parse import Upload
from app.credentials.rows import CredentialRow
from app.infra.fields import AtMost, DeviceId, Flag, Request, Text, UserId, refuse

MOST_FILE = 1_000_000
"""Characters of a file's text at most; how large a credential may be `reading` says."""
Name = Annotated[Text, Field(max_length=400)]
"""Of an app, key or team as typed: judged where the refusals teach."""
Environments = Annotated[
    list[Literal["production", "sandbox"]],
    AtMost(2, "invalid_environments", "at most `production` and `sandbox`"),
]


def _file(value: str) -> str:
    decode_file(value)
    return value


def decode_file(value: str) -> bytes:
    """The bytes of a `file` field: base64 (of either alphabet), or PEM or what `unwrap` knows."""
    if not value.strip():
        return b""
    decoded = None if is_hexadecimal(value) else from_base64(value)
    if decoded is not None:
        return decoded
    # or text as it is: `unwrap` takes off what else may be around it
    if "BEGIN" in value or unwrap(value.encode())[1]:
        return value.encode()
    raise refuse("invalid_base64", "must be the file's bytes in base64, or the text of a PEM file")


class FileIn(Request):
    """A file as an admin has it."""

    file: Annotated[Text, Field(repr=False, max_length=MOST_FILE), AfterValidator(_file)] = Field(
        description="the file in base64, or the text of a PEM file", examples=["MIIK…"]
    )
    password: Annotated[SecretStr, Field(max_length=MOST_PASSWORD)] | None = Field(
        None, description="of the file, if it has one"
    )

    @property
    def data(self) -> bytes:
        return decode_file(self.file)

    @property
    def secret(self) -> str | None:
        return None if self.password is None else self.password.get_secret_value()


class CredentialIn(FileIn):
    """A credential to look at or to add. A `.p8` needs `app_id`, `key_id` and `team_id`."""

    app_id: Name | None = Field(
        None,
        description="the app's bundle id; of a certificate it is read from it",
        examples=["com.example.app"],
    )
    key_id: Name | None = Field(None, description="of a `.p8` key", examples=["K1B2C3D4E5"])
    team_id: Name | None = Field(None, description="of a `.p8` key", examples=["A1B2C3D4E5"])
    environments: Environments | None = Field(
        None,
        description="where it may push, else what it says itself; `sandbox` is Apple's alone",
        examples=[["production"]],
    )

    @property
    def upload(self) -> Upload:
        return Upload(
            data=self.data,
            password=self.secret,
            app_id=self.app_id,
            key_id=self.key_id,
            team_id=self.team_id,
            environments=self.environments,
        )


class RequestIn(Request):
    """For which app a key and a signing request are to be made."""

    app_id: Name = Field(description="the app's bundle id", examples=["com.example.app"])


class VapidIn(Request):
    """For which web app a VAPID key is to be made, and whom push services may write to."""

    app_id: Name = Field(
        description="the web app's origin, or a UnifiedPush app's package",
        examples=["https://app.example.com"],
    )
    subject: Name = Field(
        description="whom a push service may write to: `mailto:` or `https:` (VAPID's `sub`)",
        examples=["mailto:push@example.com"],
    )


class ConfirmIn(Request):
    """`confirm` is needed for the last working credential of an app."""

    confirm: Flag = Field(False, description="do it although it is the last working one")


class TestPushIn(Request):
    """Whose phones are to ring as a test; one of them if `device_id` is given."""

    user_id: UserId = Field(description="whose phones ring", examples=["bob"])
    device_id: DeviceId | None = Field(None, description="this one alone", examples=["bobs-phone"])


def understood_out(parsed: ParsedFile, now: datetime, *, key_is_here: bool) -> dict[str, Any]:
    """What was understood of a file, before it is stored."""
    return {
        "kind": parsed.kind,
        "form": parsed.form,
        "app_id": parsed.app_id,
        "topics": list(parsed.topics),
        "environments": list(parsed.environments),
        "team_id": parsed.team_id,
        "key_id": parsed.key_id,
        "project_id": parsed.project_id,
        "subject": parsed.subject,
        "serial": parsed.serial,
        "fingerprint": parsed.fingerprint,
        "not_before": _time(parsed.not_before),
        "not_after": _time(parsed.not_after),
        "days_left": parsed.days_left(now),
        "private_key": "in_file" if parsed.kind != "certificate_only"
        else "held_here" if key_is_here else "missing",
        "notes": list(parsed.notes),
    }  # fmt: skip


def credential_out(row: CredentialRow, now: datetime) -> dict[str, Any]:
    """A credential as admins read it."""
    return {
        "id": str(row.id),
        "app_id": row.app_id,
        "kind": row.kind,
        "state": row.state,
        "health": health_of(row, now),
        "reason": row.trouble,
        "failing_since": _time(row.failing_since),
        "environments": row.environments,
        "topics": row.topics,
        "team_id": row.team_id,
        "key_id": row.key_id,
        "project_id": row.project_id,
        "subject": row.subject,
        "serial": row.serial,
        "fingerprint": row.fingerprint,
        "key_fingerprint": row.key_fingerprint,
        "not_before": _time(row.not_before),
        "not_after": _time(row.not_after),
        "days_left": row.days_left(now),
        "probe": row.probe,
        "probed_at": _time(row.probed_at),
        "request": row.request if row.state is CredentialState.REQUESTED else None,
        "version": row.version,
        "created_at": _time(row.created_at),
        "activated_at": _time(row.activated_at),
        "replaced_at": _time(row.replaced_at),
        "retired_at": _time(row.retired_at),
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
