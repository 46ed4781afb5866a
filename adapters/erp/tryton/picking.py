"""Decides what a stock document in Tryton may hold: each line whole, from the lots that are there, or not at all.

Tryton's own assignment takes part of a line where there is too little, and helps itself from places below the one it was
asked for; so what goes into a document is chosen here first, and Tryton only confirms it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR
from typing import Final

from adapters.erp.tryton.records import decimal
from adapters.erp.tryton.rpc import Record
from canonical.stock import RefusedLine, StockLine

NO_LOT: Final = ""


@dataclass(frozen=True)
class Way:
    """From where to where; ``counted``: only what is there can leave it, which a virtual place does not ask."""

    source: int
    goal: int
    counted: bool
    virtual: bool = True  # one end is none of the facility's shelves

    def wants_lot(self, product: Record) -> bool:
        """Whether Tryton refuses to move this item on this way without a lot."""
        types = {"storage", "lost_found"} if self.virtual else {"storage"}
        return bool(types & set(product["lot_required"] or ()))


@dataclass(frozen=True)
class Part:
    """So many base units of one line, of one lot (or of none)."""

    line: StockLine
    product: Record
    lot: int | None
    quantity: int


@dataclass
class Plan:
    """What goes into a document, what does not, and lots that have yet to be made (item's id, number, date)."""

    parts: list[Part] = field(default_factory=list)
    refused: list[RefusedLine] = field(default_factory=list)
    missing: dict[tuple[int, str], StockLine] = field(default_factory=dict)


def number_of(line: StockLine) -> str:
    """The lot Tryton holds it under; a serial is a lot of one."""
    return line.serial or line.lot


def whole(quantity: float) -> int:
    """How many whole base units."""
    return int(decimal(quantity).to_integral_value(rounding=ROUND_FLOOR))


class Shelf:
    """What may leave one place: items with their total, and their lots; what a line takes is gone for the next."""

    def __init__(self, products: Iterable[Record], lots: Sequence[Record]) -> None:
        self.products = {row["code"]: row for row in products}
        self._lots: dict[int, list[Record]] = {}
        for lot in lots:
            self._lots.setdefault(lot["product"], []).append(lot)
        self._left: dict[tuple[int, int | None], int] = {}
        for product in self.products.values():
            in_lots = 0
            for lot in self._lots.get(product["id"], ()):
                self._left[product["id"], lot["id"]] = there = whole(lot["quantity"] or 0)
                in_lots += there
            self._left[product["id"], None] = whole(product["quantity"] or 0) - in_lots

    def plan(self, lines: Sequence[StockLine], way: Way) -> Plan:
        """What of these lines can go this way, first come first served."""
        plan = Plan()
        for line in lines:
            if refusal := self.refusal(line):
                plan.refused.append(refusal)
                continue
            product = self.products[line.item]
            taken = self._counted(line, product, way) if way.counted else self._uncounted(line, product, way, plan)
            if taken is None:
                plan.refused.append(not_in_stock(line))
            else:
                plan.parts.extend(taken)
        return plan

    def refusal(self, line: StockLine) -> RefusedLine | None:
        """Why this line can never be moved: an item nobody knows, a lot that is blocked; None when it can."""
        product, number = self.products.get(line.item), number_of(line)
        if product is None:
            return RefusedLine(key=line.key, reason=f"the ERP does not know item {line.item}", code="unknown-code")
        named = [lot for lot in self._lots.get(product["id"], ()) if lot["number"] == number]
        if number and named and not any(lot["active"] for lot in named):
            return RefusedLine(key=line.key, reason=f"lot {number} is blocked in the ERP", code="blocked")
        return None

    def _counted(self, line: StockLine, product: Record, way: Way) -> list[Part] | None:
        parts, left = [], line.quantity
        for lot in self._candidates(line, product, way):
            there = self._left[product["id"], lot]
            if there > 0 and left:
                parts.append(Part(line, product, lot, min(left, there)))
                left -= parts[-1].quantity
        if left:
            return None
        for part in parts:
            self._left[product["id"], part.lot] -= part.quantity
        return parts

    def _candidates(self, line: StockLine, product: Record, way: Way) -> list[int | None]:
        """The lots a line may be taken from, in their order: the one it names, else first expired first."""
        number = number_of(line)
        open_lots = [lot for lot in self._lots.get(product["id"], ()) if lot["active"]]
        if number:
            return [lot["id"] for lot in open_lots if lot["number"] == number]
        found: list[tuple[date, str, int | None]] = [
            (lot["shelf_life_expiration_date"] or date.max, lot["number"], lot["id"]) for lot in open_lots
        ]
        if not way.wants_lot(product):
            found.append((date.max, NO_LOT, None))
        return [lot for _, _, lot in sorted(found, key=lambda one: one[:2])]

    def _uncounted(self, line: StockLine, product: Record, way: Way, plan: Plan) -> list[Part] | None:
        number = number_of(line)
        if not number:
            return None if way.wants_lot(product) else [Part(line, product, None, line.quantity)]
        for lot in self._lots.get(product["id"], ()):
            if lot["active"] and lot["number"] == number:
                return [Part(line, product, lot["id"], line.quantity)]
        plan.missing.setdefault((product["id"], number), line)
        return []


def not_in_stock(line: StockLine) -> RefusedLine:
    """What a line is told of which there is not enough."""
    return RefusedLine(key=line.key, reason="not in the ERP's stock", code="not-in-stock")
