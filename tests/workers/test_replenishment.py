"""Needs hear how their orders stand: ordered, back-ordered, come by lot, given up; twice the same is once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from canonical.base import Quantity, case_id
from canonical.cases import CaseStatus, LineState, State
from canonical.purchasing import Receipt, ReceivedLine
from canonical.steps import SupplierDocument
from store.replenishment import FollowedNeed, LotCame
from workers.loops.replenishment import Replenishment

CASE = case_id("procure_to_pay", "NGH", "replenishment", "N1")
ORDER = case_id("purchase_order", "NGH", "PO-1")


class Desk:
    """Needs and cases in memory."""

    def __init__(self, **need: Any) -> None:
        about = {"id": "N1", "facility": "NGH", "location": "OR", "item": "ITM-1", "state": "open", "quantity": 200}
        self.need = FollowedNeed.model_validate({**about, "case": CASE, **need})
        self.statuses: dict[str, CaseStatus] = {}
        self.told: list[Receipt] = []
        self.lots: Sequence[LotCame] = ()
        self.writes = 0
        self.loop = Replenishment(self, self)

    async def unfinished(self, after: str = "", limit: int = 200) -> Sequence[FollowedNeed]:
        open_yet = self.need.state in ("open", "ordered", "back-ordered") and self.need.id > after
        return [self.need] if open_yet else []

    async def tell(self, before: FollowedNeed, after: FollowedNeed, lots: Sequence[LotCame]) -> bool:
        self.need, self.lots, self.writes = after, lots, self.writes + 1
        return True

    async def receipts(self, case: str) -> Sequence[SupplierDocument]:
        assert case == ORDER
        return [SupplierDocument(key=f"{one.key}/{one.revision}", receipt=one) for one in self.told]

    async def status(self, case: str) -> CaseStatus | None:
        return self.statuses.get(case)

    def requisition(
        self, business_state: str = "ordered", *, closed: bool = False, orders: tuple[str, ...] = ("PO-1",)
    ) -> None:
        self.statuses[CASE] = CaseStatus(
            case=CASE,
            process="procure_to_pay",
            state=State.SUBMITTED,
            business_state=business_state,
            orders=orders,
            closed=closed,
        )

    def order(self, *, closed: bool = False, **line: Any) -> None:
        about = {"line": "1", "item": "ITM-1", "state": "ordered", "ordered": "2", "unit": "BX", "base_units": 100}
        self.statuses[ORDER] = CaseStatus(
            case=ORDER,
            process="purchase_order",
            state=State.SUBMITTED,
            business_state="closed" if closed else "acknowledged",
            lines=(LineState.model_validate(about | line),),
            closed=closed,
        )

    def receive(self, key: str, boxes: int, lot: str = "", **more: Any) -> None:
        line = ReceivedLine(line="1", item="ITM-1", quantity=Quantity(value=Decimal(boxes), unit="BX"), lot=lot)
        at = datetime(2026, 11, 22, tzinfo=UTC)
        self.told.append(Receipt(facility="NGH", order="PO-1", key=key, received_at=at, lines=(line,), **more))


async def test_a_need_whose_requisition_nobody_has_claimed_yet_waits() -> None:
    desk = Desk()
    await desk.loop.once()
    assert (desk.need.state, desk.writes) == ("open", 0)


async def test_a_need_is_ordered_and_told_once() -> None:
    desk = Desk()
    desk.requisition()
    desk.order(expected="2026-11-30")
    await desk.loop.once()
    await desk.loop.once()
    assert (desk.need.state, desk.need.orders, desk.need.expected) == ("ordered", "PO-1", date(2026, 11, 30))
    assert desk.writes == 1


async def test_a_back_ordered_line_is_said_to_be_so() -> None:
    desk = Desk()
    desk.requisition()
    desk.order(state="back-ordered", expected="2026-12-24")
    await desk.loop.once()
    assert (desk.need.state, desk.need.expected) == ("back-ordered", date(2026, 12, 24))


async def test_what_came_is_counted_in_base_units_as_it_was_packed_when_it_was_ordered_and_by_lot() -> None:
    desk = Desk()
    desk.requisition()
    desk.order(state="partly received", received="1")
    desk.receive("R1", 1, "L-1")
    await desk.loop.once()
    assert (desk.need.state, desk.need.received) == ("ordered", 100)
    assert desk.lots == [LotCame(lot="L-1", quantity=100)]
    desk.order(state="received", received="2")
    desk.receive("R2", 1, "L-2")
    await desk.loop.once()
    assert (desk.need.state, desk.need.received) == ("received", 200)
    assert [(lot.lot, lot.quantity) for lot in desk.lots] == [("L-1", 100), ("L-2", 100)]


async def test_a_receipt_taken_back_is_not_counted_and_one_done_again_is_counted_once() -> None:
    desk = Desk()
    desk.requisition()
    desk.order(state="partly received", received="1")
    desk.receive("R1", 1, "L-1")
    desk.receive("R1", 1, "L-1", revision=1, cancelled=True)
    desk.receive("R1", 1, "L-9", revision=2)
    await desk.loop.once()
    assert desk.lots == [LotCame(lot="L-9", quantity=100)]


async def test_goods_taken_back_after_they_were_put_away_are_said_with_what_to_do() -> None:
    desk = Desk(state="ordered", received=200, put_away=200)
    desk.requisition()
    desk.order(state="shipped", received="0")
    await desk.loop.once()
    assert desk.need.received == 0 and "count the location" in desk.need.reason


async def test_a_refused_requisition_ends_its_need_with_the_reason() -> None:
    desk = Desk()
    desk.requisition("refused", closed=True, orders=())
    await desk.loop.once()
    assert desk.need.state == "cancelled" and "refused" in desk.need.reason


async def test_an_order_ended_short_ends_its_need_with_what_came() -> None:
    desk = Desk()
    desk.requisition()
    desk.order(state="short closed", ended=True, received="1")
    await desk.loop.once()
    assert (desk.need.state, desk.need.received) == ("received", 100) and "no more is expected" in desk.need.reason


async def test_an_order_the_supplier_refuses_ends_its_need() -> None:
    desk = Desk()
    desk.requisition()
    desk.order(state="rejected by supplier (RJ)", ended=True)
    await desk.loop.once()
    assert desk.need.state == "cancelled"


async def test_what_was_used_before_it_was_ordered_is_not_received_and_ends_when_it_is_paid() -> None:
    desk = Desk(event="E1", quantity=1)
    desk.requisition()
    desk.order(state="used", received="2")
    await desk.loop.once()
    assert (desk.need.state, desk.need.received) == ("ordered", 0)
    desk.requisition("closed", closed=True)
    desk.order(state="used", received="2", closed=True)
    await desk.loop.once()
    assert (desk.need.state, desk.need.received) == ("received", 0)


async def test_that_the_use_was_taken_back_outlives_every_word_of_its_order_until_that_is_cancelled() -> None:
    desk = Desk(event="E1", quantity=1, reason="its use was taken back")
    desk.requisition()
    desk.order(state="used", received="2")
    await desk.loop.once()
    assert (desk.need.state, desk.need.orders, desk.need.reason) == ("ordered", "PO-1", "its use was taken back")
    desk.requisition("cancelled", closed=True)
    desk.order(state="cancelled", closed=True)
    await desk.loop.once()
    assert desk.need.state == "cancelled" and "its requisition is cancelled" in desk.need.reason


async def test_a_need_is_looked_at_again_only_when_one_of_its_cases_changed() -> None:
    desk = Desk(news=datetime(2026, 11, 22, 8, tzinfo=UTC))
    desk.requisition()
    desk.order()
    await desk.loop.once()
    desk.order(state="back-ordered")
    await desk.loop.once()
    assert desk.need.state == "ordered", "nothing changed by its cases' own clocks"
    desk.need = desk.need.model_copy(update={"news": datetime(2026, 11, 22, 9, tzinfo=UTC)})
    await desk.loop.once()
    assert desk.need.state == "back-ordered"
