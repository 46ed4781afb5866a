"""Paying an order's invoices: at terms, released by another person where one let the invoice through, to details we know."""

from __future__ import annotations

import asyncio
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
    from canonical.invoicing import Payment, PaymentOrder, Remittance
    from canonical.parties import Supplier
    from canonical.steps import SupplierQuestion
    from workflows.order_base import OrderBase
    from workflows.order_state import InvoiceProgress, LineProgress
    from workflows.policies import ask_erp, ask_supplier, own_store

UTC = ZoneInfo("UTC")


def posting_of(held: InvoiceProgress) -> str:
    """The name under which an invoice's posting is parked."""
    return f"ERP invoice {held.name}"


def payment_of(held: InvoiceProgress) -> str:
    """The name under which an invoice's payment is parked."""
    return f"ERP payment {held.name}"


def remittance_of(held: InvoiceProgress) -> str:
    """The name under which an invoice's remittance is parked."""
    return f"820 {held.name}"


def goods_of(payment: PaymentOrder) -> str:
    """The name under which a payment waits for goods that were taken back."""
    return f"{payment.key}/goods"


def taken_back(lines: list[LineProgress]) -> str:
    """What is said of goods that were here when an invoice was matched."""
    here = "; ".join(f"line {x.line.number}: {x.kept.normalize():f} {x.line.quantity.unit} here" for x in lines)
    return f"receipt taken back, or goods returned, since it was matched ({here})"


class PaymentSteps(OrderBase):
    """From a posted invoice to the bank's word."""

    def __init__(self) -> None:
        super().__init__()
        self._remitting: dict[str, asyncio.Task[None]] = {}
        self._without_bank = 0  # times a supplier was found without the details it had
        self._round_began = 0  # of the work that is being done: what stirred since waits for the next

    def _invoice_document(self, held: InvoiceProgress, state: State) -> DocumentRef:
        raise NotImplementedError

    def _receipt_waits(self) -> bool:
        """Whether a receipt has come that is not taken in yet."""
        raise NotImplementedError

    def _waits(self, document: str) -> bool:
        """Whether this step was refused and waits for a person by itself."""
        return document in self._apart

    def _pay_when(self, held: InvoiceProgress) -> None:
        """Pay at the end of the terms, or by the discount day when the discount is still to be had."""
        terms, posting, now = self.context.terms, held.posting, workflow.now()
        if posting is None:
            return
        zone = ZoneInfo(self.context.calendar.time_zone)
        billed = datetime.combine(held.invoice.invoiced_on, time(0), zone)
        discount_by: datetime | None = None
        if terms.net_seconds is not None:  # a facility or partner on short clocks
            due = now + timedelta(seconds=terms.net_seconds)
            if terms.discount_seconds:
                discount_by = now + timedelta(seconds=terms.discount_seconds)
        else:
            due = (billed + timedelta(days=terms.net_days)).astimezone(UTC)
            if terms.discount_days:
                discount_by = (billed + timedelta(days=terms.discount_days)).astimezone(UTC)
        held.net_due = held.pay_at = max(due, now)
        discount = zero(posting.payable.currency)
        if discount_by is not None and discount_by >= now and terms.discount_percent > 0:
            # Instructed when the last day of the discount begins; good until that day ends.
            held.pay_at, held.discount_until = discount_by, discount_by + timedelta(days=1)
            amount = (posting.payable.amount * terms.discount_percent / 100).quantize(Decimal("0.01"), ROUND_HALF_UP)
            discount = Money(amount=amount, currency=posting.payable.currency)
        order = self.progress.order
        held.payment = PaymentOrder(
            facility=order.facility,
            case=self.case,
            order=order.number,
            supplier=order.supplier,
            invoice=held.name,
            invoice_key=posting.key,
            amount=posting.payable - discount,
            discount=discount,
            debit_memo=posting.debit_memo,
            pay_on=held.pay_at.astimezone(zone).date(),
            encoded="/" in held.name and workflow.patched("payment-keys-encode-slashes"),
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
            reason = f"payment of invoice {held.name}, {payment.amount}: {held.needs_release}"
            self._park(Attention(kind="business-rule", reason=reason, document=payment.key, verbs=("release",)))

    async def _pay_if_due(self, held: InvoiceProgress) -> None:
        if held.pay_at is None or workflow.now() < held.pay_at or (held.needs_release and not held.released):
            return
        if held.payment is None or self._giving_up():
            return
        self._no_late_discount(held, held.payment)
        if workflow.now() >= held.pay_at and await self._supplier_may_be_paid(held, held.payment):
            if (self.held_by or self._receipt_waits()) and workflow.patched("news-before-a-payment"):
                return  # a hold, or a receipt taken back, that came while other steps were waited for
            await self._pay(held, held.payment)

    def _hold_for_goods(self, held: InvoiceProgress) -> None:
        """Do not pay for goods that were taken back since the match; when they come again it goes on by itself."""
        if held.payment is None:
            return
        lacking, name = self.progress.lacking(held), goods_of(held.payment)
        if held.state == "unreceived":
            if not lacking:
                held.state = "posted"
                self._unpark(document=name)
            return
        # Asked under another name once it is due: a run that passed over it before this was mended stops there.
        when = "due" if held.pay_at is not None and workflow.now() >= held.pay_at else "posted"
        if not lacking or not workflow.patched(f"goods-of-{held.name}-{when}"):
            return
        held.state = "unreceived"
        reason = f"payment of invoice {held.name}, {held.payment.amount}: {taken_back(lacking)}"
        verbs = ("retry", "accept", "cancel")
        self._park(Attention(kind="match-exception", reason=reason, document=name, verbs=verbs))

    def _no_late_discount(self, held: InvoiceProgress, payment: PaymentOrder) -> None:
        """Once the discount's day is over the whole is owed, at the end of the terms; what the ERP was asked stays as asked."""
        if held.paying == held.attempt:
            return
        if held.discount_until is None or workflow.now() < held.discount_until or payment.discount.amount == 0:
            return
        whole = {"amount": payment.amount + payment.discount, "discount": zero(payment.amount.currency)}
        held.payment, held.pay_at = payment.model_copy(update=whole), held.net_due
        held.discount_until = None
        self._dirty = True

    async def _pay(self, held: InvoiceProgress, payment: PaymentOrder) -> None:
        zone = ZoneInfo(self.context.calendar.time_zone)
        today = workflow.now().astimezone(zone).date()
        payment = payment.model_copy(update={"attempt": held.attempt, "pay_on": today})
        held.paying = held.attempt
        done = await self._until_done(
            lambda: ask_erp(ErpActivities.pay_invoice, payment, f"pay invoice {payment.invoice}", self._seconds),
            "the ERP did not take the payment of an invoice that is in its books",
            document=payment_of(held),
            apart=("retry", "cancel"),
        )
        if done is None or held.final:
            return
        held.payment, held.state, held.paid_as = payment, "paid", done.number
        held.reconcile_by = self._within(self.context.policy.payment.reconcile_within, partner=False)
        self._note(
            DocumentRef(
                kind="payment",
                number=done.number,
                system=done.system,
                state=State.SUBMITTED,
                amount=payment.amount,
                parent=f"invoice:{held.name}",
            )
        )
        about = {"amount": str(payment.amount), "discount": str(payment.discount), "pay_on": today.isoformat()}
        self._tell("payment.released", payment.key, invoice=payment.invoice, **about)

    async def _remit_meanwhile(self, held: InvoiceProgress) -> None:
        """Send the remittance; where something comes before it is put, the order does not wait for the supplier's mailbox."""
        earlier = self._remitting.get(held.name)
        if earlier is not None:
            if not earlier.done():
                return
            await self._remitting.pop(held.name)  # a mistake of ours in it is seen here
        leaving = asyncio.create_task(self._remit(held))
        await workflow.wait_condition(lambda: leaving.done() or self._stirred != self._round_began)
        if not leaving.done() and not workflow.patched("a-remittance-leaves-meanwhile"):
            await workflow.wait_condition(leaving.done)
        if leaving.done():
            await leaving
            return
        self._remitting[held.name] = leaving
        leaving.add_done_callback(self._has_left)

    def _has_left(self, _: asyncio.Task[None]) -> None:
        self._stirred += 1

    def _leaving(self) -> bool:
        """Whether a remittance is on its way."""
        return any(not task.done() for task in self._remitting.values())

    async def _remit(self, held: InvoiceProgress) -> None:
        """Tell the supplier what the payment is for."""
        payment = held.payment
        if payment is None:
            return
        remittance = Remittance(
            order=self.progress.current(),
            payment=payment,
            invoice=held.invoice.model_copy(update={"number": held.name}),
            paid_on=payment.pay_on,
        )
        sent = await self._until_done(
            lambda: ask_supplier(SupplierActivities.send_remittance, remittance, "send remittance", self._seconds),
            "the remittance was not sent",
            document=remittance_of(held),
            verbs=("retry", "accept"),
            apart=("retry", "accept"),
        )
        if sent is None and self._waits(remittance_of(held)):
            return
        held.remitted = sent is not None or not self._giving_up()
        if sent is not None:
            self._note_sent("remittance", payment.invoice, sent, parent=f"payment:{held.paid_as}")

    async def _supplier_may_be_paid(self, held: InvoiceProgress, payment: PaymentOrder) -> bool:
        """Not while the supplier is blocked, nor to bank details that changed and nobody confirmed with them."""
        question = SupplierQuestion(supplier=payment.supplier, facility=payment.facility, as_of=workflow.now())
        supplier = await own_store(CaseActivities.supplier_now, question, "may the supplier be paid?")
        name = f"{payment.key}/bank"
        verbs: tuple[str, ...] = ("retry",)
        if supplier.status != "active":
            reason = f"supplier {supplier.code} is {supplier.status}: invoice {payment.invoice} is not paid"
        elif self._bank_removed(supplier):
            reason = f"the bank details of {supplier.code} were removed: invoice {payment.invoice} is not paid without"
        elif supplier.bank_changed_unseen and supplier.bank_fingerprint != self.progress.bank_confirmed:
            seen = supplier.bank_fingerprint
            reason = f"the bank details of {supplier.code} have changed (now {seen}); nobody has confirmed them with it"
            verbs, self.progress.bank_seen = ("confirm_bank", "retry"), seen
            held.bank_seen, held.bank_changed_by = seen, supplier.bank_changed_by
        else:
            return True
        held.state = "blocked"
        self._park(Attention(kind="business-rule", reason=reason, document=name, verbs=verbs))
        return False

    def _bank_removed(self, supplier: Supplier) -> bool:
        """Whether the details a person confirmed are gone: that there are none now nobody can confirm with the supplier."""
        if supplier.bank_fingerprint or not supplier.bank_changed_unseen:
            return False
        self._without_bank += 1
        # A name for each time it is asked: a run that passed over it before this was mended stops at the next.
        return workflow.patched(f"bank-details-removed-{self._without_bank}")

    def _look_again(self) -> None:
        """Somebody may have confirmed the bank details in the register: payments that wait for that are tried again."""
        for held in self.progress.invoices:
            name = f"{held.payment.key}/bank" if held.payment is not None else ""
            if any(name and parked.document == name and "confirm_bank" in parked.verbs for parked in self.attention):
                self._unpark(document=name)
                held.state = "posted"

    def _decide_payment(self, held: InvoiceProgress, parked: Attention, checked: CheckedDecision) -> str:
        """Release a payment, confirm a supplier's new bank details, pay without the goods, or try again."""
        verb = checked.decision.verb
        self._unpark(document=parked.document)
        if verb == "release":
            held.released = True
            return f"the payment of invoice {held.name} is released"
        held.state = "posted"
        if verb == "accept":
            held.goods, held.released = {}, False
            held.decided_by.append(self._who(checked))
            self._ask_release(held)
            return f"invoice {held.name} is paid although goods are missing, once another person releases it"
        if verb == "confirm_bank":
            newest = self.progress.bank_seen
            if held.bank_seen != newest and workflow.patched("bank-details-confirmed-as-shown"):
                newest = held.bank_seen  # what this payment was parked for, whatever another was parked for since
            self.progress.bank_confirmed = newest
            return f"the supplier's bank details {newest} are confirmed"
        return "the payment is tried again"

    @staticmethod
    def _who(checked: CheckedDecision) -> str:
        return checked.employee or checked.decision.actor.known_by

    def _read_payment(self, payment: Payment) -> None:
        """The bank's word, as the ERP reports it; about an attempt that is over it says nothing new."""
        held = next((i for i in self.progress.invoices if i.payment is not None and i.payment.key == payment.key), None)
        if held is None or held.final or held.payment is None:
            return
        number = held.paid_as or payment.number or payment.key
        document = DocumentRef(
            kind="payment", number=number, system="erp", state=State.RECONCILED, amount=payment.amount
        )
        if payment.state == "succeeded":
            held.state = "reconciled"
            self._unpark(document=f"{payment.key}/bank")
            self._unpark(document=goods_of(held.payment))
            self._unpark(document=f"bank {held.name}")
            if self._waits(payment_of(held)):  # the ERP had taken it after all
                self._apart.discard(payment_of(held))
                self._unpark(document=payment_of(held))
            self._note(document)
            self._note(self._invoice_document(held, State.RECONCILED))
            about = {"payment": number, "amount": str(payment.amount)}
            self._tell("payment.reconciled", payment.key, invoice=held.invoice.number, **about)
        elif payment.state == "failed" and held.state == "paid":
            self._note(document.model_copy(update={"state": State.FAILED}))
            held.state, held.attempt = "blocked", held.attempt + 1
            reason = f"the bank refused the payment of invoice {held.name}"
            name, verbs = f"{payment.key}/bank", ("retry",)
            self._park(Attention(kind="partner-rejected", reason=reason, document=name, verbs=verbs))

    def _invoice_of_step(self, document: str | None) -> InvoiceProgress | None:
        """The invoice a step that was parked by itself is of."""
        steps = (posting_of, payment_of, remittance_of)
        return next((i for i in self.progress.invoices if any(document == name(i) for name in steps)), None)

    def _payment_named(self, document: str | None) -> InvoiceProgress | None:
        """The invoice a parked payment is of."""
        return next((i for i in self.progress.invoices if i.payment and document in _payment_names(i.payment)), None)


def _payment_names(payment: PaymentOrder) -> tuple[str, ...]:
    return payment.key, f"{payment.key}/bank", goods_of(payment)
