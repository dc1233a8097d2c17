"""What is told of a registration that is in order and yet rings nobody."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any


def warnings(tokens: Iterable[Mapping[str, Any]], ringable: set[str]) -> list[dict[str, str]]:
    """A warning for each app of these tokens that no credential can ring."""
    silent = {token["app_id"] for token in tokens if token["kind"] == "voip"} - ringable
    return [_no_credential(app_id, ringable) for app_id in sorted(silent)]


def _no_credential(app_id: str, ringable: set[str]) -> dict[str, str]:
    near = get_close_matches(app_id, sorted(ringable), n=1)
    known = f"there is one for {near[0]}" if near else "add one in the dashboard, or with the API"
    return {
        "code": "no_credential",
        "app_id": app_id,
        "detail": f"no credential can ring {app_id}: until there is one, this device stays silent "
        f"({known})",
    }
