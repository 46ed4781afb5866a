"""What people outside the platform do in the hospital's ERP: the storekeeper takes goods in, the bank pays, the auditor looks.

Each signs in as itself. Orders are named by the platform's order number, which the ERP holds as the purchase's reference;
goods by item code, quantities in the unit the order counts in.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from demo.erp import read_secret
from demo.erp_people_acts import PayrollPeople
from demo.erp_rpc import ErpClient, ErpRefused
from demo.erp_stock_acts import StockPeople, label


@dataclass(frozen=True)
class Document:
    """One document of the ERP. ``kind`` is purchase, receipt, goods_return, invoice, credit_note or payment."""

    kind: str
    number: str
    state: str
    key: str = ""
    reference: str = ""
    amount: Decimal | None = None
    to_pay: Decimal | None = None


@dataclass(frozen=True)
class OrderDocuments:
    """Everything in the ERP that belongs to one order number; more than one purchase means an order was doubled."""

    order: str
    purchases: tuple[Document, ...] = ()
    receipts: tuple[Document, ...] = ()
    returns: tuple[Document, ...] = ()
    invoices: tuple[Document, ...] = ()
    credit_notes: tuple[Document, ...] = ()
    payments: tuple[Document, ...] = ()
    ordered: dict[str, Decimal] = field(default_factory=dict)
    received: dict[str, Decimal] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """How many documents of each kind, cancelled ones left out."""
        kinds = ("purchases", "receipts", "returns", "invoices", "credit_notes", "payments")
        return {kind: sum(d.state not in ("cancelled", "failed") for d in getattr(self, kind)) for kind in kinds}


class ErpPeople(StockPeople, PayrollPeople):
    """The people who work in the ERP at ``url``; their passwords lie in the state folder."""

    def __init__(self, url: str, database: str, home: Path) -> None:
        self._url = url
        self._database = database
        self._home = home
        self._signed_in: dict[str, ErpClient] = {}
        self._signing_in = threading.Lock()

    @contextlib.contextmanager
    def _as(self, user: str) -> Iterator[ErpClient]:
        """Act as one of them; each signs in once, and again after a session was lost."""
        with self._signing_in:
            if user not in self._signed_in:
                client = ErpClient(self._url, self._database, user, read_secret(self._home, user))
                self._signed_in[user] = client.sign_in()
        try:
            yield self._signed_in[user]
        except ErpRefused as refused:
            if refused.kind == "HTTP 401":
                self._signed_in.pop(user, None)
            raise

    # The storekeeper.

    def receive(
        self,
        order: str,
        lines: Mapping[str, Decimal | int] | None = None,
        *,
        delivery_note: str = "",
        unordered: Mapping[str, Decimal | int] | None = None,
        lots: Mapping[str, tuple[str, date | None]] | None = None,
    ) -> str:
        """Take goods in: all that is open, or these quantities by item (less or more than open), and goods nobody ordered.

        ``lots``: by item the lot on the label, and its date. What is tracked and not named there comes in a lot (or serials)
        called after the order.

        Returns:
            The number of the receipt.
        """
        with self._as("storekeeper") as erp:
            purchase = _purchase(erp, order)
            wanted = None if lines is None else {item: Decimal(quantity) for item, quantity in lines.items()}
            moves, more = [], []
            for move in _open_moves(erp, purchase):
                item = move["product."]["code"]
                if wanted is not None and item not in wanted:
                    continue
                if wanted is not None:
                    erp.write("stock.move", [move["id"]], quantity=float(wanted.pop(item)))
                moves.append(move["id"])
                more += label(erp, move["id"], order, (lots or {}).get(item))
            if wanted:
                raise LookupError(f"order {order} has nothing open of {', '.join(wanted)}")
            more += [_stray(erp, purchase, item, quantity) for item, quantity in (unordered or {}).items()]
            incoming: list[Any] = [["add", moves], *([["create", more]] if more else [])]
            return self._take_in(erp, purchase, incoming, delivery_note)

    def _take_in(self, erp: ErpClient, purchase: dict[str, Any], incoming: list[Any], delivery_note: str) -> str:
        warehouse = purchase["warehouse."]
        shipment = erp.create(
            "stock.shipment.in",
            supplier=purchase["party"],
            warehouse=purchase["warehouse"],
            warehouse_input=warehouse["input_location"],
            warehouse_storage=warehouse["storage_location"],
            reference=delivery_note or None,
            incoming_moves=incoming,
        )
        erp.press("stock.shipment.in", "receive", shipment)
        erp.press("stock.shipment.in", "do", shipment)
        return str(erp.one("stock.shipment.in", ["id", "=", shipment], fields=["number"])["number"])

    def cancel_receipt(self, number: str) -> None:
        """Take a receipt back that was booked by mistake; the ERP then waits for the goods again."""
        with self._as("storekeeper") as erp:
            shipment = erp.one("stock.shipment.in", ["number", "=", number], fields=["incoming_moves.origin"])
            erp.press("stock.shipment.in", "cancel", shipment["id"])
            for purchase in erp.find(
                "purchase.purchase", ["shipments", "=", shipment["id"]], fields=["shipment_state"]
            ):
                if purchase["shipment_state"] == "exception":
                    _handle_cancelled_moves(erp, purchase["id"], recreate=True)

    def cancel_order(self, order: str) -> None:
        """Someone in purchasing ends an order in the ERP, past the platform."""
        with self._as("storekeeper") as erp:
            purchase = _purchase(erp, order)
            erp.press("stock.move", "cancel", *(move["id"] for move in _open_moves(erp, purchase)))
            _handle_cancelled_moves(erp, purchase["id"], recreate=False)

    # The bank.

    def bank_confirms(self, order: str | None = None) -> int:
        """The bank paid: every payment on its way, or those of one order. Returns how many."""
        return self._bank_says("succeed", order)

    def bank_refuses(self, order: str | None = None) -> int:
        """The bank could not pay. Returns how many payments failed."""
        return self._bank_says("fail", order)

    def _bank_says(self, button: str, order: str | None) -> int:
        with self._as("bank") as erp:
            waiting = erp.find("account.payment", ["state", "=", "processing"], *_payments_of(order))
            for payment in waiting:
                erp.press("account.payment", button, payment["id"])
            return len(waiting)

    # The clerk of the master data.

    def change_bank_account(self, supplier: str, number: str) -> None:
        """A supplier's bank account becomes another one."""
        with self._as("clerk") as erp:
            held = erp.one("bank.account.number", ["account.owners.code", "=", supplier])
            erp.write("bank.account.number", [held["id"]], number=number)

    # The auditor.

    def orders(self) -> dict[str, int]:
        """How often each order number is in the ERP; anything but one is wrong."""
        counted: dict[str, int] = {}
        with self._as("auditor") as erp:
            for purchase in erp.find("purchase.purchase", ["origin", "=", None], fields=["reference"]):
                counted[purchase["reference"] or ""] = counted.get(purchase["reference"] or "", 0) + 1
        return counted

    def documents(self, order: str) -> OrderDocuments:
        """Everything that belongs to an order."""
        with self._as("auditor") as erp:
            fields = ["number", "state", "fascia_key", "reference", "total_amount"]
            purchases = erp.find("purchase.purchase", ["reference", "=", order], ["origin", "=", None], fields=fields)
            ids = [purchase["id"] for purchase in purchases]
            of_order = ["OR", ["purchases", "in", ids], ["fascia_key", "like", f"purchase_order/%/{order}/%"]]
            invoices = erp.find("account.invoice", of_order, fields=[*fields, "amount_to_pay"])
            moves = erp.find(
                "stock.move",
                ["origin.purchase", "in", ids, "purchase.line"],
                fields=["product.code", "quantity", "state", "shipment"],
            )
            shipped = sorted({int(m["shipment"].split(",")[1]) for m in moves if m["shipment"]})
            lines = erp.find("purchase.line", ["purchase", "in", ids], fields=["product.code", "quantity"])
            back = ["moves.origin.purchase.reference", "like", f"{order}/R%", "purchase.line"]
            return OrderDocuments(
                order=order,
                purchases=tuple(_document("purchase", row) for row in purchases),
                receipts=self._kind(erp, "receipt", "stock.shipment.in", ["id", "in", shipped]),
                returns=self._kind(erp, "goods_return", "stock.shipment.in.return", back),
                invoices=tuple(_document("invoice", row) for row in invoices if row["total_amount"] >= 0),
                credit_notes=tuple(_document("credit_note", row) for row in invoices if row["total_amount"] < 0),
                payments=self._kind(erp, "payment", "account.payment", *_payments_of(order)),
                ordered=_by_item(lines),
                received=_by_item([m for m in moves if m["state"] == "done"]),
            )

    @staticmethod
    def _kind(erp: ErpClient, kind: str, model: str, *domain: Any) -> tuple[Document, ...]:
        fields = ["number", "state", "fascia_key", "reference", *(["amount"] if kind == "payment" else [])]
        return tuple(_document(kind, row) for row in erp.find(model, *domain, fields=fields))


def _document(kind: str, row: Mapping[str, Any]) -> Document:
    return Document(
        kind=kind,
        number=row.get("number") or "",
        state=row["state"],
        key=row.get("fascia_key") or "",
        reference=row.get("reference") or "",
        amount=row.get("total_amount", row.get("amount")),
        to_pay=row.get("amount_to_pay"),
    )


def _purchase(erp: ErpClient, order: str) -> dict[str, Any]:
    return erp.one(
        "purchase.purchase",
        ["reference", "=", order],
        ["origin", "=", None],
        fields=["party", "warehouse", "warehouse.input_location", "warehouse.storage_location", "currency"],
    )


def _open_moves(erp: ErpClient, purchase: dict[str, Any]) -> list[dict[str, Any]]:
    return erp.find(
        "stock.move",
        ["origin.purchase", "=", purchase["id"], "purchase.line"],
        ["state", "=", "draft"],
        ["shipment", "=", None],
        fields=["product.code", "quantity"],
    )


def _handle_cancelled_moves(erp: ErpClient, purchase: int, *, recreate: bool) -> None:
    moves = [
        m["id"]
        for m in erp.find(
            "stock.move", ["origin.purchase", "=", purchase, "purchase.line"], ["state", "=", "cancelled"]
        )
    ]
    answer = {
        "recreate_moves": moves if recreate else [],
        "ignore_moves": [] if recreate else moves,
        "domain_moves": moves,
    }
    erp.wizard(
        "purchase.handle.shipment.exception",
        ({}, "ask"),
        ({"ask": answer}, "handle"),
        model="purchase.purchase",
        ids=[purchase],
    )


def _stray(erp: ErpClient, purchase: dict[str, Any], item: str, quantity: Decimal | int) -> dict[str, Any]:
    product = erp.one("product.product", ["code", "=", item], fields=["purchase_uom", "default_uom"])
    supplier = erp.one("party.party", ["id", "=", purchase["party"]], fields=["supplier_location"])
    return {
        "product": product["id"],
        "unit": product["purchase_uom"],
        "quantity": float(quantity),
        "from_location": supplier["supplier_location"],
        "to_location": purchase["warehouse."]["input_location"],
        "unit_price": Decimal(0),
        "currency": purchase["currency"],
    }


def _payments_of(order: str | None) -> list[Any]:
    return [] if order is None else [["fascia_key", "like", f"purchase_order/%/{order}/payment/%"]]


def _by_item(lines: list[dict[str, Any]]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for line in lines:
        item = line["product."]["code"]
        found[item] = found.get(item, Decimal(0)) + Decimal(str(line["quantity"]))
    return found
