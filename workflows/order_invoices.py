"""An order's invoices: matched against what was ordered and received, held where they differ, posted when let through.

Nothing is posted before the match or a person lets it through: the ERP itself would post an over-invoice. Each invoice goes
its own way: one that is held, or whose step was refused, waits by itself, and what it bills no other may bill meanwhile.

| the other side refused | what a person may say                                                                              |
|------------------------|----------------------------------------------------------------------------------------------------|
| the posting            | retry; refuse: what the ERP may hold of it is taken back there first, then it is set aside; cancel |
| (nothing: goods it     | not posted yet: as for the posting, and retry looks again whether they are here. In the books: not  |
| bills were taken back  | paid until they are here again, by itself; retry; accept: finance pays without them, once another  |
| since it was matched)  | person releases it; cancel                                                                         |
| that taking back       | retry; accept: it was taken back by hand                                                           |
| the payment            | retry; cancel. Not refuse: the invoice is in the books, and only taking the order back undoes that |
| the remittance         | retry; accept: the supplier was told by hand                                                       |
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from canonical.base import LineId, zero
    from canonical.cases import Attention, CheckedDecision, DocumentRef, State
    from canonical.erp_steps import ErpReceipt
    from canonical.invoicing import Invoice, InvoicePosting, PostedLine
    from canonical.matching import HEADER_HOLD, PAY, Match, Progress, match
    from canonical.steps import InvoiceCheck
    from workflows.order_payments import PaymentSteps, payment_of, posting_of, remittance_of, taken_back
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
            if held.state == "to_post" and not self._giving_up() and self._may_post(held):
                await self._post(held)
            if held.state == "refusing" and not self._waits(posting_of(held)):
                await self._take_back_posting(held)
            if held.state in ("posted", "unreceived"):
                self._hold_for_goods(held)
            if held.state == "posted" and not self._waits(payment_of(held)):
                await self._pay_if_due(held)
            if held.state in ("paid", "reconciled") and not held.remitted and not self._waits(remittance_of(held)):
                await self._remit_meanwhile(held)

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
        others = [i for i in self.progress.invoices if i is not held and i.let_through]
        if others and not workflow.patched("let-through-counts-as-billed"):
            others = []
        before = self.progress.before(self.context.packs, others)
        found = match(order, held.invoice, before, self.context.policy.tolerances)
        held.goods = _here_for(found, before)
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

    # -- into the books ------------------------------------------------------------------------------------------

    def _may_post(self, held: InvoiceProgress) -> bool:
        """Not what was refused and waits, nor for goods that were taken back since the match.

        What the ERP was asked then waits for a person; anything else is matched again.
        """
        if self._waits(posting_of(held)):
            return False
        lacking = self.progress.lacking(held)
        if not lacking or not workflow.patched(f"goods-of-{held.name}-to-post"):
            return True
        if held.asked is None:
            self._match(held)
            return held.state == "to_post"
        reason = f"invoice {held.name} is not posted: {taken_back(lacking)}"
        self._set_apart(reason, posting_of(held), ("retry", "refuse", "cancel"), kind="match-exception")
        return False

    async def _post(self, held: InvoiceProgress) -> None:
        posting = await self._asked(held)
        if self._giving_up():
            return
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.post_invoice, posting, f"post invoice {held.name}", self._seconds),
            "the ERP did not post the invoice",
            document=posting_of(held),
            apart=("retry", "refuse", "cancel"),
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

    async def _asked(self, held: InvoiceProgress) -> InvoicePosting:
        """What the ERP is asked to post, kept before it is asked: whoever goes on, or takes it back, then knows of it.

        Asked again it is the same lines and amounts, booked on that day.
        """
        if held.asked is not None:
            return held.asked.model_copy(update={"posted_on": workflow.now().date()})
        posting = self._posting(held, short=held.short)
        if workflow.patched("a-posting-is-recorded-first"):
            held.asked, self._dirty = posting, True
            await self._record()
            if self._giving_up():
                held.asked = None  # not asked after all
        return posting

    async def _take_back_posting(self, held: InvoiceProgress) -> None:
        """Set an invoice aside for good: under its key the ERP takes back what it has of it, and posts none later."""
        posting = held.asked or self._posting(held, short=held.short)
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.cancel_invoice, posting, f"take back invoice {held.name}", self._seconds),
            f"invoice {held.name} is not refused yet, the ERP does not take back what it may hold of it",
            document=posting_of(held),
            verbs=("retry", "accept"),
            apart=("retry", "accept"),
        )
        if done is not None:
            self._set_aside(held)

    def _set_aside(self, held: InvoiceProgress) -> None:
        held.state = "refused"
        self._note(self._invoice_document(held, State.FAILED))

    def _settle_apart(self, document: str, verb: str) -> str:
        """A person's word on a step that was parked by itself; without one of these verbs it is simply tried again."""
        self._apart.discard(document)
        self._refused_steps.discard(document)
        for held in self.progress.invoices:
            if document == posting_of(held) and verb == "refuse":
                held.state = "refusing"
                return f"invoice {held.name} is refused once the ERP has taken back what it may hold of it"
            if document == posting_of(held) and verb == "accept":
                self._set_aside(held)
                return f"invoice {held.name} is refused, and was taken back by hand"
            if document == remittance_of(held) and verb == "accept":
                held.remitted = True
        return f"{document}: {verb}"

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


def _here_for(found: Match, before: Mapping[LineId, Progress]) -> dict[LineId, Decimal]:
    """Of what an invoice bills, how much is here and not billed yet, by line in the order unit."""
    here: dict[LineId, Decimal] = {}
    for one in found.lines:
        left = before[one.line].received - before[one.line].invoiced - here.get(one.line, Decimal(0))
        here[one.line] = here.get(one.line, Decimal(0)) + max(min(one.billed.value, left), Decimal(0))
    return here
