"""Where many tests of an order begin: what has come, its case going on in a successor, the sweep's word to its requisition."""

from __future__ import annotations

import contextlib

from temporalio.service import RPCError

from canonical.purchasing import PurchaseOrder, Requisition
from canonical.steps import OrderStart
from tests import build
from tests.workflows.case import Case


async def received(case: Case, *quantities: str) -> PurchaseOrder:
    order = await case.approved_order()
    await case.say(order, functional=build.functional(order))
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, *quantities))
    await case.until("partly received" if quantities else "received", order.case_id)
    return order


async def succeeded(case: Case, order: PurchaseOrder) -> None:
    """As ``case resume`` does with an order: the generation raised, the run ended, another begun from what was carried."""
    name = order.case_id
    await case.cases.raise_generation(name)
    with contextlib.suppress(RPCError):  # it may be stopped already
        await case.client.get_workflow_handle(name).terminate("a test")
    start = OrderStart(order=order, parent_case=case.id, carried=case.cases.carried.get(name, ""))
    await case.client.start_workflow("PurchaseOrder", start, id=name, task_queue="fascia")


async def requisition_succeeded(case: Case, requisition: Requisition) -> None:
    """The same with a requisition: it begins again with the bytes it first came as."""
    await case.cases.raise_generation(case.id)
    with contextlib.suppress(Exception):
        await case.client.get_workflow_handle(case.id).terminate("a test")
    await case.start(requisition)


def keys(case: Case, order: PurchaseOrder) -> list[str]:
    return [name for name, _ in case.outside.documents[order.number]]


async def told_by_the_sweep(case: Case, order: PurchaseOrder) -> None:
    """What workers.loops.engine_sweep does for a requisition whose order went on in another run."""
    ended = await case.ended(order)
    lines = [(line.requisition_line, line.state) for line in ended.lines]
    told = {"order": order.number, "case": order.case_id, "business_state": ended.business_state, "lines": lines}
    with contextlib.suppress(Exception):
        await case.signal("order_ended", told)
