"""Orders after use: what was consigned or brought along was used before it was ordered, so nothing is to be received."""

from __future__ import annotations

import pytest

from canonical.purchasing import PurchaseOrder, Requisition
from tests import build
from tests.workflows.case import Case


def used(**fields: object) -> Requisition:
    one = build.line("1", "ITM-1002", "10 BX", lot="L-77", serial="S-1", procedure="8Xk2")
    return build.requisition(one, source="replenishment", after_use=True, **fields)


async def ordered(case: Case) -> PurchaseOrder:
    requisition = used()
    case.cases.used.append(requisition)
    await case.start(requisition)
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    return await case.order(now="used")


async def test_an_order_after_use_is_billed_and_paid_without_a_receipt(case: Case) -> None:
    order = await ordered(case)
    assert (order.after_use, order.lines[0].lot, order.lines[0].serial) == (True, "L-77", "S-1")
    await case.say(order, acknowledgement=build.answer(order))
    await case.pay(order, build.invoice(order))
    status = await case.result()
    assert (status.business_state, [line.state for line in status.lines]) == ("closed", ["used"])
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_the_bill_of_an_order_after_use_is_awaited_from_the_order_on(case: Case) -> None:
    order = await ordered(case)
    await case.say(order, acknowledgement=build.answer(order))
    await case.until("used", order.case_id)
    assert case.change(order.case_id).due is not None, "a bill that never comes is asked for"


async def test_more_than_was_used_is_not_paid(case: Case) -> None:
    order = await ordered(case)
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, invoice=build.invoice(order, "12"))
    await case.until("invoice blocked", order.case_id)
    assert "post" not in case.outside.steps(order.number)


async def test_an_order_after_use_that_no_use_of_ours_stands_behind_is_not_made(case: Case) -> None:
    await case.start(used())
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    parked = await case.parked("business-rule")
    assert "no such use is known" in parked.reason
    assert case.outside.documents == {}, "nothing reached the ERP or a supplier"
    await case.decide("cancel", by="E-BUY", reason="nobody used it")
    assert (await case.result()).business_state == "cancelled"


@pytest.mark.parametrize("answered", [True, False], ids=["answered", "not yet answered"])
async def test_an_order_after_use_that_is_cancelled_sends_nothing_back_and_asks_the_supplier_not_to_bill(
    case: Case, answered: bool
) -> None:
    order = await ordered(case)
    if answered:
        await case.say(order, acknowledgement=build.answer(order))
        await case.until("used", order.case_id)
    await case.decide("cancel", by="E-BUY", case=order.case_id, reason="the use was voided")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    change = build.answer(order, "AT", to_change=True, change_sequence="1")
    await case.say(order, acknowledgement=change)
    assert (await case.result()).business_state == "cancelled"
    assert case.outside.steps(order.number) == ["create", "850", "860", "cancel"]
