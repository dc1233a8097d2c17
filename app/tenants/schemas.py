"""What a tenant may set for itself."""

from functools import lru_cache
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.core.figures import Figures, outside_bounds, resolve


class TenantSettings(BaseModel):
    """The settings of one tenant; what is absent has its default."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    figures: dict[str, float] = Field({}, description="seconds and counts; see the README's table")
    call_types: dict[str, dict[str, float]] = Field({}, description="figures per call type")
    users_may_ring: bool = Field(False, description="a user token may ring, as its own subject")
    store_and_forward: bool = Field(
        False, description="Apple may keep a ring for a phone that is off, until its deadline"
    )
    voip_stops: bool = Field(False, description="a stop may travel as a VoIP push, as last resort")
    profiles: dict[str, str] = Field({}, description="payload profile per bundle id")
    templates: dict[str, dict[str, Any]] = Field({}, description="custom payload per bundle id")
    keep_events_days: float = Field(7, ge=1, le=90)
    keep_calls_days: float = Field(90, ge=1, le=3650)

    @field_validator("figures")
    @classmethod
    def _figures(cls, value: dict[str, float]) -> dict[str, float]:
        for name, sentence in outside_bounds(value):
            raise ValueError(f"{name} {sentence}")
        return value

    @field_validator("call_types")
    @classmethod
    def _call_types(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for values in value.values():
            cls._figures(values)
        return value

    def figures_for(self, call_type: str) -> Figures:
        """The figures that a call of this type begins with."""
        return resolve(self.figures, self.call_types, call_type)


def tenant_settings(stored: dict[str, Any]) -> TenantSettings:
    """The settings of a tenant's row."""
    return _parsed(orjson.dumps(stored, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=1024)
def _parsed(stored: bytes) -> TenantSettings:
    return TenantSettings.model_validate(orjson.loads(stored))
