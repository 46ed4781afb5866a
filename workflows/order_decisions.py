"""What a person may say to an order, and what then happens."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from canonical.cases import Attention, CheckedDecision
    from workflows.acknowledgements import end_line, take
    from workflows.order_cancellation import Cancellation
    from workflows.order_state import InvoiceProgress, LineProgress


class Decisions(Cancellation):
    """Verbs on the order, on a line, on an invoice or a payment."""

    def _open_verbs(self) -> frozenset[str]:
        verbs = super()._open_verbs()
        if any(line.open for line in self.progress.lines):
            verbs |= {"short_close"}
        return verbs - {"cancel"} if self.progress.cancelling else verbs

    def _role_fits(self, checked: CheckedDecision) -> bool:
        if checked.decision.verb == "release":
            held = self._payment_of(checked)
            if held is not None and checked.employee in held.decided_by:
                raise ApplicationError("who let the invoice through may not release its payment", type="NotAllowed")
        return super()._role_fits(checked)

    def _apply(self, checked: CheckedDecision) -> str:
        verb, progress = checked.decision.verb, self.progress
        if verb == "cancel":
            progress.cancelling = checked.decision.reason
            return "the order is being taken back"
        if verb == "hold":
            self.held_by = checked.employee or "temporal"
            return "nothing leaves the house until resumed"
        if verb == "resume":
            self.held_by = ""
            return "the order goes on"
        if verb == "resend":
            progress.resend = True
            self._unpark(document="855")
            self._unpark(document="997")
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
            and (decision.document is None or decision.document in (a.document, _short(a.document)))
        ]
        if len(fits) == 1:
            return fits[0]
        names = ", ".join(f"line {a.line}" if a.line else f"document {a.document}" for a in self.attention) or "nothing"
        problem = "several things wait for this" if fits else "nothing by that name waits for this"
        raise ApplicationError(f"{decision.verb}: {problem}; parked are: {names}", type="Malformed")

    def _apply_to(self, parked: Attention, checked: CheckedDecision) -> str:
        decision, document = checked.decision, parked.document or ""
        held = (
            self._payment_of(checked)
            if decision.verb in ("release", "confirm_bank") or document.endswith("/bank")
            else None
        )
        if held is not None:
            return self._decide_payment(held, checked)
        invoice = self.progress.invoice(parked.document)
        if invoice is not None and invoice.state == "held":
            return self._decide_invoice(invoice, checked)
        self._unpark(line=parked.line, document=parked.document, kind=parked.kind)
        line = self.progress.line(parked.line)
        if document.startswith("receipt "):
            return self._decide_receipt(line, document, decision.verb)
        if line is not None:
            return self._decide_line(line, parked, decision.verb)
        self._answered_by_hand[document] = decision.verb
        if document == "hold":
            self.progress.hold_until = None
        if document == "ERP order" and decision.verb == "accept":
            self.progress.cancelled_in_erp = False
        return f"{document}: {decision.verb}"

    def _decide_line(self, line: LineProgress, parked: Attention, verb: str) -> str:
        if verb == "refuse":
            return end_line(self.progress, line, "ended by the buyer", tell_supplier=True)
        if parked.kind == "timeout":
            line.waits_until = self._within(self._partner_times()[3])
            self.progress.passed = [name for name in self.progress.passed if name != f"line {line.line.id}"]
            return f"line {line.line.number} is waited for again"
        return take(self.progress, line)

    def _decide_receipt(self, line: LineProgress | None, document: str, verb: str) -> str:
        """Goods nobody ordered, or too many: kept (and then to be billed), or to go back by a person's hand."""
        if line is None:
            return f"{document}: {'kept' if verb == 'accept' else 'goes back by hand'}"
        over = line.received - line.line.quantity.value
        if verb == "accept":
            line.accepted_over += over
            return f"line {line.line.number}: {over.normalize():f} more are kept"
        line.returned += over
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

    def _payment_of(self, checked: CheckedDecision) -> InvoiceProgress | None:
        wanted = checked.decision.document
        open_ones = [i for i in self.progress.invoices if i.payment is not None and i.state in ("posted", "blocked")]
        if wanted is not None:
            names = [(i, i.payment.key if i.payment else "") for i in open_ones]
            return next((i for i, key in names if wanted in (i.invoice.number, key, f"{key}/bank")), None)
        return open_ones[0] if len(open_ones) == 1 else None


def _short(document: str | None) -> str:
    """An invoice's number, out of the name of its payment."""
    return (document or "").removesuffix("/bank").rsplit("/payment/", 1)[-1]
