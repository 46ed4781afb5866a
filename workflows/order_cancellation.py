"""Taking an order back: what was done is undone in reverse, in the ERP and at the supplier.

| done so far                      | undone by                                                                       |
|----------------------------------|---------------------------------------------------------------------------------|
| budget committed                 | the commitment is set to nothing                                                |
| order in the ERP                 | cancelled there, once nothing of it is on the way or kept                       |
| 850 sent                         | 860 (BCH01 01, cancel); the 865 is waited for: taken, go on; refused or none    |
|                                  | within the partner's time: a person says retry (send again) or accept (go on)   |
| goods received                   | returned: a goods return in the ERP, for what is still here                     |
| invoice not yet posted           | refused                                                                         |
| invoice posted, not paid         | cancelled in the ERP                                                            |
| invoice paid                     | cannot be undone here: a person claims the money back, then says accept         |
"""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erp import ErpActivities
    from canonical.base import Quantity
    from canonical.cases import Attention, DocumentRef, State
    from canonical.purchasing import GoodsReturn, ReceivedLine
    from workflows.order_documents import CHANGE_TAKEN, Documents
    from workflows.order_state import InvoiceProgress
    from workflows.policies import ask_erp


class Cancellation(Documents):
    """The way back, a step at a time; each step is found done when the case goes on in another run."""

    async def _undo(self) -> None:
        """Undo in reverse; ends with ``progress.cancelled``."""
        progress = self.progress
        self._say("cancelling", owner="fascia", next_action="what was done is being undone")
        await self._record()
        for held in reversed(progress.invoices):
            await self._undo_invoice(held)
        await self._return_what_is_here()
        if progress.sends and not progress.rejected and any(line.open for line in progress.lines):
            await self._cancel_at_supplier()
            await self._return_what_is_here()
        for line in progress.lines:
            line.ended = line.ended or "cancelled"
        if progress.placed and not progress.cancelled_in_erp:
            await self._cancel_in_erp()
        progress.cancelled = True
        await self._commit_budget()
        self._note(
            DocumentRef(kind="order", number=progress.order.number, state=State.FAILED, amount=progress.order.amount)
        )
        self._tell("order.cancelled", progress.order.number, order=progress.order.number, reason=progress.cancelling)

    async def _undo_invoice(self, held: InvoiceProgress) -> None:
        name = held.invoice.number
        if held.final:
            if held.state == "reconciled":
                await self._ask_person(f"paid {name}", f"invoice {name} is paid: claim the money back, then accept")
            return
        if held.state == "paid":
            await self._ask_person(
                f"paid {name}", f"invoice {name} is with the bank: claim the money back, then accept"
            )
            held.state = "cancelled"
            return
        posting = held.posting
        if posting is not None:
            await self._without_giving_up(
                lambda: ask_erp(ErpActivities.cancel_invoice, posting, f"take back invoice {name}", self._seconds),
                f"the ERP does not take invoice {name} back",
                document=f"ERP invoice {name}",
            )
        held.state = "cancelled" if posting is not None else "refused"
        self._unpark(document=name)
        if held.payment is not None:
            self._unpark(document=held.payment.key)
            self._unpark(document=f"{held.payment.key}/bank")
        self._note(self._invoice_document(held, State.FAILED))

    async def _return_what_is_here(self) -> None:
        progress = self.progress
        here = [line for line in progress.lines if line.kept > 0]
        if not here:
            return
        progress.returns += 1
        goods = GoodsReturn(
            order=progress.current(),
            sequence=progress.returns,
            lines=tuple(
                ReceivedLine(
                    line=line.line.id,
                    item=line.line.item,
                    quantity=Quantity(value=line.kept, unit=line.line.quantity.unit),
                )
                for line in here
            ),
            reason=progress.cancelling,
            returned_on=workflow.now().date(),
        )
        done = await self._without_giving_up(
            lambda: ask_erp(ErpActivities.return_goods, goods, "return goods", self._seconds),
            "the ERP does not book the return",
            document=f"return {progress.returns}",
        )
        for line in here:
            line.returned = line.received
            line.state = "returned"
        number = done.number if done is not None else str(progress.returns)
        system = done.system if done is not None else "erp"
        self._note(DocumentRef(kind="goods_return", number=number, system=system, state=State.POSTED))

    async def _cancel_at_supplier(self) -> None:
        """860 and its 865, until the supplier takes it or a person says to go on."""
        progress = self.progress
        while True:
            if progress.pending is None or not progress.pending.cancel:
                progress.pending = None
                change = self._change(
                    [line for line in progress.lines if line.open], cancel=True, reason=progress.cancelling
                )
                if not await self._send_change(change):
                    return
            pending = progress.pending
            if pending is None:
                return
            self._say(
                "cancelling, waiting for the supplier",
                owner="supplier",
                due=pending.due,
                next_action="the supplier answers our cancellation (865)",
            )
            await self._record()
            while not pending.answer and workflow.now() < pending.due:
                await self._stir(self._stirred, pending.due, "the supplier answers our cancellation")
                self._read_documents()
            progress.pending = None
            if pending.answer in CHANGE_TAKEN:
                return
            said = (
                f"refuses the cancellation ({pending.answer})" if pending.answer else "does not answer our cancellation"
            )
            verb = await self._ask_person(
                f"865 {pending.sequence}",
                f"the supplier {said}: retry (send it again), or accept (settled by phone)",
                "retry",
            )
            if verb == "accept":
                return

    async def _cancel_in_erp(self) -> None:
        change = self._change(self.progress.lines, cancel=True, reason=self.progress.cancelling)
        await self._without_giving_up(
            lambda: ask_erp(ErpActivities.cancel_purchase_order, change, "cancel order in ERP", self._seconds),
            "the ERP does not cancel the order",
            document=f"ERP cancellation {change.sequence}",
        )
        self.progress.cancelled_in_erp = True

    async def _ask_person(self, document: str, reason: str, *more: str) -> str:
        """Park until a person says one of the verbs; returns it."""
        self._park(Attention(kind="business-rule", reason=reason, document=document, verbs=("accept", *more)))
        self._say("cancelling, needs attention", owner="buyer", next_action=reason)
        await self._record()
        self._answered_by_hand.pop(document, None)
        while document not in self._answered_by_hand:
            await self._stir(self._stirred, None, "")
            self._read_documents()
        return self._answered_by_hand.pop(document)
