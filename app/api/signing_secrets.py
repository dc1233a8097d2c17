"""HTTP: a tenant's signing secrets (an API key with the scope `secrets`)."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field

from app.api.models import MANY, Secret, Word
from app.http.acting import actor_of, runtime_of
from app.http.auth import server_with
from app.http.encoded_slashes import segment
from app.infra.fields import FlagText, Said
from app.tenants import signing_secrets as service
from app.tenants.caller import Caller

router = APIRouter(prefix="/v1/signing-secrets", tags=["settings"])


Admin = Annotated[Caller, Depends(server_with("secrets"))]
Kid = Annotated[
    str, Said(maxLength=64), Path(pattern=r"^[A-Za-z0-9_\-]{1,64}$", description="The secret's id.")
]


class SigningSecretOut(BaseModel):
    """What may be shown of a signing secret."""

    kid: Word = Field(description="its id: the `kid` in the header of a user token")
    created_at: datetime = Field(description="when it was made")
    last_used_at: datetime | None = Field(
        description="when a token signed with it was last seen, to the minute"
    )
    revoked_at: datetime | None = Field(description="null while it is live")


class SigningSecretsOut(BaseModel):
    """A tenant's signing secrets, live ones first, the newest first."""

    signing_secrets: Annotated[list[SigningSecretOut], MANY] = Field(
        description="at most two are live"
    )


class NewSigningSecretOut(BaseModel):
    """A signing secret just made."""

    kid: Word = Field(description="its id: the `kid` in the header of a user token")
    secret: Secret = Field(description="signs user tokens (JWT, HS256); it is shown this once")


@router.get("", operation_id="list_signing_secrets")
async def every(request: Request, caller: Admin) -> SigningSecretsOut:
    """The tenant's signing secrets, without the secrets."""
    rows = await service.every(runtime_of(request), caller.tenant_id)
    return SigningSecretsOut(signing_secrets=[SigningSecretOut(**row) for row in rows])


@router.post("", status_code=201, operation_id="create_signing_secret")
async def create(request: Request, caller: Admin) -> NewSigningSecretOut:
    """Make a second signing secret; the first stays good until it is revoked. At most two live."""
    actor = actor_of(request, caller)
    made = await service.rotate(runtime_of(request), caller.tenant_id, actor=actor)
    return NewSigningSecretOut(kid=made.kid, secret=made.secret)


@router.delete(f"/{segment('kid')}", status_code=204, operation_id="revoke_signing_secret")
async def revoke(
    request: Request,
    caller: Admin,
    kid: Kid,
    confirm: Annotated[
        FlagText,
        Query(description="revoke it although it is the only one: no user token is good then"),
    ] = False,
) -> Response:
    """Revoke a signing secret: within two seconds no user token signed with it is good."""
    actor = actor_of(request, caller)
    await service.revoke(runtime_of(request), caller.tenant_id, kid, confirm=confirm, actor=actor)
    request.app.state.gate.settings_changed(caller.tenant_id)
    return Response(status_code=204)
