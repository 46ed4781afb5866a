"""An order's invoices: matched against what was ordered and received, held where they differ, paid at terms.

Nothing is posted before the match or a person lets it through: the ERP itself would post an over-invoice.
"""

from __future__ import annotations

from datetime import datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.erp import ErpActivities
    from activities.supplier import SupplierActivities
    from canonical.base import Money, zero
    from canonical.cases import Attention, CheckedDecision, DocumentRef, State
    from canonical.matching import PAY, RECEIPT_MISSING, Match, match
    from canonical.purchasing import Invoice, InvoicePosting, Payment, PaymentOrder, PostedLine, Remittance
    from canonical.steps import InvoiceCheck, SupplierQuestion
    from workflows.order_base import OrderBase
    from workflows.order_state import InvoiceProgress
    from workflows.policies import ask_erp, ask_supplier, own_store

INVOICE_VERBS = ("accept", "pay_short", "refuse")


class InvoiceSteps(OrderBase):
    """From the supplier's bill to the bank's word."""

    async def _work_invoices(self) -> None:
        """Take every invoice as far as it can go now."""
        for held in list(self.progress.invoices):
            if held.state == "new":
                await self._check_duplicate(held)
            if held.state in ("matching", "held"):
                self._match(held)
            if held.state == "to_post":
                await self._post(held)
            if held.state == "posted" and held.pay_at is not None and workflow.now() >= held.pay_at:
                await self._pay(held)

    async def _check_duplicate(self, held: InvoiceProgress) -> None:
        invoice = held.invoice
        if invoice.credit:
            self._hold(
                held, "invoice to check", f"credit note {invoice.number}: a person books it", ("accept", "refuse")
            )
            held.match = None
            return
        check = InvoiceCheck(case=self.case, invoice=invoice, message=held.message)
        seen = await own_store(CaseActivities.check_invoice, check, "seen before?")
        if seen.duplicate:
            held.state, held.outcome = "refused", "duplicate"
            self._note(self._invoice_document(held, State.FAILED))
            self._tell("invoice.held", f"{invoice.key}/{held.message}", invoice=invoice.number, outcome="duplicate")
            return
        if seen.reason:
            self._hold(held, "duplicate", seen.reason, ("accept", "refuse"))
            return
        held.state = "matching"

    def _match(self, held: InvoiceProgress) -> None:
        """Match again with what is known now; a decision already taken stands."""
        if held.outcome == "duplicate" or held.invoice.credit:
            return
        order = self.progress.current()
        found = match(order, held.invoice, self.progress.before(self.context.packs), self.context.policy.tolerances)
        was, held.match, held.outcome = held.outcome, found, found.outcome
        if found.outcome == PAY:
            held.state = "to_post"
            self._unpark(document=held.invoice.number)
        elif held.state != "held" or was != found.outcome:
            verbs = ("retry", *INVOICE_VERBS) if found.lines else ("refuse", "retry")
            self._hold(held, found.outcome, "; ".join(found.reasons), verbs)

    def _hold(self, held: InvoiceProgress, outcome: str, reason: str, verbs: tuple[str, ...]) -> None:
        held.state, held.outcome = "held", outcome
        reason = f"invoice {held.invoice.number}: {outcome}: {reason}"
        kind = "duplicate" if outcome == "duplicate" else "match-exception"
        self._unpark(document=held.invoice.number)
        self._park(Attention(kind=kind, reason=reason, document=held.invoice.number, verbs=verbs))
        self._note(self._invoice_document(held, State.VALIDATED))
        self._tell("invoice.held", f"{held.invoice.key}/{outcome}", invoice=held.invoice.number, outcome=outcome)

    def _invoice_document(self, held: InvoiceProgress, state: State) -> DocumentRef:
        invoice = held.invoice
        number = invoice.number if held.outcome != "duplicate" else f"{invoice.number} (duplicate)"
        return DocumentRef(
            kind="invoice",
            number=number,
            system=invoice.supplier,
            state=state,
            message=held.message,
            amount=invoice.total,
        )

    def _decide_invoice(self, held: InvoiceProgress, checked: CheckedDecision) -> str:
        """A person lets an invoice through as billed, short, or not at all."""
        verb, invoice = checked.decision.verb, held.invoice
        who = checked.employee or checked.decision.actor.known_by
        if verb == "refuse":
            held.state = "refused"
            self._note(self._invoice_document(held, State.FAILED))
            message = f"invoice {invoice.number} is refused"
        elif verb == "retry" or (held.outcome == "duplicate" and verb == "accept"):
            held.state, held.outcome = "matching", ""
            message = f"invoice {invoice.number} is matched again"
        else:
            held.state, held.short = "to_post", verb == "pay_short"
            held.decided_by.append(who)
            message = f"invoice {invoice.number} is paid {'short' if held.short else 'as billed'}"
        self._unpark(document=invoice.number)
        return message

    async def _post(self, held: InvoiceProgress) -> None:
        posting = self._posting(held)
        done = await self._until_done(
            lambda: ask_erp(
                ErpActivities.post_invoice, posting, f"post invoice {posting.invoice.number}", self._seconds
            ),
            "the ERP did not post the invoice",
            document=f"ERP invoice {posting.invoice.number}",
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
        self._note(self._invoice_document(held, State.POSTED))
        self._note(
            DocumentRef(
                kind="erp_invoice",
                number=done.number,
                system=done.system,
                state=State.POSTED,
                parent=f"invoice:{held.invoice.number}",
            )
        )
        if posting.debit_memo.amount > 0:
            self._note(
                DocumentRef(
                    kind="debit_memo",
                    number=f"DM-{held.invoice.number}",
                    system=done.system,
                    state=State.POSTED,
                    amount=posting.debit_memo,
                    parent=f"invoice:{held.invoice.number}",
                )
            )
        self._tell("invoice.posted", held.invoice.key, invoice=held.invoice.number, payable=str(posting.payable))
        self._ask_release(held)

    def _posting(self, held: InvoiceProgress) -> InvoicePosting:
        found: Match | None = held.match
        nothing = zero(held.invoice.currency)
        lines = found.lines if found else ()
        return InvoicePosting(
            order=self.progress.current(),
            invoice=held.invoice,
            lines=tuple(
                PostedLine(
                    line=line.line,
                    item=self._item(line.line),
                    billed=line.billed,
                    accepted=line.accepted if held.short else line.billed,
                    billed_price=line.billed_price,
                    accepted_price=line.accepted_price if held.short else line.billed_price,
                )
                for line in lines
            ),
            freight=found.freight if found else nothing,
            tax=found.tax if found else nothing,
            debit_memo=found.debit_memo if found and held.short else nothing,
            posted_on=workflow.now().date(),
        )

    def _item(self, line_id: str) -> str:
        line = self.progress.line(line_id)
        return line.line.item if line else "unknown"

    def _pay_when(self, held: InvoiceProgress) -> None:
        """Pay at the end of the terms, or by the discount day when the discount is still to be had."""
        terms, posting = self.context.terms, held.posting
        if posting is None:
            return
        zone = ZoneInfo(self.context.calendar.time_zone)
        billed = datetime.combine(held.invoice.invoiced_on, time(0), zone)
        utc = ZoneInfo("UTC")
        now = workflow.now()
        if terms.net_seconds is not None:
            due = now + timedelta(seconds=terms.net_seconds)
            discount_by = now + timedelta(seconds=terms.discount_seconds) if terms.discount_seconds else None
        else:
            due = (billed + timedelta(days=terms.net_days)).astimezone(utc)
            discount_by = (
                (billed + timedelta(days=terms.discount_days)).astimezone(utc) if terms.discount_days else None
            )
        held.pay_at = max(due, now)
        discount = zero(posting.payable.currency)
        if discount_by is not None and discount_by >= now and terms.discount_percent > 0:
            held.pay_at = discount_by
            amount = (posting.payable.amount * terms.discount_percent / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
            discount = Money(amount=amount, currency=posting.payable.currency)
        order = self.progress.order
        held.payment = PaymentOrder(
            facility=order.facility,
            case=self.case,
            order=order.number,
            supplier=order.supplier,
            invoice=held.invoice.number,
            invoice_key=posting.key,
            amount=posting.payable - discount,
            discount=discount,
            debit_memo=posting.debit_memo,
            pay_on=held.pay_at.astimezone(zone).date(),
        )

    def _ask_release(self, held: InvoiceProgress) -> None:
        """A payment after a person's correction, or above the limit, is released by another person."""
        rules, payment = self.context.policy.payment, held.payment
        if payment is None:
            return
        if held.decided_by:
            held.needs_release = "the invoice was let through by a person"
        elif not rules.auto_release:
            held.needs_release = "every payment is released by a person"
        elif payment.amount.amount > rules.auto_release_up_to:
            held.needs_release = f"{payment.amount} is above {rules.auto_release_up_to}"
        if held.needs_release and not held.released:
            reason = f"payment of invoice {held.invoice.number}, {payment.amount}: {held.needs_release}"
            self._park(Attention(kind="business-rule", reason=reason, document=payment.key, verbs=("release",)))

    async def _pay(self, held: InvoiceProgress) -> None:
        payment, posting = held.payment, held.posting
        if payment is None or posting is None or (held.needs_release and not held.released):
            return
        if not await self._supplier_may_be_paid(held, payment):
            return
        payment = payment.model_copy(update={"attempt": held.attempt, "pay_on": workflow.now().date()})
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.pay_invoice, payment, f"pay invoice {payment.invoice}", self._seconds),
            "the ERP did not take the payment",
            document=f"ERP payment {payment.invoice}",
        )
        if done is None:
            return
        held.payment, held.state = payment, "paid"
        held.reconcile_by = self._within(self.context.policy.payment.reconcile_within, partner=False)
        self._note(
            DocumentRef(
                kind="payment",
                number=done.number,
                system=done.system,
                state=State.SUBMITTED,
                amount=payment.amount,
                parent=f"invoice:{held.invoice.number}",
            )
        )
        self._tell("payment.released", payment.key, invoice=payment.invoice, amount=str(payment.amount))
        remittance = Remittance(
            order=self.progress.current(), payment=payment, invoice=held.invoice, paid_on=workflow.now().date()
        )
        sent = await self._until_done(
            lambda: ask_supplier(SupplierActivities.send_remittance, remittance, "send remittance", self._seconds),
            "the remittance was not sent",
            document=f"820 {payment.invoice}",
        )
        if sent is not None:
            self._note(
                DocumentRef(
                    kind="remittance",
                    number=f"{payment.invoice}",
                    system=payment.supplier,
                    state=State.SUBMITTED,
                    message=sent.message,
                    parent=f"payment:{done.number}",
                )
            )

    async def _supplier_may_be_paid(self, held: InvoiceProgress, payment: PaymentOrder) -> bool:
        question = SupplierQuestion(supplier=payment.supplier, facility=payment.facility, as_of=workflow.now())
        supplier = await own_store(CaseActivities.supplier_now, question, "may the supplier be paid?")
        name = f"{payment.key}/bank"
        if supplier.status != "active":
            reason = f"supplier {supplier.code} is {supplier.status}: invoice {payment.invoice} is not paid"
            self._park(Attention(kind="business-rule", reason=reason, document=name, verbs=("retry",)))
            held.state = "blocked"
            return False
        if supplier.bank_changed_unseen and supplier.bank_fingerprint != self.progress.bank_confirmed:
            reason = f"the bank details of {supplier.code} have changed and nobody has confirmed them with the supplier"
            self._park(Attention(kind="business-rule", reason=reason, document=name, verbs=("confirm_bank",)))
            held.state, self.progress.bank_seen = "blocked", supplier.bank_fingerprint
            return False
        return True

    def _decide_payment(self, held: InvoiceProgress, checked: CheckedDecision) -> str:
        """Release a payment, or confirm a supplier's new bank details."""
        verb, payment = checked.decision.verb, held.payment
        key = payment.key if payment else ""
        if verb == "release":
            held.released = True
            self._unpark(document=key)
            return f"the payment of invoice {held.invoice.number} is released"
        self.progress.bank_confirmed = self.progress.bank_seen
        held.state = "posted"
        self._unpark(document=f"{key}/bank")
        return "the supplier's bank details are confirmed" if verb == "confirm_bank" else "the payment is tried again"

    def _read_payment(self, payment: Payment) -> None:
        """The bank's word, as the ERP reports it."""
        held = next((i for i in self.progress.invoices if i.payment is not None and i.payment.key == payment.key), None)
        if held is None or held.final:
            return
        document = DocumentRef(
            kind="payment",
            number=payment.number or payment.key,
            system="erp",
            state=State.RECONCILED,
            amount=payment.amount,
        )
        if payment.state == "succeeded":
            held.state = "reconciled"
            self._note(document)
            self._note(self._invoice_document(held, State.RECONCILED))
            self._tell("payment.reconciled", payment.key, invoice=held.invoice.number, amount=str(payment.amount))
            self._unpark(document=f"bank {held.invoice.number}")
        elif payment.state == "failed":
            self._note(document.model_copy(update={"state": State.FAILED}))
            held.state, held.attempt = "blocked", held.attempt + 1
            reason = f"the bank refused the payment of invoice {held.invoice.number}"
            self._park(
                Attention(kind="partner-rejected", reason=reason, document=f"{payment.key}/bank", verbs=("retry",))
            )

    def _read_invoice(self, invoice: Invoice, message: str) -> None:
        """A bill came in; twice the same message is once."""
        if any(held.message == message and held.invoice.key == invoice.key for held in self.progress.invoices):
            return
        self.progress.invoices.append(InvoiceProgress(invoice=invoice, message=message))
        self._note(
            DocumentRef(
                kind="invoice",
                number=invoice.number,
                system=invoice.supplier,
                state=State.RECEIVED,
                message=message,
                amount=invoice.total,
            )
        )

    def _waits_for_receipt(self) -> bool:
        return any(i.state == "held" and i.outcome == RECEIPT_MISSING for i in self.progress.invoices)
