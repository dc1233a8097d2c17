"""Phones of Bob's, and a small server for them."""

import contextlib

import pytest_asyncio

from devkit.phone import HandFed, Identity, Phone, Step, Timing, shared_client
from tests.devkit.phone.server import SmallRingline, running

FAST = Timing(watchdog=0.15, grace=0.05, heartbeat=0.05, retry=0.01, reconnect=0.02, reorder=0.1)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def web():
    async with running() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client():
    async with shared_client() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def ringline(web):
    small = SmallRingline(web.url)
    web.app = small.app()
    yield small
    small.close()


@pytest_asyncio.fixture(loop_scope="module")
async def phones(ringline, client):
    """`await phones("dev")`: a phone of Bob's that is fed by hand; `phone.source.feed(push)`."""
    made = []
    async with contextlib.AsyncExitStack() as stack:

        async def make(device="dev", *, user="bob", logged_in=True, profile="ringline", **more):
            identity = Identity(
                user,
                f"user:{user}" if logged_in else None,
                device_id=device,
                profile=profile,
            )
            more = {"timing": FAST, "client": client, **more}
            source = HandFed()
            phone = Phone(identity, api=ringline.url, source=source, **more)
            await stack.enter_async_context(phone)
            phone.source = source
            made.append(phone)
            return phone

        yield make
    faults = [fault.detail for phone in made for fault in phone.log.of(Step.FAULT)]
    assert faults == []
