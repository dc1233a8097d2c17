"""Workers of a kind: one that sends webhooks and no more, one that does all but that."""

from app import doctor
from tests.e2e.house import House, eventually, new_tenant
from tests.houses import HouseMaker
from tests.webhooks.receiver import receiving


async def test_each_kind_does_its_part_and_leaves_the_other_alone(make_house: HouseMaker) -> None:
    house = make_house(workers=0, RINGLINE_WEBHOOK_ALLOW_PRIVATE="true")
    start(house, "webhooks")
    async with new_tenant(house) as tenant, receiving() as receiver:
        body = {"url": receiver.url, "events": ["call.started"]}
        assert (await tenant.api.post("/v1/webhooks", json=body)).status_code == 201
        phone = await tenant.phone("bob")
        refused = await tenant.api.get("/readyz")
        assert (refused.status_code, refused.json()["code"]) == (503, "no_worker")
        await tenant.ring("bob", id="one")
        await receiver.wait_for(1)
        assert house.sim.arrivals(phone.voip) == []

        start(house, "pushes")
        await house.sim.arrived(1, token=phone.voip)
        house.workers[0].stop()
        await tenant.ring("bob", id="two")
        await house.sim.arrived(2, token=phone.voip)
        assert len(receiver.posts) == 1, "who pushes only has sent a webhook"

        async def doctor_says() -> bool:
            said = await doctor._rows(tenant.runtime.database)
            return any("No worker sends webhooks" in one.found for one in said)

        await eventually(doctor_says)  # the one that was stopped is alive until its lease is over

        house.workers[1].stop()
        start(house, "webhooks")
        posts = await receiver.wait_for(2)
        assert [one.data["cid"] for one in posts] == ["default:one", "default:two"]


def start(house: House, only: str) -> None:
    house.extra["RINGLINE_WORKER_ONLY"] = only
    house.start(workers=1)
