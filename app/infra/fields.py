"""Field types that every package's schemas share: ids, names, text, numbers, and what is wrong."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    Strict,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from app.core import identifiers
from app.core.app_id import APP_ID_PATTERN, LONGEST, app_id_of
from app.core.numerals import YES_OR_NO, decimal_of, id_of, whole_of
from app.core.text import clean_name, is_storable
from app.infra.urls import BadUrl, http_url

MOST_FIELDS = 50
MOST_BIGINT = 2**63 - 1
"""What PostgreSQL's bigint holds."""


UNTOLD = ("~ids", "~objects")
"""Tags of a union, which pydantic puts into the place of an error: they are no part of it."""


def refuse(code: str, sentence: str, at: str | None = None) -> PydanticCustomError:
    """A validation error with a stable code of our own and a sentence that says what to do.

    `at`: where, inside of what is being looked at; dots between.
    """
    return PydanticCustomError("ringline_" + code, sentence, {"at": at} if at else None)


class Said:
    """Keywords for the JSON Schema of a value: what the server keeps to, and need not check."""

    def __init__(self, **keywords: Any) -> None:
        self.keywords = keywords

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """What pydantic says, and these."""
        return handler(schema) | self.keywords


class Within:
    """A number from `low` to `high`; said in the OpenAPI too. NaN is within nothing."""

    def __init__(self, low: float, high: float, code: str, unit: str = "") -> None:
        self.low = low
        self.high = high
        self.code = code
        self.unit = unit

    def _check(self, value: float) -> float:
        if not self.low <= value <= self.high:
            raise refuse(self.code, f"must be from {self.low:,.9g} to {self.high:,.9g}{self.unit}")
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The number, then its bounds."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The number with `minimum` and `maximum`."""
        return handler(schema) | {"minimum": self.low, "maximum": self.high}


class AtMost:
    """A list or object of at most so many items, counted before any of them is looked at."""

    def __init__(self, most: int, code: str, sentence: str, least: int = 0) -> None:
        self.most = most
        self.least = least
        self.code = code
        self.sentence = sentence

    def _check(self, value: Any) -> Any:
        if isinstance(value, (list, tuple, dict)) and len(value) > self.most:
            raise refuse(self.code, self.sentence)
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        """The number of items, then each item."""
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The list or object with its most."""
        inner = handler(schema)
        word = "Properties" if inner.get("type") == "object" else "Items"
        found = inner | {f"max{word}": self.most}
        return found | {f"min{word}": self.least} if self.least else found


# --- text ---------------------------------------------------------------------------------------


def _storable(value: Any) -> Any:
    if isinstance(value, str) and not is_storable(value):
        raise refuse("invalid_text", "must not hold U+0000 or half a surrogate pair")
    return value


Text = Annotated[str, BeforeValidator(_storable)]
"""Any text that PostgreSQL and JSON can hold."""

MOST_NAME = 200


def _cleaned(value: Any) -> Any:
    return clean_name(value) if isinstance(value, str) else value


def _cleaned_or_none(value: Any) -> Any:
    return (clean_name(value) or None) if isinstance(value, str) else value


Name = Annotated[str, Field(max_length=MOST_NAME), BeforeValidator(_cleaned)]
"""A name that may be empty: see `app.core.text`."""
OptionalName = Annotated[
    Annotated[str, Field(max_length=MOST_NAME)] | None, BeforeValidator(_cleaned_or_none)
]
"""A name, or None: also for one of which nothing is left."""


LONGEST_AVATAR_URL = 1_024


def _https(value: str) -> str:
    if len(value) > LONGEST_AVATAR_URL:
        raise refuse("avatar_url_too_long", f"must have at most {LONGEST_AVATAR_URL} characters")
    try:
        return str(http_url(value, schemes=("https",)))
    except BadUrl as error:
        raise PydanticCustomError(
            "ringline_invalid_avatar_url", "{why}", {"why": str(error)}
        ) from error


AvatarUrl = Annotated[
    str,
    AfterValidator(_https),
    WithJsonSchema({"type": "string", "format": "uri", "maxLength": LONGEST_AVATAR_URL}),
]
"""An https address of a picture. It is handed on and never fetched."""


# --- numbers, ids, yes or no --------------------------------------------------------------------


def _integral(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, Strict(), BeforeValidator(_integral)]
"""A whole number of JSON, where 5.0 is one too; no text, and neither true nor false."""
Number = Annotated[float, Strict()]
Flag = Annotated[bool, Strict()]


def _read(value: Any, found: Any, sentence: str) -> Any:
    if isinstance(value, str) and found is None:
        raise refuse("invalid_field", sentence)
    return value if found is None else found


def _whole_text(value: Any) -> Any:
    found = whole_of(value) if isinstance(value, str) else None
    return _read(value, found, "must be a whole number, in digits alone, such as 50")


def _decimal_text(value: Any) -> Any:
    found = decimal_of(value) if isinstance(value, str) else None
    return _read(value, found, "must be a number as JSON writes it, such as 2.5")


def _flag_text(value: Any) -> Any:
    found = YES_OR_NO.get(value) if isinstance(value, str) else None
    return _read(value, found, "must be `true` or `false`")


def _id_text(value: Any) -> Any:
    found = id_of(value) if isinstance(value, str) else None
    return _read(value, found, "must be a UUID, such as 019ac0de-7b1c-7d3e-8f00-5a3b1c2d4e5f")


WholeText = Annotated[int, Strict(), BeforeValidator(_whole_text)]
"""A whole number in an address or the environment, where all is text."""
DecimalText = Annotated[float, Strict(), BeforeValidator(_decimal_text)]
FlagText = Annotated[bool, Strict(), BeforeValidator(_flag_text)]
RowId = Annotated[UUID, BeforeValidator(_id_text)]
"""A UUID, in an address or a body: see `app.core.numerals`."""


# --- times --------------------------------------------------------------------------------------

RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


NO_TIME = (
    "is no time that there is: months go to 12, days to the month's last, hours to 23, minutes and "
    "seconds to 59 (a leap second is written as :59), a zone to 23:59"
)


def _written(value: Any) -> Any:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and RFC_3339.fullmatch(value):
        try:
            datetime.fromisoformat(value.upper())
        except ValueError:
            raise refuse("invalid_field", NO_TIME) from None
        return value
    raise refuse(
        "invalid_field",
        "must be a time with its zone, such as 2026-11-21T08:00:00Z (RFC 3339); in an address `+` "
        "is written %2B",
    )


Time = Annotated[AwareDatetime, BeforeValidator(_written)]
"""A time as it is written: a bare number would be guessed to be seconds, or milliseconds."""


# --- ids ----------------------------------------------------------------------------------------


def _matching(
    fits: Callable[[str], bool], pattern: str, longest: int, code: str, sentence: str
) -> tuple[AfterValidator, WithJsonSchema]:
    def check(value: str) -> str:
        if not fits(value):
            raise refuse(code, sentence)
        return value

    schema = {"type": "string", "minLength": 1, "maxLength": longest, "pattern": pattern}
    return AfterValidator(check), WithJsonSchema(schema)


ID_SENTENCE = (
    'must be 1 to 128 printable ASCII characters without space , " < > \\ % ? # '
    "(a comma separates users), and neither `.` nor `..`"
)
_USER_ID = _matching(
    identifiers.is_user_id,
    identifiers.USER_ID_PATTERN,
    128,
    "invalid_user_id",
    ID_SENTENCE + "; what begins with `erased~` stands in an erased user's place",
)
_DEVICE_ID = _matching(
    identifiers.is_device_id,
    identifiers.USER_ID_PATTERN,
    128,
    "invalid_device_id",
    ID_SENTENCE + "; `server` stands for the tenant's backend",
)
_CALL_TYPE = _matching(
    identifiers.is_call_type,
    identifiers.CALL_TYPE_PATTERN,
    64,
    "invalid_call_type",
    "must be 1 to 64 of a-z 0-9 _ -",
)
_CALL_NAME = _matching(
    identifiers.is_call_name,
    identifiers.CALL_NAME_PATTERN,
    64,
    "invalid_id",
    "must be 1 to 64 of A-Z a-z 0-9 _ -",
)
UserId = Annotated[str, *_USER_ID]
DeviceId = Annotated[str, *_DEVICE_ID]
CallType = Annotated[str, *_CALL_TYPE]
CallName = Annotated[str, *_CALL_NAME]


AT_REST: Final = {"at": "rest"}
"""The context in which what was taken before is read: it is shown as it is."""


def _app_id(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or info.context is AT_REST:
        return value
    found = app_id_of(value)
    if found is None:
        raise refuse(
            "invalid_app_id",
            "must look like com.example.app: letters, digits, hyphens and underscores between "
            "single dots; a web app's is its origin, as https://app.example.com",
        )
    return found


AppId = Annotated[
    str,
    BeforeValidator(_app_id),
    WithJsonSchema({"type": "string", "maxLength": LONGEST + 5, "pattern": APP_ID_PATTERN}),
]
"""In its one spelling: see `app.core.app_id`."""


# --- JSON of others -----------------------------------------------------------------------------

CUSTOM_BYTES = 2_048


def check_json(value: Any, code: str, most: int) -> None:
    """Refuse JSON that cannot be kept: larger than `most` bytes, or what others could not read."""
    try:
        encoded = orjson.dumps(value)
    except TypeError as error:  # half a surrogate pair, a number beyond 64 bits, too deep
        raise refuse(
            f"invalid_{code}",
            "must be JSON that others can read: no lone surrogates, no huge numbers, and not "
            "nested by hundreds",
        ) from error
    if len(encoded) > most:
        raise refuse(f"{code}_too_large", f"must be at most {most} bytes as JSON")
    if orjson.loads(encoded) != value:  # NaN, and 1e400, which is infinite, become null
        raise refuse(f"invalid_{code}", "must not hold a number that JSON cannot")
    if b"\\u0000" in encoded.replace(rb"\\", b""):
        raise refuse(f"invalid_{code}", "must not hold the character U+0000")


def _small(value: dict[str, Any]) -> dict[str, Any]:
    check_json(value, "custom", CUSTOM_BYTES)
    return value


Custom = Annotated[dict[str, Any], AfterValidator(_small), Said(maxProperties=CUSTOM_BYTES)]


class Request(BaseModel):
    """A body that a client sends: unknown fields are refused, so that a typo is told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, data: Any) -> Any:
        # each unknown field would be an error of its own
        if isinstance(data, dict) and len(data) > MOST_FIELDS:
            raise refuse("unknown_field", "more fields than anything here has")
        return data


def unsaid() -> Any:
    """The default of a Change's field that was not sent."""
    return None


class Change(Request):
    """A body that says what to change: what it leaves out stays, and nothing can be made null.

    Its fields that need not be sent have `default_factory=unsaid`.
    """

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise refuse("invalid_field", "must not be null; leave it out and it stays as it is")
        return value

    def changes(self) -> dict[str, Any]:
        """What was sent."""
        return self.model_dump(exclude_unset=True)
