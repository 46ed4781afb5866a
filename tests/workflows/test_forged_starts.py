"""Who only reaches Temporal can start an order's case with any content; nothing is ordered that no requisition made."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowFailureError
from temporalio.common import RawValue

from canonical.cases import CaseChange, CaseStatus, State
from canonical.purchasing import OrderLine, PurchaseOrder, numbered_content
from canonical.steps import Claimed, ClaimRequest, OpenOrder, OrdersRequest, OrderStart, UnreadOrder
from tests import build
from tests.workflows.case import PATIENCE, SOON, Case
from workflows.order_state import LineProgress, OrderProgress
from workflows.requisition_state import RequisitionProgress

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def an_order(**fields: Any) -> PurchaseOrder:
    line = OrderLine(
        id="1",
        number=1,
        requisition_line="1",
        item="ITM-1002",
        supplier_item="ALP-1002",
        quantity=build.each("10"),
        unit_price=build.usd("8"),
    )
    content = {
        "facility": "NGH",
        "number": build.unique("PO"),
        "supplier": "ALPINE",
        "ship_to": "OR-1",
        "cost_centre": "CC-4100",
        "ordered_on": NOW.date(),
        "lines": [line.model_dump()],
    }
    return PurchaseOrder.model_validate(content | fields)


async def made(case: Case) -> PurchaseOrder:
    """An order as a requisition's case has made it, at the moment before it starts the order's case."""
    asked = build.requisition()
    data = asked.model_dump_json().encode()
    await case.cases.claim(ClaimRequest(case=asked.case_id, run="its run", data=data, as_of=NOW))
    order = an_order(requisition=asked.case_id)
    request = OrdersRequest(case=asked.case_id, requisition=asked, lines=(), currency="USD", dated=NOW.date())
    given = await case.cases.order_numbers(request, {"1": order.amount}, {"1": numbered_content(order)})
    return order.model_copy(update={"number": given.numbers[0]})


async def started(case: Case, order: PurchaseOrder, name: str = "", **fields: Any) -> str:
    """As anyone does with Temporal's own tools; gives the workflow's id."""
    case.id = name or order.case_id
    start = OrderStart(order=order, **fields)
    await case.client.start_workflow("PurchaseOrder", start, id=case.id, task_queue="fascia")
    return case.id


async def ends(case: Case, name: str) -> CaseStatus:
    async with asyncio.timeout(PATIENCE):
        found: CaseStatus = await case.client.get_workflow_handle(name, result_type=CaseStatus).result()
    return found


async def waits_to_look_again(case: Case, name: str) -> None:
    """Wait until a case found its order's name taken and waits; time that is let pass before that passes for nothing."""
    handle = case.client.get_workflow_handle(name)
    async with asyncio.timeout(PATIENCE):
        while True:
            taken = False
            for event in (await handle.fetch_history()).events:
                taken = taken or event.HasField("start_child_workflow_execution_failed_event_attributes")
                if taken and event.HasField("timer_started_event_attributes"):
                    return
            await asyncio.sleep(0.05)


def nothing_happened(case: Case, name: str) -> bool:
    assert name not in case.cases.current and name not in case.cases.claims
    assert name not in {event.case for event in case.cases.events.values()}
    return not case.outside.documents.get(name.rpartition("/")[2]) and name not in case.cases.orders


@pytest.mark.parametrize(
    "fields",
    [{}, {"requisition": "procure_to_pay/NGH/surgery-app/R-1"}, {"supplier": "NOBODY"}, {"emergency": True}],
    ids=["no requisition", "a requisition that is not there", "unknown supplier", "emergency"],
)
async def test_an_order_that_no_requisition_made_is_not_placed(case: Case, fields: dict[str, Any]) -> None:
    order = an_order(**fields)
    name = await started(case, order, parent_case=order.requisition)
    ended = await ends(case, name)
    assert ended.business_state == "conflict" and "was not given to" in ended.next_action
    assert nothing_happened(case, name) and not case.register.commitments
    (listed,) = case.cases.unmatched.values()
    assert listed.order == order.number and "was not given to" in listed.reason and "dismiss it" in listed.reason


async def test_other_content_under_a_number_that_was_given_is_not_placed(case: Case) -> None:
    order = await made(case)
    name = await started(case, order.model_copy(update={"ship_to": "ELSEWHERE"}), parent_case=order.requisition)
    assert (await ends(case, name)).business_state == "conflict"
    assert nothing_happened(case, name)
    (listed,) = case.cases.unmatched.values()
    assert f"is not the order that {order.requisition} made" in listed.reason


async def test_an_order_under_a_name_that_is_not_its_own_is_not_placed(case: Case) -> None:
    order = await made(case)
    name = await started(case, order, build.unique("mine"))
    assert (await ends(case, name)).business_state == "conflict"
    assert nothing_happened(case, name) and order.case_id not in case.cases.claims


async def test_what_a_start_says_it_carries_has_no_effect(case: Case) -> None:
    """A start that says the order is with its supplier, delivered, its bank confirmed, and that it is another's."""
    order = await made(case)
    done = [LineProgress(line=line, received=line.quantity.value, acknowledged=True) for line in order.lines]
    other = order.model_copy(update={"ship_to": "ELSEWHERE"})
    lies = OrderProgress(
        order=other, lines=done, placed=True, sends=1, bank_confirmed="x", held_by="E-FIN", revision=40
    )
    name = await started(case, order, carried=lies.model_dump_json(), parent_case="procure_to_pay/NGH/other/R-2")
    await case.until("sent to supplier")
    assert case.outside.steps(order.number) == ["create", "850"], "nothing was done before, so all is done now"
    assert case.outside.last(order.number, "create").ship_to == order.ship_to
    shown = case.change(name)
    assert shown.lines[0].received == 0 and shown.parent == order.requisition and shown.revision < 10


async def test_a_requisitions_start_carries_nothing_either(case: Case) -> None:
    """It has one argument; with a second one, of an approved requisition with its orders, it is what nobody can read."""
    asked = build.requisition()
    order = an_order(requisition=asked.case_id)
    lies = RequisitionProgress(requisition=asked, approved=True, orders=[order]).model_dump_json()
    await case.start_with(asked.case_id, [asked.model_dump_json().encode(), lies.encode()])
    parked = await case.parked("data-invalid")
    assert "2 arguments" in parked.reason
    assert case.placed() == [] and not case.outside.documents and order.case_id not in case.cases.claims


@pytest.mark.parametrize("running", [False, True], ids=["ended", "still running"])
async def test_a_forged_start_under_a_number_given_later_does_not_keep_the_order_from_being_placed(
    case: Case, monkeypatch: pytest.MonkeyPatch, running: bool
) -> None:
    number = build.unique("PO")
    monkeypatch.setattr(case.cases, "next_number", lambda: number)
    open_order, goes_on = case.cases.open_order, asyncio.Event()

    async def slowly(request: OpenOrder) -> Claimed:
        if running and not request.order.requisition:
            await goes_on.wait()
        return await open_order(request)

    monkeypatch.setattr(case.cases, "open_order", slowly)
    forged = await started(case, an_order(number=number))
    if not running:
        assert (await ends(case, forged)).business_state == "conflict"
    asked = build.requisition(build.line("1", "ITM-1001", "1 BX"))
    await case.start(asked, skipping=True)
    await case.until("ordered")
    if running:
        await waits_to_look_again(case, asked.case_id)
    goes_on.set()
    if running:
        await ends(case, forged)
        await case.skip(timedelta(minutes=1), asked.case_id)
    async with asyncio.timeout(PATIENCE):
        while case.outside.steps(number) != ["create", "850"]:
            await asyncio.sleep(0.02)
    assert case.cases.claims[f"purchase_order/NGH/{number}"].generation == 1


def unaddable(order: PurchaseOrder) -> bytes:
    """An order that reads, in two currencies."""
    other = order.lines[0].model_copy(
        update={"id": "2", "number": 2, "unit_price": build.usd("8").changed(currency="EUR")}
    )
    return OrderStart(order=order.model_copy(update={"lines": (*order.lines, other)})).model_dump_json().encode()


NOT_AN_ORDER = {
    "nothing": ([b"{}"], "json/plain", "order: Field required"),
    "no JSON": ([b"PO please"], "json/plain", "document: Invalid JSON"),
    "deep": ([b'{"order":' + b"[" * 100_000], "json/plain", "document: Invalid JSON"),
    "a part is wrong": ([b'{"order": {"number": 7}}'], "json/plain", "order.facility: Field required"),
    "lines in two currencies": ([unaddable(an_order())], "json/plain", "order.lines: they cannot be added up"),
    "no argument": ([], "json/plain", "encoding: the start is encoded as '0 arguments'"),
    "two arguments": ([b"{}", b"{}"], "json/plain", "encoding: the start is encoded as '2 arguments'"),
    "not JSON by its own word": ([b"{}"], "binary/plain", "encoding: the start is encoded as 'binary/plain'"),
}


@pytest.mark.parametrize(("arguments", "encoding", "why"), NOT_AN_ORDER.values(), ids=NOT_AN_ORDER)
async def test_a_start_of_an_order_that_cannot_be_read_ends_at_once_and_is_listed_as_it_came(
    case: Case, arguments: list[bytes], encoding: str, why: str
) -> None:
    case.id = f"purchase_order/NGH/{build.unique('PO')}"
    wires = [RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data)) for data in arguments]
    await case.client.start_workflow("PurchaseOrder", args=wires, id=case.id, task_queue="fascia")
    ended = await ends(case, case.id)
    assert (ended.business_state, ended.state) == ("unreadable", State.FAILED) and ended.next_action.startswith(why)
    assert await case.failed_tasks(case.id) == 0 and nothing_happened(case, case.id)
    (listed,) = case.cases.unmatched.values()
    assert listed.reason.startswith(why) and "dismiss it" in listed.reason
    assert (listed.case, listed.facility, listed.order) == (case.id, "NGH", case.id.rsplit("/", 1)[1])
    kept = case.cases.journal.messages[listed.message]
    assert (kept.data, kept.state, kept.case) == (b"\n".join(arguments), "dead", "")


async def test_who_speaks_to_a_start_that_cannot_be_read_does_not_keep_it_from_ending(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, goes_on = case.cases.keep_unread_order, asyncio.Event()

    async def slowly(start: UnreadOrder) -> None:
        await goes_on.wait()
        await keep(start)

    monkeypatch.setattr(case.cases, "keep_unread_order", slowly)
    case.id = f"purchase_order/NGH/{build.unique('PO')}"
    handle = await case.client.start_workflow("PurchaseOrder", {}, id=case.id, task_queue="fascia", task_timeout=SOON)
    await handle.signal("cancel_order", "a test")
    await handle.signal("decide", build.decision("cancel", "E-BUY", reason="a test"))
    await handle.signal("document", {"key": "K-1"})
    await handle.cancel()
    assert (await case.refused("cancel", reason="a test"))[0] == "NotOpen"
    goes_on.set()
    with pytest.raises(WorkflowFailureError):  # as whoever cancelled it in Temporal asked
        await ends(case, case.id)
    assert await case.failed_tasks(case.id) == 0 and nothing_happened(case, case.id)
    (listed,) = case.cases.unmatched.values()
    assert listed.reason.startswith("order: Field required")


async def test_the_genuine_order_is_placed_after_a_start_under_its_name_that_could_not_be_read(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = build.unique("PO")
    monkeypatch.setattr(case.cases, "next_number", lambda: number)
    name = f"purchase_order/NGH/{number}"
    await case.client.start_workflow("PurchaseOrder", {}, id=name, task_queue="fascia")
    assert (await ends(case, name)).business_state == "unreadable"
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    await case.until("sent to supplier", name)
    assert case.outside.steps(number) == ["create", "850"]


@pytest.mark.parametrize(
    "data", [build.requisition().model_dump_json().encode(), b"7"], ids=["a requisition", "nothing"]
)
async def test_a_requisition_started_under_an_orders_name_ends_and_the_genuine_order_is_placed(
    case: Case, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    number = build.unique("PO")
    monkeypatch.setattr(case.cases, "next_number", lambda: number)
    name = f"purchase_order/NGH/{number}"
    await case.start_raw(name, data)
    ended = await case.result()
    assert ended.business_state == "conflict" and "a name of purchase_order" in ended.next_action
    assert nothing_happened(case, name)
    (listed,) = case.cases.unmatched.values()
    assert (listed.case, listed.order, listed.facility) == (name, number, "NGH") and "dismiss it" in listed.reason
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    await case.until("sent to supplier", name)
    assert case.outside.steps(number) == ["create", "850"]


async def test_what_another_process_once_wrote_under_an_orders_name_is_not_the_order(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A version before let a requisition be a case under that name; its run still holds the name."""
    number = build.unique("PO")
    monkeypatch.setattr(case.cases, "next_number", lambda: number)
    name = f"purchase_order/NGH/{number}"
    claim, ends_now = case.cases.claim, asyncio.Event()

    async def slowly(request: ClaimRequest) -> Claimed:
        if request.case == name:
            await ends_now.wait()
        return await claim(request)

    monkeypatch.setattr(case.cases, "claim", slowly)
    await case.start_raw(name, b"{}")
    await case.cases.record(
        CaseChange(
            case=name,
            process="procure_to_pay",
            facility="NGH",
            run="forged",
            revision=1,
            state=State.FAILED,
            business_state="cancelled",
            closed=True,
            changed_at=NOW,
        )
    )
    asked = build.requisition(build.line("1", "ITM-1001", "1 BX"))
    await case.start(asked, skipping=True)
    await case.until("ordered")
    await waits_to_look_again(case, asked.case_id)
    ends_now.set()
    await ends(case, name)
    await case.skip(timedelta(minutes=1), asked.case_id)
    async with asyncio.timeout(PATIENCE):
        while case.outside.steps(number) != ["create", "850"]:
            await asyncio.sleep(0.02)
    assert case.state(asked.case_id) == "ordered" and case.change(name).process == "purchase_order"
