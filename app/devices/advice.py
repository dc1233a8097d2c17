"""What is told of a registration that is taken, and yet is not as it was meant."""

from collections.abc import Iterable, Mapping
from typing import Any

from app import senders
from app.core.language import language_tag
from app.core.nearest import nearest


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


def of_locale(locale: str | None) -> list[dict[str, str]]:
    """A warning for what is no language tag."""
    if locale is None or language_tag(locale) is not None:
        return []
    detail = "locale: this is no language tag such as de-CH: it is passed over"
    return [{"code": "unknown_locale", "detail": detail}]


def _no_credential(app_id: str, ringable: set[str]) -> dict[str, str]:
    near = nearest(app_id, sorted(ringable))
    known = f"there is one for {near}" if near else "add one in the dashboard, or with the API"
    return {
        "code": "no_credential",
        "app_id": app_id,
        "detail": f"no credential can ring {app_id}: until there is one, this device stays silent "
        f"({known})",
    }
