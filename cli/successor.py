"""A case that was stopped goes on in a new run: from what our own store kept of it, and without making any document twice.

A run that is still there is terminated first: what it told a person is taken until then is kept. Then the claim's generation is
raised, so that whatever it still writes is passed over, and what the case carried is read. The successor claims the case, goes
on from there, and repeats its steps under the keys of the first.
Documents that reached the run that ended are brought again: it may never have looked at them, and what was seen counts once.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta

from sqlalchemy import select
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from canonical.base import case_parts
from canonical.cases import CaseStatus
from canonical.errors import Rejected, Unavailable
from canonical.purchasing import PurchaseOrder
from canonical.steps import OrderStart, SupplierDocument
from cli.house import Resumed
from store.case_tables import cases, unmatched
from store.database import transaction
from store.ids import now
from store.tables import claims, messages, order_numbers
from workers import namespace
from workers.temporal import PROCESSES
from workers.wiring import Wiring

Begin = Callable[[], Awaitable[str]]

ORDER_PROCESS = "PurchaseOrder"
RPC = timedelta(seconds=10)


async def start_successor(wiring: Wiring, case: str, reason: str) -> Resumed:
    """Let a case go on in a new run.

    Raises:
        Rejected: our own store does not know enough of it to go on.
        Unavailable: Temporal or our own store does not answer; repeating is harmless.
    """
    start = _ways(case)
    await start(wiring, case)  # nothing is ended that could not go on
    terminated = await _terminated(wiring, case)
    generation = await wiring.cases.raise_generation(case)
    begin = await start(wiring, case)
    await wiring.cases.keep_resumed(case, generation, reason)
    await wiring.journal.route_again(case)  # by the routing sweep, which waits until the case runs
    run = await begin()
    await _attached_again(wiring, case)
    await wiring.cases.mark_running(case)
    return Resumed(case=case, generation=generation, run=run, terminated=terminated)


async def can_start(wiring: Wiring, case: str) -> bool:
    """Whether a run is there, which a successor would end; nothing is done.

    Raises:
        Rejected: our own store does not know enough of the case to go on.
        Unavailable: Temporal or our own store does not answer.
    """
    await _ways(case)(wiring, case)
    try:
        found = await wiring.client.get_workflow_handle(case).describe(rpc_timeout=RPC)
    except RPCError as refused:
        if refused.status == RPCStatusCode.NOT_FOUND:
            return False
        raise _away(refused) from refused
    except RuntimeError as away:
        raise _away(away) from away
    return found.status == WorkflowExecutionStatus.RUNNING


def _ways(case: str) -> Callable[[Wiring, str], Awaitable[Begin]]:
    """How a case of its process goes on."""
    ways = {"procure_to_pay": _requisition, "consumption_to_replenishment": _location, "recall": _recall}
    return ways.get(case_parts(case)[0], _order)


async def _location(wiring: Wiring, case: str) -> Begin:
    """A location's case finds in our own store where its rounds stand; it is woken, and looks what waits."""
    try:
        _, facility, location = case_parts(case)
    except ValueError:
        raise Rejected(f"{case} is not the case of a location", code="not-found", system="store") from None

    async def begin() -> str:
        return await wiring.stock.waker.wake(facility, location)

    return begin


async def _recall(wiring: Wiring, case: str) -> Begin:
    """A recall's case finds in our own store how it stands; it is woken, and looks again."""
    number = case_parts(case)[-1]
    if await wiring.stock.recalls.view(number, now()) is None:
        raise Rejected(f"our own store has no notice of {case}", code="not-found", system="store")

    async def begin() -> str:
        await wiring.stock.recall_engine.wake(number)
        return ""

    return begin


async def _attached_again(wiring: Wiring, case: str) -> None:
    """Bring what a person attached to the case again; it is not found by an order's number."""
    asked = select(unmatched.c.document, unmatched.c.decided_by).where(
        unmatched.c.case == case, unmatched.c.state == "attached", unmatched.c.document != ""
    )
    async with transaction(wiring.database) as connection:
        held = list(await connection.execute(asked.order_by(unmatched.c.at, unmatched.c.id)))
    for row in held:
        document = SupplierDocument.model_validate_json(row.document)
        await wiring.engine.deliver(case, document.model_copy(update={"attached_by": row.decided_by or None}))


async def _terminated(wiring: Wiring, case: str) -> bool:
    """End the run that is there, if one is. Why a person wanted it is in our own store, not in Temporal's."""
    try:
        handle = wiring.client.get_workflow_handle(case)
        await handle.terminate(reason="another run goes on with this case", rpc_timeout=RPC)
    except RPCError as refused:
        if refused.status == RPCStatusCode.NOT_FOUND:
            return False
        raise _away(refused) from refused
    except RuntimeError as away:
        raise _away(away) from away
    return True


async def _requisition(wiring: Wiring, case: str) -> Begin:
    """A requisition's case begins again with the bytes it first came as; where those are not JSON, with what they say."""
    claimed = select(claims.c.message, claims.c.content).where(claims.c.case == case)
    unread = (
        select(messages.c.id)
        .where(messages.c.case == case, messages.c.direction == "in", messages.c.kind == "requisition")
        .order_by(messages.c.at.desc())
        .limit(1)
    )
    async with transaction(wiring.database) as connection:
        held = (await connection.execute(claimed)).one_or_none()
        message, content = (held.message, held.content.encode()) if held else ("", b"")
        message = message or await connection.scalar(unread)
    kept = await wiring.journal.read(message) if message else None
    if kept is None:
        raise Rejected(f"the journal does not have what {case} was started with", code="not-found", system="store")

    async def begin() -> str:
        return await wiring.engine.start_requisition(case, content or kept.data, trace=kept.trace)

    return begin


async def _order(wiring: Wiring, case: str) -> Begin:
    """An order's case goes on from what it carried; one that never said a word, from what its requisition made it of."""
    async with transaction(wiring.database) as connection:
        # Whatever else once ran under this name carried something else.
        asked_of = (cases.c.case == case, cases.c.process == "purchase_order")
        row = (await connection.execute(select(cases.c.carried, cases.c.parent).where(*asked_of))).one_or_none()
        carried, parent = (row.carried, row.parent) if row else ("", "")
        if not carried:
            _, facility, number = case_parts(case)
            asked = select(order_numbers.c.case).where(
                order_numbers.c.facility == facility, order_numbers.c.number == number
            )
            parent = parent or await connection.scalar(asked) or ""
            of_parent = await connection.scalar(select(cases.c.carried).where(cases.c.case == parent))
    order = PurchaseOrder.model_validate(json.loads(carried)["order"]) if carried else _made(of_parent or "", case)
    start = OrderStart(order=order, parent_case=parent, carried=carried)

    async def begin() -> str:
        return await _begun(wiring, case, start)

    return begin


def _made(carried: str, case: str) -> PurchaseOrder:
    """The order as its requisition's case has it."""
    made = [PurchaseOrder.model_validate(one) for one in json.loads(carried or "{}").get("orders", ())]
    for order in made:
        if order.case_id == case:
            return order
    raise Rejected(f"our own store does not know what {case} was to order", code="not-found", system="store")


async def _begun(wiring: Wiring, case: str, start: OrderStart) -> str:
    order = start.order
    try:
        handle: WorkflowHandle[object, CaseStatus] = await wiring.client.start_workflow(
            ORDER_PROCESS,
            start,
            id=case,
            task_queue=PROCESSES,
            task_timeout=timedelta(seconds=wiring.settings.task_timeout),
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            static_summary=f"order {order.number} to {order.supplier}, {order.amount}",
            search_attributes=TypedSearchAttributes(
                [
                    SearchAttributePair(namespace.PROCESS, "purchase_order"),
                    SearchAttributePair(namespace.FACILITY, order.facility),
                    SearchAttributePair(namespace.SUPPLIER, order.supplier),
                    SearchAttributePair(namespace.ORDER, order.number),
                    SearchAttributePair(namespace.AMOUNT, float(order.amount.amount)),
                ]
            ),
            rpc_timeout=RPC,
        )
    except WorkflowAlreadyStartedError as running:
        raise Rejected(f"{case} runs already", code="conflict", system="temporal") from running
    except (RPCError, RuntimeError) as away:
        raise _away(away) from away
    return handle.result_run_id or ""


def _away(problem: BaseException) -> Unavailable:
    return Unavailable(f"Temporal does not answer ({type(problem).__name__}); safe to repeat", system="temporal")
