"""What nobody of ours sent changes nothing in a case, until a person with the right takes it; signals carry no truth."""

from __future__ import annotations

from typing import Any

import pytest

from canonical.cases import Attention
from canonical.purchasing import PurchaseOrder
from canonical.seals import sealed_document
from canonical.steps import SupplierDocument
from store.decisions import DOCUMENT_UNSEALED
from tests import build
from tests.workflows.case import Case
from workflows.order_inbox import MOST_UNSEALED, NO_SEAL


async def forge(case: Case, order: PurchaseOrder, key: str = "", seal: str = "", **document: Any) -> None:
    """What somebody signals with Temporal's own tools."""
    forged = SupplierDocument(message="M-0", key=key or build.unique("F"), seal=seal, **document)
    await case.client.get_workflow_handle(order.case_id).signal("document", forged)


async def unproven(case: Case, order: PurchaseOrder, count: int = 1) -> list[Attention]:
    await case.parked("unproven", order.case_id)
    await case.unproven(order, count)
    return [one for one in case.change(order.case_id).attention if one.kind == "unproven"]


@pytest.mark.parametrize("seal", ["", "0" * 64, "ünsealed"])
async def test_a_forged_receipt_changes_nothing_and_waits_for_a_person(case: Case, seal: str) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order), seal=seal)
    (parked,) = await unproven(case, order)
    assert "receipt" in parked.reason and NO_SEAL in parked.reason and parked.verbs == ("accept", "refuse")
    assert [line.received for line in case.change(order.case_id).lines] == [0]
    assert case.state(order.case_id) == "needs attention"
    ((_, data, reason),) = case.cases.unreadable
    assert reason == DOCUMENT_UNSEALED == NO_SEAL and b"receipt" in data, "kept as it came"
    assert "receipt.posted.v1" not in case.told(order.case_id)


async def test_one_that_is_refused_is_gone_and_the_order_goes_its_way(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order))
    (parked,) = await unproven(case, order)
    await case.decide("refuse", case=order.case_id, document=parked.document)
    await case.deliver(order)
    assert (await case.ended(order)).business_state == "closed"
    assert (await case.result()).lines[0].state == "received"


async def test_one_that_a_person_takes_counts_as_if_a_door_had_brought_it(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order))
    (parked,) = await unproven(case, order)
    await case.decide("accept", case=order.case_id, document=parked.document)
    await case.until("received", order.case_id)
    assert not case.change(order.case_id).attention


async def test_a_forged_document_does_not_stand_in_the_way_of_the_genuine_one_with_its_key(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, key="K", receipt=build.receipt(order, "1"))
    await unproven(case, order)
    await case.say(order, key="K", receipt=build.receipt(order))
    await case.told_of("receipt.posted.v1")
    assert [line.received for line in case.change(order.case_id).lines] == [10]


async def test_a_document_sealed_for_another_case_or_changed_since_proves_nothing(case: Case) -> None:
    order = await case.approved_order()
    real = SupplierDocument(message="M", key="K", receipt=build.receipt(order, "1"))
    elsewhere = sealed_document(real, "purchase_order/NGH/another", build.SEAL_KEY)
    changed = sealed_document(real, order.case_id, build.SEAL_KEY).model_copy(update={"receipt": build.receipt(order)})
    for sent in (elsewhere, changed):
        await case.client.get_workflow_handle(order.case_id).signal("document", sent)
    await unproven(case, order, 2)
    assert [line.received for line in case.change(order.case_id).lines] == [0]


async def test_that_a_payment_succeeded_is_for_finance_to_believe(case: Case) -> None:
    order = await case.approved_order()
    await case.deliver(order, bill=False)
    bill = build.invoice(order)
    await case.say(order, invoice=bill)
    await case.until("paid, waiting for bank", order.case_id)
    await forge(case, order, payment=build.payment(order, bill))
    (parked,) = await unproven(case, order)
    assert (await case.refused("accept", "E-BUY", order.case_id, document=parked.document))[0] == "NotAllowed"
    await case.decide("accept", by="E-FIN", case=order.case_id, document=parked.document)
    assert (await case.ended(order)).business_state == "closed"


@pytest.mark.parametrize("policy", [{"unverified_verbs": ("accept", "hold", "resume")}])
async def test_what_temporals_tools_brought_is_not_taken_in_by_temporals_tools(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order))
    (parked,) = await unproven(case, order)
    await case.signal("decide", {"verb": "accept", "document": parked.document}, case=order.case_id)
    await case.unreadable("needs a person we know")
    assert [line.received for line in case.change(order.case_id).lines] == [0]


async def test_it_is_taken_in_by_its_name_and_never_in_passing(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order))
    await unproven(case, order)
    kind, said = await case.refused("accept", "E-BUY", order.case_id)
    assert kind == "Malformed" and "unsealed " in said


async def test_a_flood_of_them_is_kept_and_only_so_many_are_shown(case: Case) -> None:
    order = await case.approved_order()
    for number in range(MOST_UNSEALED + 5):
        await forge(case, order, receipt=build.receipt(order, key=f"r-{number}"))
    await unproven(case, order, MOST_UNSEALED)
    await case.say(order, acknowledgement=build.answer(order))
    await case.told_of("order.acknowledged.v1")
    assert len(case.cases.unreadable) == MOST_UNSEALED + 5
    assert sum(1 for one in case.change(order.case_id).attention if one.kind == "unproven") == MOST_UNSEALED


async def test_what_nobody_decided_about_is_listed_when_the_order_ends_otherwise(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order))
    await unproven(case, order)
    await case.decide("cancel", case=order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.ended(order)).business_state == "cancelled"
    (row,) = case.cases.unmatched.values()
    assert (row.kind, row.reason, row.facility) == ("unproven", NO_SEAL, "NGH")


@pytest.mark.parametrize("cached", [0])
async def test_a_case_that_is_replayed_at_every_step_stays_the_same(case: Case) -> None:
    order = await case.approved_order()
    await forge(case, order, receipt=build.receipt(order))
    (parked,) = await unproven(case, order)
    await case.decide("refuse", case=order.case_id, document=parked.document)
    await case.deliver(order)
    assert (await case.ended(order)).business_state == "closed"
    assert await case.failed_tasks(order.case_id) == 0


# ---- the signals of our own processes ------------------------------------------------------------------------------


async def test_an_order_is_not_taken_back_because_a_signal_says_so(case: Case) -> None:
    order = await case.approved_order()
    await case.signal("cancel_order", "not needed any more", case=order.case_id)
    await case.unreadable("its requisition is not being cancelled")
    await case.deliver(order)
    assert (await case.ended(order)).business_state == "closed"
    assert "cancel" not in case.outside.steps(order.number)


async def test_a_requisition_does_not_end_because_a_signal_says_its_order_has(case: Case) -> None:
    order = await case.approved_order()
    told = {"order": order.number, "case": order.case_id, "business_state": "closed", "lines": [("1", "received")]}
    await case.signal("order_ended", told)
    await case.unreadable(f"order {order.number} has not ended")
    assert case.state() == "ordered"
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"
