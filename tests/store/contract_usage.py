"""What UsageInbox and UsageBook promise of events and rounds, whoever keeps them: the same suite for our store and for the fake."""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest

from canonical.errors import Malformed, Rejected
from canonical.stock import RoundRefusal, StockPosted
from canonical.udi import Udi
from canonical.usage import UsagePolicy, UsageRule
from tests.store.usage_house import NOW, House, level, round_, use, void


class KeepingContract:
    async def test_an_event_is_kept_once_however_often_it_comes(self, house: House) -> None:
        assert await house.keep(use("1"), use("1")) == ["new", "same"]
        assert await house.keep(use("1"), use("2")) == ["same", "new"]
        assert await house.keep(use("1", amount="1.000")) == ["same"], "the same in other digits"
        assert await house.state("1") == ("waiting", "")

    async def test_other_content_under_a_known_name_is_a_conflict_for_a_person(self, house: House) -> None:
        await house.keep(use("1"))
        assert await house.keep(use("1", amount=2)) == ["conflict"]
        assert await house.keep(use("1", amount=2)) == ["conflict"]
        assert await house.stock.conflicts() == 1 and (await house.stock.event("1")).event.amount == 1

    async def test_what_waits_for_a_person_takes_what_its_message_says_now_and_goes_on(self, house: House) -> None:
        await house.stock.opening("OR-2", "GLOVE", 5)
        await house.keep(use("1", location="ATTIC"), void("V", "1", location="ATTIC"), message="m-1")
        (before,) = [await house.stock.event("1")]
        assert before.state == "parked"
        assert await house.keep(use("1", location="OR-2", amount=2), message="m-1") == ["new"]
        after = await house.stock.event("1")
        assert (after.id, after.state, after.finding, after.reason, after.owner) == (before.id, "waiting", "", "", "")
        assert (after.location, (await house.stock.event("V")).location) == ("OR-2", "OR-2")
        assert after.event.amount == 2
        assert await house.stock.conflicts() == 0
        assert await house.keep(use("1", location="OR-2", amount=2), message="m-1") == ["same"]

    async def test_a_correction_of_its_message_mends_a_use_and_any_other_message_is_a_conflict(
        self, house: House
    ) -> None:
        await house.keep(use("1", location="ATTIC"), message="m-1")
        assert await house.keep(use("1"), message="m-2") == ["conflict"]
        assert await house.keep(use("1", location="CELLAR"), message="m-3", corrects="m-1") == ["new"]
        mended = await house.stock.event("1")
        assert (mended.state, mended.message) == ("parked", "m-3") and "CELLAR" in mended.reason
        assert await house.keep(use("1"), message="m-4", corrects="m-3") == ["new"]
        assert await house.state("1") == ("waiting", "")

    async def test_what_nobody_asked_about_is_never_taken_anew_and_one_message_says_a_thing_once(
        self, house: House
    ) -> None:
        assert await house.keep(use("1"), use("1", amount=3), message="m-1") == ["new", "conflict"]
        assert await house.keep(use("1", amount=2), message="m-1") == ["conflict"]
        assert await house.keep(use("2", location="ATTIC"), use("2"), message="m-2") == ["new", "conflict"]
        assert await house.state("2") == ("parked", "unknown-location")

    async def test_a_sequence_and_a_source_are_part_of_the_name(self, house: House) -> None:
        assert await house.keep(use("1"), use("1", sequence=2, amount=2), use("1", source="lab")) == ["new"] * 3

    async def test_the_encounter_is_never_kept_and_the_opaque_procedure_is(self, house: House) -> None:
        await house.keep(use("1", encounter="VISIT-CANARY", procedure="p-77"))
        kept = await house.stock.event("1")
        assert "CANARY" not in kept.model_dump_json() and kept.procedure == "p-77"

    async def test_a_location_nobody_knows_is_parked_at_once(self, house: House) -> None:
        await house.keep(use("1", location="ATTIC"), use("2", location=""))
        for number in ("1", "2"):
            kept = await house.stock.event(number)
            assert (kept.state, kept.finding, kept.owner) == ("parked", "unknown-location", "materials management")
        assert "ATTIC" in (await house.stock.event("1")).reason

    async def test_its_location_said_by_a_person_it_goes_on_there(self, house: House) -> None:
        await house.stock.opening("OR-2", "GLOVE", 5)
        await house.keep(use("1", location="ATTIC"))
        with pytest.raises(Rejected, match="not in the register"):
            await house.decide("1", "post")
        corrected = await house.decide("1", "correct", location="OR-2")
        assert (corrected.state, corrected.location, corrected.content["location"]) == ("waiting", "OR-2", "ATTIC")
        await house.round("OR-2")
        assert await house.state("1") == ("posted", "") and await house.total("GLOVE", "OR-2") == 4

    async def test_a_void_that_comes_before_its_use_waits_for_it(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 5)
        await house.keep(void("V", "1", location=""))
        assert await house.state("V") == ("parked", "unknown-use")
        await house.keep(use("1"))
        freed = await house.stock.event("V")
        assert (freed.state, freed.location) == ("waiting", "OR-1")
        _, taken = await house.take()
        assert taken.lines == 0
        assert await house.state("V") == ("voided", "") and await house.state("1") == ("voided", "")
        assert await house.total("GLOVE") == 5


class RoundContract:
    async def test_a_use_moves_stock_by_base_units_and_is_charged(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 500)
        await house.stock.opening("OR-1", "SUTURE", 9)
        await house.keep(use("1", amount=2, unit="BX"), use("2", "SUTURE", 3), use("3", "SUTURE", chargeable=False))
        key, taken = await house.take()
        assert (taken.lines, taken.parked, taken.waiting) == (3, 0, 0)
        (posting,) = await house.post(key)
        assert posting.key == f"{key.key}/consume"
        assert [(line.item, line.quantity, line.cost_centre) for line in posting.lines] == [
            ("GLOVE", 200, "CC-4100"),
            ("SUTURE", 3, "CC-4100"),
            ("SUTURE", 1, "CC-4100"),
        ]
        one = await house.stock.event("1")
        assert posting.lines[0].key == f"{key.key}/consume/GLOVE//{one.id}"
        assert (await house.book.record(key)).posted == 3
        assert (await house.total("GLOVE"), await house.total("SUTURE")) == (300, 5)
        assert await house.stock.charges() == [("2", "charge", "BILLING")]
        kept = await house.stock.event("1")
        assert (kept.state, kept.quantity, kept.service_line) == ("posted", 200, "surgery")

    async def test_a_round_asked_for_again_is_the_same_after_each_of_its_steps(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 10)
        await house.keep(use("1", amount=4))
        key, taken = await house.take()
        await house.keep(use("2", amount=4))
        assert await house.book.take(key) == taken
        first = await house.book.postings(key)
        assert await house.book.postings(key) == first
        outcome = house.erp.post(first[0])
        await house.book.posted(key, first[0].key, outcome)
        await house.book.posted(key, first[0].key, StockPosted())
        assert list(await house.book.postings(key)) == []
        recorded = await house.book.record(key)
        assert await house.book.record(key) == recorded and await house.book.take(key) == taken
        await house.book.refuse(RoundRefusal(key=key, reason="late"))
        assert await house.state("1") == ("posted", "") and await house.total("GLOVE") == 6
        assert (await house.round()).posted == 1 and await house.total("GLOVE") == 2
        assert await house.book.take(key) == taken, "also once it is long over"

    async def test_a_round_is_not_recorded_before_the_erp_has_had_its_word(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 10)
        await house.keep(use("1"))
        key, _ = await house.take()
        with pytest.raises(Rejected):
            await house.book.record(key)
        with pytest.raises(Rejected):
            await house.book.record(round_(9))
        assert await house.total("GLOVE") == 10

    async def test_a_number_that_found_nothing_is_not_used_up(self, house: House) -> None:
        key, taken = await house.take()
        assert taken.empty
        await house.stock.opening("OR-1", "GLOVE", 10)
        await house.keep(use("1"))
        assert (await house.book.take(key)).lines == 1

    async def test_a_long_queue_is_taken_oldest_first_so_many_at_a_time(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 100)
        await house.keep(*(use(str(number)) for number in range(5)))
        key, taken = await house.take(most=2)
        assert (taken.lines, taken.waiting) == (2, 3)
        assert [await house.state(str(number)) for number in range(3)] == [("taken", "")] * 2 + [("waiting", "")]
        await house.post(key)
        await house.book.record(key)
        assert (await house.take(most=2))[1].waiting == 1

    async def test_two_takers_of_one_location_never_take_the_same(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 100)
        await house.keep(*(use(str(number)) for number in range(6)))
        taken = await asyncio.gather(*(house.book.take(round_(1), 3) for _ in range(3)))
        assert taken[0] == taken[1] == taken[2] and taken[0].lines == 3
        assert [await house.state(str(number)) for number in (2, 3)] == [("taken", ""), ("waiting", "")]

    async def test_of_two_uses_of_the_last_item_one_is_posted(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 1)
        await asyncio.gather(house.keep(use("1")), house.keep(use("2")))
        await house.round()
        states = [await house.state("1"), await house.state("2")]
        assert sorted(states) == [("posted", ""), ("review", "beyond-balance")] and await house.total("GLOVE") == 0
        late = "1" if states[0][0] == "review" else "2"
        await house.decide(late, "post")
        await house.round()
        assert await house.state(late) == ("posted", "beyond-balance") and await house.total("GLOVE") == -1

    async def test_of_two_rounds_that_want_the_same_the_second_sees_what_the_first_has_taken(
        self, house: House
    ) -> None:
        await house.stock.opening("OR-1", "GLOVE", 5)
        await house.keep(use("1", amount=5))
        await house.take()
        await house.keep(use("2", amount=1))
        _, taken = await house.take()
        assert taken.parked == 1 and await house.state("2") == ("review", "beyond-balance")

    @pytest.mark.parametrize(
        ("event", "finding"),
        [
            (use("1", "NOBODYS"), "unknown-item"),
            (use("1", unit="CA"), "unknown-unit"),
            (use("1", amount="0.5"), "not-integral"),
            (use("1", "SCREW"), "lot-missing"),
            (use("1", "SCREW", lot="L-1", expires=date(2026, 3, 1)), "expired"),
            (use("1", used_at=NOW + timedelta(days=40_000)), "in-the-future"),
        ],
    )
    async def test_what_cannot_be_posted_is_parked_with_what_is_wrong(
        self, house: House, event: Any, finding: str
    ) -> None:
        await house.stock.opening("OR-1", "GLOVE", 5)
        await house.stock.opening("OR-1", "SCREW", 5, lot="L-1")
        await house.keep(event)
        _, taken = await house.take()
        assert (taken.lines, taken.parked) == (0, 1)
        kept = await house.stock.event("1")
        assert (kept.state, kept.finding, kept.owner) == ("parked", finding, "materials management")
        await house.decide("1", "dismiss")
        assert (await house.state("1"))[0] == "dismissed" and (await house.take())[1].empty

    async def test_an_item_is_found_by_its_barcode_with_lot_and_date(self, house: House) -> None:
        await house.stock.opening("OR-1", "SCREW", 5, lot="L-1", expires=date(2026, 12, 31))
        scanned = Udi(agency="GS1", device="09506000000017", lot="L-1", expires=date(2026, 12, 31))
        await house.keep(use("1", "", device=scanned))
        await house.round()
        kept = await house.stock.event("1")
        assert (kept.state, kept.item, kept.lot, kept.expires) == ("posted", "SCREW", "L-1", date(2026, 12, 31))
        assert await house.stock.on_hand("OR-1", "SCREW") == {("L-1", ""): 4}

    async def test_a_code_nobody_knew_is_corrected_and_posted(self, house: House) -> None:
        await house.stock.opening("OR-1", "SUTURE", 5)
        await house.keep(use("1", "5-0 SILK"))
        await house.round()
        with pytest.raises(Malformed, match="not corrected"):
            await house.decide("1", "correct", procedure="p-2")
        with pytest.raises(Malformed):
            await house.decide("1", "correct", amount="many")
        await house.decide("1", "correct", item="SUTURE")
        await house.round()
        kept = await house.stock.event("1")
        assert (kept.state, kept.item, kept.content["item"]) == ("posted", "SUTURE", "5-0 SILK")
        with pytest.raises(Rejected, match="waits for nobody"):
            await house.decide("1", "dismiss")

    async def test_a_serial_is_used_once_until_its_use_is_taken_back(self, house: House) -> None:
        for serial in ("S-1", "S-2"):
            await house.stock.opening("OR-1", "VALVE", 1, lot="L-9", serial=serial)
        valve = {"lot": "L-9", "serial": "S-1"}
        await house.keep(use("1", "VALVE", **valve), use("2", "VALVE", **valve))
        await house.round()
        assert await house.state("1") == ("posted", "")
        assert await house.state("2") == ("parked", "serial-used-before")
        await house.keep(void("V", "1"))
        await house.round()
        await house.decide("2", "post")
        await house.round()
        assert await house.state("2") == ("posted", "")
        assert await house.stock.on_hand("OR-1", "VALVE") == {("L-9", "S-1"): 0, ("L-9", "S-2"): 1}

    async def test_a_recall_between_keeping_and_taking_stops_the_lot_and_no_other(self, house: House) -> None:
        for lot in ("L-1", "L-2"):
            await house.stock.opening("OR-1", "SCREW", 5, lot=lot)
        await house.keep(use("1", "SCREW", lot="L-1"), use("2", "SCREW", lot="L-2"))
        await house.stock.block("SCREW", lot="L-1", recall="Z-0815")
        await house.round()
        stopped = await house.stock.event("1")
        assert (stopped.state, stopped.finding) == ("parked", "recalled") and "Z-0815" in stopped.reason
        assert await house.state("2") == ("posted", "")

    async def test_the_first_rule_that_fits_decides(self, house: House) -> None:
        rules = (
            UsageRule(finding="beyond-balance", item="SUTURE", route="post"),
            UsageRule(finding="beyond-balance", route="park", owner="the night supervisor"),
        )
        await house.stock.put(UsagePolicy(facility="NGH", rules=rules, valid_from=date(2026, 1, 1)))
        await house.keep(use("1", "SUTURE"), use("2", "GLOVE"))
        await house.round()
        assert await house.state("1") == ("posted", "beyond-balance") and await house.total("SUTURE") == -1
        held = await house.stock.event("2")
        assert (held.state, held.owner) == ("parked", "the night supervisor")
        assert await house.stock.charges() == [], "this policy names no channel"

    async def test_a_use_reported_a_day_late_is_posted_and_one_of_last_month_is_reviewed(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 5)
        kept_at = await self.now(house)
        await house.keep(use("1", used_at=kept_at - timedelta(days=1)), use("2", used_at=kept_at - timedelta(days=31)))
        await house.round()
        assert await house.state("1") == ("posted", "") and await house.state("2") == ("review", "too-old")

    async def now(self, house: House) -> Any:
        """When what is kept now is kept at."""
        await house.keep(use("clock", location="ATTIC"))
        return (await house.stock.event("clock")).at

    async def test_a_line_the_erp_refuses_is_parked_and_the_others_stand(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 5)
        await house.stock.opening("OR-1", "SUTURE", 5)
        house.erp.refuses.add("SUTURE")
        await house.keep(use("1"), use("2", "SUTURE"))
        assert (await house.round()).posted == 1
        kept = await house.stock.event("2")
        assert (kept.state, kept.finding) == ("parked", "refused-by-erp") and "locked" in kept.reason
        assert (await house.total("GLOVE"), await house.total("SUTURE")) == (4, 5)
        assert await house.stock.charges() == []
        house.erp.refuses.clear()
        await house.decide("2", "post")
        await house.round()
        assert await house.total("SUTURE") == 4 and await house.stock.charges() == [("2", "charge", "BILLING")]

    async def test_a_round_the_erp_refuses_as_a_whole_is_parked_and_its_stock_is_free(self, house: House) -> None:
        await house.stock.opening("OR-1", "GLOVE", 1)
        await house.keep(use("1"))
        key, _ = await house.take()
        for _ in range(2):
            await house.book.refuse(RoundRefusal(key=key, reason="the period is closed"))
        assert await house.state("1") == ("parked", "refused-by-erp")
        assert list(await house.book.postings(key)) == [] and (await house.book.record(key)).posted == 0
        await house.keep(use("2"))
        await house.round()
        assert await house.state("2") == ("posted", "") and await house.total("GLOVE") == 0

    async def test_of_a_round_that_ends_between_two_documents_what_the_erp_has_booked_stands(
        self, house: House
    ) -> None:
        """A valve that is ours only now is one document, its use another; then a transfer is a third."""
        par = level("OR-1", "SUTURE", par=12)
        gloves = level("OR-1", "GLOVE", par=500, supply="warehouse", warehouse="STORE", package=100)
        await house.stock.put(level("OR-1", "VALVE", supply="bill-only"), par, gloves)
        await house.stock.opening("OR-1", "SUTURE", 12)
        await house.stock.opening("OR-1", "GLOVE", 500)
        await house.stock.opening("STORE", "GLOVE", 900)
        await house.keep(use("1", amount=100))
        await house.round()
        await house.keep(use("2", "SUTURE", 6), use("3", "VALVE", lot="L-1", serial="S-1"))
        key, _ = await house.take()
        told = list(await house.book.postings(key))
        assert [one.kind for one in told] == ["consign", "consume", "transfer"]
        for one in told[:2]:
            await house.book.posted(key, one.key, house.erp.post(one))
        refusal = RoundRefusal(key=key, reason="this facility has no ERP", code="configuration")
        recorded = await house.book.refuse(refusal)
        assert await house.book.refuse(refusal) == recorded == await house.book.record(key)
        assert (await house.state("2"), await house.state("3")) == (("posted", ""), ("posted", ""))
        assert await house.total("SUTURE") == 6 == 12 + house.erp.total("OR-1", "SUTURE")
        assert await house.stock.on_hand("OR-1", "VALVE") == {("L-1", "S-1"): 0}
        assert sorted(await house.stock.charges()) == [("2", "charge", "BILLING"), ("3", "charge", "BILLING")]
        assert sorted(need.item for need in recorded.needs) == ["SUTURE", "VALVE"]
        (refill,) = [need for need in await house.stock.needs() if need["item"] == "GLOVE"]
        assert (refill["state"], refill["reason"]) == ("refused", "this facility has no ERP")
        assert (await house.total("GLOVE"), await house.total("GLOVE", "STORE")) == (400, 900)

    async def test_what_was_put_aside_with_a_round_is_posted_once_when_a_person_lets_it(self, house: House) -> None:
        await house.stock.put(level("OR-1", "VALVE", supply="bill-only"))
        await house.keep(use("1", "VALVE", lot="L-1", serial="S-1"))
        key, _ = await house.take()
        consign, consume = await house.book.postings(key)
        await house.book.posted(key, consign.key, house.erp.post(consign))
        await house.book.refuse(RoundRefusal(key=key, reason="this facility has no ERP"))
        assert await house.state("1") == ("parked", "refused-by-erp")
        assert await house.stock.on_hand("OR-1", "VALVE") == {("L-1", "S-1"): 1}, "it is ours, and not used yet"
        await house.decide("1", "post")
        await house.round()
        assert (await house.state("1"))[0] == "posted" and consume.key not in house.erp.booked
        assert [one.kind for one in house.erp.booked.values()] == ["consign", "consume"]
        assert await house.stock.on_hand("OR-1", "VALVE") == {("L-1", "S-1"): 0}
