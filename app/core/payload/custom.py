"""The tenant's own payload template, checked when it is saved so that no ring finds it wrong."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from app.core.payload.facts import TOKEN_ROOM, VOIP_LIMIT, PayloadError, RingFacts
from app.core.payload.fit import fitted
from app.core.payload.template import Template, compile_template

SOURCE_LIMIT: Final = 4_096
DEPTH_LIMIT: Final = 8

# The largest ring that there can be once all that may be cut is cut: ids of 128 characters, a cid
# of two parts of 64, a long URL. A template that this does not fit would fail some day.
LARGEST: Final = RingFacts(
    uuid="0" * 8 + "-0000-4000-8000-" + "0" * 12,
    cid="c" * 64 + ":" + "i" * 64,
    session_id="0" * 36,
    caller_id="a" * 128,
    receiver_id="b" * 128,
    video=False,
    sent_at_ms=1_790_000_000_000,
    expires_at_ms=1_790_000_180_000,
    state_url="https://" + "h" * 248,
    caller_name="n" * 64,
    caller_avatar="https://" + "p" * 248,
    display_name="d" * 64,
    user_ids=("a" * 128,),
    callkit_reason=5,
)


class TemplateError(PayloadError):
    """A template that was refused; `reasons` has every fault found, each a sentence with a path."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("; ".join(self.reasons))


def check_template(source: str | Mapping[str, Any]) -> Template:
    """Check a tenant's template and compile it. Raises TemplateError.

    It must be a JSON object of at most 4,096 bytes and 8 levels, know all its placeholders, hold
    `{{uuid}}` as a whole value (CallKit needs one, and a stop must name it), have no `aps` but an
    object, and fit 5,120 bytes with the largest ids.
    """
    body = _parsed(source)
    faults = (_aps_fault(body), _depth_fault(body), _uuid_fault(body))
    reasons = [reason for reason in faults if reason]
    if reasons:
        raise TemplateError(reasons)
    try:
        template = compile_template(body)
        fitted(template, LARGEST, VOIP_LIMIT, TOKEN_ROOM)
    except PayloadError as error:
        raise TemplateError([str(error)]) from error
    return template


def template_advice(template: Template) -> list[str]:
    """What a template may leave out but will miss, as sentences to show beside it."""
    missed = {
        "token": "no {{token}}: an app that was killed cannot decline or read the state",
        "state_url": "no {{state_url}}: the app must know the address by itself",
        "expires_at": "no {{expires_at}}: a push that arrives late cannot be told from a new one",
        "callkit_reason": "no {{callkit_reason?}}: this template cannot be used to stop a ring",
    }
    names = {name.removesuffix("_string").removesuffix("_iso") for name in template.names}
    return [sentence for name, sentence in missed.items() if name not in names]


def _parsed(source: str | Mapping[str, Any]) -> dict[str, Any]:
    try:
        text = source if isinstance(source, str) else json.dumps(source, ensure_ascii=False)
    except RecursionError:
        raise TemplateError([f"more than {DEPTH_LIMIT} levels of nesting"]) from None
    size = len(text.encode("utf-8", "replace"))
    if size > SOURCE_LIMIT:
        raise TemplateError([f"the template has {size} bytes; at most {SOURCE_LIMIT} are allowed"])
    try:
        body = json.loads(text, object_pairs_hook=_no_repeats, parse_constant=_no_constant)
    except RecursionError:
        raise TemplateError([f"more than {DEPTH_LIMIT} levels of nesting"]) from None
    except ValueError as error:
        raise TemplateError([f"not JSON: {error}"]) from error
    if not isinstance(body, dict):
        raise TemplateError(["the template must be a JSON object"])
    return body


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("a key appears twice in one object")
    return result


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _aps_fault(body: dict[str, Any]) -> str | None:
    if "aps" in body and not isinstance(body["aps"], dict):
        return "/aps: must be an object, or Apple and iOS will not read it"
    return None


def _depth_fault(body: dict[str, Any]) -> str | None:
    # level by level: a recursive walk would meet the interpreter's limit before ours
    level: list[Any] = [body]
    for _ in range(DEPTH_LIMIT):
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return None
    return f"more than {DEPTH_LIMIT} levels of nesting"


def _inner(value: Any) -> list[Any]:
    """What is nested in a value, if anything can be."""
    if isinstance(value, dict):
        values: Iterable[Any] = value.values()
    else:
        values = value if isinstance(value, list) else ()
    return [one for one in values if isinstance(one, (dict, list))]


def _uuid_fault(body: dict[str, Any]) -> str | None:
    if any("".join(text.split()) == "{{uuid}}" for text in _strings(body)):
        return None
    return "no value is exactly {{uuid}}: CallKit cannot show a call without its UUID"


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
