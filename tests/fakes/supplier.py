"""A supplier in memory, and its mailbox: what was sent to it is there to be looked at.

The channel passes the same contract as the real one (tests/adapters/supplier/contract.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from canonical.base import Canonical, content_hash
from canonical.errors import FasciaError, Rejected, Unavailable
from canonical.invoicing import Remittance
from canonical.mailboxes import MailboxFile
from canonical.parties import Partner
from canonical.purchasing import OrderChange, PurchaseOrder
from canonical.steps import SentDocument

MADE_ON = frozenset({"ordered_on", "dated", "paid_on"})  # a document made again on another day is the same one


@dataclass
class FakeSupplier:
    """The port SupplierChannel in memory. ``documents`` by our key, in the order they came to the supplier.

    ``fails`` is raised once for each entry, before anything happened; ``silent`` lets a document through and then fails, as
    when the answer is lost.
    """

    documents: dict[str, SentDocument] = field(default_factory=dict)
    contents: dict[str, Canonical] = field(default_factory=dict)
    fails: list[FasciaError] = field(default_factory=list)
    silent: int = 0
    away: bool = False
    calls: list[str] = field(default_factory=list)

    async def send_order(self, order: PurchaseOrder, partner: Partner, attempt: int = 1) -> SentDocument:
        key = f"{order.case_id}/send/{order.number}" + (f"/{attempt}" if attempt > 1 else "")
        return self._send("850", key, order, partner)

    async def send_change(self, change: OrderChange, partner: Partner) -> SentDocument:
        return self._send("860", change.key, change, partner)

    async def send_remittance(self, remittance: Remittance, partner: Partner) -> SentDocument:
        return self._send("820", remittance.key, remittance, partner)

    def of_kind(self, kind: str) -> list[SentDocument]:
        """What of one kind the supplier has got."""
        return [one for one in self.documents.values() if one.kind == kind]

    def _send(self, kind: str, key: str, content: Canonical, partner: Partner) -> SentDocument:
        self.calls.append(f"{kind} {key}")
        if self.fails:
            raise self.fails.pop(0)
        if self.away:
            raise Unavailable("the supplier's mailbox does not answer", system="supplier")
        known = self.documents.get(key)
        if known is not None:
            if content_hash(self.contents[key], without=MADE_ON) != content_hash(content, without=MADE_ON):
                raise Rejected(
                    f"{kind} not sent: other content left under this key", code="conflict", system="supplier"
                )
            return known.model_copy(update={"already": True})
        number = len(self.documents) + 1
        self.contents[key] = content
        self.documents[key] = SentDocument(
            kind=kind,
            message=f"message-{number}",
            interchange=f"{number:09}",
            group=str(number),
            transaction_set=f"{number:04}",
            file=f"{kind}_{number:09}.x12",
        )
        if self.silent:
            self.silent -= 1
            raise Unavailable("the supplier's mailbox did not answer in time", system="supplier")
        return self.documents[key]


@dataclass
class FakeMailbox:
    """The port Mailbox in memory: ``put_files`` for the partner, ``waiting`` for us, ``taken`` what we have moved aside."""

    waiting: dict[str, bytes] = field(default_factory=dict)
    put_files: dict[str, bytes] = field(default_factory=dict)
    taken: dict[str, bytes] = field(default_factory=dict)
    puts: list[str] = field(default_factory=list)
    away: bool = False
    unreadable: set[str] = field(default_factory=set)
    unmovable: set[str] = field(default_factory=set)

    async def put(self, name: str, data: bytes) -> None:
        self._open()
        self.puts.append(name)
        self.put_files[name] = data

    async def list(self) -> Sequence[MailboxFile]:
        self._open()
        return [
            MailboxFile(name=name, size=len(data)) for name, data in self.waiting.items() if not name.startswith(".")
        ]

    async def read(self, name: str) -> bytes:
        self._open()
        if name not in self.waiting:
            raise Rejected(f"{name} is not in the mailbox", code="not-found", system="supplier")
        if name in self.unreadable:
            raise Rejected("the mailbox does not let us do this", code="forbidden", system="supplier")
        return self.waiting[name]

    async def take(self, name: str) -> None:
        self._open()
        if name in self.unmovable:
            raise Rejected("the mailbox does not let us do this", code="forbidden", system="supplier")
        if name in self.waiting:
            self.taken[f"{name}.{len(self.taken)}" if name in self.taken else name] = self.waiting.pop(name)
        elif name not in self.taken:
            raise Rejected(f"{name} is not in the mailbox", code="not-found", system="supplier")

    def _open(self) -> None:
        if self.away:
            raise Unavailable("the mailbox does not answer", system="supplier")
