"""An order's invoices: matched against what was ordered and received, held where they differ, posted when let through.

Nothing is posted before the match or a person lets it through: the ERP itself would post an over-invoice.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from canonical.base import zero
    from canonical.cases import Attention, CheckedDecision, DocumentRef, State
    from canonical.invoicing import Invoice, InvoicePosting, PostedLine
    from canonical.matching import HEADER_HOLD, PAY, Match, match
    from canonical.steps import ErpReceipt, InvoiceCheck
    from workflows.order_payments import PaymentSteps
    from workflows.order_state import InvoiceProgress
    from workflows.policies import ask_erp, own_store

INVOICE_VERBS = ("accept", "pay_short", "refuse")


class InvoiceSteps(PaymentSteps):
    """From the supplier's bill to its place in the ERP's books."""

    async def _work_invoices(self) -> None:
        """Take every invoice as far as it can go now."""
        for held in list(self.progress.invoices):
            if held.state == "new":
                await self._check_duplicate(held)
            if held.state in ("matching", "held"):
                self._match(held)
            if held.state == "to_post" and not self._giving_up():
                await self._post(held)
            if held.state == "posted":
                await self._pay_if_due(held)
            if held.state in ("paid", "reconciled") and not held.remitted:
                await self._remit(held)

    def _read_invoice(self, invoice: Invoice, message: str) -> None:
        """A bill came in; twice the same message is once."""
        invoices = self.progress.invoices
        if any(held.message == message and held.invoice.key == invoice.key for held in invoices):
            return
        taken, name, again = {held.name for held in invoices}, invoice.number, 1
        while name in taken:
            again += 1
            name = f"{invoice.number}-{again}"
        held = InvoiceProgress(invoice=invoice, message=message, name=name)
        invoices.append(held)
        self.progress.invoice_due = None
        self._unpark(document="invoice")
        self._note(self._invoice_document(held, State.RECEIVED))

    async def _check_duplicate(self, held: InvoiceProgress) -> None:
        invoice = held.invoice
        if invoice.credit:
            reason = f"credit note {invoice.number}: book it in the ERP, then accept"
            self._hold(held, HEADER_HOLD, reason, ("accept", "refuse"))
            return
        check = InvoiceCheck(case=self.case, invoice=invoice, message=held.message)
        seen = await own_store(CaseActivities.check_invoice, check, "seen before?")
        if seen.duplicate:
            held.state, held.outcome = "refused", "duplicate"
            self._note(self._invoice_document(held, State.FAILED))
            self._tell_held(held, f"duplicate of an invoice of {seen.first_case}")
            return
        if seen.reason:
            self._hold(held, "duplicate", seen.reason, ("accept", "refuse"))
            return
        if len(invoice.orders) > 1:
            orders = ", ".join(invoice.orders)
            reason = f"one invoice for several orders ({orders}): ask for one each, or book it in the ERP"
            self._hold(held, HEADER_HOLD, reason, ("refuse",))
            held.several = True
            return
        held.state = "matching"

    def _match(self, held: InvoiceProgress) -> None:
        """Match again with what is known now; a decision already taken stands."""
        if held.outcome == "duplicate" or held.invoice.credit or held.several:
            return
        order = self.progress.current()
        found = match(order, held.invoice, self.progress.before(self.context.packs), self.context.policy.tolerances)
        was, held.match = (held.state, held.outcome, held.match.reasons if held.match else ()), found
        if found.outcome == PAY:
            held.state, held.outcome = "to_post", PAY
            self._unpark(document=held.name)
        elif was != ("held", found.outcome, found.reasons):
            verbs = ("retry", *INVOICE_VERBS) if found.lines else ("refuse", "retry")
            self._hold(held, found.outcome, "; ".join(found.reasons), verbs)

    def _hold(self, held: InvoiceProgress, outcome: str, reason: str, verbs: tuple[str, ...]) -> None:
        held.state, held.outcome = "held", outcome
        kind = "duplicate" if outcome == "duplicate" else "match-exception"
        self._unpark(document=held.name)
        what = f"invoice {held.name}: {outcome}: {reason}"
        self._park(Attention(kind=kind, reason=what, document=held.name, verbs=verbs))
        self._note(self._invoice_document(held, State.VALIDATED))
        self._tell_held(held, reason)

    def _tell_held(self, held: InvoiceProgress, reason: str) -> None:
        key = f"{held.invoice.key}/{held.name}/{held.outcome}"
        self._tell("invoice.held", key, invoice=held.invoice.number, outcome=held.outcome, reason=reason)

    def _invoice_document(self, held: InvoiceProgress, state: State) -> DocumentRef:
        invoice = held.invoice
        number = held.name if held.outcome != "duplicate" or state != State.FAILED else f"{held.name} (duplicate)"
        return DocumentRef(
            kind="invoice",
            number=number,
            system=invoice.supplier,
            state=state,
            message=held.message,
            amount=invoice.total,
        )

    # -- decided by a person -------------------------------------------------------------------------------------

    def _decide_invoice(self, held: InvoiceProgress, checked: CheckedDecision) -> str:
        """A person lets an invoice through as billed, short, or not at all."""
        verb, name = checked.decision.verb, held.name
        if verb == "refuse":
            held.state, message = "refused", f"invoice {name} is refused"
            self._note(self._invoice_document(held, State.FAILED))
        elif held.invoice.credit:
            held.state, message = "refused", f"credit note {name} is booked by hand"
            self._note(self._invoice_document(held, State.POSTED))
        elif verb == "retry" or held.outcome == "duplicate":
            held.state, held.outcome, message = "matching", "", f"invoice {name} is matched again"
            if verb == "accept":  # a number used twice, let through: a person's word, as any other
                held.decided_by.append(self._who(checked))
        else:
            short = verb == "pay_short"
            if short and self._posting(held, short=True).payable.amount <= 0:
                raise ApplicationError("nothing of it is accepted: refuse it instead", type="NotOpen")
            held.state, held.short = "to_post", short
            held.decided_by.append(self._who(checked))
            message = f"invoice {name} is paid {'short' if short else 'as billed'}"
        self._unpark(document=name)
        return message

    @staticmethod
    def _who(checked: CheckedDecision) -> str:
        return checked.employee or checked.decision.actor.known_by

    # -- into the books ------------------------------------------------------------------------------------------

    async def _post(self, held: InvoiceProgress) -> None:
        posting = self._posting(held, short=held.short)
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.post_invoice, posting, f"post invoice {held.name}", self._seconds),
            "the ERP did not post the invoice",
            document=f"ERP invoice {held.name}",
        )
        if done is None:
            return
        held.posting, held.state = posting, "posted"
        for line in posting.lines:
            progress = self.progress.line(line.line)
            if progress is not None:
                progress.invoiced += line.accepted.value
        await self._commit_budget()
        self._pay_when(held)
        self._note_posted(held, posting, done)
        self._ask_release(held)

    def _note_posted(self, held: InvoiceProgress, posting: InvoicePosting, done: ErpReceipt) -> None:
        self._note(self._invoice_document(held, State.POSTED))
        parent = f"invoice:{held.name}"
        self._note(
            DocumentRef(kind="erp_invoice", number=done.number, system=done.system, state=State.POSTED, parent=parent)
        )
        if posting.debit_memo.amount > 0:
            number = done.related[0] if done.related else f"DM-{held.name}"
            memo = DocumentRef(
                kind="debit_memo",
                number=number,
                system=done.system,
                state=State.POSTED,
                amount=posting.debit_memo,
                parent=parent,
            )
            self._note(memo)
        payable, memo_amount = str(posting.payable), str(posting.debit_memo)
        name = held.invoice.number
        self._tell(
            "invoice.posted", f"{held.invoice.key}/{held.name}", invoice=name, payable=payable, debit_memo=memo_amount
        )

    def _posting(self, held: InvoiceProgress, *, short: bool) -> InvoicePosting:
        found: Match | None = held.match
        nothing = zero(held.invoice.currency)
        lines = found.lines if found else ()
        return InvoicePosting(
            order=self.progress.current(),
            invoice=held.invoice.model_copy(update={"number": held.name}),
            lines=tuple(
                PostedLine(
                    line=line.line,
                    item=self._item(line.line),
                    billed=line.billed,
                    accepted=line.accepted if short else line.billed,
                    billed_price=line.billed_price,
                    accepted_price=line.accepted_price if short else line.billed_price,
                )
                for line in lines
            ),
            freight=found.freight if found else nothing,
            tax=found.tax if found else nothing,
            debit_memo=found.debit_memo if found and short else nothing,
            posted_on=workflow.now().date(),
        )

    def _item(self, line_id: str) -> str:
        line = self.progress.line(line_id)
        return line.line.item if line else "unknown"
