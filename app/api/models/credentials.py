"""How credentials read. Nothing private is in any of them."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.models import (
    EXAMPLE_ID,
    MANY,
    AppName,
    Count,
    Facts,
    Id,
    Moment,
    Name,
    Out,
    Seconds,
    Secret,
    Sentence,
    Status,
    Uuid,
    Word,
    maybe_time,
    time,
)

Environment = Literal["production", "sandbox"]


class Described(Out):
    """What a file or a stored credential says of itself."""

    kind: Word = Field(
        description="`certificate`, `key`, `google_service_account` or `vapid`",
        examples=["certificate"],
    )
    app_id: AppName | None = Field(description="the app", examples=["com.example.app"])
    topics: Annotated[list[Name], MANY] = Field(
        description="what it may push to", examples=[["com.example.app.voip"]]
    )
    environments: Annotated[list[Environment], MANY] = Field(description="where it may push")
    team_id: Word | None = Field(description="Apple's team", examples=["A1B2C3D4E5"])
    key_id: Name | None = Field(
        description="of a key or an account; of a VAPID key its public half",
        examples=["K1B2C3D4E5"],
    )
    project_id: Name | None = Field(description="Google's project, of a service account")
    subject: Sentence | None = Field(
        description="of a certificate; an account's e-mail; whom push services may write to"
    )
    serial: Word | None = Field(description="of a certificate, hexadecimal")
    fingerprint: Word | None = Field(description="SHA-256, hexadecimal")
    not_before: Moment | None = maybe_time("from when it is good")
    not_after: Moment | None = maybe_time("until when it is good")
    days_left: Count | None = Field(description="whole days until it runs out", examples=[31])


class PreviewOut(Described):
    """What was understood of a file; nothing has been stored."""

    form: Word = Field(description="what the file is", examples=["pkcs12"])
    private_key: Literal["in_file", "held_here", "missing"] = Field(
        description="where its private key is"
    )
    notes: Annotated[list[Sentence], MANY] = Field(
        description="what was odd about the file, in sentences"
    )


class CredentialOut(Described):
    """A credential as admins read it."""

    id: Uuid = Field(description="its id", examples=[EXAMPLE_ID])
    state: Word = Field(description="requested, standby, active or retired", examples=["active"])
    health: Word = Field(
        description="working, failing, expiring, expired or unproven", examples=["working"]
    )
    reason: Name | None = Field(description="the push service's own word while it refuses")
    failing_since: Moment | None = maybe_time("since when it is refused")
    key_fingerprint: Word | None = Field(description="of its public key, SHA-256, hexadecimal")
    probe: Facts = Field(description="the service's answer by environment, when last asked")
    probed_at: Moment | None = maybe_time("when the service was last asked")
    request: Sentence | None = Field(
        description="the signing request, while it waits for a certificate"
    )
    version: Count = Field(description="moves when what is sealed does")
    created_at: Moment = time("when it was stored")
    activated_at: Moment | None = maybe_time("when it came into use")
    replaced_at: Moment | None = maybe_time("when another took its place")
    retired_at: Moment | None = maybe_time("when it was retired")


class CredentialsOut(Out):
    """Every credential, the newest first."""

    credentials: Annotated[list[CredentialOut], MANY] = Field(
        description="of the tenant, or of one app"
    )


class TriedOut(Out):
    """What the push service said of one phone."""

    device_id: Id = Field(description="the phone", examples=["bobs-phone"])
    name: Name | None = Field(description="as people know it")
    app_id: AppName = Field(description="the app", examples=["com.example.app"])
    environment: Environment = Field(description="the token's environment")
    token: Secret = Field(description="its end", examples=["...eeff"])
    credential_id: Uuid | None = Field(description="which credential was used")
    says: Literal["accepted", "refused", "unknown"] = Field(description="the service's answer")
    status: Status | None = Field(description="the HTTP status", examples=[200])
    words: Sentence | None = Field(description="the service's reason, or what failed")
    hint: Sentence | None = Field(description="what to look at")
    milliseconds: Seconds | None = Field(description="how long it took")


class TestPushOut(Out):
    """A test push to each phone of a user."""

    devices: Annotated[list[TriedOut], MANY] = Field(description="what the service said of each")
