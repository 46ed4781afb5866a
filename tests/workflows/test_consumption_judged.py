"""Locations' cases at work with the rules: what is judged, taken back, moved, brought or bought ends right in the ERP's books."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from temporalio.service import RPCError

from canonical.base import case_id
from canonical.parties import Location
from canonical.stock import StockLevel
from canonical.supply import Item
from canonical.usage import UsageEvent, UsagePolicy
from tests import build
from tests.fakes.erp import FakeErp
from tests.fakes.usage import FakeUsage
from tests.workflows.case import PATIENCE
from tests.workflows.conftest import Workers
from tests.workflows.place import Place
from workers.loops.usage_wakes import UsageWakes
from workers.usage_waker import TemporalWaker

NOW = datetime.now(UTC)
OPENING = 100


class Ward:
    """Three locations with shelves, a warehouse among them, and the loop that wakes them."""

    def __init__(self, place: Place, book: FakeUsage, erp: FakeErp) -> None:
        self.place, self.book, self.erp = place, book, erp
        self.theatre, self.other, self.store = (build.unique(name) for name in ("OR-", "OR-", "WH-"))
        centre = {"cost_centre": "CC-4100"}
        self.put(*(build.location(code, **centre) for code in (self.theatre, self.other, self.store)))
        self.put(Item(code="VALVE", tracking="implant", chargeable=True))
        self.put(UsagePolicy(facility=build.FACILITY, department="surgery", requester="E-REQ", bill_to="BILLING"))
        for location in (self.theatre, self.other, self.store):
            self.opening(location, "ITM-1001", OPENING)
        self.opening(self.theatre, "VALVE", 1, serial="S-1", expires=date(2040, 1, 1))

    def put(self, *records: Any) -> None:
        self.place.register.put(*records)

    def opening(
        self, location: str, item: str, quantity: int, *, serial: str = "", expires: date | None = None
    ) -> None:
        self.book.opening(location, item, quantity, "", serial, expires)
        self.erp.put_in(location, item, quantity, serial, expires)

    async def use(self, number: str, item: str = "ITM-1001", location: str = "", **fields: Any) -> str:
        """A use is kept; its state then."""
        event = UsageEvent(
            facility=build.FACILITY,
            source="orsys",
            number=number,
            location=location or self.theatre,
            item=item,
            used_at=NOW,
            procedure="p-1",
            **fields,
        )
        (kept,) = await self.book.keep([event], "M-1", "ORSYS")
        return kept.state

    async def void(self, number: str, of: str) -> str:
        return await self.use(number, "", kind="void", voids_number=of)

    def state(self, number: str) -> str:
        return self.book.states()[number]

    async def until(self, true: Callable[[], bool], what: str) -> None:
        """The loop wakes whoever is due until it is so."""
        wakes = UsageWakes(self.book, TemporalWaker(self.place.client, self.place.settings))
        try:
            async with asyncio.timeout(PATIENCE):
                while not true():
                    await wakes.once()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"not so: {what}; {self.book.states()}") from None

    async def all_are(self, *state: str) -> None:
        await self.until(lambda: set(self.book.states().values()) <= set(state), f"all are {state}")

    def agree(self, location: str, item: str = "ITM-1001") -> int:
        """How many are there, by our books and by the ERP's, which say the same."""
        ours = self.book.on_hand(location, item)
        theirs = sum(there for (code, _), there in self.erp.stock(location).items() if code == item)
        assert ours == theirs, f"{location}: {ours} by our books, {theirs} by the ERP's"
        return ours

    async def stop(self) -> None:
        for location in (self.theatre, self.other, self.store):
            name = case_id("consumption_to_replenishment", build.FACILITY, location)
            with contextlib.suppress(RPCError):
                await self.place.client.get_workflow_handle(name).terminate("the test is over")


@pytest.fixture
async def ward(place: Place, workers: Workers) -> AsyncIterator[Ward]:
    book = workers.book.behind = FakeUsage(place.register)
    ward = Ward(place, book, place.erp)
    yield ward
    await ward.stop()


async def test_after_a_day_of_uses_and_voids_both_books_say_the_opening_less_what_stands(ward: Ward) -> None:
    for number in range(20):
        await ward.use(f"A{number}", amount=2)
        await ward.use(f"B{number}", location=ward.other)
    await ward.void("V-early", "LATER")
    await ward.void("V-before", "A0")
    await ward.all_are("posted", "voided", "parked")
    await ward.void("V-after", "A1")
    await ward.use("LATER", amount=3)
    await ward.use("A2", amount=2)  # comes twice
    await ward.all_are("posted", "voided")
    assert {number for number, state in ward.book.states().items() if state == "voided"} == {
        *("A0", "V-before", "A1", "LATER", "V-early")
    }
    assert ward.agree(ward.theatre) == OPENING - 18 * 2 and ward.agree(ward.other) == OPENING - 20


async def test_two_uses_of_the_last_one_at_once_move_it_once_and_the_other_waits_for_a_person(ward: Ward) -> None:
    await ward.use("1", "VALVE", serial="S-1", expires=date(2040, 1, 1))
    await ward.use("2", "VALVE", serial="S-1", expires=date(2040, 1, 1))
    await ward.all_are("posted", "review", "parked")
    assert ward.state("1") == "posted" and ward.state("2") in ("review", "parked")
    assert ward.agree(ward.theatre, "VALVE") == 0
    assert [(one.event, one.kind) for one in ward.book.charges] == [("U00000001", "charge")]


async def test_what_is_expired_or_unknown_is_parked_and_holds_up_nothing(ward: Ward) -> None:
    ward.book.block("ITM-1002")
    await ward.use("expired", lot="L-1", expires=date(2020, 1, 1))
    await ward.use("unknown", "NOBODY-KNOWS")
    await ward.use("recalled", "ITM-1002")
    await ward.use("fine")
    await ward.until(lambda: ward.state("fine") == "posted", "the fine one is posted")
    assert {ward.state(number) for number in ("expired", "unknown", "recalled")} == {"parked"}
    assert ward.agree(ward.theatre) == OPENING - 1


async def test_a_location_that_moved_hands_its_events_and_its_stock_over_and_its_case_ends(ward: Ward) -> None:
    await ward.use("1")
    await ward.all_are("posted")
    ward.put(Location(code=ward.theatre, facility=build.FACILITY, cost_centre="CC-4100", moved_to=ward.other))
    await ward.use("2")
    await ward.all_are("posted")
    handle = ward.place.client.get_workflow_handle(
        case_id("consumption_to_replenishment", build.FACILITY, ward.theatre)
    )
    async with asyncio.timeout(PATIENCE):
        ended = await handle.result()
    assert ended["business_state"] == f"moved to {ward.other}"
    assert ward.agree(ward.theatre) == 0 and ward.agree(ward.other) == 2 * OPENING - 2
    await ward.use("3")  # a sender that was not told
    await ward.all_are("posted")
    assert ward.agree(ward.theatre) == 0 and ward.agree(ward.other) == 2 * OPENING - 3


async def test_a_location_that_is_renamed_keeps_its_case_and_its_stock_in_the_middle_of_its_uses(ward: Ward) -> None:
    handle = ward.place.client.get_workflow_handle(
        case_id("consumption_to_replenishment", build.FACILITY, ward.theatre)
    )
    await ward.use("1")
    await ward.all_are("posted")
    before = (await handle.describe()).run_id
    await ward.use("2")
    ward.put(Location(code=ward.theatre, facility=build.FACILITY, cost_centre="CC-4100", name="Theatres 1 to 4"))
    await ward.use("3")
    await ward.all_are("posted")
    assert (await handle.describe()).run_id == before
    assert ward.agree(ward.theatre) == OPENING - 3


async def test_a_location_whose_stock_the_erp_does_not_move_stays_open_and_asks_no_more_than_it_is_woken(
    ward: Ward,
) -> None:
    ward.put(Location(code=ward.theatre, facility=build.FACILITY, cost_centre="CC-4100", moved_to=ward.other))
    ward.erp.block_lot("ITM-1001", "")
    await ward.use("1", "VALVE", serial="S-1", expires=date(2040, 1, 1))
    case = case_id("consumption_to_replenishment", build.FACILITY, ward.theatre)
    await ward.until(lambda: bool(ward.book.rounds), "a round was taken")
    current, moving = ward.place.cases.current, f"moving to {ward.other}"
    await ward.place.until(lambda: case in current and current[case].business_state == moving, "it is shown to move")
    await asyncio.sleep(2)
    assert sum(place[1] == ward.theatre for place in ward.book.rounds) == 1
    assert current[case].business_state == moving
    assert ward.agree(ward.theatre) == OPENING


async def test_below_par_it_is_brought_from_the_warehouse_by_the_next_round(ward: Ward) -> None:
    kept = {"facility": build.FACILITY, "location": ward.theatre, "item": "ITM-1001", "par": OPENING, "package": 1}
    ward.put(StockLevel.model_validate(kept | {"supply": "warehouse", "warehouse": ward.store}))
    await ward.use("1", amount=30)
    await ward.all_are("posted")
    await ward.until(lambda: ward.book.on_hand(ward.theatre, "ITM-1001") == OPENING, "it is full again")
    assert ward.agree(ward.theatre) == OPENING and ward.agree(ward.store) == OPENING - 30


async def test_below_par_it_is_bought_once_until_it_has_come(ward: Ward) -> None:
    kept = {"facility": build.FACILITY, "location": ward.theatre, "item": "ITM-1001", "par": OPENING, "package": 10}
    ward.put(StockLevel.model_validate(kept | {"supply": "purchase"}))
    await ward.use("1", amount=30)
    await ward.until(lambda: any(need.case for need in ward.book.needs.values()), "a requisition is under way")
    await ward.use("2", amount=30)
    await ward.all_are("posted")
    (need,) = ward.book.needs.values()
    assert (need.quantity, need.state) == (30, "ordered")
    assert need.case.startswith(f"procure_to_pay/{build.FACILITY}/replenishment/")
    await ward.place.until(lambda: need.case in ward.place.cases.current, "it is shown")
    assert ward.place.cases.current[need.case].business_state not in ("conflict", "duplicate", "unreadable")
