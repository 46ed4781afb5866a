"""Sends orders, changes and remittances to a supplier as X12 files in its SFTP mailbox, each once.

Before anything leaves, its control numbers are given under our own key and its bytes are kept in the journal. A repeat after
a time-out therefore finds the same numbers, the same bytes and the same file name: the supplier cannot get two. Specification:
ASC X12 004010, sets 850, 860 and 820.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from adapters import x12_documents as documents
from canonical.errors import Rejected
from canonical.invoicing import Remittance
from canonical.mailboxes import Mailbox
from canonical.messages import KeepResult, Kept, NewMessage
from canonical.parties import Partner
from canonical.ports import Journal, Numbering
from canonical.purchasing import OrderChange, PurchaseOrder
from canonical.steps import SentDocument
from formats.x12 import Envelope, Segment, read, write

DOOR = "mailbox"
GONE = frozenset({"sent", "acknowledged"})
MADE_ON = {"BEG": (5,), "BCH": (6, 11), "BPR": (16,)}  # a run that was reset makes the document again, a day later


class X12SftpSupplier:
    """The way to every supplier that takes X12 in a mailbox."""

    def __init__(self, numbering: Numbering, journal: Journal, mailbox_for: Callable[[Partner], Mailbox]) -> None:
        self._numbering = numbering
        self._journal = journal
        self._mailbox_for = mailbox_for

    async def send_order(self, order: PurchaseOrder, partner: Partner, attempt: int = 1) -> SentDocument:
        """850. A person's re-send (``attempt`` above 1) has numbers of its own and says that it is a duplicate."""
        key = f"{order.case_id}/send/{order.number}" + (f"/{attempt}" if attempt > 1 else "")
        body = documents.order_850(order, partner, again=attempt > 1)
        return await self._send("850", key, order.case_id, partner, body)

    async def send_change(self, change: OrderChange, partner: Partner) -> SentDocument:
        """860."""
        return await self._send("860", change.key, change.order.case_id, partner, documents.change_860(change))

    async def send_remittance(self, remittance: Remittance, partner: Partner) -> SentDocument:
        """820."""
        body = documents.remittance_820(remittance)
        return await self._send("820", remittance.key, remittance.order.case_id, partner, body)

    async def _send(self, kind: str, key: str, case: str, partner: Partner, body: Sequence[Segment]) -> SentDocument:
        """Number, keep, put, note; each is harmless when it was done before.

        Raises:
            Unavailable, Throttled: the mailbox or our store is away; the same call again goes on where this one stopped.
            Rejected: the mailbox refuses us, or other content left under this key before.
            Malformed: the document cannot be said in this partner's X12; with its path.
        """
        numbers = await self._numbering.control_numbers(partner.code, key, case=case, kind=kind)
        envelope = Envelope.to_partner(
            partner,
            numbers.interchange,
            numbers.given_at,
            group=numbers.group,
            transaction_set=numbers.transaction_set,
        )
        data = write(envelope, [(kind, body)])
        control = f"{numbers.interchange:09}"
        kept = await self._journal.keep(
            NewMessage(
                direction="out",
                door=DOOR,
                data=data,
                partner=partner.code,
                sender=partner.our_id,
                kind=kind,
                control_number=control,
                key=key,
                case=case,
            )
        )
        message = kept.message if kept.outcome != "conflict" else await self._first(kept, kind)
        already = message.state in GONE
        file = f"{kind}_{control}.x12"
        if not already:
            await self._mailbox_for(partner).put(file, message.data)
            await self._journal.mark(message.id, "sent", case=case)
        return SentDocument(
            kind=kind,
            message=message.id,
            interchange=control,
            group=str(numbers.group),
            transaction_set=f"{numbers.transaction_set:04}",
            file=file,
            already=already,
        )

    async def _first(self, kept: KeepResult, kind: str) -> Kept:
        """What was made under this key before. Made on another day it is the same document; else a person must look.

        Raises:
            Rejected: it says something else.
        """
        first = kept.first
        same = first is not None and _undated(first.data) == _undated(kept.message.data)
        what = "the same document of another day" if same else "other content"
        reason = f"message {first.id if first else ''} was made under this key before, with {what}"
        await self._journal.mark(kept.message.id, "refused", reason=reason)
        if first is None or not same:
            raise Rejected(f"{kind} not sent: {reason}", code="conflict", system="supplier")
        return first


def _undated(data: bytes) -> list[tuple[str, tuple[str, ...]]]:
    """What a document of ours says, without the day it was made."""
    said = []
    for interchange in read(data):
        for _, document in interchange.documents:
            for one in document.body:
                made = MADE_ON.get(one.name, ())
                kept = tuple("" if number in made else value for number, value in enumerate(one.elements, start=1))
                said.append((one.name, kept))
    return said
