"""What is told of a registration that is in order and yet rings nobody."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from app import senders


def warnings(
    tokens: Iterable[Mapping[str, Any]], ringable: set[tuple[str, str]]
) -> list[dict[str, str]]:
    """A warning for each app of these tokens that no credential can ring."""
    kinds = {kind.value for kind in senders.RING_KINDS}
    rung = {(token["kind"], token["app_id"]) for token in tokens if token["kind"] in kinds}
    return [
        _no_credential(app_id, {app for of, app in ringable if of == kind})
        for kind, app_id in sorted(rung - ringable)
    ]


def _no_credential(app_id: str, ringable: set[str]) -> dict[str, str]:
    near = get_close_matches(app_id, sorted(ringable), n=1)
    known = f"there is one for {near[0]}" if near else "add one in the dashboard, or with the API"
    return {
        "code": "no_credential",
        "app_id": app_id,
        "detail": f"no credential can ring {app_id}: until there is one, this device stays silent "
        f"({known})",
    }
