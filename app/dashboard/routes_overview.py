"""Page: how a tenant's rings fare, over an hour, a day or a week."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from app.core.delivery import WebhookState
from app.core.words import UNSENT, of_push
from app.credentials import service as credentials
from app.credentials.schemas import credential_out
from app.dashboard import charts, store_counts, store_lists, words
from app.dashboard.access import TenantPage, Viewer
from app.dashboard.pages import BASE, PageRoute, render
from app.infra import clock
from app.push import worker_store
from app.webhooks import limited
from app.webhooks import service as webhook

router = APIRouter(prefix=BASE + "/t/{tenant_id}", route_class=PageRoute, include_in_schema=False)
SPANS = {
    "hour": (timedelta(hours=1), timedelta(minutes=1), "%H:%M"),
    "day": (timedelta(days=1), timedelta(minutes=30), "%H:%M"),
    "week": (timedelta(days=7), timedelta(hours=3), "%a %H:%M"),
}
NEED_A_HAND = ("failing", "expired", "expiring", "unproven", "requested")
KINDS = {"accepted": ("Accepted", "good"), "refused": ("Refused", "bad"),
         "unsent": ("Not sent", "warn"), "expired": ("Too late", "warn"),
         "dropped": ("Not needed any more", "plain"),
         "pending": ("Waiting", "live"), "sending": ("On its way", "live")}  # fmt: skip


@router.get("")
async def overview(request: Request, place: Viewer, span: str = "hour") -> Response:
    """Rings, answers, the time to Apple's acceptance, and what needs a hand."""
    span = span if span in SPANS else "hour"
    numbers = await _numbers(place, span)
    rows = [
        credential_out(row, clock.now())
        for row in await credentials.list_all(place.runtime, place.id)
    ]
    hands = [row for row in rows if row["health"] in NEED_A_HAND]
    hooks = [
        row
        for row in await webhook.every(place.runtime, place.id)
        if row.failures or row.state is not WebhookState.ACTIVE
    ]
    return render(
        request, "overview.html",
        span=span, spans=list(SPANS), hands=hands,
        hooks=hooks, has_credentials=bool(rows), **numbers,
    )  # fmt: skip


async def _numbers(place: TenantPage, span: str) -> dict[str, Any]:
    length, step, form = SPANS[span]
    async with place.runtime.database.autocommit() as session:
        now = clock.now()
        since = _aligned(now - length + step, step)
        counted = await store_counts.counted_until(session)
        # were the counting far behind, the rest of it would be too much to count here
        edge = max(counted or since, now - timedelta(minutes=10), since)
        rows = [
            *await store_counts.counts(
                session, place.id, since, min(counted or since, edge), step.total_seconds()
            ),
            *await store_counts.fresh(session, place.id, edge, now),
        ]
        live = await store_lists.live_calls(session, place.id)
        limits = await limited.lately(session, place.id)
        workers = await worker_store.live_workers(session)
    return _drawn(rows, since, now, step, form) | {
        "live": live,
        "limits": limits,
        "workers": workers,
        "behind": counted is not None and now - counted > timedelta(minutes=15),
    }


def _aligned(at: datetime, step: timedelta) -> datetime:
    seconds = step.total_seconds()
    return datetime.fromtimestamp(at.timestamp() // seconds * seconds, UTC)


def _drawn(
    rows: list[Any], since: datetime, now: datetime, step: timedelta, form: str
) -> dict[str, Any]:
    times: dict[datetime, dict[str, float]] = {}
    at = since
    while at <= now:
        times[at] = defaultdict(float)
        at += step
    took: dict[int, float] = defaultdict(float)
    pushes: dict[str, float] = defaultdict(float)
    for row in rows:
        count = float(row["count"])
        if row["what"] == "ring":
            place = since + (row["minute"] - since) // step * step
            if place in times:
                times[place][row["name"]] += count
        elif row["what"] == "took":
            took[int(row["name"])] += count
        else:
            pushes[row["name"]] += count
    rings = [(f"{at:{form}}", sum(n.values()), n["accepted"]) for at, n in times.items()]
    outcomes: dict[str, float] = defaultdict(float)
    for counts in times.values():
        for name, count in counts.items():
            outcomes[name] += count
    by_count = sorted(pushes.items(), key=lambda one: -one[1])
    settled = sum(count for name, count in outcomes.items() if name != "ringing")
    return {
        "rings": charts.stacked(rings),
        "ring_rows": [row for row in rings if row[1]],
        "outcomes": dict(outcomes),
        "total": sum(outcomes.values()),
        "per_minute": sum(outcomes.values()) / ((now - since).total_seconds() / 60),
        "answered": outcomes["accepted"] / settled if settled else None,
        "took": charts.histogram(took),
        "p50": charts.percentile(took, 0.5),
        "p99": charts.percentile(took, 0.99),
        "pushes": _by_outcome(pushes),
        "push_rows": [(_in_words(name), count) for name, count in by_count],
    }


def _in_words(name: str) -> str:
    """`refused: no_credential` as a person says it."""
    state, _, reason = name.partition(": ")
    tag = words.push_tag(state, reason)[1]
    return f"{tag}: {of_push(reason)}" if reason else tag


def _by_outcome(pushes: dict[str, float]) -> list[dict[str, Any]]:
    summed: dict[str, float] = defaultdict(float)
    for name, count in pushes.items():
        state, _, reason = name.partition(": ")
        summed["unsent" if state == "refused" and reason in UNSENT else state] += count
    return charts.shares([(*KINDS[name], summed[name]) for name in KINDS if summed.get(name)])
