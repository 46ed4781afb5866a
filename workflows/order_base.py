"""What all parts of an order's case share: its progress, its rules, and how documents leave for the supplier and the ERP."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from activities.supplier import SupplierActivities
    from canonical.base import Quantity, case_parts, zero
    from canonical.calendar import BusinessCalendar
    from canonical.cases import DocumentRef, State
    from canonical.erp_steps import ErpReceipt
    from canonical.purchasing import GoodsReturn, LineChange, OrderChange, ReceivedLine
    from canonical.steps import BudgetMove, OrderContext, SendOrder, SentDocument
    from workflows.decisions import DecidedCase
    from workflows.order_state import LineProgress, OrderProgress, PendingChange
    from workflows.policies import ask_erp, ask_supplier, own_store

DAY = 24 * 3600


class OrderBase(DecidedCase):
    """Progress and rules of one order; the steps every part of its case uses."""

    process = "purchase_order"
    progress: OrderProgress
    context: OrderContext

    def _carried(self) -> str:
        carried = {
            "held_by": self.held_by,
            "attention": self._lasting_attention(),
            "parked": list(self.attention),
            "revision": self.revision,
            "answers": self._lasting_answers(),
        }
        return self.progress.model_copy(update=carried).model_dump_json()

    def _giving_up(self) -> bool:
        return bool(self.progress.cancelling)

    def _give_up(self, reason: str) -> None:
        self.progress.cancelling = reason

    def _to_undo(self) -> bool:
        """Whether there is something to undo before the order can be cancelled in the ERP."""
        raise NotImplementedError

    def _calendar(self) -> BusinessCalendar:
        return self.context.calendar

    def _tell(self, kind: str, key: str, /, **data: str) -> None:
        """A business event about this order."""
        order = self.progress.order
        about = {
            "order": order.number,
            "supplier": order.supplier,
            "requisition": case_parts(order.requisition)[-1] if order.requisition else "",
            "cost_centre": order.cost_centre,
            "lines": self._in_words((line, line.line.quantity.value) for line in self.progress.lines),
            "amount": str(self.progress.current().amount),
        }
        self._publish(kind, key, about | data)

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        self._tell("order.attention_overdue", key, **data)

    @staticmethod
    def _in_words(lines: Iterable[tuple[LineProgress, Decimal]]) -> str:
        """Lines as other systems read them: item, quantity and unit."""
        return " ".join(f"{one.line.item}:{value.normalize():f}:{one.line.quantity.unit}" for one, value in lines)

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
        if partner is None:
            return DAY, DAY, DAY, 3 * DAY
        return partner.acknowledge_within, partner.respond_within, partner.change_within, partner.hold_within

    def _not_passed(self, *names: str) -> None:
        """A deadline that is set again may pass again."""
        self.progress.passed = [name for name in self.progress.passed if name not in names]

    def _no_goods_due(self) -> None:
        """What was promised is not waited for as it was: it came, is on its way, or was promised anew."""
        self.progress.receipt_due, self.progress.promised = None, False
        self._unpark(document="goods")

    def _in_order_unit(self, line: LineProgress, quantity: Quantity) -> Decimal | None:
        """A quantity as the order line counts it; None where the item is not packed in that unit."""
        ordered = line.line.quantity.unit
        if quantity.unit == ordered:
            return quantity.value
        packs = self.context.packs.get(line.line.item, {})
        if quantity.unit not in packs or ordered not in packs:
            return None
        return quantity.value * packs[quantity.unit] / packs[ordered]

    # -- to the supplier -----------------------------------------------------------------------------------------

    async def _send_order(self) -> SentDocument | None:
        """Send the 850 (again under a new attempt when a person asks for it)."""
        progress = self.progress
        attempt = progress.sends + 1
        send = SendOrder(order=progress.current(), attempt=attempt)
        what = "send order" if attempt == 1 else f"re-send order (attempt {attempt})"
        was, progress.sending = progress.sending, True
        sent = await self._until_done(
            lambda: ask_supplier(SupplierActivities.send_order, send, what, self._seconds),
            "the order was not sent",
            document="850",
        )
        progress.sending = was and sent is None
        if sent is None:
            return None
        acknowledge, respond, _, _ = self._partner_times()
        progress.sends, progress.functional, progress.resend = attempt, "", False
        progress.functional_due, progress.answer_due = self._within(acknowledge), self._within(respond)
        self._not_passed("997", "855")
        name = progress.order.number if attempt == 1 else f"{progress.order.number}-{attempt}"
        self._note_sent("order_sent", name, sent)
        return sent

    def _note_sent(self, kind: str, number: str, sent: SentDocument, parent: str | None = None) -> None:
        about = DocumentRef(
            kind=kind,
            number=number,
            system=self.progress.order.supplier,
            state=State.SUBMITTED,
            message=sent.message,
        )
        self._note(about.model_copy(update={"parent": parent}) if parent else about)

    def _change(self, lines: list[LineProgress], *, cancel: bool = False, reason: str = "") -> OrderChange:
        """The next change of this order. Its number is taken once it is through: a successor asks under the same one."""
        return OrderChange(
            order=self.progress.current(),
            sequence=self.progress.changes + 1,
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

    async def _send_change(self, change: OrderChange, *, back: bool = False) -> bool:
        """Send an 860 and start waiting for its 865; False when it was refused and settled by hand, or given up."""
        sent = await self._until_done(
            lambda: ask_supplier(
                SupplierActivities.send_change, change, f"send change {change.sequence}", self._seconds
            ),
            "the change was not sent",
            document=f"860 {change.sequence}",
            verbs=("retry", "accept"),
            back=back,
        )
        self.progress.changes = change.sequence
        if sent is None:
            return False
        _, _, within, _ = self._partner_times()
        self.progress.pending = PendingChange(
            sequence=change.sequence,
            cancel=change.cancel,
            lines=[line.line for line in change.lines],
            due=self._within(within),
        )
        self._not_passed("865")
        self._note_sent("order_change", f"{self.progress.order.number}-{change.sequence}", sent)
        return True

    # -- to the ERP and our own store ----------------------------------------------------------------------------

    async def _amend_erp(self, lines: list[LineProgress]) -> bool:
        """Tell the ERP how lines now stand, and commit only what is still to come; False when the case is taken back."""
        change = self._change(lines)
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.change_purchase_order, change, "change order in ERP", self._seconds),
            "the ERP did not take the change",
            document=f"ERP change {change.sequence}",
            verbs=("retry", "accept", "cancel"),
        )
        self.progress.changes = change.sequence
        if done is None and self._giving_up():
            return False
        await self._commit_budget()
        return True

    async def _cancel_in_erp(self, *, back: bool) -> None:
        """Cancel the order in the ERP: what has not come is not expected any more.

        Taking the order back, it is left where it was refused and there is more to undo first: it is not cancelled then.
        """
        change = self._change(
            self.progress.lines, cancel=True, reason=self.progress.cancelling or self.progress.rejected
        )
        asked = 0

        async def cancel() -> ErpReceipt:
            nonlocal asked
            asked += 1
            return await ask_erp(ErpActivities.cancel_purchase_order, change, "cancel order in ERP", self._seconds)

        def moot() -> bool:
            # A name for each refusal: a run that was parked before this was mended is let go by its next one.
            return back and self._to_undo() and workflow.patched(f"undone-before-cancelled-{change.sequence}-{asked}")

        done = await self._until_done(
            cancel,
            "the ERP does not cancel the order",
            document=f"ERP cancellation {change.sequence}",
            verbs=("retry", "accept"),
            back=back,
            moot=moot,
        )
        if done is None and moot():
            return
        self.progress.changes = change.sequence
        self.progress.cancelled_in_erp = done is not None or back or not self._giving_up()

    async def _return_goods(self, quantities: dict[str, Decimal], reason: str, *, back: bool) -> None:
        """Book goods back to the supplier in the ERP."""
        progress = self.progress
        lines = [line for line in progress.lines if quantities.get(line.line.id, Decimal(0)) > 0]
        if not lines:
            return
        goods = GoodsReturn(
            order=progress.current(),
            sequence=progress.returns + 1,
            lines=tuple(
                ReceivedLine(
                    line=line.line.id,
                    item=line.line.item,
                    quantity=Quantity(value=quantities[line.line.id], unit=line.line.quantity.unit),
                )
                for line in lines
            ),
            reason=reason,
            returned_on=workflow.now().date(),
        )
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.return_goods, goods, "return goods", self._seconds),
            "the ERP does not book the return",
            document=f"return {goods.sequence}",
            verbs=("retry", "accept"),
            back=back,
        )
        if done is None and not back and self._giving_up():
            return
        progress.returns = goods.sequence
        for line in lines:
            line.returned += quantities[line.line.id]
            line.state = "returned" if line.kept <= 0 else line.state
        number, system = (done.number, done.system) if done is not None else (f"by hand {goods.sequence}", "erp")
        self._note(DocumentRef(kind="goods_return", number=number, system=system, state=State.POSTED))

    async def _commit_budget(self) -> None:
        order, committed = self.progress.order, self.progress.committed()
        move = BudgetMove(
            facility=order.facility,
            cost_centre=order.cost_centre,
            order=order.number,
            committed=zero(order.currency) if self.progress.cancelled else committed,
            as_of=workflow.now(),
        )
        await own_store(CaseActivities.move_budget, move, "keep the budget")
