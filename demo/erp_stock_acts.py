"""What people do in the stock of the hospital's ERP: the storekeeper finds and misses goods, the auditor looks what is where.

Quantities are base units. A place is named by its code; the empty one is the warehouse's own store, where goods received lie.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from demo.erp_rpc import ErpClient
from demo.erp_seed_files import rows

SHIPMENT = "stock.shipment.internal"
KEEPS = timedelta(days=540)  # what comes in without a date is good for so long


@dataclass(frozen=True)
class StockMove:
    """One movement; ``line`` is the platform's key of what it moved for, ``reference`` the opaque procedure."""

    item: str
    lot: str
    quantity: int
    from_location: str
    to_location: str
    line: str
    cost_centre: str
    reference: str


@dataclass(frozen=True)
class StockDocument:
    """One internal shipment under the platform's key."""

    key: str
    number: str
    state: str
    moves: tuple[StockMove, ...]


class StockPeople:
    """Storekeeper and auditor, as far as stock goes."""

    _as: Callable[[str], AbstractContextManager[ErpClient]]

    # The storekeeper.

    def put_in(self, location: str, item: str, quantity: int, lot: str = "", expires: date | None = None) -> str:
        """Find goods at a place, or miss them where ``quantity`` is below zero.

        Returns:
            The number of the document.
        """
        with self._as("storekeeper") as erp:
            places = (_lost(erp), _place(erp, location))
            source, goal = places if quantity > 0 else places[::-1]
            product = erp.one("product.product", ["code", "=", item], fields=["default_uom"])
            move = {
                "product": product["id"],
                "unit": product["default_uom"],
                "quantity": float(abs(quantity)),
                "lot": find_lot(erp, product["id"], lot, expires) if lot else None,
                "from_location": source,
                "to_location": goal,
            }
            shipment = erp.create(
                SHIPMENT,
                from_location=source,
                to_location=goal,
                moves=[["create", [move]]],
                reference="found or missed",
            )
            for button in ("wait", "assign_try", "do"):
                erp.press(SHIPMENT, button, shipment)
            done = erp.one(SHIPMENT, ["id", "=", shipment], fields=["number", "state"])
            if done["state"] != "done":
                raise LookupError(f"{location} does not hold {-quantity} of {item}")
            return str(done["number"])

    def block_lot(self, item: str, lot: str) -> None:
        """Nobody may move this lot any more."""
        with self._as("storekeeper") as erp:
            held = erp.find("stock.lot", ["product.code", "=", item], ["number", "=", lot])
            if not held:
                raise LookupError(f"no lot {lot} of {item}")
            erp.write("stock.lot", [one["id"] for one in held], active=False)

    # The auditor.

    def stock(self, location: str) -> dict[tuple[str, str], int]:
        """What is at a place by item and lot, or what went there; what is at zero is left out."""
        with self._as("auditor") as erp:
            there: dict[str, Any] = {"locations": [_place(erp, location)], "with_childs": False, "active_test": False}
            not_zero = ["quantity", "!=", 0]
            lots = erp.find("stock.lot", not_zero, fields=["number", "product.code", "quantity"], **there)
            in_lots = ["code", "in", sorted({lot["product."]["code"] for lot in lots})]
            items = erp.find("product.product", ["OR", not_zero, in_lots], fields=["code", "quantity"], **there)
        found = {(row["code"], ""): int(row["quantity"]) for row in items}
        for lot in lots:
            item = lot["product."]["code"]
            found[item, lot["number"]] = found.get((item, lot["number"]), 0) + int(lot["quantity"])
            found[item, ""] -= int(lot["quantity"])
        return {what: quantity for what, quantity in found.items() if quantity}

    def stock_documents(self, prefix: str = "") -> tuple[StockDocument, ...]:
        """The stock documents whose key begins so, oldest first."""
        with self._as("auditor") as erp:
            fields = ["fascia_key", "number", "state", *(f"moves.{name}" for name in _MOVE)]
            held = erp.find(SHIPMENT, ["fascia_key", "like", f"{prefix}%"], fields=fields)
        return tuple(
            StockDocument(
                key=row["fascia_key"],
                number=row["number"] or "",
                state=row["state"],
                moves=tuple(_move(move) for move in row["moves."]),
            )
            for row in held
            if row["fascia_key"].startswith(prefix)
        )


_MOVE = (
    *("product.code", "lot.number", "internal_quantity", "from_location.code", "to_location.code"),
    *("fascia_line", "fascia_cost_centre", "fascia_reference"),
)


def _move(row: dict[str, Any]) -> StockMove:
    return StockMove(
        item=row["product."]["code"],
        lot=(row["lot."] or {}).get("number") or "",
        quantity=int(row["internal_quantity"]),
        from_location=row["from_location."]["code"] or "",
        to_location=row["to_location."]["code"] or "",
        line=row["fascia_line"] or "",
        cost_centre=row["fascia_cost_centre"] or "",
        reference=row["fascia_reference"] or "",
    )


def _place(erp: ErpClient, location: str) -> int:
    if location:
        return int(erp.one("stock.location", ["code", "=", location])["id"])
    warehouse = erp.one("stock.location", ["type", "=", "warehouse"], fields=["storage_location"])
    return int(warehouse["storage_location"])


def _lost(erp: ErpClient) -> int:
    warehouse = erp.one("stock.location", ["type", "=", "warehouse"], fields=["lost_found_location"])
    return int(warehouse["lost_found_location"])


def find_lot(erp: ErpClient, product: int, number: str, expires: date | None = None) -> int:
    """The lot of that number, made with its date where nobody has seen it before."""
    if held := erp.find("stock.lot", ["product", "=", product], ["number", "=", number]):
        return int(held[0]["id"])
    return erp.create("stock.lot", product=product, number=number, shelf_life_expiration_date=expires)


def label(erp: ErpClient, move: int, order: str, named: tuple[str, date | None] | None) -> list[dict[str, Any]]:
    """Put the lot on a movement of goods that come in: the one on the label, else one called after the order.

    Serials are one movement each: what is beyond the first is returned, to be made.
    """
    kept = ["product", "unit", "unit_price", "currency", "from_location", "to_location", "origin"]
    held = erp.one("stock.move", ["id", "=", move], fields=["product.code", "quantity", *kept])
    item, product, pieces = held["product."]["code"], held["product"], int(held["quantity"])
    tracking = {row["code"]: row["tracking"] for row in rows("items")}.get(item, "none")
    number, expires = named or (f"{order}-{move}", datetime.now(UTC).date() + KEEPS)
    if named is None and tracking == "none":
        return []
    if tracking in ("none", "lot") or pieces == 1:
        erp.write("stock.move", [move], lot=find_lot(erp, product, number, expires))
        return []
    erp.write("stock.move", [move], quantity=1.0, lot=find_lot(erp, product, f"{number}-1", expires))
    same = {name: held[name] for name in kept}
    return [
        same | {"quantity": 1.0, "lot": find_lot(erp, product, f"{number}-{piece}", expires)}
        for piece in range(2, pieces + 1)
    ]
