"""Where an order's documents arrive: what bears our seal goes on, what does not waits for a person and changes nothing.

Whoever reaches Temporal's tools can signal anything to a case. A document counts only when one of ours sent it: the seal is
checked in our own store, for all that arrived meanwhile at once (docs/adr/0009-sealed-documents.md).
"""

from __future__ import annotations

import asyncio
import hashlib

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.cases import CaseActivities
    from canonical.base import content_hash
    from canonical.cases import Attention
    from canonical.ports import Unmatched
    from canonical.steps import DocumentsToCheck, SupplierDocument, UnreadableDecision
    from workflows.order_invoices import InvoiceSteps
    from workflows.policies import own_store

NO_SEAL = "no valid seal, given by Temporal's tools"
UNSEALED = "unsealed "  # begins the name under which such a document waits
LONGEST_NAME = 200
MOST_UNSEALED = 20  # wait on a case at once; what comes beyond is kept with the case, and listed nowhere else


class Inbox(InvoiceSteps):
    """Documents on their way in."""

    def __init__(self) -> None:
        super().__init__()
        self._inbox: list[SupplierDocument] = []
        self._unchecked: list[tuple[SupplierDocument, bytes]] = []
        self._unsealed: list[SupplierDocument] = []
        self._checking = asyncio.Lock()
        self._sealing = False
        self._came_bare = 0

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
        if not document.seal and not self._seals_are_due():
            self._arrived(document)
            return
        self._unchecked.append((document, raw.payload.data))
        async with self._checking:
            await self._check_seals()

    def _seals_are_due(self) -> bool:
        """Whether a document without a seal came after documents began to be sealed; those a run took before stay taken.

        A patch is remembered by the run, also as not applied: each bare document asks under a name of its own, so that
        a case which took some before the upgrade does not trust others after it.
        """
        if not self._sealing:
            self._came_bare += 1
            self._sealing = workflow.patched(f"documents-sealed-{self._came_bare}")
        return self._sealing

    async def _check_seals(self) -> None:
        """Check what has arrived by now, in order; whoever finds nothing left was served by another."""
        waiting, self._unchecked = self._unchecked, []
        if not waiting:
            return
        data = tuple(as_sent for _, as_sent in waiting)
        asked = DocumentsToCheck(case=self.case, documents=data, as_of=workflow.now())
        checked = await own_store(CaseActivities.check_documents, asked, "who sent this?")
        for (document, _), sealed in zip(waiting, checked.sealed, strict=True):
            if sealed:
                self._sealing = True
                self._arrived(document)
            else:
                self._unsealed.append(document)
                self._stirred += 1

    def _receipt_waits(self) -> bool:
        return any(document.receipt is not None for document in self._inbox)

    def _arrived(self, document: SupplierDocument) -> None:
        if all(document.key != waiting.key for waiting in self._inbox):
            self._inbox.append(document)
            self._stirred += 1

    # -- what nobody of ours sent --------------------------------------------------------------------------------

    def _park_unsealed(self) -> None:
        """Show what came without a valid seal; its key stays free for the one that is genuine."""
        unproven = self.progress.unproven
        while self._unsealed:
            document = self._unsealed.pop(0)
            name = _name(document)
            if document.key in self.progress.seen or name in unproven or len(unproven) >= MOST_UNSEALED:
                continue
            unproven[name] = document
            reason = f"{_described(document)} came with {NO_SEAL}: accept it if it is genuine, refuse it if not"
            verbs = ("accept", "refuse")
            self._park(Attention(kind="unproven", reason=reason[:2000], document=name, verbs=verbs))

    def _decide_unsealed(self, name: str, verb: str, by: str) -> str:
        """A person's word on it: taken in as if a door had brought it, or left out. Either way it stays with the case."""
        document = self.progress.unproven.pop(name, None)
        if document is None or verb != "accept":
            return f"{name}: left out"
        self.progress.vouched.append(document.model_copy(update={"attached_by": by}))
        return f"{name}: taken in"

    async def _list_late(self) -> None:
        """What came while the case was closing, and what nobody decided about, goes to the list of unmatched documents."""
        for document in [*self.progress.unproven.values(), *self._unsealed]:
            await self._list_unmatched(document, "unproven", NO_SEAL)
        self.progress.unproven, self._unsealed = {}, []
        while self._inbox:
            await self._list_unmatched(self._inbox.pop(0), "late", "it came while the order's case was closing")

    async def _list_unmatched(self, document: SupplierDocument, kind: str, reason: str) -> None:
        order = self.progress.order
        if document.key in self.progress.seen:
            return
        name = document.key if kind == "late" else _name(document)
        listed = Unmatched(
            id=_listed_as(f"{kind}/{self.case}/{name}"),
            kind=kind,
            supplier=order.supplier,
            order=order.number,
            facility=order.facility,
            reason=reason,
            message=document.message,
            at=workflow.now(),
            document=document.model_dump_json(exclude={"seal"}),
            case=self.case,
        )
        await own_store(CaseActivities.list_unmatched, listed, f"list a document: {kind}")


def _name(document: SupplierDocument) -> str:
    """One name for one content, whatever key it claims."""
    return f"{UNSEALED}{content_hash(document, without=frozenset({'seal'}))[:12]}"


def _listed_as(name: str) -> str:
    """The name in the list of unmatched documents: short enough to show and to ask for, and of one document only."""
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 33]}/{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _described(document: SupplierDocument) -> str:
    """What it says, so that a person can tell whether it is so."""
    if answer := document.acknowledgement:
        return f"an answer {answer.code} to order {answer.order}"
    if functional := document.functional:
        return f"a {functional.kind} {functional.code} for {functional.control_number}"
    if notice := document.ship_notice:
        return f"ship notice {notice.number}"
    if receipt := document.receipt:
        goods = ", ".join(f"{one.quantity} of {one.item}" for one in receipt.lines)
        return f"{'a cancelled receipt' if receipt.cancelled else 'receipt'} {receipt.number or receipt.key} ({goods})"
    if invoice := document.invoice:
        return f"invoice {invoice.number} of {invoice.supplier} over {invoice.total}"
    if payment := document.payment:
        return f"payment {payment.number or payment.key} of {payment.amount} ({payment.state})"
    return (
        "word that the order was cancelled in the ERP" if document.cancelled_in_erp else "a document that says nothing"
    )
