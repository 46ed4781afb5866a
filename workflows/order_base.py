"""What all parts of an order's case share: its progress, its rules, and how it says where it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from activities.supplier import SupplierActivities
    from canonical.cases import Attention, DocumentRef, State
    from canonical.purchasing import LineChange, OrderChange
    from canonical.steps import BudgetMove, OrderContext, SendOrder, SentDocument
    from workflows.case import CaseWorkflow, refusal
    from workflows.order_state import LineProgress, OrderProgress, PendingChange
    from workflows.policies import ask_erp, ask_supplier, own_store


class OrderBase(CaseWorkflow):
    """Progress and rules of one order; the steps every part of its case uses."""

    process = "purchase_order"
    progress: OrderProgress
    context: OrderContext

    def _carried(self) -> str:
        return self.progress.model_copy(update={"held_by": self.held_by, "attention": self.attention}).model_dump_json()

    def _giving_up(self) -> bool:
        return bool(self.progress.cancelling)

    @property
    def _seconds(self) -> int:
        return self.context.policy.step_timeout

    def _within(self, seconds: int, *, partner: bool = True) -> datetime:
        """The moment so many seconds of the partner's (or our) business time from now."""
        calendar = self.context.partner.calendar if partner and self.context.partner else self.context.calendar
        return calendar.add(workflow.now(), timedelta(seconds=seconds))

    def _partner_times(self) -> tuple[int, int, int, int]:
        """Seconds the partner has for a 997, an 855, an 865, and a hold."""
        partner = self.context.partner
        day = 24 * 3600
        if partner is None:
            return day, day, day, 3 * day
        return partner.acknowledge_within, partner.respond_within, partner.change_within, partner.hold_within

    async def _send_order(self) -> SentDocument | None:
        """Send the 850 (again under a new attempt when a person asks for it)."""
        progress = self.progress
        attempt = progress.sends + 1
        send = SendOrder(order=progress.current(), attempt=attempt)
        what = "send order" if attempt == 1 else f"re-send order (attempt {attempt})"
        sent = await self._until_done(
            lambda: ask_supplier(SupplierActivities.send_order, send, what, self._seconds),
            "the order was not sent",
            document="850",
        )
        if sent is None:
            return None
        acknowledge, respond, _, _ = self._partner_times()
        progress.sends, progress.functional, progress.resend = attempt, "", False
        progress.functional_due, progress.answer_due = self._within(acknowledge), self._within(respond)
        progress.passed = [name for name in progress.passed if name not in ("997", "855")]
        name = progress.order.number if attempt == 1 else f"{progress.order.number}-{attempt}"
        self._note(
            DocumentRef(
                kind="order_sent",
                number=name,
                system=progress.order.supplier,
                state=State.SUBMITTED,
                message=sent.message,
            )
        )
        return sent

    def _change(self, lines: list[LineProgress], *, cancel: bool = False, reason: str = "") -> OrderChange:
        """The next change of this order, under a sequence of its own that is never used twice."""
        self.progress.changes += 1
        return OrderChange(
            order=self.progress.current(),
            sequence=self.progress.changes,
            cancel=cancel,
            lines=tuple(
                LineChange(
                    line=line.line.id,
                    number=line.line.number,
                    item=line.line.item,
                    supplier_item=line.line.supplier_item,
                    quantity=line.line.quantity,
                    unit_price=line.line.unit_price,
                    expected=line.expected,
                    ended=bool(line.ended),
                )
                for line in lines
            ),
            reason=reason,
            dated=workflow.now().date(),
        )

    async def _send_change(self, change: OrderChange) -> bool:
        """Send an 860 and start waiting for its 865; False when it was refused and a person gave up."""
        sent = await self._until_done(
            lambda: ask_supplier(
                SupplierActivities.send_change, change, f"send change {change.sequence}", self._seconds
            ),
            "the change was not sent",
            document=f"860 {change.sequence}",
            verbs=("retry", "accept"),
        )
        if sent is None:
            return False
        _, _, within, _ = self._partner_times()
        self.progress.pending = PendingChange(
            sequence=change.sequence,
            cancel=change.cancel,
            lines=[line.line for line in change.lines],
            due=self._within(within),
        )
        self.progress.passed = [name for name in self.progress.passed if name != "865"]
        self._note(
            DocumentRef(
                kind="order_change",
                number=f"{self.progress.order.number}-{change.sequence}",
                system=self.progress.order.supplier,
                state=State.SUBMITTED,
                message=sent.message,
            )
        )
        return True

    async def _amend_erp(self, lines: list[LineProgress]) -> None:
        """Tell the ERP how lines now stand, and commit only what is still to come."""
        change = self._change(lines)
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.change_purchase_order, change, "change order in ERP", self._seconds),
            "the ERP did not take the change",
            document=f"ERP change {change.sequence}",
        )
        if done is not None:
            await self._commit_budget()

    async def _commit_budget(self) -> None:
        order = self.progress.order
        committed = self.progress.committed()
        move = BudgetMove(
            key=f"{self.case}/budget/{self.revision}",
            facility=order.facility,
            cost_centre=order.cost_centre,
            order=order.number,
            committed=committed.model_copy(update={"amount": committed.amount * 0})
            if self.progress.cancelled
            else committed,
            as_of=workflow.now(),
        )
        await own_store(CaseActivities.move_budget, move, "keep the budget")

    def _fault(self, failed: ActivityError, what: str, document: str, verbs: tuple[str, ...]) -> None:
        """Park the case for a step the other side refused."""
        self._park(
            Attention(kind="partner-rejected", reason=f"{what}: {refusal(failed)}", document=document, verbs=verbs)
        )
