"""The second half of a requisition's way: split into orders, each followed by a case of its own, until all have ended."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from temporalio import workflow
from temporalio.common import (
    RawValue,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ChildWorkflowError, FailureError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.cases import CaseActivities
    from canonical.cases import REASON_KEPT, Attention, CaseStatus, State
    from canonical.purchasing import PurchaseOrder, Requisition
    from canonical.steps import CaseQuestion, OrderEnded, OrdersRequest, OrderStart, UnreadableDecision
    from workflows.policies import OUTLIVES_US, own_store
    from workflows.purchase_order import PurchaseOrderCase
    from workflows.requisition_approvals import Approvals

KEYWORDS = {
    name: SearchAttributeKey.for_keyword(name)
    for name in ("FasciaProcess", "FasciaFacility", "FasciaState", "FasciaSupplier", "FasciaOrder", "FasciaRequisition")
}
AMOUNT = SearchAttributeKey.for_float("FasciaAmount")
NOT_OURS = timedelta(
    seconds=30
)  # from one look at a run under our order's name that our store knows nothing of to the next


class Ordering(Approvals):
    """One case per order; this one ends when its lines end."""

    def __init__(self) -> None:
        super().__init__()
        self._begun: set[str] = set()  # orders whose case is known to have been started
        self._following: list[asyncio.Task[None]] = []
        self._looking_up = 0

    async def _split(self) -> None:
        """Into orders, their budget reserved; where another took the money since the check, none, and finance is asked."""
        amount = self._enriched.amount
        request = OrdersRequest(
            case=self.case,
            requisition=self._requisition,
            lines=self._enriched.lines,
            currency=amount.currency,
            dated=workflow.now().date(),
            amount=amount,
            above_budget=self._overrun_accepted(amount),
            as_of=workflow.now(),
        )
        orders = await own_store(CaseActivities.split_orders, request, "split into orders")
        if orders.problem is not None:
            await self._until_corrected([orders.problem])
            return
        self.progress.orders = list(orders.orders)
        self._set_lines("ordered")
        numbers = " ".join(order.number for order in self.progress.orders)
        self._tell(
            "requisition.lines_changed", "ordered", orders=numbers, state="ordered", lines=self._lines_in_words()
        )

    async def _ordered(self) -> None:
        """Follow every order to its end. An emergency is approved meanwhile."""
        self._left = True
        self._following = [asyncio.create_task(self._follow(order)) for order in self.progress.orders]
        for following in self._following:
            following.add_done_callback(self._came_back)
        self._say_ordered()
        approval: asyncio.Task[None] | None = None
        if self._requisition.emergency and not self.progress.approved and self.progress.after != "settled":
            approval = asyncio.create_task(self._approved_after())
            approval.add_done_callback(self._came_back)
        while not (self._all_ended() and (approval is None or approval.done()) and not self.attention):
            seen = self._stirred
            await self._record()
            self._look_for_mistakes(approval)
            if self.progress.cancelling:
                await self._take_back()
                break
            await self._stir(seen, None, "")
        if approval is not None:
            await approval

    def _say_ordered(self) -> None:
        numbers = ", ".join(order.number for order in self.progress.orders)
        action = f"orders {numbers} are followed to their end"
        self._say("ordered", state=State.SUBMITTED, owner="suppliers", next_action=action)

    def _came_back(self, _: asyncio.Task[None]) -> None:
        self._stirred += 1

    def _look_for_mistakes(self, approval: asyncio.Task[None] | None) -> None:
        """A mistake of ours in what goes on beside this stops the case where the sweep sees it, instead of going unheard."""
        for task in (*self._following, *((approval,) if approval else ())):
            if task.done():
                task.result()

    async def _approved_after(self) -> None:
        """The emergency path: ordered first, approved within its time; a rejection is for a person to act on."""
        if self.progress.after != "rejected":
            await self._approved(after=True)
        if self.progress.refused:
            self.progress.after = "rejected"
            reason = f"rejected after the emergency order: {REASON_KEPT}"
            self._park(Attention(kind="business-rule", reason=reason, document="approval", verbs=("accept", "cancel")))
            self._say("ordered, rejected", owner="buyer", next_action="accept it as it is, or cancel the orders")
        elif not self.progress.cancelling:
            self.progress.after = "settled"
            self._say_ordered()
        self._stirred += 1

    async def _follow(self, order: PurchaseOrder) -> None:
        """Start an order's case, or find it started, and hear how it ends.

        A run that ended does not keep it from starting: whoever reaches Temporal may have begun one under this name before the
        number was given, and it is the claim in our own store that lets an order begin once.
        """
        if order.number in self.progress.ended:
            return
        status = await self._child_of(order)
        while status is None and await self._look_up_end(order) is None and workflow.patched("begun-by-nobody-we-know"):
            await workflow.sleep(NOT_OURS)  # a run our store knows nothing of: it ends by itself, as a conflict
            status = await self._child_of(order)
        if status is None:
            return
        if status.business_state in ("duplicate", "conflict"):
            await self._look_up_end(order)
            return
        self._order_ended(order, status.business_state, {line.requisition_line: line.state for line in status.lines})

    async def _child_of(self, order: PurchaseOrder) -> CaseStatus | None:
        """How the order ended; None where another run has it, whose end is in our store or will be told by signal."""
        try:
            child = await workflow.start_child_workflow(
                PurchaseOrderCase.run,
                _wire(OrderStart(order=order, parent_case=self.case)),
                id=order.case_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                task_timeout=workflow.info().task_timeout,  # as this case was started with: the setting counts for both
                static_summary=f"order {order.number} to {order.supplier}, {order.amount}",
                search_attributes=_attributes(order, self._requisition),
                parent_close_policy=OUTLIVES_US["parent_close_policy"],
                cancellation_type=OUTLIVES_US["cancellation_type"],
            )
            self._begun.add(order.number)
            return await child
        except (WorkflowAlreadyStartedError, ChildWorkflowError):
            self._begun.add(order.number)
            self._stirred += 1
            return None

    async def _look_up_end(self, order: PurchaseOrder) -> CaseStatus | None:
        """How an order this run did not follow to its end stands, by our own store; None where it knows nothing of it."""
        self._looking_up += 1
        found = await own_store(
            CaseActivities.how_it_stands, CaseQuestion(case=order.case_id), "how did the order end?"
        )
        self._looking_up -= 1
        if found.status is not None and found.status.closed:
            lines = {line.requisition_line: line.state for line in found.status.lines}
            self._order_ended(order, found.status.business_state, lines)
        return found.status

    def _order_ended(self, order: PurchaseOrder, business_state: str, lines: dict[str, str]) -> None:
        if order.number in self.progress.ended:
            return
        self.progress.ended[order.number] = business_state
        ours = {line.requisition_line for line in order.lines}
        self.lines = [
            line.model_copy(update={"state": lines.get(line.line, business_state)}) if line.line in ours else line
            for line in self.lines
        ]
        self._unpark(document=order.number)
        where = self._lines_in_words()
        self._tell("requisition.lines_changed", order.number, orders=order.number, state=business_state, lines=where)
        self._stirred += 1

    @workflow.signal(name="order_ended")
    async def order_ended(self, raw: RawValue) -> None:
        """An order this run did not follow itself has ended (told by the engine sweep): how, our own store says."""
        try:
            told = OrderEnded.model_validate_json(raw.payload.data)
        except ValidationError as wrong:
            reason = f"order_ended signal: {wrong.errors(include_input=False)[0]['msg']}"
            kept = UnreadableDecision(case=self.case, data=raw.payload.data, reason=reason, at=workflow.now())
            await own_store(CaseActivities.keep_unreadable, kept, "keep a signal that does not fit")
            return
        order = next((o for o in self.progress.orders if o.number == told.order), None)
        if order is None or order.number in self.progress.ended:
            return
        if not workflow.patched(f"order-end-looked-up-{order.number}"):
            self._order_ended(order, told.business_state, dict(told.lines))
            return
        await self._look_up_end(order)
        if order.number not in self.progress.ended:
            reason = f"order_ended signal: order {order.number} has not ended"
            kept = UnreadableDecision(case=self.case, data=raw.payload.data, reason=reason, at=workflow.now())
            await own_store(CaseActivities.keep_unreadable, kept, "keep a signal that is not true")

    # -- taking it back ------------------------------------------------------------------------------------------

    async def _take_back(self) -> None:
        """Take every open order back; each case undoes its own."""
        self.attention = []
        self._say("cancelling", owner="fascia", next_action="the orders are being taken back")
        await self._record()
        for order in self.progress.orders:
            await workflow.wait_condition(partial(self._has_begun, order.number))
            await self._take_back_order(order)
        while not self._all_ended():
            seen = self._stirred
            await self._record()
            await self._stir(seen, None, "")

    def _nothing_under_way(self) -> bool:
        """A step on our own store that outlasts its case would be told to Temporal after the end, which refuses it for ever."""
        return workflow.all_handlers_finished() and not self._looking_up

    def _has_begun(self, order: str) -> bool:
        return order in self._begun or order in self.progress.ended

    def _has_ended(self, order: str) -> bool:
        return order in self.progress.ended

    async def _take_back_order(self, order: PurchaseOrder) -> None:
        """Tell the order's case; where none runs, a person lets it go on first."""
        while order.number not in self.progress.ended:
            if self.business_state != "cancelling" and workflow.patched("says-again-that-it-cancels"):
                self._say("cancelling", owner="fascia", next_action="the orders are being taken back")
                await self._record()  # an order believes it only from our own store
            handle = workflow.get_external_workflow_handle(order.case_id)
            try:
                await handle.signal("cancel_order", self.progress.cancelling)
            except FailureError:
                await self._look_up_end(order)
            else:
                return
            if order.number in self.progress.ended:
                return
            reason = f"the case of order {order.number} does not run: let it go on (case resume), then retry"
            self._answered_by_hand.pop(order.number, None)
            self._park(Attention(kind="internal", reason=reason, document=order.number, verbs=("retry",)))
            await self._heard_of(order.number, partial(self._has_ended, order.number))
            self._unpark(document=order.number)

    def _set_lines(self, state: str) -> None:
        where = {line.requisition_line: order.number for order in self.progress.orders for line in order.lines}
        self.lines = [
            line.model_copy(update={"state": state, "order": where.get(line.line, "")}) for line in self.lines
        ]

    def _lines_in_words(self) -> str:
        return " ".join(f"{line.line}:{line.state.replace(' ', '_')}" for line in self.lines)

    def _all_ended(self) -> bool:
        return all(order.number in self.progress.ended for order in self.progress.orders)


def _wire(start: OrderStart) -> RawValue:
    """A start as it goes over the wire: an order's case reads it itself."""
    return RawValue(workflow.payload_converter().to_payload(start))


def _attributes(order: PurchaseOrder, requisition: Requisition) -> TypedSearchAttributes:
    values = {
        "FasciaProcess": "purchase_order",
        "FasciaFacility": order.facility,
        "FasciaState": "placing order",
        "FasciaSupplier": order.supplier,
        "FasciaOrder": order.number,
        "FasciaRequisition": requisition.number,
    }
    pairs: list[SearchAttributePair[str] | SearchAttributePair[float]] = [
        SearchAttributePair(KEYWORDS[name], value) for name, value in values.items()
    ]
    return TypedSearchAttributes([*pairs, SearchAttributePair(AMOUNT, float(order.amount.amount))])
