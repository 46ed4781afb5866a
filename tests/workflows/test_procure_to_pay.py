"""The way of a requisition: claimed, checked, approved, ordered, ended."""

from __future__ import annotations

from tests import build
from tests.workflows.case import Case


async def test_a_requisition_is_approved_ordered_received_billed_and_paid(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1002", "10 BX")))
    await case.until("pending approval")
    answer = await case.decide("approve", by="E-MGR")
    assert answer.taken
    order = await case.order()
    await case.deliver(order)
    status = await case.result()
    assert (status.business_state, [line.state for line in status.lines]) == ("closed", ["received"])
    assert case.outside.steps(order.number) == ["create", "850", "post", "pay", "820"]


async def test_the_usual_order_of_three_lines_costs_at_most_140_events(case: Case) -> None:
    lines = (build.line("1"), build.line("2", "ITM-1001", "3 BX"), build.line("3", "ITM-1002", "2 CA"))
    await case.start(build.requisition(*lines))
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    order = await case.order()
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"
    own, child = await case.events(case.id), await case.events(order.case_id)
    print(f"history events: requisition {own}, order {child}, together {own + child}")  # noqa: T201
    assert own + child <= 140
