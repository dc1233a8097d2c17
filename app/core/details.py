"""What a backend says of a call that no rule needs, and everybody reads."""

from collections.abc import Mapping
from dataclasses import field
from operator import attrgetter
from typing import Any, Final

from app.core.frozen import frozen


@frozen
class Details:
    """Each field is a column of `calls` and a key of a call's JSON, under its own name.

    What clients send of it is `calls.schemas.RingIn`, what they read `api.models.calls.CallCore`.
    """

    title: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)


NO_DETAILS: Final = Details()
DETAILS: Final = Details.__match_args__
_all: Final = attrgetter(*DETAILS)


def details_json(details: Details) -> dict[str, Any]:
    """As rows hold them and clients read them."""
    return dict(zip(DETAILS, _all(details), strict=True))
