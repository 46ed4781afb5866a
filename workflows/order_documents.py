"""What comes in for an order: acknowledgements, ship notices, receipts, invoices and the bank's word, in any order."""

from __future__ import annotations

from decimal import Decimal

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from canonical.cases import Attention, DocumentRef, State
    from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement, Receipt, ReceivedLine, ShipNotice
    from canonical.steps import SupplierDocument
    from workflows.acknowledgements import Reading
    from workflows.order_inbox import Inbox
    from workflows.order_state import LineProgress

CHANGE_TAKEN = frozenset({"AC", "AD", "AE", "AK", "AT"})
CHANGE_LINE_REFUSED = frozenset({"NA", "RJ"})


class Documents(Inbox):
    """Every document is taken in once, under its key, whatever came before it."""

    def _meanwhile(self) -> None:
        self._read_documents()

    def _read_documents(self) -> None:
        """Take in what has come; one seen before (by an earlier run, too) is passed over."""
        self._park_unsealed()
        while self.progress.vouched or self._inbox:
            document = (self.progress.vouched or self._inbox).pop(0)
            if document.key in self.progress.seen:
                continue
            self.progress.seen.append(document.key)
            self._dirty = True
            self._read_document(document)
        self.lines = self.progress.line_states()

    def _read_document(self, document: SupplierDocument) -> None:
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

    # -- the supplier's system and the supplier ------------------------------------------------------------------

    def _read_functional(self, said: FunctionalAcknowledgement) -> None:
        """A 997 or TA1. A refused order is sent again by a person's word; a refused change or remittance is theirs too."""
        progress = self.progress
        about_order = said.functional_id == "PO" or (said.functional_id == "" and progress.pending is None)
        if about_order:
            progress.functional, progress.functional_due = said.code, None
            self._unpark(document="997")
        if said.accepted:
            return
        errors = "; ".join(error for one in said.sets for error in one.errors) or said.note
        reason = (
            f"the supplier's system refused our document ({said.kind} {said.code}{': ' + errors if errors else ''})"
        )
        if about_order:
            self._park(Attention(kind="partner-rejected", reason=reason, document="997", verbs=("resend", "cancel")))
        elif progress.pending is not None and said.functional_id in ("", "PC"):
            progress.pending.answer = f"{said.kind} {said.code}"
            if not progress.pending.cancel:
                self._change_refused(reason)
        else:
            name = f"{said.kind} {said.control_number}"
            self._park(Attention(kind="partner-rejected", reason=reason, document=name, verbs=("accept",)))

    def _read_acknowledgement(self, answer: OrderAcknowledgement, message: str) -> None:
        if answer.to_change:
            self._read_change_answer(answer)
            kind = "order_change_acknowledgement"
        else:
            kind = "order_acknowledgement"
            self._read_order_answer(answer, message)
        number = answer.supplier_reference or f"{answer.order} {answer.code}"
        self._note(
            DocumentRef(kind=kind, number=number, system=answer.supplier, state=State.ACKNOWLEDGED, message=message)
        )

    def _read_order_answer(self, answer: OrderAcknowledgement, message: str) -> None:
        progress = self.progress
        for name in ("855", "hold", "order"):
            self._unpark(document=name)
        self._not_passed("hold", *(f"line {line.line.id}" for line in progress.lines))
        # A name for each answer: a run that let one pass before quantities were looked at stops at the next.
        reading = Reading(
            progress,
            self._within(self._partner_times()[3]),
            self.context.packs,
            lambda: workflow.patched(f"answered-quantities-count-{len(progress.seen)}"),
        )
        parked = reading.read(answer)
        for line_id in reading.heard:
            self._unpark(line=line_id)
        if progress.promised and reading.heard:
            self._no_goods_due()
        for attention in parked:
            self._park(attention)
        progress.answer_due = progress.functional_due = None
        self._unpark(document="997", kind="timeout")  # who answers has read it
        if self.state in (State.ENRICHED, State.SUBMITTED):
            self.state = State.ACKNOWLEDGED
        expected = max((line.expected for line in progress.lines if line.expected), default=None)
        dated = expected.isoformat() if expected else ""
        self._tell("order.acknowledged", f"{answer.code}/{message}", code=answer.code, expected=dated)

    def _read_change_answer(self, answer: OrderAcknowledgement) -> None:
        """An 865: the answer to the change we sent last."""
        pending = self.progress.pending
        other = answer.change_sequence.isdecimal() and pending is not None
        if pending is None or (other and int(answer.change_sequence) != pending.sequence):
            return
        refused = next((line.change_code for line in answer.lines if line.change_code in CHANGE_LINE_REFUSED), "")
        pending.answer = refused or answer.code
        if not pending.cancel:
            self.progress.pending = None
            self._unpark(document="865")
            if pending.answer not in CHANGE_TAKEN:
                self._change_refused(f"the supplier refuses our change {pending.sequence} ({pending.answer})")

    def _change_refused(self, reason: str) -> None:
        """Our lines have ended already, here and in the ERP: a person settles it with the supplier."""
        self.progress.pending = None
        name = f"860 {self.progress.changes}"
        self._park(Attention(kind="partner-rejected", reason=reason, document=name, verbs=("accept", "cancel")))

    def _read_ship_notice(self, notice: ShipNotice, message: str) -> None:
        """Goods on the way; a notice that comes again under its number takes the place of the earlier one."""
        progress = self.progress
        for line_id, told in progress.shipments.pop(notice.number, {}).items():
            earlier = progress.line(line_id)
            if earlier is not None:
                earlier.shipped -= told
        counted: dict[str, Decimal] = {}
        for shipped in notice.lines:
            line = progress.by_number(shipped.number, shipped.supplier_item)
            count = self._in_order_unit(line, shipped.quantity) if line is not None else None
            if line is None or count is None:
                what = shipped.supplier_item or shipped.number
                why = "which is not on the order" if line is None else f"in {shipped.quantity.unit}, not a unit of it"
                reason, name = f"ship notice {notice.number} names {what}, {why}", f"856 {notice.number}"
                verbs = ("accept", "cancel")
                self._park(Attention(kind="data-invalid", reason=reason, document=name, verbs=verbs))
                continue
            line.shipped += count
            counted[line.line.id] = counted.get(line.line.id, Decimal(0)) + count
            line.expected = notice.expected or line.expected
            if line.received == 0 and (line.state != "back-ordered" or line.shipped >= line.line.quantity.value):
                line.state = "shipped" if line.shipped >= line.line.quantity.value else "partly shipped"
        progress.shipments[notice.number] = counted
        if progress.promised:
            self._no_goods_due()
        progress.receipt_due = self._within(self.context.policy.receipt_within, partner=False)
        self._not_passed("receipt")
        self._note(
            DocumentRef(
                kind="ship_notice", number=notice.number, system=notice.supplier, state=State.POSTED, message=message
            )
        )
        expected = notice.expected.isoformat() if notice.expected else ""
        about = {"expected": expected, "carrier": notice.carrier, "tracking": notice.tracking}
        self._tell("order.shipped", notice.number, shipment=notice.number, **about)

    # -- goods ---------------------------------------------------------------------------------------------------

    def _read_receipt(self, receipt: Receipt, message: str) -> None:
        """Goods came in, or a receipt was taken back, or done again: the newest revision under a key holds.

        A receipt taken back before we heard of it never was.
        """
        progress, earlier = self.progress, self._told(receipt)
        if earlier is not None and _rank(receipt) <= _rank(earlier):
            return
        progress.told_receipts[receipt.key] = receipt
        counted = earlier if earlier is not None and not earlier.cancelled else None
        if counted is None and receipt.cancelled:
            return
        moved: list[tuple[LineProgress, Decimal]] = []
        if counted is not None:
            self._unpark(document=f"receipt {receipt.key}")
            moved = self._moved(counted.changed(cancelled=True))  # what we counted, whatever the newer one says
        touched = [line for line, _ in moved]
        if not receipt.cancelled:
            moved = self._moved(receipt)
            touched += [line for line, _ in moved]
        self._over_receipts(receipt, touched)
        self._after_receipt()
        state = State.FAILED if receipt.cancelled else State.POSTED
        number = receipt.number or receipt.key
        self._note(DocumentRef(kind="receipt", number=number, system="erp", state=state, message=message))
        self._tell("receipt.posted", _once(receipt), receipt=number, lines=self._in_words(moved))

    def _told(self, receipt: Receipt) -> Receipt | None:
        """What was last told under this receipt's key; a run of before revisions kept the bare keys of what it counted."""
        told, receipts = self.progress.told_receipts.get(receipt.key), self.progress.receipts
        if told is not None or not {receipt.key, f"{receipt.key}/cancelled"} & set(receipts):
            return told
        return receipt.changed(revision=0, cancelled=f"{receipt.key}/cancelled" in receipts)

    def _moved(self, receipt: Receipt) -> list[tuple[LineProgress, Decimal]]:
        return [line for one in receipt.lines if (line := self._received(one, receipt)) is not None]

    def _received(self, received: ReceivedLine, receipt: Receipt) -> tuple[LineProgress, Decimal] | None:
        """One received line on its order line; None for what was not ordered, which a person decides about."""
        progress = self.progress
        line = progress.line(received.line) or next((x for x in progress.lines if x.line.item == received.item), None)
        count = None
        if line is not None and line.line.item == received.item:
            count = self._in_order_unit(line, received.quantity)
        if line is None or count is None:
            if not receipt.cancelled:
                reason = f"receipt {receipt.number}: {received.quantity} of {received.item} came, which was not ordered"
                name, verbs = f"receipt {receipt.key}", ("accept", "refuse")
                self._park(Attention(kind="match-exception", reason=reason, document=name, verbs=verbs))
            return None
        count = -count if receipt.cancelled else count
        line.received += count
        line.state = "received" if line.received >= line.line.quantity.value else "partly received"
        if line.received <= 0:
            line.state = "shipped" if line.shipped > 0 else "acknowledged" if line.acknowledged else "ordered"
        return line, count

    def _over_receipts(self, receipt: Receipt, lines: list[LineProgress]) -> None:
        """More than was ordered: within the bulk tolerance it is kept, beyond it a person decides."""
        for line in lines:
            self.attention = [
                a for a in self.attention if a.line != line.line.id or not (a.document or "").startswith("receipt ")
            ]
            percent = self.context.policy.tolerances.bulk_quantity_percent if line.line.bulk else Decimal(0)
            if line.over <= line.line.quantity.value * percent / 100:
                continue
            count = f"{line.over.normalize():f} {line.line.quantity.unit}"
            self._park(
                Attention(
                    kind="match-exception",
                    reason=f"line {line.line.number}: {count} more came than was ordered",
                    line=line.line.id,
                    document=f"receipt {receipt.key}",
                    verbs=("accept", "refuse"),
                )
            )

    def _after_receipt(self) -> None:
        """From the last goods on, the supplier has its time to send the bill."""
        progress = self.progress
        progress.last_receipt = workflow.now()
        progress.invoice_due = self._within(self.context.policy.invoice_within, partner=False)
        self._not_passed("invoice")
        if all(line.received >= line.shipped for line in progress.lines):
            self._no_goods_due()

    def _read_cancelled_in_erp(self) -> None:
        """Someone cancelled the order in the ERP; our own cancellation comes back the same way and is no news."""
        progress = self.progress
        ours = progress.cancelling or progress.rejected or not any(line.open for line in progress.lines)
        if not ours and not progress.cancelled_in_erp:
            progress.cancelled_in_erp = True
            reason = "the order was cancelled in the ERP: cancel it here and at the supplier, or place it again there and accept"
            verbs = ("cancel", "accept")
            self._park(Attention(kind="business-rule", reason=reason, document="cancelled in the ERP", verbs=verbs))


def _rank(receipt: Receipt) -> tuple[int, bool]:
    """Which of two reports of one receipt is the newer; of one revision, the taking back."""
    return receipt.revision, receipt.cancelled


def _once(receipt: Receipt) -> str:
    """The name under which others hear of it once."""
    name = f"{receipt.key}/cancelled" if receipt.cancelled else receipt.key
    return f"{name}/{receipt.revision}" if receipt.revision else name
