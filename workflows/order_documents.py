"""What comes in for an order: acknowledgements, ship notices, receipts, invoices and the bank's word, in any order."""

from __future__ import annotations

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.cases import CaseActivities
    from canonical.cases import Attention, DocumentRef, State
    from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement, Receipt, ShipNotice
    from canonical.steps import SupplierDocument, UnreadableDecision
    from workflows.acknowledgements import read_answer
    from workflows.order_invoices import InvoiceSteps
    from workflows.order_state import LineProgress
    from workflows.policies import own_store

CHANGE_TAKEN = frozenset({"AC", "AD", "AE", "AK", "AT"})


class Documents(InvoiceSteps):
    """Every document is taken in once, under its key, whatever came before it."""

    def __init__(self) -> None:
        super().__init__()
        self._inbox: list[SupplierDocument] = []

    @workflow.signal(name="document")
    async def document(self, raw: RawValue) -> None:
        """A document of the supplier or the ERP, once under its key; what does not fit is kept with the reason."""
        try:
            document = SupplierDocument.model_validate_json(raw.payload.data)
        except ValidationError as wrong:
            reason = f"document signal: {wrong.errors(include_input=False)[0]['msg']}"
            kept = UnreadableDecision(case=self.case, data=raw.payload.data, reason=reason, at=workflow.now())
            await own_store(CaseActivities.keep_unreadable, kept, "keep a document that does not fit")
            return
        if document.key not in self.progress.seen:
            self.progress.seen.append(document.key)
            self._inbox.append(document)
            self._stirred += 1

    def _read_documents(self) -> None:
        while self._inbox:
            document = self._inbox.pop(0)
            self._dirty = True
            if document.functional is not None:
                self._read_functional(document.functional)
            if document.acknowledgement is not None:
                self._read_acknowledgement(document.acknowledgement, document.message)
            if document.ship_notice is not None:
                self._read_ship_notice(document.ship_notice, document.message)
            if document.receipt is not None:
                self._read_receipt(document.receipt, document.message)
            if document.invoice is not None:
                self._read_invoice(document.invoice, document.message)
            if document.payment is not None:
                self._read_payment(document.payment)
            if document.cancelled_in_erp:
                self._read_cancelled_in_erp()
        self.lines = self.progress.line_states()

    def _read_functional(self, said: FunctionalAcknowledgement) -> None:
        progress = self.progress
        if said.functional_id in ("", "PO"):
            progress.functional = said.code
        progress.functional_due = None if said.functional_id in ("", "PO") else progress.functional_due
        self._unpark(document="997")
        if not said.accepted:
            errors = "; ".join(error for one in said.sets for error in one.errors) or said.note
            reason = (
                f"the supplier's system refused our document ({said.kind} {said.code}{': ' + errors if errors else ''})"
            )
            self._park(Attention(kind="partner-rejected", reason=reason, document="997", verbs=("resend", "cancel")))

    def _read_acknowledgement(self, answer: OrderAcknowledgement, message: str) -> None:
        progress = self.progress
        if answer.to_change:
            self._read_change_answer(answer)
            kind = "order_change_acknowledgement"
        else:
            kind = "order_acknowledgement"
            hold = self._within(self._partner_times()[3])
            self._unpark(document="855")
            for attention in read_answer(progress, answer, workflow.now(), hold):
                self._park(attention)
            progress.answer_due = None
            self.state = State.ACKNOWLEDGED
            if progress.rejected:
                progress.to_end = [line.line.id for line in progress.lines]
            self._tell("order.acknowledged", f"{answer.code}/{message}", order=progress.order.number, code=answer.code)
        number = answer.supplier_reference or f"{answer.order} {answer.code}"
        self._note(
            DocumentRef(kind=kind, number=number, system=answer.supplier, state=State.ACKNOWLEDGED, message=message)
        )

    def _read_ship_notice(self, notice: ShipNotice, message: str) -> None:
        progress = self.progress
        for shipped in notice.lines:
            line = progress.by_number(shipped.number, shipped.supplier_item)
            if line is None:
                reason = f"ship notice {notice.number} names {shipped.supplier_item or shipped.number}, which is not on the order"
                self._park(
                    Attention(
                        kind="data-invalid", reason=reason, document=f"856 {notice.number}", verbs=("accept", "cancel")
                    )
                )
                continue
            line.shipped += shipped.quantity.value
            line.expected = notice.expected or line.expected
            if line.state != "back-ordered" or line.shipped >= line.line.quantity.value:
                line.state = "shipped" if line.shipped >= line.line.quantity.value else "partly shipped"
        self._note(
            DocumentRef(
                kind="ship_notice", number=notice.number, system=notice.supplier, state=State.POSTED, message=message
            )
        )
        self._tell("order.shipped", notice.number, order=progress.order.number, shipment=notice.number)

    def _read_receipt(self, receipt: Receipt, message: str) -> None:
        progress = self.progress
        name = f"{receipt.key}{'/cancelled' if receipt.cancelled else ''}"
        if name in progress.receipts:
            return
        progress.receipts.append(name)
        sign = -1 if receipt.cancelled else 1
        for received in receipt.lines:
            line = progress.line(received.line) or next(
                (x for x in progress.lines if x.line.item == received.item), None
            )
            if line is None or line.line.item != received.item:
                reason = f"receipt {receipt.number}: {received.quantity} of {received.item} came, which was not ordered"
                self._park(
                    Attention(
                        kind="match-exception",
                        reason=reason,
                        document=f"receipt {receipt.key}",
                        verbs=("accept", "refuse"),
                    )
                )
                continue
            line.received += sign * received.quantity.value
            line.state = "received" if line.received >= line.line.quantity.value else "partly received"
            self._over_receipt(line, receipt)
        progress.last_receipt = workflow.now()
        state = State.FAILED if receipt.cancelled else State.POSTED
        self._note(
            DocumentRef(
                kind="receipt", number=receipt.number or receipt.key, system="erp", state=state, message=message
            )
        )
        self._tell("receipt.posted", name, order=progress.order.number, receipt=receipt.number)

    def _over_receipt(self, line: LineProgress, receipt: Receipt) -> None:
        percent = self.context.policy.tolerances.bulk_quantity_percent if line.line.bulk else 0
        most = line.line.quantity.value * (100 + percent) / 100 + line.accepted_over
        if line.received > most:
            over = line.received - line.line.quantity.value
            reason = (
                f"line {line.line.number}: {over.normalize():f} {line.line.quantity.unit} more came than was ordered"
            )
            self._park(
                Attention(
                    kind="match-exception",
                    reason=reason,
                    line=line.line.id,
                    document=f"receipt {receipt.key}",
                    verbs=("accept", "refuse"),
                )
            )

    def _read_cancelled_in_erp(self) -> None:
        if not self.progress.cancelling and not self.progress.cancelled_in_erp:
            self.progress.cancelled_in_erp = True
            reason = "the order was cancelled in the ERP: cancel it here and at the supplier, or place it again there and accept"
            self._park(Attention(kind="business-rule", reason=reason, document="ERP order", verbs=("cancel", "accept")))

    def _read_change_answer(self, answer: OrderAcknowledgement) -> None:
        """An 865: the answer to the change we sent last."""
        pending = self.progress.pending
        if pending is None:
            return
        refused = next((line.change_code for line in answer.lines if line.change_code in ("NA", "RJ")), "")
        pending.answer = refused or answer.code
        if not pending.cancel:
            self.progress.pending = None
            if pending.answer not in CHANGE_TAKEN:
                reason = f"the supplier refuses our change {pending.sequence} ({pending.answer})"
                self._park(
                    Attention(
                        kind="partner-rejected",
                        reason=reason,
                        document=f"860 {pending.sequence}",
                        verbs=("accept", "cancel"),
                    )
                )
