"""Why a ring was missed or failed, in a sentence for each phone."""

from collections.abc import Sequence
from datetime import datetime

from app.calls.history import History
from app.core.text import isolated
from app.core.words import SAID, UNSENT, of_push, of_retired
from app.dashboard.words import duration, hindrances, service_of_token
from app.infra.db import Row

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
NOT_REACHED = ("missed", "unreachable")


def explain(story: History, tokens: Sequence[Row]) -> list[str]:
    """Sentences about every callee who was not reached; none when all were, or it still rings.

    `tokens` are the tokens that ring which the callees have now, also retired ones.
    """
    found = []
    for ring in story.rings:
        if ring["outcome"] in NOT_REACHED or (
            ring["outcome"] == "cancelled" and story.call.reason in {*NOT_REACHED, "failed"}
        ):
            found += _of_ring(ring, story, [t for t in tokens if t["user_id"] == ring["user_id"]])
    return found


def _of_ring(ring: Row, story: History, tokens: Sequence[Row]) -> list[str]:
    user = ring["user_id"]
    pushes = [
        push for push in story.pushes if push["ring"] == ring["uuid"] and push["purpose"] == "ring"
    ]
    rang = duration((ring["deadline"] - ring["created_at"]).total_seconds())
    if not pushes:
        return [f"{user} was not rung: {_why_nobody(tokens)}"]
    said = [f"{user}, {_name(n, pushes)}: {_of_push(push)}" for n, push in enumerate(pushes)]
    if any(push["state"] == "accepted" for push in pushes):
        said.insert(0, f"{user} did not answer within {rang}.")
    else:
        said.insert(0, f"No phone of {user}'s could be reached.")
    return said


def _why_nobody(tokens: Sequence[Row]) -> str:
    if not tokens:
        return "no phone is registered for this user."
    retired = [token for token in tokens if token["retired_at"]]
    if len(retired) == len(tokens):
        last = max(retired, key=lambda token: token["retired_at"])
        why = of_retired(last["retired_reason"], service_of_token(last["kind"]))
        return f"every token is retired; the last one {_day(last['retired_at'])}, because {why}."
    return "the phones that are registered now were not at that time."


def _name(n: int, pushes: Sequence[Row]) -> str:
    if pushes[n]["device_name"]:
        return isolated(str(pushes[n]["device_name"]))
    if len(pushes) == 1:
        return f"the phone whose token ends in {pushes[n]['ending']}"
    place = ORDINALS[n] if n < len(ORDINALS) else f"{n + 1}th"
    return f"the {place} phone"


def _of_push(push: Row) -> str:
    service, reason = service_of_token(push["kind"]), push["reason"]
    meaning = f" ({SAID[reason]})" if reason in SAID else ""
    match push["state"]:
        case "accepted" if push["unavailable_at"]:
            return f"{service} took the push, and the phone said that it could not ring."
        case "accepted" if push["delivered_at"]:
            return f"it rang; nobody answered.{_of_report(push['report'])}"
        case "accepted":
            said = f"{service} took the push; whether the phone was on, {service} does not tell."
            return f"{said}{_of_report(push['report'])}"
        case "refused" if reason in UNSENT:
            return f"nothing was sent: {UNSENT[reason]}."
        case "refused":
            end = "."
            if push["retired_at"]:
                end = f"; the token was retired {_day(push['retired_at'])}."
            return f"{service} said {reason or push['status']}{meaning}{end}"
        case "expired":
            tries = "one try" if push["attempts"] == 1 else f"{push['attempts']} tries"
            return f"time was up after {tries}: {of_push(reason) if reason else 'no answer'}."
        case "dropped":
            return f"nothing was sent: {of_push(reason) if reason else 'the ring was over'}."
    return "the push is still on its way."


def _of_report(report: dict[str, bool] | None) -> str:
    said = hindrances(report)
    return f" {said}" if said else ""


def _day(at: datetime) -> str:
    return f"on {at:%A, %-d %B}"
