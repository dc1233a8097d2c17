"""What lasts too long is found by one timer, each once, whatever became of the others."""

import asyncio

from app.infra.watch import Watch
from tests.virtual_time import virtually


@virtually
async def test_what_lasts_too_long_is_told_of_once_in_order_and_what_ended_is_not() -> None:
    over: list[str] = []
    watch: Watch[str] = Watch(0.05, over.append)
    for name in ("a", "b", "c"):
        watch.begin(name)
    watch.end("b")
    await asyncio.sleep(0.03)
    watch.begin("d")
    assert (over, list(watch), "b" in watch) == ([], ["a", "c", "d"], False)
    while len(over) < 3:
        await asyncio.sleep(0.005)
    assert (over, len(watch)) == (["a", "c", "d"], 0)
    watch.begin("e")  # its timer is begun anew
    while len(over) < 4:
        await asyncio.sleep(0.005)
    assert over[3] == "e"
    watch.begin_all(["f", "g", "h"])
    watch.end("g")
    while len(over) < 6:
        await asyncio.sleep(0.005)
    assert (over[4:], len(watch)) == (["f", "h"], 0)
    watch.begin_all([])
    assert watch._timer is None


@virtually
async def test_whoever_hears_may_raise_begin_and_end_others_and_the_rest_are_told_of() -> None:
    over: list[int] = []
    loop, raised = asyncio.get_running_loop(), []
    loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))

    def tell(item: int) -> None:
        over.append(item)
        if item == 1:
            watch.end(2)
            watch.begin(9)
            raise KeyError("a bug of ours")

    watch = Watch(0.02, tell)
    for item in (1, 2, 3):
        watch.begin(item)
    while len(over) < 3:
        await asyncio.sleep(0.005)
    assert over == [1, 3, 9]
    assert [type(one) for one in raised] == [KeyError]


@virtually
async def test_after_its_close_nothing_is_told_of_that_was_begun_before() -> None:
    over: list[str] = []
    watch: Watch[str] = Watch(0.02, over.append)
    watch.begin("before")
    watch.close()
    watch.begin("after")
    while not over:
        await asyncio.sleep(0.005)
    assert over == ["after"]
