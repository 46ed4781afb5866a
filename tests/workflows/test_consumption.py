"""What is used at a location moves stock once: quiet or busy, woken too often, for years, started by hand, or moved away."""

from __future__ import annotations

import asyncio
import itertools
import time
from datetime import timedelta
from functools import partial
from types import SimpleNamespace
from typing import cast

import pytest
from temporalio import workflow
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from canonical.cases import CaseStatus
from canonical.errors import Rejected
from canonical.stock import StockPosted, StockPosting
from canonical.usage import LocationCase
from cli import successor
from tests import build
from tests.workflows import location_stories
from tests.workflows.conftest import REPLAYED
from tests.workflows.location_stories import a_need
from tests.workflows.place import Place
from workers.loops.usage_wakes import UsageWakes
from workers.temporal import sandbox
from workers.usage_waker import TemporalWaker
from workers.wiring import Wiring
from workflows.consumption_to_replenishment import ConsumptionToReplenishment


async def test_one_use_is_one_movement(place: Place) -> None:
    place.use()
    await place.wake()
    await place.posted(1)
    assert (place.used(), place.rounds()) == (1, [1])
    await place.until(lambda: place.said() == ["in use"], "the case is shown")
    assert place.change().summary == "stock of Theatre" and place.change().attention == ()
    status: CaseStatus = await place.handle.query("status", result_type=CaseStatus)
    assert (status.business_state, status.closed) == ("in use", False)


async def test_our_books_are_held_against_the_erps_before_anything_is_taken(place: Place) -> None:
    place.book.count_due, place.book.short = True, (a_need(build.unique("N")),)
    place.use()
    await place.wake()
    await place.posted(1)
    assert place.book.steps[:3] == ["take 1", "count 1", "take 1"] and len(place.book.counted) == 1
    short = place.book.short[0].id
    await place.until(lambda: short in {one.need for one in place.book.begun}, "what is short is asked for")


async def test_each_use_is_posted_as_it_comes_while_few_come(place: Place) -> None:
    for number in range(1, 5):
        place.use()
        await place.wake()
        await place.posted(number)
    assert place.rounds() == [1, 1, 1, 1] and place.used() == 4


async def test_a_round_of_a_quiet_location_is_twelve_events_and_no_record_of_the_case(place: Place) -> None:
    place.use()
    await place.wake()
    await place.posted(1)
    before = await place.events()
    for number in range(2, 12):
        place.use()
        await place.wake()
        await place.posted(number)
    await place.until(lambda: place.book.steps[-1] == "record 11", "recorded")
    each = (len(await place.events()) - len(before)) / 10
    assert each <= 12.5, f"{each} events a round"
    assert place.said() == ["in use"]


async def test_more_than_a_round_takes_goes_on_at_once(place: Place) -> None:
    place.use(450)
    await place.wake()
    await place.posted(450)
    assert place.rounds() == [200, 200, 50] and place.used() == 450


async def test_while_much_comes_rounds_are_fuller_and_nobody_has_to_wake_it(place: Place) -> None:
    place.book.per_second, place.book.fuller_after = 3.0, 10
    place.use(2)
    await place.wake(skipping=True)
    await place.posted(2)
    place.use(40)
    await place.posted(42)
    place.book.per_second = 0.2
    place.use(30)
    await place.posted(72)
    assert place.rounds() == [2, 40, 30]
    took = [row.as_of for _, row in sorted(place.shelf.rounds.items())]
    apart = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(took)]
    # By the case's clock, which runs on while a busy machine works.
    assert all(10 <= seconds < 60 for seconds in apart), f"{apart} s apart"
    assert "busy" in place.said()


async def test_wakes_sent_again_and_again_move_nothing_twice(place: Place) -> None:
    place.use(3)
    await asyncio.gather(*(place.wake() for _ in range(20)))
    await place.posted(3)
    await asyncio.gather(*(place.wake() for _ in range(20)))
    place.use()
    await place.wake()
    await place.posted(4)
    assert place.used() == 4 and await place.failed_tasks() == 0


@pytest.mark.parametrize("sent", ["nothing", "two arguments", "no JSON"])
async def test_whatever_a_wake_says_it_is_a_wake(place: Place, sent: str) -> None:
    await place.wake()
    # Once or, where a busy machine let its task time out, again: it took nothing, so it is the same round.
    await place.until(lambda: {*place.book.steps} == {"take 1"}, "looked")
    place.use()
    sendings: dict[str, list[object]] = {"nothing": [], "two arguments": [1, {"x": 2}], "no JSON": [b"\x00\xff"]}
    arguments = sendings[sent]
    await place.handle.signal("wake", args=arguments)
    await place.posted(1)
    assert await place.failed_tasks() == 0


async def test_the_loop_wakes_a_location_until_nothing_waits_there(place: Place) -> None:
    wakes = UsageWakes(place.book, TemporalWaker(place.client, place.settings))
    for many in (1, 5, 300):
        before = len(place.book.posted_events)
        place.use(many)
        async with asyncio.timeout(120):
            while len(place.book.posted_events) < before + many:
                await wakes.once()
                await asyncio.sleep(0.05)
    assert place.used() == 306


async def test_two_locations_do_not_wait_for_each_other(place: Place) -> None:
    """The ERP answers one of them late."""
    other = Place(place.client, place.settings, place.cases, place.register, place.book, place.erp)
    place.register.put(build.location(other.location))
    place.erp.put_in(other.location, "ITM-1001", 100)
    post, hold = place.erp.post_stock, asyncio.Event()

    async def slowly(posting: StockPosting) -> StockPosted:
        if posting.location == place.location:
            await hold.wait()
        return await post(posting)

    place.erp.post_stock = slowly  # type: ignore[method-assign]
    place.use()
    await place.wake()
    other.use()
    other.book.put(other.location, "other")
    await other.wake()
    await place.until(lambda: "other" in place.book.posted_events, "the other is posted")
    hold.set()
    await place.until(lambda: place.used() == 3, "both are")
    await other.stop()


# -- for years ---------------------------------------------------------------------------------------------------------


async def test_a_long_life_is_many_short_runs_and_the_rounds_count_on(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server says at thousands of events that a run is long; here it says so at 150."""
    monkeypatch.setattr(
        workflow.Info, "is_continue_as_new_suggested", lambda run: run.get_current_history_length() > 150
    )
    runs, longest = {await place.wake()}, 0
    for number in range(10, 1010, 10):
        place.use(10)
        await place.wake()
        await place.posted(number)
        described = await place.handle.describe()
        longest = max(longest, described.history_length)
        runs.add(described.run_id)
    assert len(runs) > 5 and longest < 200, f"{len(runs)} runs, {longest} events"
    assert place.used() == 1000 and place.rounds() == [10] * 100
    assert len(place.shelf.rounds) == max(place.shelf.rounds), "no number was left out or given twice"
    assert place.said() == ["in use"] * len({change.run for change in place.cases.changes})


async def test_a_wake_that_comes_as_a_run_goes_on_is_answered_and_the_runs_whole_history_replays_at_once(
    place: Place,
) -> None:
    """Wakes come without a pause, so some come while a run ends; nothing that waits is left."""
    stop = asyncio.Event()

    async def keeps_waking() -> None:
        while not stop.is_set():
            await place.wake()
            await asyncio.sleep(0.005)

    waking = asyncio.create_task(keeps_waking())
    first, number, longest = await place.wake(), 0, 0
    while (described := await place.handle.describe()).run_id == first:
        longest = described.history_length
        place.use(5)
        number += 5
        await place.posted(number)
    stop.set()
    await waking
    place.use()
    await place.wake()
    await place.posted(number + 1)
    assert place.used() == number + 1 and longest < 1000, "a run is as long as our own bound says"
    history = await place.client.get_workflow_handle(place.id, run_id=first).fetch_history()
    replayer = Replayer(
        workflows=[ConsumptionToReplenishment],
        data_converter=pydantic_data_converter,
        workflow_runner=sandbox(),
    )
    took: list[float] = []
    while not took or (min(took) >= 1.0 and len(took) < 5):  # of this process alone, and at best: the machine is busy
        began = time.process_time()
        await replayer.replay_workflow(history)
        took.append(time.process_time() - began)
    assert min(took) < 1.0, f"{len(history.events)} events were replayed in {min(took):.2f} s"


# -- who starts it -----------------------------------------------------------------------------------------------------

LIES = {
    "nothing": b"",
    "no JSON": b"OR-1 please",
    "another location": LocationCase(facility="NGH", location="ELSEWHERE").model_dump_json().encode(),
    "a round far ahead": LocationCase(facility="NGH", location="OR-1", round=10**9).model_dump_json().encode(),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("data", LIES.values(), ids=LIES)
async def test_what_a_start_says_has_no_effect(place: Place, data: bytes) -> None:
    place.use(2)
    await place.start_raw(data)
    await place.posted(2)
    assert place.rounds() == [2] and next(iter(place.shelf.rounds)) == 1 and await place.failed_tasks() == 0


async def test_a_run_begun_afresh_goes_on_where_our_store_says_it_stands(place: Place) -> None:
    for number in range(1, 4):
        place.use()
        await place.wake()
        await place.posted(number)
    recorded = place.book.steps.count("record 1")  # once, or again where a busy machine let its task time out
    await place.handle.terminate("a test")
    place.use()
    await place.wake()
    await place.posted(4)
    assert [number for number, row in place.shelf.rounds.items() if row.events] == [1, 2, 3, 4]
    assert place.book.steps.count("record 1") == recorded > 0


async def test_a_stopped_location_goes_on_by_case_resume(place: Place) -> None:
    place.use()
    await place.wake()
    await place.posted(1)
    await place.handle.terminate("a test")
    place.use()
    wiring = cast(Wiring, SimpleNamespace(stock=SimpleNamespace(waker=TemporalWaker(place.client, place.settings))))
    begin = await successor._ways(place.id)(wiring, place.id)
    assert await begin() == (await place.handle.describe()).run_id
    await place.posted(2)
    with pytest.raises(Rejected, match="not the case of a location"):
        await successor._ways("consumption_to_replenishment/NGH")(wiring, "consumption_to_replenishment/NGH")


NOT_OURS = (
    "consumption_to_replenishment/NGH/NOWHERE",
    "consumption_to_replenishment/NGH",
    "consumption_to_replenishment/a b/c/d",
)


@pytest.mark.parametrize("name", NOT_OURS)
async def test_a_location_nobody_knows_is_listed_and_its_run_ends(place: Place, name: str) -> None:
    await place.start_raw(b"{}", case=name)
    ended = await place.result()
    assert (ended.business_state, ended.closed) == ("unknown location", True)
    (listed,) = place.cases.unmatched.values()
    assert (listed.kind, listed.case) == ("run", name) and "register does not have" in listed.reason
    assert place.cases.current == {} and place.book.steps == []


async def test_a_location_the_register_lost_is_served_while_something_waits_there(place: Place) -> None:
    place.register.records = [one for one in place.register.records if getattr(one, "code", "") != place.location]
    place.use()
    await place.wake()
    await place.posted(1)


async def test_a_case_cancelled_in_temporal_ends_its_round_first_and_the_next_wake_begins_it_again(
    place: Place,
) -> None:
    post, hold = place.erp.post_stock, asyncio.Event()

    async def held(posting: StockPosting) -> StockPosted:
        await hold.wait()
        return await post(posting)

    place.erp.post_stock = held  # type: ignore[method-assign]
    place.use()
    await place.wake()
    await place.until(lambda: "take 1" in place.book.steps, "taken")
    await place.handle.cancel()
    hold.set()
    await place.posted(1)
    place.use()
    await place.until_ended()
    await place.wake()
    await place.posted(2)
    assert place.used() == 2


# -- what follows ------------------------------------------------------------------------------------------------------


async def test_what_is_to_be_bought_becomes_one_requisition_also_when_it_is_asked_for_twice(place: Place) -> None:
    need, other = a_need(build.unique("N")), a_need(build.unique("N"))
    place.book.needs = {1: (need, other), 2: (need,)}
    for number in (1, 2):
        place.use()
        await place.wake()
        await place.posted(number)
    await place.until(lambda: len(place.book.begun) == 3, "all are noted")
    cases = {one.case for one in place.book.begun}
    assert cases == {f"procure_to_pay/NGH/replenishment/{one.id}" for one in (need, other)}
    for case in cases:
        await place.until(partial(place.cases.current.__contains__, case), f"{case} is under way")
        assert place.cases.current[case].business_state != "duplicate"
    await place.handle.terminate("the location's case is stopped")
    for case in cases:
        described = await place.client.get_workflow_handle(case).describe()
        assert described.status is not None and described.status.name in ("RUNNING", "COMPLETED")


async def test_what_comes_from_a_warehouse_is_moved_by_the_next_round_at_once(place: Place) -> None:
    need = a_need(build.unique("N"), supply="warehouse", requisition="")
    place.book.needs = {1: (need,)}
    place.use()
    await place.wake()
    await place.until(lambda: "take 2" in place.book.steps, "looked again without a wake")
    assert place.book.begun == []


async def test_a_location_that_moved_ends_when_nothing_of_it_is_left(place: Place) -> None:
    place.use()
    await place.wake()
    await place.posted(1)
    place.book.moved_to = "OR-9"
    place.use()
    await place.wake()
    await place.posted(2)
    await place.wake()
    ended = await place.result()
    assert (ended.business_state, ended.closed) == ("moved to OR-9", True)
    assert place.change().closed
    place.book.moved_to = ""
    place.use()
    await place.wake()
    await place.posted(3)
    await place.until(lambda: not place.change().closed, "shown as open again")


async def test_a_location_stays_open_for_as_long_as_nothing_comes(place: Place) -> None:
    place.use()
    await place.wake(skipping=True)
    await place.posted(1)
    await place.skipper.fast_forward(place.handle, timedelta(days=40))
    before = len(await place.events())
    place.use()
    await place.wake(skipping=True)
    await place.posted(2)
    assert before < 30, "time alone costs nothing"


@pytest.mark.parametrize("cached", [REPLAYED])
@pytest.mark.parametrize("story", location_stories.STORIES, ids=lambda story: story.__name__)
async def test_every_life_of_a_location_is_lived_when_each_step_is_replayed(
    place: Place, story: location_stories.Story
) -> None:
    await story(place)
    assert await place.failed_tasks() == 0
