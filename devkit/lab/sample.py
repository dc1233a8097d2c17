"""The traps as they are shown before any of them has rung: with a made-up call's facts."""

import json
from functools import cache
from typing import Any, Final

from app.core.payload import SAMPLE_TOKEN, check_template, ring_payload, sample_facts
from devkit.lab.masking import masked_payload
from devkit.lab.traps import TRAPS
from devkit.lab.verdicts import verdict_of

_FACTS: Final = sample_facts(1_790_000_000_000)


@cache
def trap_list() -> bytes:
    """Every trap with a payload and the model's verdict on it, as JSON: an array."""
    return json.dumps([_shown(name) for name in TRAPS], ensure_ascii=False).encode()


def trap_payload(name: str) -> bytes:
    """The payload of a trap for the made-up call, as Ringline makes it of the template."""
    template = check_template(TRAPS[name].template)
    return ring_payload("custom", _FACTS, template).for_token(SAMPLE_TOKEN)


def _shown(name: str) -> dict[str, Any]:
    trap, payload = TRAPS[name], trap_payload(name)
    return verdict_of(trap.profile, payload) | {
        "trap": name,
        "title": trap.title,
        "payload": masked_payload(payload),
        "bytes": len(payload),
    }
