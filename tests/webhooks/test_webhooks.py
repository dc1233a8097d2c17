"""Webhooks: signed, in order per call, for a day, to public addresses only."""

import asyncio
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from standardwebhooks import WebhookVerificationError

from app.core.delivery import WebhookState
from app.core.webhook_retry import RESTS_FROM
from app.infra.ids import uuid7
from app.infra.safe_http import SafeHttp
from app.webhooks import publish
from app.webhooks.backlog import condition, measure
from app.webhooks.dispatcher import WebhookDispatcher, free_orphans
from app.webhooks.endpoints import Endpoint
from tests.chance import dice
from tests.e2e.house import Tenant, eventually, new_tenant
from tests.events.schemas import data_faults, faults
from tests.houses import HouseMaker, new_webhook_dispatcher
from tests.webhooks.receiver import Receiver, receiving


async def webhook(tenant: Tenant, url: str, *events: str) -> dict[str, Any]:
    answer = await tenant.api.post("/v1/webhooks", json={"url": url, "events": events or ["*"]})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert made["secret"].startswith("whsec_")
    return made


async def whole_call(tenant: Tenant, name: str) -> dict[str, Any]:
    """A call with seven events."""
    await tenant.phone("bob", "b1")
    call = await tenant.ring("bob", id=name)
    assert (await tenant.act(call, "accept", "bob", "b1")).status_code == 200
    assert (await tenant.act(call, "end")).status_code == 200
    return call


EVENTS_OF_A_CALL = [
    "call.started",
    "ring.started",
    "ring.settled",
    "member.joined",
    "call.active",
    "call.ended",
]


async def moved(tenant: Tenant, hours: float) -> None:
    """The clock goes on by so many hours, as far as webhooks can tell."""
    for table, columns in (
        ("deliveries", ("created_at", "due_at")),
        ("webhooks", ("failing_since", "resting_until")),
        ("webhook_secrets", ("expires_at",)),
    ):
        sets = ", ".join(f"{one} = {one} - make_interval(secs => :s)" for one in columns)
        await tenant.execute(
            f"UPDATE {table} SET {sets} WHERE tenant_id = :t", t=tenant.id, s=hours * 3600
        )


async def due_now(tenant: Tenant) -> None:
    """What waits for its next try, or for its endpoint, waits no longer.

    No day passes meanwhile, as it would by an hour at each look: then a delivery is given up.
    """
    await tenant.execute(
        "UPDATE deliveries SET due_at = least(due_at, clock_timestamp()) "
        "WHERE tenant_id = :t AND state = 'pending'",
        t=tenant.id,
    )
    await tenant.execute(
        "UPDATE webhooks SET resting_until = clock_timestamp() "
        "WHERE tenant_id = :t AND resting_until > clock_timestamp()",
        t=tenant.id,
    )


async def in_state(tenant: Tenant, state: str) -> int:
    rows = await tenant.rows(
        "SELECT 1 FROM deliveries WHERE tenant_id = :tenant AND state = :state", state=state
    )
    return len(rows)


async def test_every_event_arrives_in_order_and_verified(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, receiver.url)
        call = await whole_call(backend, "one")
        webhook_dispatcher.wake()
        posts = await receiver.wait_for(6)
        bodies = [post.verified(made["secret"]) for post in posts]
        assert [body["type"] for body in bodies] == EVENTS_OF_A_CALL
        assert [fault for body in bodies for fault in faults(body)] == []
        assert [body["seq"] for body in bodies] == [1, 2, 3, 4, 5, 6]
        assert {body["session_id"] for body in bodies} == {call["session_id"]}
        assert {body["cid"] for body in bodies} == {"default:one"}
        assert [body["id"] for body in bodies] == [post.headers["webhook-id"] for post in posts]
        with pytest.raises(WebhookVerificationError):
            posts[0].verified("whsec_" + "A" * 43 + "=")
        assert posts[0].headers["content-type"] == "application/json"


async def test_filters_and_several_endpoints(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as every, receiving() as some, receiving() as one:
        await webhook(backend, every.url)
        await webhook(backend, some.url, "call.*")
        await webhook(backend, one.url, "ring.settled", "credential.expiring")
        await whole_call(backend, "one")
        webhook_dispatcher.wake()
        await every.wait_for(6)
        assert [p.data["type"] for p in await some.wait_for(3)] == [
            "call.started",
            "call.active",
            "call.ended",
        ]
        assert [p.data["type"] for p in await one.wait_for(1)] == ["ring.settled"]
        async with backend.runtime.database.transaction() as session:
            event = {
                "id": uuid7(),
                "tenant_id": backend.id,
                "type": "credential.expiring",
                "at": datetime.now(UTC),
                "data": {"days": 7},
            }
            await publish.tenant_events(session, [event])
        webhook_dispatcher.wake()
        alarm = (await one.wait_for(2))[1].data
        assert (alarm["type"], alarm["data"]) == ("credential.expiring", {"days": 7})
        assert "session_id" not in alarm
        assert len(some.posts) == 3


async def all_in(backend: Tenant, state: str) -> bool:
    return await in_state(backend, state) == 60


async def rests(backend: Tenant, receiver: Receiver, before: int) -> bool:
    """Whether the endpoint has failed once more, and is left alone since."""
    (row,) = await backend.rows("SELECT failures FROM webhooks WHERE tenant_id = :tenant")
    failed = len(receiver.posts) > before and row["failures"] >= RESTS_FROM
    return failed and await all_in(backend, "pending")


async def test_down_for_an_hour_and_none_is_lost(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, receiver.url)
        receiver.status = 503
        for n in range(10):
            await whole_call(backend, f"c{n}")
        for _ in range(4):  # an outage costs one try a minute at most, however much waits
            before = len(receiver.posts)
            await webhook_dispatcher.look()
            await eventually(lambda before=before: rests(backend, receiver, before))
            await moved(backend, 15 / 60)
        assert len(receiver.posts) < 40
        assert await all_in(backend, "pending")
        receiver.status = 200
        await webhook_dispatcher.look()
        posts = await receiver.wait_for(60, 10)
        assert len(posts) == 60
        by_call: dict[str, list[int]] = defaultdict(list)
        for post in posts:
            body = post.verified(made["secret"])
            by_call[body["session_id"]].append(body["seq"])
        assert list(by_call.values()) == [[1, 2, 3, 4, 5, 6]] * 10
        await eventually(lambda: all_in(backend, "delivered"))
        found = (await backend.api.get(f"/v1/webhooks/{made['id']}")).json()
        assert (found["failures"], found["failing_since"]) == (0, None)


async def test_order_per_call_while_some_tries_fail(backend: Tenant) -> None:
    chance = dice(3)
    couriers = [await new_webhook_dispatcher(backend) for _ in range(2)]
    async with receiving() as receiver:
        receiver.answer = lambda _: 500 if chance.random() < 0.2 else 200
        receiver.delay = 0.002
        await webhook(backend, receiver.url)
        await asyncio.gather(*(whole_call(backend, f"c{n}") for n in range(20)))

        async def all_delivered() -> bool:
            await due_now(backend)
            for one in couriers:
                one.wake()
            return await in_state(backend, "delivered") == 120

        await eventually(all_delivered)
        told: dict[str, list[int]] = defaultdict(list)
        for post in receiver.taken:
            told[post.data["session_id"]].append(post.data["seq"])
        assert list(told.values()) == [[1, 2, 3, 4, 5, 6]] * 20
        assert len(receiver.posts) > 120
    await asyncio.gather(*(one.stop(1) for one in couriers))


async def test_a_dead_workers_claims_are_taken_over(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        receiver.delay = 30
        await webhook(backend, receiver.url, "call.started")
        await backend.ring("bob")
        dead = await new_webhook_dispatcher(backend)
        dead.wake()
        await eventually(lambda: _some(receiver.posts))
        await dead._tasks.stop()  # as SIGKILL does: nothing is given back
        await dead._outbound.close()
        receiver.delay = 0
        of_dead = {"w": dead._worker_id}
        await backend.execute(
            "UPDATE workers SET alive_until = clock_timestamp() WHERE id = :w", **of_dead
        )
        await free_orphans(backend.runtime)
        assert await in_state(backend, "sending") == 1  # late, and not condemned
        await backend.execute(
            "UPDATE workers SET dead_at = clock_timestamp() WHERE id = :w", **of_dead
        )
        await free_orphans(backend.runtime)
        assert await in_state(backend, "pending") == 1
        late = WebhookDispatcher(backend.runtime, dead._worker_id, SafeHttp(allow_private=True))
        assert await late._claim() == ([], None)  # the condemned one, thawed
        await late.stop(1)
        await webhook_dispatcher.look()
        posts = await receiver.wait_for(2)
        assert posts[0].headers["webhook-id"] == posts[1].headers["webhook-id"]


async def _some(posts: list[Any]) -> bool:
    return bool(posts)


async def test_secrets_rotate_with_overlap(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, receiver.url, "call.started")
        answer = await backend.api.post(f"/v1/webhooks/{made['id']}/rotate", json={"overlap": 3600})
        fresh = answer.json()["secret"]
        await backend.ring("bob", id="during")
        webhook_dispatcher.wake()
        (post,) = await receiver.wait_for(1)
        post.verified(made["secret"], fresh)
        assert len(post.headers["webhook-signature"].split(" ")) == 2
        await moved(backend, 2)
        await backend.ring("bob", id="after")
        webhook_dispatcher.wake()
        post = (await receiver.wait_for(2))[1]
        post.verified(fresh)
        with pytest.raises(WebhookVerificationError):
            post.verified(made["secret"])


async def test_two_secrets_sign_at_most(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, receiver.url, "call.started")
        url = f"/v1/webhooks/{made['id']}/rotate"
        first = (await backend.api.post(url, json={"overlap": 3600})).json()["secret"]
        second = (await backend.api.post(url, json={"overlap": 3600})).json()["secret"]
        await backend.ring("bob")
        webhook_dispatcher.wake()
        (post,) = await receiver.wait_for(1)
        post.verified(first, second)
        with pytest.raises(WebhookVerificationError):
            post.verified(made["secret"])
        third = (await backend.api.post(url, json={"overlap": 0})).json()["secret"]
        await backend.ring("bob", id="later")
        webhook_dispatcher.wake()
        post = (await receiver.wait_for(2))[1]
        post.verified(third)
        with pytest.raises(WebhookVerificationError):
            post.verified(second)


async def test_a_tenant_has_twenty_webhooks_at_most_however_it_asks(backend: Tenant) -> None:
    asked = await asyncio.gather(
        *(
            backend.api.post("/v1/webhooks", json={"url": f"http://127.0.0.1:9/{n}"})
            for n in range(24)
        )
    )
    assert sorted(one.status_code for one in asked) == [201] * 20 + [409] * 4
    assert len((await backend.api.get("/v1/webhooks")).json()["webhooks"]) == 20


async def test_who_is_behind_is_told(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, "http://127.0.0.1:9/hooks", "call.*")
        await webhook(backend, receiver.url, "webhook.behind")
        await backend.ring("bob")
        await measure(backend.runtime.database)
        assert age() < 60
        await moved(backend, 1)
        for _ in range(2):  # told once
            await measure(backend.runtime.database)
        assert age() > 3_600
        webhook_dispatcher.wake()
        (post,) = await receiver.wait_for(1)
        assert post.data["data"]["webhook_id"] == made["id"]
        events = await backend.rows("SELECT type FROM tenant_events WHERE tenant_id = :tenant")
        assert [row["type"] for row in events] == ["webhook.behind"]


def endpoint(**changed: Any) -> Endpoint:
    known = {"id": uuid7(), "state": WebhookState.ACTIVE, "events": ["*"], "failures": 0, **changed}
    return Endpoint(**{name: known.get(name) for name in Endpoint.__match_args__})


def age() -> float:
    """The metric of who is well."""
    value = REGISTRY.get_sample_value("ringline_webhook_oldest_due_seconds", {"endpoints": "well"})
    assert value is not None
    return value


@pytest.mark.parametrize(
    ("changed", "waits", "stands"),
    [
        ({}, None, "unused"),
        ({"succeeded_at": datetime(2026, 1, 1, tzinfo=UTC)}, None, "working"),
        ({"succeeded_at": datetime(2026, 1, 1, tzinfo=UTC)}, 3_600, "behind"),
        ({"failures": 1}, 3_600, "failing"),
        ({"events": ["call.statred"]}, None, "never"),  # kept by an older version
        ({"events": ["call.statred", "call.*"]}, None, "unused"),
        ({"state": WebhookState.DISABLED}, None, "off"),
    ],
)
def test_how_a_webhook_stands(changed: dict[str, Any], waits: float | None, stands: str) -> None:
    found = endpoint(**changed)
    assert condition(found, None if waits is None else timedelta(seconds=waits)) == stands


async def test_an_endpoint_that_fails_for_a_day_is_disabled(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as broken, receiving() as well:
        made = await webhook(backend, broken.url, "call.*")
        await webhook(backend, well.url, "webhook.disabled")
        broken.status = 500
        call = await backend.ring("bob", id="one")

        async def tried(times: int) -> bool:
            rows = await backend.rows(
                "SELECT 1 FROM deliveries WHERE webhook_id = :w AND state = 'pending'"
                " AND attempts = :n",
                w=made["id"],
                n=times,
            )
            return bool(rows)

        for n in range(1, 3):
            webhook_dispatcher.wake()
            await eventually(lambda n=n: tried(n))
            await moved(backend, 13)
        webhook_dispatcher.wake()
        alarm = (await well.wait_for(1))[0].data
        assert alarm["type"] == "webhook.disabled"
        assert alarm["data"]["webhook_id"] == made["id"]
        assert alarm["data"]["reason"] == "failing_for_a_day"
        found = (await backend.api.get(f"/v1/webhooks/{made['id']}")).json()
        assert (found["state"], found["disabled_reason"]) == ("disabled", "failing_for_a_day")
        (told,) = await backend.rows(
            "SELECT data FROM tenant_events WHERE tenant_id = :tenant AND type = 'webhook.disabled'"
        )
        assert data_faults("webhook.disabled", told["data"]) == []
        await backend.act(call, "end")  # not kept for who is disabled
        assert await in_state(backend, "pending") == 0
        # by hand: on again, and the one that was given up once more
        broken.status = 204
        answer = await backend.api.patch(f"/v1/webhooks/{made['id']}", json={"enabled": True})
        assert answer.json()["state"] == "active"
        listed = (
            await backend.api.get(f"/v1/webhooks/{made['id']}/deliveries?state=failed")
        ).json()
        event = listed["deliveries"][0]["event_id"]
        answer = await backend.api.post(f"/v1/webhooks/{made['id']}/deliveries/{event}/resend")
        assert answer.status_code == 202
        webhook_dispatcher.wake()
        await broken.wait_for(1)
        url = f"/v1/webhooks/{made['id']}/attempts?event_id={event}"

        async def logged() -> bool:  # it is written after it was received
            return len((await backend.api.get(url)).json()["attempts"]) == 4

        await eventually(logged)
        log = (await backend.api.get(url)).json()
        assert [one["status"] for one in log["attempts"]] == [204, 500, 500, 500]
        assert log["attempts"][1]["answer"] == "thanks"


async def test_gone_disables_at_once(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, receiver.url, "call.*")
        receiver.status = 410
        await backend.ring("bob")
        webhook_dispatcher.wake()

        async def disabled() -> bool:
            found = (await backend.api.get(f"/v1/webhooks/{made['id']}")).json()
            return found["disabled_reason"] == "gone"

        await eventually(disabled)


async def failed_with(tenant: Tenant, error: str) -> bool:
    rows = await tenant.rows(
        "SELECT error FROM deliveries WHERE tenant_id = :tenant AND state = 'pending'"
        " AND attempts > 0"
    )
    return bool(rows) and rows[0]["error"] == error


async def test_redirects_are_not_followed(
    backend: Tenant, webhook_dispatcher: WebhookDispatcher
) -> None:
    async with receiving() as receiver, receiving() as private:
        receiver.status, receiver.headers = 307, f"Location: {private.url}\r\n"
        await webhook(backend, receiver.url, "call.started")
        await backend.ring("bob")
        webhook_dispatcher.wake()
        await eventually(lambda: failed_with(backend, "redirect"))
        assert not private.posts


async def test_bodies_and_time_are_bounded(backend: Tenant) -> None:
    webhook_dispatcher = await new_webhook_dispatcher(
        backend, SafeHttp(allow_private=True, within=0.5)
    )
    async with receiving() as endless, receiving() as silent:
        endless.endless, silent.delay = True, 30
        first = await webhook(backend, endless.url, "call.started")
        second = await webhook(backend, silent.url, "call.started")
        await backend.ring("bob")
        webhook_dispatcher.wake()

        async def both() -> bool:
            rows = await backend.rows(
                "SELECT webhook_id, answer, error FROM delivery_attempts WHERE tenant_id = :tenant"
            )
            found = {str(row["webhook_id"]): row for row in rows}
            return len(found) == 2 and (
                len(found[first["id"]]["answer"]) == 1_000
                and found[second["id"]]["error"] == "timeout"
            )

        await eventually(both)
    await webhook_dispatcher.stop(1)


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"url": "ftp://example.com"}, "invalid_url"),
    ({"url": "https://"}, "invalid_url"),
    ({"url": "https://me:pw@example.com/"}, "invalid_url"),
    ({"url": "http://example.com/"}, "https_required"),
    ({"url": "https://127.0.0.1/"}, "private_address"),
    ({"url": "https://[::ffff:10.0.0.1]/"}, "private_address"),
    ({"url": "https://localhost/"}, "private_address"),
    ({"url": "https://localhost./"}, "private_address"),
    ({"url": "https://１２７。０。０。１/"}, "private_address"),
    ({"url": "https://[::1"}, "invalid_url"),
    ({"url": "https://example.com:99999/"}, "invalid_url"),
    ({"url": "https://example.com/\r\nX: 1"}, "invalid_url"),
    ({"url": "https://example.com/\0"}, "invalid_text"),
    ({"url": "https://example.com/", "events": []}, "no_events"),
    ({"url": "https://example.com/", "events": ["call.statred"]}, "unknown_event"),
    ({"url": "https://example.com/", "events": ["*", "cal.*"]}, "unknown_event"),
    ({"url": "https://example.com/", "events": ["call"]}, "unknown_event"),
    ({"url": "https://example.com/", "events": ["Call.Started"]}, "unknown_event"),
    ({"url": "https://example.com/", "event": ["call.*"]}, "unknown_field"),
)


async def test_what_is_refused(tenant: Tenant) -> None:
    for body, code in REFUSED:
        answer = await tenant.api.post("/v1/webhooks", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code), body
        assert (await tenant.api.get("/v1/webhooks")).json() == {"webhooks": []}, body


async def test_an_address_in_another_script_is_kept_as_it_is_sent_to(tenant: Tenant) -> None:
    made = await webhook(tenant, "https://bücher.example/hooks/ü")
    assert made["url"] == "https://xn--bcher-kva.example/hooks/%C3%BC"
    path = f"/v1/webhooks/{made['id']}"
    changed = await tenant.api.patch(path, json={"url": "https://例え。example/"})
    assert changed.json()["url"] == "https://xn--r8jz45g.example/"
    refused = await tenant.api.patch(path, json={"url": "https://example.com:0/"})
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_url")
    assert refused.json()["detail"].startswith("url: port: ")


async def test_webhooks_by_api(tenant: Tenant) -> None:
    made = await webhook(tenant, "https://hooks.example.com/one", "call.*")
    path = f"/v1/webhooks/{made['id']}"
    assert (await tenant.api.get(path)).json() == {k: v for k, v in made.items() if k != "secret"}
    changed = await tenant.api.patch(path, json={"description": "ours", "events": ["*"]})
    assert (changed.json()["description"], changed.json()["events"]) == ("ours", ["*"])
    assert (await tenant.api.patch(path, json={"enabled": False})).json()["state"] == "disabled"
    log = (await tenant.api.get("/v1/audit")).json()["audit"]
    assert [one["action"] for one in log[:3]] == ["webhook.change"] * 2 + ["webhook.create"]
    user = await tenant.api.get("/v1/webhooks", headers=tenant.as_user("bob"))
    assert user.status_code == 403
    async with new_tenant(tenant.house) as other:
        assert (await other.api.get(path)).status_code == 404
        assert (await other.api.delete(path)).status_code == 404
    assert (await tenant.api.delete(path)).status_code == 204
    assert (await tenant.api.get(path)).json()["code"] == "webhook_not_found"


@pytest.mark.parametrize("field", ["url", "events", "description", "enabled"])
async def test_a_change_to_null_is_refused_and_changes_nothing(tenant: Tenant, field: str) -> None:
    made = await webhook(tenant, "https://example.com/hooks")
    there = f"/v1/webhooks/{made['id']}"
    before = (await tenant.api.get(there)).json()
    answer = await tenant.api.patch(there, json={"description": "another", field: None})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["field"], error["code"]) == (field, "invalid_field")
    assert "null" in error["detail"]
    assert (await tenant.api.get(there)).json() == before
    assert (await tenant.api.patch(there, json={})).json() == before


async def test_pages_of_deliveries(backend: Tenant, webhook_dispatcher: WebhookDispatcher) -> None:
    async with receiving() as receiver:
        made = await webhook(backend, receiver.url)
        await whole_call(backend, "one")
        webhook_dispatcher.wake()
        await receiver.wait_for(6)
        seen: list[str] = []
        cursor = None
        while True:
            answer = await backend.api.get(
                f"/v1/webhooks/{made['id']}/deliveries",
                params={"limit": 4, **({"cursor": cursor} if cursor else {})},
            )
            seen += [one["event_id"] for one in answer.json()["deliveries"]]
            cursor = answer.json()["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 6


async def test_a_real_worker_delivers_on_a_kick(make_house: HouseMaker) -> None:
    house = make_house(workers=1, RINGLINE_WEBHOOK_ALLOW_PRIVATE="true")
    async with new_tenant(house) as tenant, receiving() as receiver:
        made = await webhook(tenant, receiver.url)
        loop = asyncio.get_running_loop()
        for n in range(5):
            began = loop.time()
            await tenant.ring("bob", id=f"c{n}")
            posts = await receiver.wait_for(2 * n + 2)
            print(f"first event after {(posts[2 * n].at - began) * 1000:.0f} ms")
        for post in posts:
            post.verified(made["secret"])


async def test_a_private_endpoint_is_refused_by_a_real_worker(tenant: Tenant) -> None:
    """As when its name resolves to something else than when it was saved."""
    made = await webhook(tenant, "https://hooks.example.com/")
    async with receiving() as receiver:
        receiver_url = receiver.url.replace("127.0.0.1", "localhost")
        await tenant.execute(
            "UPDATE webhooks SET url = :u WHERE id = :w", u=receiver_url, w=made["id"]
        )
        await tenant.ring("bob")
        await eventually(lambda: failed_with(tenant, "private_address"))
        assert receiver.connections == 0
