"""How a story ended, asked of those it happened to: the ERP over its own calls, the suppliers' own books. Never our database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.erp_acts import Document, ErpPeople, OrderDocuments
from demo.partner_state import Memory, OrderHeld, state_file
from demo.stage import SUPPLIERS

NOTHING = Decimal("0.00")
GONE = ("cancelled", "failed")


@dataclass(frozen=True)
class Ending:
    """How a story ends, counted outside. ``said`` is the platform's own word for it; the rest is the outside's.

    ``purchases`` counts ERP purchases (one per order, or something is doubled), ``sent`` how many orders suppliers got and
    ``times`` how many 850s that took, ``remitted`` what 820s told the suppliers.
    """

    said: str
    purchases: int = 0
    sent: int = 0
    times: int = 0
    receipts: int = 0
    invoices: int = 0
    paid: Decimal = NOTHING
    remitted: Decimal = NOTHING
    credit_notes: int = 0
    returns: int = 0
    also: tuple[str, ...] = ()

    def text(self) -> str:
        """In words, leaving out what there is none of."""
        names = {"sent": "orders at suppliers", "times": "850s", "credit_notes": "credit notes"}
        told = [
            f"{names.get(one.name, one.name)} {value}"
            for one in fields(self)
            if one.name not in ("said", "also") and (value := getattr(self, one.name))
        ]
        return "; ".join([self.said, ", ".join(told) or "nothing outside", *self.also])


@dataclass
class Outside:
    """Everyone who can be asked."""

    erp: ErpPeople
    home: Path
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(3))

    async def documents(self, order: str) -> OrderDocuments:
        """What the ERP holds of an order."""
        async with self._slots:
            return await asyncio.to_thread(self.erp.documents, order)

    async def all_orders(self) -> dict[str, int]:
        """Every order number of the ERP, and how often it is there."""
        async with self._slots:
            return await asyncio.to_thread(self.erp.orders)

    def books(self) -> dict[str, Memory]:
        """What each supplier remembers."""
        return {supplier: Memory.load(state_file(self.home, supplier)) for supplier in SUPPLIERS}

    def held(self, order: str) -> OrderHeld | None:
        """An order in its supplier's books."""
        return next((book.orders[order] for book in self.books().values() if order in book.orders), None)

    async def ending(self, said: str, orders: Sequence[str]) -> tuple[Ending, list[dict[str, Any]]]:
        """How the orders stand outside, and their documents in the ERP."""
        found, documents = Ending(said=said), []
        for order in orders:
            in_erp = await self.documents(order)
            found = _with_erp(found, in_erp)
            found = self._with_supplier(found, order)
            documents += [_shown(order, document) for document in _all(in_erp)]
        return found, documents

    def _with_supplier(self, found: Ending, order: str) -> Ending:
        for book in self.books().values():
            held = book.orders.get(order)
            if held is None:
                continue
            bills = {bill.number for bill in held.invoices}
            told = sum((one.amount for one in book.remitted if one.invoice in bills), NOTHING)
            found = replace(found, sent=found.sent + 1, times=found.times + held.times, remitted=found.remitted + told)
        return found


def _with_erp(found: Ending, in_erp: OrderDocuments) -> Ending:
    counted = in_erp.counts()
    paid = sum((document.amount or NOTHING for document in in_erp.payments if document.state == "succeeded"), NOTHING)
    return replace(
        found,
        purchases=found.purchases + len(in_erp.purchases),
        receipts=found.receipts + counted["receipts"],
        invoices=found.invoices + counted["invoices"],
        credit_notes=found.credit_notes + counted["credit_notes"],
        returns=found.returns + counted["returns"],
        paid=found.paid + paid,
    )


def _all(in_erp: OrderDocuments) -> list[Document]:
    groups = (in_erp.purchases, in_erp.receipts, in_erp.returns, in_erp.invoices, in_erp.credit_notes, in_erp.payments)
    return [document for group in groups for document in group]


def _shown(order: str, document: Document) -> dict[str, Any]:
    return {
        "order": order,
        "kind": document.kind,
        "number": document.number,
        "state": document.state,
        "amount": str(document.amount) if document.amount is not None else None,
    }
