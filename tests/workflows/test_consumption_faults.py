"""After every fault the ERP's stock is the opening and what was used, to the unit."""

from __future__ import annotations

import asyncio
import itertools
from datetime import timedelta
from typing import Any

import pytest

from canonical.errors import Malformed, Rejected, Unavailable
from canonical.stock import RoundKey
from tests.workflows.conftest import Workers
from tests.workflows.location_stories import a_location_whose_erp_went_between_two_documents
from tests.workflows.place import Place


async def test_an_erp_that_is_away_is_asked_until_it_answers_and_what_came_meanwhile_is_drained(place: Place) -> None:
    place.erp.down = True
    place.use()
    await place.wake()
    await place.until(lambda: bool(place.cases.in_trouble), "it waits for the ERP")
    (trouble,) = place.cases.in_trouble.values()
    assert (trouble.case, trouble.system, trouble.step) == (place.id, "erp", "post_round")
    assert place.id in place.cases.current, "and is there to be seen"
    place.use(500)
    for _ in range(3):
        await place.wake()
    place.erp.down = False
    await place.posted(501)
    assert place.used() == 501 and place.rounds() == [1, 200, 200, 100]
    await place.until(lambda: not place.cases.in_trouble, "it does not wait any more")


async def test_an_erp_that_is_away_for_an_hour_is_asked_until_it_answers_and_the_hour_is_drained(place: Place) -> None:
    """An hour of the case's own clock; twenty uses a minute come meanwhile."""
    place.erp.down = True
    place.use()
    await place.wake(skipping=True)
    await place.until(lambda: bool(place.cases.in_trouble), "it waits for the ERP")
    for _ in range(4):
        await place.skipper.fast_forward(place.handle, timedelta(minutes=15))
        place.use(300)
        await place.wake(skipping=True)
    assert place.used() == 0 and place.rounds() == [1]
    place.erp.down = False
    await place.posted(1201)
    assert place.used() == 1201 and place.rounds() == [1, *[200] * 6]
    took = [row.as_of for _, row in sorted(place.shelf.rounds.items()) if row.events]
    waited, *apart = [later - earlier for earlier, later in itertools.pairwise(took)]
    assert waited >= timedelta(hours=1)
    assert all(one < timedelta(minutes=1) for one in apart), f"{apart} apart: a full round waits for nobody"
    await place.until(lambda: not place.cases.in_trouble, "it does not wait any more")


async def test_an_answer_of_the_erp_that_is_lost_moves_nothing_twice(place: Place) -> None:
    place.erp.lost["post_stock"] = 2
    place.use(7)
    await place.wake()
    await place.posted(7)
    assert place.used() == 7


@pytest.mark.parametrize("policy", [{"step_timeout": 1}])
async def test_what_the_erp_commits_after_our_time_out_is_found_by_the_next_try(
    place: Place, policy: dict[str, Any]
) -> None:
    post, tries = place.erp.post_stock, 0

    async def late(posting: Any) -> Any:
        nonlocal tries
        tries += 1
        done = await post(posting)
        if tries == 1:
            await asyncio.sleep(30)
        return done

    place.erp.post_stock = late  # type: ignore[method-assign]
    place.use(3)
    await place.wake()
    await place.posted(3)
    assert place.used() == 3 and tries > 1  # more than two where a busy machine takes longer than the second's time-out


async def test_what_the_erp_does_long_after_it_was_asked_is_done_once(place: Place) -> None:
    place.erp.late["post_stock"] = 1
    place.use(3)
    await place.wake()
    await place.posted(3)
    place.erp.arrive()
    assert place.used() == 3


async def test_a_line_the_erp_refuses_is_parked_and_the_others_are_posted(place: Place) -> None:
    place.erp.put_in(place.location, "ITM-1001", -999_998)  # two are left
    place.use(3)
    await place.wake()
    await place.until(lambda: bool(place.book.parked), "one is parked")
    assert place.used() == 2 and len(place.book.posted_events) == 2
    assert set(place.book.parked.values()) == {"not in the ERP's stock"}


async def test_what_the_erp_refuses_is_put_aside_and_the_next_round_goes_on(place: Place) -> None:
    place.erp.refuse["post_stock"] = "the period is closed"
    refused = place.use(3)
    await place.wake()
    await place.until(lambda: len(place.book.parked) == 3, "put aside")
    assert place.book.parked == dict.fromkeys(refused, "the period is closed") and place.used() == 0
    del place.erp.refuse["post_stock"]
    place.use(2)
    await place.wake()
    await place.posted(2)
    assert place.used() == 2


async def test_a_round_that_no_erp_is_there_for_is_put_aside_as_a_whole(place: Place) -> None:
    place.say_no("this facility has no ERP")
    place.use(3)
    await place.wake()
    await place.until(lambda: len(place.book.parked) == 3, "put aside")
    (no,) = place.book.refused
    assert (no.key.round, no.code, no.reason) == (1, "configuration", "this facility has no ERP")
    assert place.book.posted_events == [] and place.used() == 0
    place.say_no("")
    place.use(2)
    await place.wake()
    await place.posted(2)
    assert place.used() == 2


async def test_of_a_round_that_ends_between_two_documents_what_the_erp_has_booked_stands(place: Place) -> None:
    await a_location_whose_erp_went_between_two_documents(place)
    assert len(place.book.posted_events) == 1 == place.used()
    (left,) = place.book.parked
    assert place.book.parked[left] == "this facility has no ERP"
    assert [one.need for one in place.book.begun] == [place.book.needs[1][0].id], "and what it needs is asked for"
    place.say_no("")
    again = place.use()  # a person lets the one that was put aside be posted
    await place.wake()
    await place.posted(2)
    assert place.book.posted_events[1:] == again and place.used() == 2, "each is used once"


async def test_an_answer_of_the_erp_nobody_can_read_is_asked_for_again(place: Place) -> None:
    """It may have done what it was asked."""
    post, tries = place.erp.post_stock, 0

    async def in_other_words(posting: Any) -> Any:
        nonlocal tries
        tries += 1
        done = await post(posting)
        if tries == 1:
            raise Malformed("no such field", system="erp")
        return done

    place.erp.post_stock = in_other_words  # type: ignore[method-assign]
    place.use(2)
    await place.wake()
    await place.posted(2)
    assert (place.used(), place.book.parked) == (2, {}) and tries > 1


async def fails_after(place: Place, step: str) -> None:
    """The step does its work, and its worker is gone before it could say so."""
    done, cut = getattr(place.book, step), 0

    async def once(*given: Any) -> Any:
        nonlocal cut
        result = await done(*given)
        cut += 1
        if cut == 1:
            raise Unavailable("killed")
        return result

    setattr(place.book, step, once)


@pytest.mark.parametrize("step", ["take", "postings", "posted", "record", "refuse"])
async def test_a_step_that_was_done_and_not_answered_is_done_once(place: Place, step: str) -> None:
    place.say_no("this facility has no ERP" if step == "refuse" else "")
    await fails_after(place, step)
    place.use(4)
    await place.wake()
    if step == "refuse":
        await place.until(lambda: len(place.book.parked) == 4, "put aside")
        return
    await place.posted(4)
    assert place.used() == 4 and place.rounds() == [4]


@pytest.mark.parametrize("step", ["take", "postings", "post_stock", "posted", "record"])
async def test_a_worker_killed_in_a_step_leaves_a_round_that_another_ends(
    place: Place, workers: Workers, cached: int, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker stops within the step, before or after it took effect, and a new one goes on from the history."""
    holder = place.erp if step == "post_stock" else place.book
    done, reached, never = getattr(holder, step), asyncio.Event(), asyncio.Event()

    async def stands_still(*given: Any) -> Any:
        result = await done(*given)
        if not reached.is_set():
            reached.set()
            await never.wait()
        return result

    monkeypatch.setattr("workers.temporal.GRACE", 0.1)
    setattr(holder, step, stands_still)
    place.use(4)
    await place.wake()
    async with asyncio.timeout(120):
        await reached.wait()
    await workers.stop()
    setattr(holder, step, done)
    await workers.serve(cached)
    await place.posted(4)
    assert place.used() == 4 and place.rounds() == [4]


async def test_our_own_store_saying_no_stops_the_case_where_everybody_sees_it_and_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no(_: RoundKey) -> None:
        raise Rejected("a constraint of the table", system="store")

    with monkeypatch.context() as broken:
        broken.setattr(place.book, "record", no)
        place.use()
        await place.wake()
        async with asyncio.timeout(120):
            while (await place.handle.describe()).raw_description.pending_workflow_task.attempt < 2:
                await asyncio.sleep(0.1)
    await place.posted(1)
    assert place.used() == 1
