"""Field types that every room's schemas share: ids, names, and sentences for what is wrong."""

from typing import Annotated, Any

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

USER_ID = r"[A-Za-z0-9_@.:|+=~\-]{1,128}"


def refuse(code: str, sentence: str) -> PydanticCustomError:
    """A validation error with a stable code of our own and a sentence that says what to do."""
    return PydanticCustomError("ringline_" + code, sentence)


def _matching(pattern: str, code: str, sentence: str) -> AfterValidator:
    import re  # noqa: PLC0415

    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise refuse(code, sentence)
        return value

    return AfterValidator(check)


def _no_reserved_device(value: str) -> str:
    if value == "server":
        raise refuse(
            "invalid_device_id", "`server` stands for the tenant's backend: choose another id"
        )
    return value


UserId = Annotated[
    str,
    _matching(
        USER_ID,
        "invalid_user_id",
        "must be 1 to 128 of A-Z a-z 0-9 _ @ . : | + = ~ - (a comma separates users)",
    ),
]
CALL_TYPE = r"[a-z0-9_\-]{1,64}"
CALL_NAME = r"[A-Za-z0-9_\-]{1,64}"
CallType = Annotated[
    str, _matching(CALL_TYPE, "invalid_call_type", "must be 1 to 64 of a-z 0-9 _ -")
]
CallName = Annotated[
    str, _matching(CALL_NAME, "invalid_call_id", "must be 1 to 64 of A-Z a-z 0-9 _ -")
]
DeviceId = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9_@.:|+=~\-]{1,128}",
        "invalid_device_id",
        "must be 1 to 128 of A-Z a-z 0-9 _ @ . : | + = ~ -",
    ),
    AfterValidator(_no_reserved_device),
]
BundleId = Annotated[
    str,
    _matching(
        r"[A-Za-z0-9][A-Za-z0-9.\-]{0,154}",
        "invalid_bundle_id",
        "must look like com.example.app: letters, digits, dots and hyphens",
    ),
]


def _printable(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise refuse("invalid_name", "must hold printable characters only, and not only spaces")
    return value


DisplayName = Annotated[str, Field(max_length=200), AfterValidator(_printable)]

CUSTOM_BYTES = 2_048


def _small(value: dict[str, Any]) -> dict[str, Any]:
    try:
        encoded = orjson.dumps(value)
    except TypeError as error:  # half a surrogate pair, a number beyond 64 bits, too deep
        raise refuse(
            "invalid_custom",
            "must be JSON that others can read: no lone surrogates, no huge numbers",
        ) from error
    if len(encoded) > CUSTOM_BYTES:
        raise refuse("custom_too_large", f"must be at most {CUSTOM_BYTES} bytes as JSON")
    if b"\\u0000" in encoded:
        raise refuse("invalid_custom", "must not hold the character U+0000")
    return value


Custom = Annotated[dict[str, Any], AfterValidator(_small)]


class Request(BaseModel):
    """A body that a client sends: unknown fields are refused, so that a typo is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)
