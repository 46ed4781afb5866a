"""What UsageBook promises of needs and of what is brought, whoever keeps them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from canonical.parties import Location
from canonical.purchasing import Requisition
from canonical.shelves import Parcel
from canonical.stock import NeedStarted, RoundRefusal
from canonical.supply import Item, Packaging, SupplierItem
from canonical.usage import UsagePolicy
from tests.store.usage_house import NOW, House, level, use, void

PAR = level("OR-1", "SUTURE", par=24)


def bin_empty(number: str, item: str = "SUTURE") -> Any:
    return use(number, item, kind="empty-bin")


def asked(need: dict[str, Any]) -> Requisition:
    """The requisition of a need, however it is kept."""
    wire = need["requisition"]
    return Requisition.model_validate_json(wire) if isinstance(wire, str) else Requisition.model_validate(wire)


class NeedsContract:
    async def test_below_par_one_requisition_fills_it_up_in_whole_order_units(self, house: House) -> None:
        await house.stock.put(PAR)
        await house.stock.opening("OR-1", "SUTURE", 24)
        await house.keep(use("1", "SUTURE", 2))
        (need,) = (await house.round()).needs
        assert (need.quantity, need.supply, need.location) == (12, "purchase", "OR-1")
        requisition = Requisition.model_validate_json(need.requisition)
        assert (requisition.source, requisition.number) == ("replenishment", need.id)
        assert (requisition.department, requisition.requester) == ("materials", "E-700")
        assert (requisition.cost_centre, requisition.deliver_to) == ("CC-4100", "OR-1")
        (line,) = requisition.lines
        assert (line.item, str(line.quantity)) == ("SUTURE", "12 EA")
        assert not requisition.after_use
        (kept,) = await house.stock.needs()
        assert (kept["state"], kept["case"]) == ("ordered", requisition.case_id) and asked(kept) == requisition

    async def test_an_open_order_suppresses_a_second_until_it_came(self, house: House) -> None:
        await house.stock.put(PAR)
        await house.stock.opening("OR-1", "SUTURE", 24)
        await house.keep(use("1", "SUTURE", 12))
        (first,) = (await house.round()).needs
        await house.keep(use("2", "SUTURE", 12))
        assert (await house.round()).needs == ()
        await house.stock.came(first.id, Parcel(12))
        key, taken = await house.take()
        (posting,) = await house.post(key)
        assert taken.supplies == 1 and posting.key == f"{key.key}/transfer/{first.id}"
        assert (posting.kind, posting.from_location, posting.lines[0].quantity) == ("transfer", None, 12)
        (second,) = (await house.book.record(key)).needs
        assert second.quantity == 12 and await house.total("SUTURE") == 12
        assert [need["state"] for need in await house.stock.needs()] == ["received", "open"]
        assert (await house.take())[1].empty, "what was put away is not put away again"

    async def test_what_came_in_part_is_put_away_by_its_lots_as_it_comes(self, house: House) -> None:
        await house.stock.put(level("OR-1", "SCREW", par=20))
        await house.stock.opening("OR-1", "SCREW", 20, lot="L-0")
        await house.keep(use("1", "SCREW", 20, lot="L-0"))
        (need,) = (await house.round()).needs
        await house.stock.came(need.id, Parcel(8, "L-1", expires=date(2027, 1, 31)))
        await house.round()
        await house.stock.came(need.id, Parcel(5, "L-0"), Parcel(9, "L-1", expires=date(2027, 1, 31)), Parcel(6))
        await house.round()
        there = await house.stock.on_hand("OR-1", "SCREW")
        assert there == {("L-0", ""): 5, ("L-1", ""): 9, ("", ""): 6} and await house.total("SCREW") == 20
        await house.keep(use("2", "SCREW", 11, lot="L-1"))
        await house.round()
        assert await house.state("2") == ("posted", ""), "nine of its lot and two that came without one"

    async def test_a_reorder_point_asks_only_below_it_and_then_up_to_par(self, house: House) -> None:
        lead = {"daily_use": Decimal("2.5"), "lead_days": 3, "safety": 2}
        await house.stock.put(
            level("OR-1", "GLOVE", method="reorder", par=50, supply="warehouse", warehouse="STORE", **lead)
        )
        await house.stock.opening("OR-1", "GLOVE", 30)
        await house.keep(use("1", amount=20))
        assert (await house.round()).needs == (), "10 are the point itself: 2.5 a day for 3 days and 2"
        await house.keep(use("2", amount=1))
        (need,) = (await house.round()).needs
        assert (need.quantity, need.supply, need.requisition) == (41, "warehouse", "")

    async def test_an_empty_bin_asks_for_the_other_and_moves_nothing(self, house: House) -> None:
        await house.stock.put(level("OR-1", "SUTURE", method="two-bin", bin_quantity=30))
        await house.stock.opening("OR-1", "SUTURE", 60)
        await house.keep(use("1", "SUTURE", 30))
        assert (await house.round()).needs == ()
        await house.keep(bin_empty("B-1"), bin_empty("B-2"))
        key, taken = await house.take()
        assert taken.lines == 2 and list(await house.book.postings(key)) == []
        (need,) = (await house.book.record(key)).needs
        assert need.quantity == 36 and await house.total("SUTURE") == 30 and len(house.erp.booked) == 1

    async def test_a_package_of_the_level_and_the_order_unit_are_both_kept_whole(self, house: House) -> None:
        await house.stock.put(level("OR-1", "SUTURE", par=24, package=18))
        await house.stock.opening("OR-1", "SUTURE", 24)
        await house.keep(use("1", "SUTURE"))
        (need,) = (await house.round()).needs
        assert need.quantity == 36

    async def test_a_packaging_changed_while_an_order_is_open_changes_nothing_of_it(self, house: House) -> None:
        await house.stock.put(PAR)
        await house.stock.opening("OR-1", "SUTURE", 24)
        await house.keep(use("1", "SUTURE", 12))
        (need,) = (await house.round()).needs
        await self.repacked(house)
        await house.stock.came(need.id, Parcel(12))
        await house.round()
        assert await house.total("SUTURE") == 24
        await house.keep(use("2", "SUTURE"))
        assert (await house.round()).needs[0].quantity == 10

    async def repacked(self, house: House) -> None:
        packed = (Packaging(unit="BX", base_units=10),)
        sold = SupplierItem(supplier="ALPINE", catalogue_number="A-1", order_unit="BX", packagings=packed)
        await house.stock.put(Item(code="SUTURE", chargeable=True, suppliers=(sold,)))

    async def test_without_a_requester_the_need_is_refused_and_tried_again_once_there_is_one(
        self, house: House
    ) -> None:
        await house.stock.put(PAR, UsagePolicy(facility="NGH", valid_from=date(2026, 1, 1), department="materials"))
        await house.stock.opening("OR-1", "SUTURE", 24)
        for number in ("1", "2"):
            await house.keep(use(number, "SUTURE"))
            assert (await house.round()).needs == ()
        (refused,) = await house.stock.needs()
        assert refused["state"] == "refused" and "names no requester" in refused["reason"]
        whole = {"department": "materials", "requester": "E-700", "valid_from": date(2026, 2, 1)}
        await house.stock.put(UsagePolicy(facility="NGH", **whole))
        await house.keep(use("3", "SUTURE"))
        (need,) = (await house.round()).needs
        (kept,) = await house.stock.needs()
        assert (kept["id"], kept["state"], kept["reason"]) == (need.id, "ordered", "")

    async def test_asked_again_a_need_is_started_once(self, house: House) -> None:
        await house.stock.put(PAR)
        await house.stock.opening("OR-1", "SUTURE", 24)
        await house.keep(use("1", "SUTURE"))
        (need,) = (await house.round()).needs
        await house.book.started(NeedStarted(need=need.id, case="another", as_of=NOW))
        (kept,) = await house.stock.needs()
        assert kept["case"].endswith(need.id)


class AfterUseContract:
    async def test_a_bill_only_implant_becomes_ours_is_used_and_ordered_with_lot_and_serial(self, house: House) -> None:
        await house.stock.put(level("OR-1", "VALVE", supply="bill-only", supplier="CARDIO"))
        await house.keep(use("1", "VALVE", lot="L-9", serial="S-1"))
        key, _ = await house.take()
        consign, consume = await house.post(key)
        assert (consign.key, consume.key) == (f"{key.key}/consign", f"{key.key}/consume")
        assert (consign.lines[0].lot, consign.lines[0].serial, consume.lines[0].procedure) == ("L-9", "S-1", "p-1")
        (need,) = (await house.book.record(key)).needs
        assert await house.total("VALVE") == 0 and need.quantity == 1
        requisition = Requisition.model_validate_json(need.requisition)
        (line,) = requisition.lines
        assert requisition.after_use and requisition.cost_centre == "CC-4100" and line.supplier == "CARDIO"
        assert (line.lot, line.serial, line.procedure) == ("L-9", "S-1", "p-1") and "S-1" in line.description

    async def test_each_use_is_ordered_by_itself(self, house: House) -> None:
        await house.stock.put(level("OR-1", "VALVE", supply="consignment", supplier="CARDIO", par=4))
        await house.keep(*(use(str(n), "VALVE", lot="L-9", serial=f"S-{n}", cost_centre=f"CC-{n}") for n in (1, 2)))
        needs = (await house.round()).needs
        assert [Requisition.model_validate_json(one.requisition).cost_centre for one in needs] == ["CC-1", "CC-2"]
        assert [need["event"] for need in await house.stock.needs()] == ["1", "2"]

    async def test_taken_back_before_it_is_ordered_it_is_not_ordered_and_stays_ours(self, house: House) -> None:
        await house.stock.put(level("OR-1", "VALVE", supply="bill-only", supplier="CARDIO"))
        await house.keep(use("1", "VALVE", lot="L-9", serial="S-1"))
        key, _ = await house.take()
        await house.post(key)
        await house.book.record(key)
        await house.keep(void("V", "1"))
        await house.round()
        (need,) = await house.stock.needs()
        assert (need["state"], need["reason"]) == ("cancelled", "its use was taken back")
        assert await house.total("VALVE") == 1

    async def test_taken_back_after_it_was_ordered_the_order_stands_and_its_need_says_so(self, house: House) -> None:
        await house.stock.put(level("OR-1", "VALVE", supply="bill-only", supplier="CARDIO"))
        await house.keep(use("1", "VALVE", lot="L-9", serial="S-1"))
        await house.round()
        await house.keep(void("V", "1"))
        await house.round()
        (need,) = await house.stock.needs()
        assert (need["state"], need["reason"], need["case"] != "") == ("ordered", "its use was taken back", True)

    async def test_refused_at_its_use_the_goods_are_not_made_ours_twice(self, house: House) -> None:
        await house.stock.put(level("OR-1", "VALVE", supply="bill-only", supplier="CARDIO"))
        await house.keep(use("1", "VALVE", lot="L-9", serial="S-1"))
        key, _ = await house.take()
        consign, consume = await house.book.postings(key)
        await house.book.posted(key, consign.key, house.erp.post(consign))
        house.erp.refuses.add("VALVE")
        await house.book.posted(key, consume.key, house.erp.post(consume))
        await house.book.record(key)
        assert await house.state("1") == ("parked", "refused-by-erp") and await house.total("VALVE") == 1
        house.erp.refuses.clear()
        await house.decide("1", "post")
        await house.round()
        assert await house.state("1") == ("posted", "") and await house.total("VALVE") == 0


class WarehouseContract:
    LEVEL = level("OR-1", "GLOVE", par=500, supply="warehouse", warehouse="STORE", package=100)

    async def test_a_warehouse_fills_up_what_expires_first_and_looks_at_its_own_par(self, house: House) -> None:
        screws = level("OR-1", "SCREW", par=30, supply="warehouse", warehouse="STORE")
        await house.stock.put(screws, level("STORE", "SCREW", par=40, package=10))
        await house.stock.opening("OR-1", "SCREW", 30, lot="L-0")
        for lot, expires in (("L-1", date(2027, 5, 1)), ("L-2", date(2026, 6, 1)), ("L-3", date(2026, 1, 1))):
            await house.stock.opening("STORE", "SCREW", 15, lot=lot, expires=expires)
        await house.keep(use("1", "SCREW", 20, lot="L-0"))
        await house.round()
        key, taken = await house.take()
        (posting,) = await house.post(key)
        assert taken.supplies == 1 and (posting.from_location, posting.location) == ("STORE", "OR-1")
        assert [(line.lot, line.quantity) for line in posting.lines] == [("L-2", 15), ("L-1", 5)]
        (own,) = (await house.book.record(key)).needs
        assert (own.location, own.quantity, own.supply) == ("STORE", 20, "purchase")
        assert await house.total("SCREW") == 30 and await house.total("SCREW", "STORE") == 25
        assert [need["state"] for need in await house.stock.needs()] == ["received", "open"]

    async def test_what_a_warehouse_lacks_is_back_ordered_until_it_has_more(self, house: House) -> None:
        await house.stock.put(self.LEVEL)
        await house.stock.opening("OR-1", "GLOVE", 500)
        await house.stock.opening("STORE", "GLOVE", 250)
        await house.keep(use("1", amount=450))
        await house.round()
        await house.round()
        assert await house.total("GLOVE") == 250 and await house.total("GLOVE", "STORE") == 50
        (need,) = await house.stock.needs()
        assert (need["state"], need["put_away"], need["quantity"]) == ("back-ordered", 200, 500)
        assert (await house.take())[1].empty, "it is not tried again until the warehouse has more"
        await house.keep(use("2", location="STORE", amount=1), void("V", "2"))
        await house.keep(use("3", location="STORE", amount=1))
        await house.round("STORE")
        await house.keep(void("W", "3"))
        await house.round("STORE")
        (need,) = await house.stock.needs()
        assert need["state"] == "open"

    async def test_two_locations_never_get_the_same_of_a_warehouse(self, house: House) -> None:
        other = level("OR-2", "GLOVE", par=500, supply="warehouse", warehouse="STORE", package=100)
        await house.stock.put(self.LEVEL, other)
        for location in ("OR-1", "OR-2"):
            await house.stock.opening(location, "GLOVE", 500)
            await house.keep(use(f"of {location}", location=location, amount=300))
            await house.round(location)
        await house.stock.opening("STORE", "GLOVE", 300)
        first, one = await house.take("OR-1")
        _, two = await house.take("OR-2")
        assert (one.supplies, two.supplies) == (1, 0)
        await house.keep(use("own", location="STORE"))
        _, own = await house.take("STORE")
        assert own.parked == 1, "what is on its way is not there any more"
        await house.post(first)
        await house.book.record(first)
        assert await house.total("GLOVE", "STORE") == 0 and await house.total("GLOVE") == 500

    async def test_a_transfer_the_erp_refuses_waits_for_a_person_and_is_not_tried_again(self, house: House) -> None:
        await house.stock.put(self.LEVEL)
        await house.stock.opening("OR-1", "GLOVE", 500)
        await house.stock.opening("STORE", "GLOVE", 900)
        await house.keep(use("1", amount=100))
        await house.round()
        key, taken = await house.take()
        assert taken.supplies == 1
        await house.book.refuse(RoundRefusal(key=key, reason="no such location"))
        (need,) = await house.stock.needs()
        assert (need["state"], need["reason"]) == ("refused", "no such location")
        assert (await house.take())[1].empty and await house.total("GLOVE", "STORE") == 900


class MovedContract:
    async def test_a_location_that_moved_takes_its_events_and_its_stock_along(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 40)
        await house.stock.opening("OR-1", "SCREW", 7, lot="L-1", expires=date(2027, 1, 1))
        await house.keep(use("1", amount=5))
        await self.move(house)
        key, taken = await house.take()
        assert (taken.moved_to, taken.lines, taken.supplies) == ("OR-2", 0, 1)
        (posting,) = await house.post(key)
        assert (posting.from_location, posting.location) == ("OR-1", "OR-2")
        assert (await house.stock.event("1")).location == "OR-1", "it does not go ahead of the stock"
        await house.book.record(key)
        assert await house.total("GLOVE") == 0 and await house.total("GLOVE", "OR-2") == 40
        _, last = await house.take()
        assert last.empty and last.moved_to == "OR-2"
        kept = await house.stock.event("1")
        assert (kept.location, kept.content["location"]) == ("OR-2", "OR-1")
        await house.round("OR-2")
        assert await house.state("1") == ("posted", "") and await house.total("GLOVE", "OR-2") == 35
        assert (await house.stock.on_hand("OR-2", "SCREW"))["L-1", ""] == 7

    async def test_what_is_used_while_the_stock_is_on_its_way_is_judged_when_it_has_come(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 40)
        await self.move(house)
        await house.keep(use("1", amount=5))  # by whoever has not heard of it
        key, _ = await house.take()
        await house.keep(use("2", amount=1))
        await house.round("OR-2")
        assert [await house.state(one) for one in ("1", "2")] == [("waiting", "")] * 2
        await house.post(key)
        await house.book.record(key)
        assert (await house.take())[1].empty
        await house.round("OR-2")
        assert [await house.state(one) for one in ("1", "2")] == [("posted", "")] * 2
        assert await house.total("GLOVE", "OR-2") == 34

    @pytest.mark.parametrize("whole", [False, True], ids=["a line", "the document"])
    async def test_where_the_erp_keeps_the_stock_back_its_uses_wait_no_longer(self, house: House, whole: bool) -> None:
        await house.stock.opening("OR-1", "GLOVE", 40)
        await house.keep(use("1", amount=5))
        await self.move(house)
        house.erp.refuses.add("GLOVE")
        key, taken = await house.take()
        assert taken.supplies == 1
        if whole:
            await house.book.refuse(RoundRefusal(key=key, reason="no ERP serves it", code="configuration"))
        else:
            await house.post(key)
            await house.book.record(key)
        assert await house.state("1") == ("waiting", "")
        again, _ = await house.take()
        await house.round("OR-2")
        assert await house.state("1") == ("review", "beyond-balance"), "a person sees it: the stock is not there"
        house.erp.refuses.clear()
        await house.post(again)
        await house.book.record(again)
        assert await house.total("GLOVE", "OR-2") == 40

    async def test_what_still_comes_under_the_old_code_is_the_new_ones(self, house: House) -> None:
        await self.move(house)
        await house.stock.opening("OR-2", "GLOVE", 5)
        await house.keep(use("1"))
        assert (await house.take())[1].empty
        await house.round("OR-2")
        assert await house.state("1") == ("posted", "")

    async def move(self, house: House) -> None:
        await house.stock.put(Location(code="OR-1", facility="NGH", cost_centre="CC-4100", moved_to="OR-2"))
