"""Taking an order back: what was done is undone in reverse, in the ERP and at the supplier.

| done so far                      | undone by                                                                       |
|----------------------------------|---------------------------------------------------------------------------------|
| invoice paid                     | cannot be undone here: a person claims the money back, then says accept         |
| invoice posted, not paid         | cancelled in the ERP                                                            |
| invoice asked to be posted, and  | taken back in the ERP under its key: found there and cancelled, or kept from    |
| no answer, or it was refused     | ever being posted by a call still on its way                                    |
| invoice not yet asked            | refused                                                                         |
| goods received                   | returned: a goods return in the ERP, for what is still here                     |
| goods used before the order      | stay used: the supplier is asked not to bill them                               |
| 850 sent                         | 860 (BCH01 01, cancel); the 865 is waited for: taken, go on; refused or none    |
|                                  | within the partner's time: a person says retry (send again) or accept (go on);  |
|                                  | goods and invoices that came meanwhile are undone as above                      |
| order in the ERP                 | cancelled there; goods and invoices that come before it is, also while its      |
|                                  | refusal is parked or after a person's word, are undone first, and it is asked   |
|                                  | again, until nothing new came                                                   |
| budget committed                 | the commitment is set to nothing                                                |

A step the other side refuses waits for a person: retry, or accept when it was done by hand.
"""

from __future__ import annotations

from collections.abc import Callable

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.erp import ErpActivities
    from canonical.cases import Attention, DocumentRef, State
    from workflows.order_documents import CHANGE_TAKEN, Documents
    from workflows.order_state import InvoiceProgress, LineProgress, PendingChange
    from workflows.policies import ask_erp


class Cancellation(Documents):
    """The way back, a step at a time; each step is found done when the case goes on in another run."""

    async def _undo(self) -> None:
        """Undo in reverse; ends with ``progress.cancelled``."""
        progress = self.progress
        self.attention = []
        self._apart.clear()
        self._say("cancelling", owner="fascia", next_action="what was done is being undone")
        await self._record()
        self._read_documents()
        await self._undo_what_came()
        if self._supplier_must_know():
            await self._cancel_at_supplier()
        progress.supplier_free = True
        await self._undo_the_rest()
        progress.cancelled = True
        await self._commit_budget()
        self._tell("order.cancelled", progress.order.number, reason=progress.cancelling)

    async def _undo_the_rest(self) -> None:
        """Undo what came and cancel in the ERP, until nothing new came.

        The ERP may have goods, and refuse for them, before we hear of them: its cancellation is then left, and asked again.
        """
        progress, again = self.progress, 0
        while True:
            self._read_documents()
            await self._undo_what_came()
            for line in progress.lines:
                line.ended = line.ended or "cancelled"
            if (progress.placed or progress.placing) and not progress.cancelled_in_erp:
                await self._cancel_in_erp(back=True)
            again += 1
            if not (self._inbox or self._to_undo()) or not workflow.patched(f"undone-until-nothing-comes-{again}"):
                return

    def _to_undo(self) -> bool:
        """Whether goods are here, or an invoice is not settled, that came after the last was undone."""
        paid = ("paid", "reconciled")
        bills = any(not i.final or (i.state in paid and not i.claimed_back) for i in self.progress.invoices)
        used = self.progress.order.after_use
        return bills or (not used and any(line.kept > 0 for line in self.progress.lines))

    async def _undo_what_came(self) -> None:
        """Invoices first, newest first: goods that are billed are not returned before the bill is taken back."""
        for held in reversed(list(self.progress.invoices)):
            await self._undo_invoice(held)
        if not self.progress.order.after_use:  # what was used does not go back
            here = {line.line.id: line.kept for line in self.progress.lines}
            await self._return_goods(here, self.progress.cancelling, back=True)
        self.progress.to_return = []

    async def _undo_invoice(self, held: InvoiceProgress) -> None:
        name = held.name
        if held.state in ("paid", "reconciled"):
            if not held.claimed_back:
                await self._ask_person(f"paid {name}", f"invoice {name} is paid: claim the money back, then accept")
            held.claimed_back = True
            held.state = "reconciled"
            return
        if held.final:
            return
        posting = held.posting or held.asked
        if posting is not None:
            await self._until_done(
                lambda: ask_erp(ErpActivities.cancel_invoice, posting, f"take back invoice {name}", self._seconds),
                f"the ERP does not take invoice {name} back",
                document=f"ERP invoice {name}",
                verbs=("retry", "accept"),
                back=True,
            )
        held.state = "cancelled" if posting is not None else "refused"
        self._note(self._invoice_document(held, State.FAILED))

    def _supplier_must_know(self) -> bool:
        progress = self.progress
        sent = bool(progress.sends or progress.sending)
        return sent and not (progress.rejected or progress.supplier_free) and bool(self._standing_lines())

    def _standing_lines(self) -> list[LineProgress]:
        """What the supplier still does something about: goods to ship, or a bill to write of what was used."""
        progress = self.progress
        if progress.order.after_use:
            return [line for line in progress.lines if not line.ended and line.invoiced < line.kept]
        return [line for line in progress.lines if line.open]

    async def _cancel_at_supplier(self) -> None:
        """860 and its 865, until the supplier takes it or a person says to go on."""
        progress = self.progress
        while True:
            if progress.pending is None or not progress.pending.cancel:
                progress.pending = None
                change = self._change(self._standing_lines(), cancel=True, reason=progress.cancelling)
                if not await self._send_change(change, back=True):
                    return  # told by hand
            pending = progress.pending
            if pending is None:
                return
            await self._answered(pending)
            verb = "" if pending.answer in CHANGE_TAKEN else await self._not_taken(pending)
            progress.pending = None
            if verb != "retry":
                return

    async def _answered(self, pending: PendingChange) -> None:
        """Wait for the 865, no longer than the partner has."""
        what = "the supplier answers our cancellation (865)"
        self._say("cancelling, waiting for the supplier", owner="supplier", due=pending.due, next_action=what)
        await self._record()
        while True:
            self._read_documents()
            if pending.answer or workflow.now() >= pending.due:
                return
            await self._stir(self._stirred, pending.due, what)

    async def _not_taken(self, pending: PendingChange) -> str:
        """A person says what to do; an 865 that comes after all says it for them."""
        answer = f"refuses the cancellation ({pending.answer})"
        said = answer if pending.answer else "does not answer our cancellation"
        reason = f"the supplier {said}: retry (send it again), or accept (settled by phone)"
        name = f"865 {pending.sequence}"
        return await self._ask_person(name, reason, "retry", unless=lambda: pending.answer in CHANGE_TAKEN)

    async def _ask_person(
        self, document: str, reason: str, *more: str, unless: Callable[[], bool] = lambda: False
    ) -> str:
        """Park until a person says one of the verbs (returned), or it is settled by itself."""
        self._answered_by_hand.pop(document, None)
        self._refused_steps.add(document)  # a successor asks again by itself
        self._park(Attention(kind="business-rule", reason=reason, document=document, verbs=("accept", *more)))
        self._say("cancelling, needs attention", owner="buyer", next_action=reason)
        await self._heard_of(document, unless)
        self._refused_steps.discard(document)
        self._unpark(document=document)
        self._say("cancelling", owner="fascia", next_action="what was done is being undone")
        return self._answered_by_hand.pop(document, "")

    def _order_document(self, state: State) -> DocumentRef:
        return DocumentRef(
            kind="order",
            number=self.progress.order.number,
            state=state,
            amount=self.progress.current().amount,
            lines=tuple(line.line.id for line in self.progress.lines),
        )
