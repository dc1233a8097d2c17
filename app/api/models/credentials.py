"""How credentials read. Nothing private is in any of them."""

from typing import Any, Literal

from pydantic import Field

from app.api.models import EXAMPLE_ID, Out, maybe_time, time

Environment = Literal["production", "sandbox"]


class Described(Out):
    """What a file or a stored credential says of itself."""

    kind: str = Field(description="`certificate` or `key`", examples=["certificate"])
    app_id: str | None = Field(description="the app", examples=["com.example.app"])
    topics: list[str] = Field(
        description="what it may push to", examples=[["com.example.app.voip"]]
    )
    environments: list[Environment] = Field(description="where it may push")
    team_id: str | None = Field(description="Apple's team", examples=["A1B2C3D4E5"])
    key_id: str | None = Field(description="of a key", examples=["K1B2C3D4E5"])
    subject: str | None = Field(description="of a certificate")
    serial: str | None = Field(description="of a certificate, hexadecimal")
    fingerprint: str | None = Field(description="SHA-256, hexadecimal")
    not_before: str | None = maybe_time("from when it is good")
    not_after: str | None = maybe_time("until when it is good")
    days_left: int | None = Field(description="whole days until it runs out", examples=[31])


class PreviewOut(Described):
    """What was understood of a file; nothing has been stored."""

    form: str = Field(description="what the file is", examples=["pkcs12"])
    private_key: Literal["in_file", "held_here", "missing"] = Field(
        description="where its private key is"
    )
    notes: list[str] = Field(description="what was odd about the file, in sentences")


class CredentialOut(Described):
    """A credential as admins read it."""

    id: str = Field(description="its id", examples=[EXAMPLE_ID])
    state: str = Field(description="requested, standby, active or retired", examples=["active"])
    health: str = Field(
        description="working, failing, expiring, expired or unproven", examples=["working"]
    )
    reason: str | None = Field(description="Apple's own word while it refuses")
    failing_since: str | None = maybe_time("since when Apple refuses it")
    key_fingerprint: str | None = Field(description="of its public key, SHA-256, hexadecimal")
    probe: dict[str, Any] = Field(description="Apple's answer by environment, when last asked")
    probed_at: str | None = maybe_time("when Apple was last asked")
    request: str | None = Field(description="the signing request, while it waits for a certificate")
    version: int = Field(description="moves when what is sealed does", ge=1)
    created_at: str = time("when it was stored")
    activated_at: str | None = maybe_time("when it came into use")
    replaced_at: str | None = maybe_time("when another took its place")
    retired_at: str | None = maybe_time("when it was retired")


class CredentialsOut(Out):
    """Every credential, the newest first."""

    credentials: list[CredentialOut] = Field(description="of the tenant, or of one app")


class TriedOut(Out):
    """What Apple said of one phone."""

    device_id: str = Field(description="the phone", examples=["bobs-phone"])
    name: str | None = Field(description="as people know it")
    app_id: str = Field(description="the app", examples=["com.example.app"])
    environment: Environment = Field(description="Apple's environment")
    token: str = Field(description="its end", examples=["...eeff"])
    credential_id: str | None = Field(description="which credential was used")
    says: Literal["accepted", "refused", "unknown"] = Field(description="Apple's answer")
    status: int | None = Field(description="the HTTP status", examples=[200])
    words: str | None = Field(description="Apple's reason, or what failed")
    hint: str | None = Field(description="what to look at")
    milliseconds: float | None = Field(description="how long it took")


class TestPushOut(Out):
    """A test push to each phone of a user."""

    devices: list[TriedOut] = Field(description="what Apple said of each")
