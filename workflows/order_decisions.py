"""What a person may say to an order, and what then happens."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from canonical.cases import Attention, CheckedDecision, State
    from canonical.matching import DECIDES
    from workflows.acknowledgements import end_line, take
    from workflows.decisions import CANCELLED
    from workflows.order_cancellation import Cancellation
    from workflows.order_inbox import UNSEALED
    from workflows.order_state import InvoiceProgress, LineProgress

MONEY = ("paid ", "bank ")  # what only finance may settle


class Decisions(Cancellation):
    """Verbs on the order, on a line, on an invoice or a payment."""

    def _open_verbs(self) -> frozenset[str]:
        verbs = super()._open_verbs()
        if self._giving_up():
            return verbs - {"hold", "short_close"}
        return verbs | {"short_close"} if any(line.open for line in self.progress.lines) else verbs

    def _separate_duties(self, checked: CheckedDecision) -> None:
        """Who let an invoice through does not release its payment, who changed a supplier's bank details does not confirm
        them; nor does somebody nobody knows.

        What Temporal's tools brought is not taken in by Temporal's tools, whatever the policy lets them say.
        """
        if checked.decision.verb == "accept" and not checked.verified and _unsealed(self._target(checked)):
            raise ApplicationError("a document without a seal needs a person we know", type="NotAllowed")
        if checked.decision.verb not in ("release", "confirm_bank"):
            return
        held = self._payment_named(self._target(checked).document)
        if checked.decision.verb == "confirm_bank":
            changed_by = held.bank_changed_by if held is not None else ""
            theirs = changed_by and checked.employee in (None, changed_by)
            if theirs and workflow.patched("who-changed-bank-details-does-not-confirm"):
                raise ApplicationError("who changed the bank details may not confirm them", type="NotAllowed")
            return
        if held is not None and held.decided_by and checked.employee in (None, *held.decided_by):
            raise ApplicationError("who let the invoice through may not release its payment", type="NotAllowed")

    def _role_fits(self, checked: CheckedDecision) -> bool:
        decision = checked.decision
        requester = self.progress.order.requester
        if checked.roles == ("requester",) and checked.employee != requester:
            return False
        if decision.verb in ("accept", "pay_short"):
            document = self._target(checked).document or ""
            if (unproven := self.progress.unproven.get(document)) is not None and unproven.payment is not None:
                return bool({"finance", "admin"} & set(checked.roles))
            held = self.progress.invoice(document)
            if held is not None and held.state == "held":
                return bool(_may_let_through(held) & set(checked.roles))
            if document.startswith(MONEY) or self._payment_named(document) is not None:
                return bool({"finance", "admin"} & set(checked.roles))
        return super()._role_fits(checked)

    def _apply(self, checked: CheckedDecision) -> str:
        verb, progress = checked.decision.verb, self.progress
        if verb == "cancel":
            self._give_up(CANCELLED)
            return "the order is being taken back"
        if verb == "hold":
            self.held_by = checked.employee or "temporal"
            return "nothing leaves the house until resumed"
        if verb == "resume":
            self.held_by = ""
            return "the order goes on"
        if verb == "resend":
            progress.resend = True
            for document in ("855", "997", "order"):
                self._unpark(document=document)
            return "the order is sent again under its number"
        if verb == "short_close":
            return self._short_close(checked)
        return self._apply_to(self._target(checked), checked)

    def _target(self, checked: CheckedDecision) -> Attention:
        """The one parked thing a decision is about.

        Raises:
            ApplicationError: (Malformed) none or several fit: name the line or the document.
        """
        decision = checked.decision
        fits = [
            a
            for a in self.attention
            if decision.verb in a.verbs
            and (decision.line is None or a.line == decision.line)
            and (decision.document in self._names(a) or (decision.document is None and not _unsealed(a)))
        ]
        if len(fits) == 1:
            return fits[0]
        names = ", ".join(f"line {a.line}" if a.line else f"document {a.document}" for a in self.attention) or "nothing"
        problem = "several things wait for this" if fits else "nothing by that name waits for this"
        raise ApplicationError(f"{decision.verb}: {problem}; parked are: {names}", type="Malformed")

    def _names(self, parked: Attention) -> set[str | None]:
        """By what a person may call a parked thing: a payment, or a step of an invoice, also by its invoice's number."""
        held = self._payment_named(parked.document) or self._invoice_of_step(parked.document)
        return {parked.document, held.name if held is not None else parked.document}

    def _apply_to(self, parked: Attention, checked: CheckedDecision) -> str:
        verb, document = checked.decision.verb, parked.document or ""
        if _unsealed(parked):
            self._unpark(document=parked.document, kind=parked.kind)
            return self._decide_unsealed(document, verb, checked.employee or "")
        payment = self._payment_named(parked.document)
        if payment is not None:
            return self._decide_payment(payment, parked, checked)
        invoice = self.progress.invoice(parked.document)
        if invoice is not None and invoice.state == "held":
            return self._decide_invoice(invoice, checked)
        self._unpark(line=parked.line, document=parked.document, kind=parked.kind)
        line = self.progress.line(parked.line)
        if document.startswith("receipt "):
            return self._decide_receipt(line, document, verb)
        if line is not None:
            return self._decide_line(line, parked, verb)
        self._answered_by_hand[document] = verb
        return self._settle(document, verb)

    def _settle(self, document: str, verb: str) -> str:
        """What a word on a document of the order means."""
        progress = self.progress
        if self._waits(document):
            return self._settle_apart(document, verb)
        if document == "hold":
            progress.hold_until = None
        elif document == "order":
            for line in progress.lines:
                line.acknowledged, line.state = True, "acknowledged" if line.state == "ordered" else line.state
        elif document == "cancelled in the ERP":
            progress.cancelled_in_erp = False
        elif document == "865":
            self._settle_change(verb)
        elif document == "goods" and verb == "retry":
            progress.receipt_due = self._within(self.context.policy.receipt_within, partner=False)
            self._not_passed("receipt")
        elif document == "invoice":
            self._settle_bill(verb)
        elif document.startswith("bank "):
            self._settle_bank(progress.invoice(document.removeprefix("bank ")), verb)
        return f"{document}: {verb}"

    def _settle_change(self, verb: str) -> None:
        """A change the supplier did not answer: sent again, or settled by phone."""
        pending, self.progress.pending = self.progress.pending, None
        if verb == "retry" and pending is not None:
            self.progress.to_end += [f"860:{line}" for line in pending.lines]

    def _settle_bill(self, verb: str) -> None:
        """Goods nobody bills: waited for again, or let be."""
        if verb == "accept":
            self.progress.unbilled_accepted = True
            return
        self.progress.invoice_due = self._within(self.context.policy.invoice_within, partner=False)
        self._not_passed("invoice")

    def _settle_bank(self, held: InvoiceProgress | None, verb: str) -> None:
        """A payment the bank says nothing of: waited for again, or seen on the statement."""
        if held is None:
            return
        if verb == "accept":
            held.state = "reconciled"
            self._note(self._invoice_document(held, State.RECONCILED))
            return
        held.reconcile_by = self._within(self.context.policy.payment.reconcile_within, partner=False)
        self._not_passed(f"bank {held.name}")

    def _decide_line(self, line: LineProgress, parked: Attention, verb: str) -> str:
        if verb == "refuse":
            return end_line(self.progress, line, "ended by the buyer", tell_supplier=True)
        if parked.kind == "timeout":
            line.waits_until = self._within(self._partner_times()[3])
            self._not_passed(f"line {line.line.id}")
            return f"line {line.line.number} is waited for again"
        if self.progress.promised:
            self._no_goods_due()  # this line may come sooner than what is waited for now
        return take(self.progress, line)

    def _decide_receipt(self, line: LineProgress | None, document: str, verb: str) -> str:
        """Goods nobody ordered are kept or go back by hand; too many are kept (and then billed) or returned."""
        if line is None:
            return f"{document}: {'kept' if verb == 'accept' else 'goes back by hand'}"
        over = line.over
        if verb == "accept":
            line.accepted_over += over
            return f"line {line.line.number}: {over.normalize():f} more are kept"
        self.progress.to_return.append(line.line.id)
        return f"line {line.line.number}: {over.normalize():f} go back"

    def _short_close(self, checked: CheckedDecision) -> str:
        wanted = checked.decision.line
        lines = [line for line in self.progress.lines if line.open and (wanted is None or line.line.id == wanted)]
        if not lines:
            raise ApplicationError("that line has nothing open to end", type="NotOpen")
        for line in lines:
            self._unpark(line=line.line.id)
            end_line(self.progress, line, "short closed", tell_supplier=True)
        return f"{len(lines)} line(s) end with what came"


def _unsealed(parked: Attention) -> bool:
    """A document nobody of ours sent: it is decided about by its name, never in passing."""
    return (parked.document or "").startswith(UNSEALED)


def _may_let_through(held: InvoiceProgress) -> frozenset[str]:
    """Whose word lets an invoice through: finance's alone where finance decides, a price or quantity the buyer's too."""
    return frozenset({"finance"}) if DECIDES.get(held.outcome) == "finance" else frozenset({"finance", "buyer"})
