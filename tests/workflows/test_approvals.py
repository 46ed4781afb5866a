"""Who approves: levels, separated duties, substitutes and the level above, the emergency path."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from canonical.parties import ApprovalPolicy
from tests import build
from tests.workflows.case import Case

HOUR = timedelta(hours=1)


async def test_a_larger_amount_needs_the_director_too_and_one_person_gives_one_level(case: Case) -> None:
    case.register.put(build.employee("E-MGR", "manager", "director"))
    await case.start(build.requisition(build.line("1", "ITM-1002", "50 BX")))
    await case.until("pending approval")
    assert case.change().owner == "manager"
    await case.decide("approve", by="E-MGR")
    await case.owned_by("director")
    assert await case.refused("approve", "E-MGR") == ("NotAllowed", "one person gives one level of approval")
    await case.decide("approve", by="E-DIR")
    order = await case.order()
    assert order.amount == build.usd("6000")
    approved = next(e for e in case.cases.events.values() if e.type == "requisition.approved.v1")
    assert approved.data["by"] == "manager director"


async def test_who_asks_may_not_approve_nor_may_the_wrong_role(case: Case) -> None:
    case.register.put(build.employee("E-MGR2", "manager"))
    await case.start(build.requisition(requester="E-MGR2"))
    await case.until("pending approval")
    assert await case.refused("approve", "E-MGR2") == ("NotAllowed", "who asks may not approve")
    assert (await case.refused("approve", "E-DIR"))[0] == "NotAllowed"
    assert (await case.refused("approve", "E-SUB"))[0] == "NotAllowed", "the approver is here"
    assert (await case.refused("approve", "E-NOBODY"))[0] == "NotAllowed"
    assert (await case.decide("approve", by="E-MGR")).taken


async def test_a_rejection_ends_it(case: Case) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")
    assert (await case.refused("reject", "E-MGR", reason=" "))[0] == "Malformed"
    await case.decide("reject", by="E-MGR", reason="no budget")
    status = await case.result()
    assert (status.business_state, status.next_action) == ("refused", "rejected: reason in the case")
    assert case.placed() == [] and case.told()[-1] == "requisition.refused.v1"


async def test_it_is_cancelled_before_it_is_approved(case: Case) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.decide("cancel", by="E-REQ", reason="not needed")
    assert (await case.result()).business_state == "cancelled" and case.placed() == []


async def test_only_the_requester_themselves_cancels_as_a_requester(case: Case) -> None:
    case.register.put(build.employee("E-REQ2", "requester"))
    await case.start(build.requisition())
    await case.until("pending approval")
    assert (await case.refused("cancel", "E-REQ2"))[0] == "NotAllowed"


async def test_a_substitute_may_at_once_when_the_approver_is_on_leave(case: Case) -> None:
    today = datetime.now(UTC).date()
    away = {"away_from": today - timedelta(days=1), "away_to": date(2100, 1, 1)}
    case.register.put(build.employee("E-MGR", "manager", substitute="E-SUB", **away))
    await case.start(build.requisition())
    await case.until("pending approval")
    assert "the approver is away" in case.change().next_action
    assert (await case.decide("approve", by="E-SUB")).taken
    await case.order()


async def test_nobody_answers_reminded_then_the_substitute_then_the_level_above(case: Case) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.skip(9 * HOUR)
    await case.overdue("remind")
    assert (await case.refused("approve", "E-SUB"))[0] == "NotAllowed"
    await case.skip(16 * HOUR)
    await case.overdue("substitute")
    assert case.change().owner == "manager (substitute)"
    assert (await case.refused("approve", "E-DIR"))[0] == "NotAllowed"
    await case.skip(24 * HOUR)
    await case.overdue("escalate")
    assert case.change().owner == "director"
    assert (await case.decide("approve", by="E-DIR")).message == "approved as manager"
    await case.order()


async def test_times_of_approval_are_data(case: Case) -> None:
    short = build.hospital(approval=ApprovalPolicy(remind_after=60, substitute_after=120, escalate_after=180))[-1]
    case.register.put(short)
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.skip(timedelta(seconds=125))
    await case.overdue("substitute")
    assert (await case.decide("approve", by="E-SUB")).taken


async def test_an_emergency_is_ordered_first_and_approved_after(case: Case) -> None:
    await case.start(build.requisition(emergency=True))
    order = await case.order("ordered, approval pending")
    await case.deliver(order)
    await case.ended(order)
    assert case.state() == "ordered, approval pending", "it does not end before it is approved"
    await case.decide("approve", by="E-MGR")
    assert (await case.result()).business_state == "closed"
    assert "requisition.approved.v1" in case.told()


async def test_an_emergency_nobody_approves_in_its_time_goes_to_the_level_above(case: Case) -> None:
    case.register.put(build.hospital(approval=ApprovalPolicy(emergency_within=1))[-1])
    await case.start(build.requisition(emergency=True))
    await case.order("ordered, approval pending")
    await case.overdue("escalate")
    await case.decide("approve", by="E-DIR")
    await case.until("ordered")


async def test_an_emergency_rejected_afterwards_is_for_a_person(case: Case) -> None:
    await case.start(build.requisition(emergency=True))
    order = await case.order("ordered, approval pending")
    await case.decide("reject", by="E-MGR", reason="not an emergency")
    parked = await case.parked(document="approval")
    assert parked.reason == "rejected after the emergency order: reason in the case"
    assert case.state() == "ordered, rejected"
    await case.deliver(order)
    await case.ended(order)
    assert case.state() == "ordered, rejected"
    assert (await case.refused("accept", "E-REQ"))[0] == "NotAllowed"
    await case.decide("accept", by="E-BUY")
    assert (await case.result()).business_state == "closed"


async def test_an_emergency_rejected_afterwards_is_taken_back_by_a_person(case: Case) -> None:
    await case.start(build.requisition(emergency=True))
    order = await case.order("ordered, approval pending")
    await case.decide("reject", by="E-MGR", reason="not an emergency")
    await case.parked(document="approval")
    await case.decide("cancel", by="E-BUY")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.result()).business_state == "cancelled"


async def test_lines_are_split_by_supplier_place_and_contract_in_mixed_units(case: Case) -> None:
    lines = (
        build.line("1", "ITM-1001", "30 EA"),
        build.line("2", "ITM-1003", "1 CA"),
        build.line("3", "ITM-1001", "2 BX", deliver_to="OR-2"),
        build.line("4", "ITM-1001", "1 CA"),
    )
    await case.start(build.requisition(*lines))
    await case.until("pending approval")
    await case.decide("approve", by="E-MGR")
    orders = await case.orders()
    found = sorted((o.supplier, o.ship_to, [(x.id, str(x.quantity)) for x in o.lines]) for o in orders)
    assert found == [
        ("ALPINE", "OR-1", [("1", "3 BX"), ("4", "10 BX")]),
        ("ALPINE", "OR-2", [("3", "2 BX")]),
        ("BOREAL", "OR-1", [("2", "10 BX")]),
    ]
    assert {line.order for line in case.change().lines} == {order.number for order in orders}
    for order in orders:
        await case.until("sent to supplier", order.case_id)
        await case.deliver(order)
    status = await case.result()
    assert (status.business_state, {line.state for line in status.lines}) == ("closed", {"received"})
    assert case.told().count("requisition.lines_changed.v1") == 4


async def test_a_part_of_a_box_is_refused_with_its_path(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "15 EA")))
    parked = await case.parked("business-rule", line="1")
    assert parked.path == "lines.1.quantity" and "not a whole number of BX" in parked.reason
