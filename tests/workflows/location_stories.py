"""One life of a stock location for each way its case goes: played by tests, and once more to record the histories replayed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from temporalio import workflow

from canonical.errors import Unavailable
from canonical.stock import Need, RoundKey, StockPosted
from tests import build
from tests.workflows.place import Place

Story = Callable[[Place], Awaitable[None]]


def a_need(number: str, **fields: object) -> Need:
    """Something to be bought, with the requisition that asks for it."""
    asked = build.requisition(build.line("1", "ITM-1001", "3 BX"), source="replenishment", number=number)
    named = {"id": number, "facility": build.FACILITY, "location": "OR-1", "item": "ITM-1001", "quantity": 30}
    return Need.model_validate(named | {"supply": "purchase", "requisition": asked.model_dump_json()} | fields)


async def a_quiet_location(place: Place) -> None:
    for number in range(1, 4):
        place.use()
        await place.wake()
        await place.posted(number)


async def a_busy_location(place: Place) -> None:
    place.book.per_second, place.book.fuller_after = 3.0, 1
    place.use(2)
    await place.wake()
    await place.posted(2)
    place.use(300)
    await place.posted(302)
    place.book.per_second = 0.0
    await place.until(lambda: place.said()[-1] == "in use", "quiet again")


async def a_location_the_erp_refuses(place: Place) -> None:
    place.erp.refuse["post_stock"] = "the period is closed"
    place.use(2)
    await place.wake()
    await place.until(lambda: len(place.book.parked) == 2, "put aside")
    del place.erp.refuse["post_stock"]
    place.say_no("this facility has no ERP")
    place.use()
    await place.wake()
    await place.until(lambda: len(place.book.refused) == 1, "put aside as a whole")
    place.say_no("")
    place.use()
    await place.wake()
    await place.posted(1)


async def a_location_whose_erp_went_between_two_documents(place: Place) -> None:
    place.book.apart, place.book.needs = True, {1: (a_need(build.unique("N")),)}
    kept = place.book.posted

    async def then_it_is_gone(key: RoundKey, posting: str, outcome: StockPosted) -> None:
        await kept(key, posting, outcome)
        if not outcome.refused:
            place.say_no("this facility has no ERP")
            raise Unavailable("the worker was killed")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(place.book, "posted", then_it_is_gone)
        place.use(2)
        await place.wake()
        await place.until(lambda: len(place.book.begun) == 1, "what is left is put aside, what it needs is asked for")


async def a_location_that_is_replenished(place: Place) -> None:
    bought, moved = a_need(build.unique("N")), a_need(build.unique("N"), supply="warehouse", requisition="")
    place.book.needs = {1: (bought, moved), 2: (bought,)}
    for number in (1, 2):
        place.use()
        await place.wake()
        await place.posted(number)
    await place.until(
        lambda: len(place.book.begun) == 1 + (2 in place.shelf.rounds and len(place.rounds()) > 1), "noted"
    )


async def a_location_that_moved_away(place: Place) -> None:
    place.use()
    await place.wake()
    await place.posted(1)
    place.book.moved_to = "OR-9"
    await place.wake()
    assert (await place.result()).business_state == "moved to OR-9"


async def a_location_nobody_knows(place: Place) -> None:
    await place.start_raw(b"{}", case="consumption_to_replenishment/NGH/" + build.unique("NOWHERE-"))
    assert (await place.result()).business_state == "unknown location"


async def a_location_used_for_long(place: Place) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            workflow.Info, "is_continue_as_new_suggested", lambda run: run.get_current_history_length() > 60
        )
        first = await place.wake()
        number = 0
        while (await place.handle.describe()).run_id == first:
            place.use()
            number += 1
            await place.wake()
            await place.posted(number)
        place.use()
        await place.wake()
        await place.posted(number + 1)
    assert place.used() == number + 1


STORIES: tuple[Story, ...] = (
    a_quiet_location,
    a_busy_location,
    a_location_the_erp_refuses,
    a_location_whose_erp_went_between_two_documents,
    a_location_that_is_replenished,
    a_location_that_moved_away,
    a_location_nobody_knows,
    a_location_used_for_long,
)
