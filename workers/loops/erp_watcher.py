"""Watches one facility's ERP: each receipt, cancellation and payment becomes one signal to its case; no case polls.

What changed is asked for again with an overlap, since an ERP may commit late what it stamped early; the journal knows what
it has seen, by the ERP's own key and the content.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from canonical.base import content_hash
from canonical.erp_steps import ErpChanges
from canonical.invoicing import Payment
from canonical.messages import NewMessage
from canonical.ports import Erp, Journal
from canonical.purchasing import Receipt
from canonical.steps import SupplierDocument
from gateway.intake import ERP_DOCUMENT, Intake
from workers import telemetry

DOOR = "erp"
OVERLAP = timedelta(seconds=60)
FIRST_LOOK = timedelta(days=7)  # how far back the very first question goes
REMEMBERED = 5000

log = structlog.get_logger(__name__)


class Marks(Protocol):
    """How far a watcher has come, kept in our own store."""

    async def mark(self, name: str) -> datetime | None: ...
    async def set_mark(self, name: str, at: datetime) -> None: ...


class ErpWatcher:
    """One round asks what changed, keeps each change in the journal, and only then moves the mark on."""

    def __init__(
        self,
        facility: str,
        erp: Erp,
        journal: Journal,
        intake: Intake,
        marks: Marks,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._facility = facility
        self._erp = erp
        self._journal = journal
        self._intake = intake
        self._marks = marks
        self._clock = clock
        self._seen: dict[str, None] = {}

    async def once(self) -> None:
        """Ask what changed since last time."""
        name = f"erp/{self._facility}"
        since = await self._marks.mark(name)
        changes = await self._erp.changes(
            self._facility, (since - OVERLAP) if since is not None else self._clock() - FIRST_LOOK
        )
        receipts = [await self._numbered(receipt) for receipt in changes.receipts]
        for order, document in documents(changes.changed(receipts=tuple(receipts))):
            await self._take_in(order, document)
        if since is None or changes.until > since:
            await self._marks.set_mark(name, changes.until)

    async def _numbered(self, receipt: Receipt) -> Receipt:
        """A receipt with its revision: what the journal holds under its key says how often it was taken back or done again.

        A receipt done, taken back and done again looks as it did at first; only what came between makes it another. That
        is asked each time: another process may have watched since we last did.
        """
        content = content_hash(receipt)
        kept = await self._journal.kept_under(f"erp/{self._facility}/receipt/{receipt.key}/")
        held = (SupplierDocument.model_validate_json(message.data).receipt for message in kept)
        told = [one for one in held if one is not None and one.key == receipt.key]
        last = max(told, key=lambda one: (one.revision, one.cancelled), default=None)
        revision = 0
        if last is not None:
            revision = last.revision + (content_hash(last, without=frozenset({"revision"})) != content)
        return receipt.changed(revision=revision)

    async def _take_in(self, order: str, document: SupplierDocument) -> None:
        key = f"erp/{self._facility}/{document.key}"
        if key in self._seen:
            return
        data = document.model_dump_json(exclude_defaults=True).encode()
        with telemetry.span("erp change") as trace:
            result = await self._journal.keep(
                NewMessage(
                    door=DOOR,
                    data=data,
                    partner=self._facility,
                    sender=f"{self._facility}/{order}",
                    kind=ERP_DOCUMENT,
                    key=key,
                    trace=trace,
                )
            )
            settled = result.message.state not in ("received", "validated")
            if settled or await self._intake.route(result.message):
                self._remember(key)
                if not settled:
                    log.info("change in the ERP", facility=self._facility, message=result.message.id)

    def _remember(self, key: str) -> None:
        self._seen[key] = None
        while len(self._seen) > REMEMBERED:
            self._seen.pop(next(iter(self._seen)))


def documents(changes: ErpChanges) -> list[tuple[str, SupplierDocument]]:
    """Each change as its order's case takes it, with the order; a change of a change is another document."""
    found: list[tuple[str, SupplierDocument]] = []
    for receipt in changes.receipts:
        found.append((receipt.order, SupplierDocument(key=_receipt_key(receipt), receipt=receipt)))
    for payment in changes.payments:
        found.append((payment.order or "", SupplierDocument(key=_payment_key(payment), payment=payment)))
    for order in changes.cancelled_orders:
        found.append((order, SupplierDocument(key=f"cancelled/{order}", cancelled_in_erp=True)))
    return found


def _receipt_key(receipt: Receipt) -> str:
    return f"receipt/{receipt.key}/{content_hash(receipt)[:16]}"


def _payment_key(payment: Payment) -> str:
    """A payment's state makes it another document; the moment it changed does not."""
    digest = content_hash(payment, without=frozenset({"changed_at"}))
    return f"payment/{hashlib.sha256(payment.key.encode()).hexdigest()[:16]}/{payment.state}/{digest[:16]}"
