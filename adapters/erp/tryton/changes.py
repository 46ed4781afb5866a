"""What happened in Tryton without us: goods taken in or given up, orders ended, payments the bank confirmed or refused.

Tryton has no feed of events, so we ask for what was modified since a moment. A change carries the moment its transaction
began, and may be seen only later: ``until`` stays behind the newest change seen by an overlap, so nothing falls between two
questions, and what is seen twice has the same key twice. All moments are Tryton's own; no clock of ours is read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from adapters.erp.tryton.records import KEY, Records, decimal, in_unit, line_id, money, order_key, target
from adapters.erp.tryton.rpc import SYSTEM, Record
from canonical.base import Quantity, case_id, case_parts
from canonical.erp_steps import CostCentreActual, ErpChanges, ErpDocument, ErpOrder
from canonical.errors import Rejected
from canonical.invoicing import Payment
from canonical.purchasing import Receipt, ReceivedLine

OVERLAP: Final = timedelta(seconds=60)
SHIPMENT: Final = "stock.shipment.in"
MOVE_FIELDS: Final = (
    "origin",
    "shipment",
    "state",
    "quantity",
    "unit.symbol",
    "unit.factor",
    "product.code",
    "lot.number",
    "lot.shelf_life_expiration_date",
)
PAYMENT_FIELDS: Final = ("number", "state", "amount", "currency.code", KEY, "last_modified_at")


class Changes:
    """Questions to one Tryton database that change nothing."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rpc = records.rpc

    async def since(self, facility: str, since: datetime) -> ErpChanges:
        """Receipts, ended orders and payments modified since then, of orders that carry our key."""
        modified = ["last_modified_at", ">=", since.astimezone(UTC).replace(tzinfo=None)]
        ours = [KEY, "like", f"{case_id('purchase_order', facility)}/%"]
        shipments = await self._rpc.search(
            SHIPMENT,
            [modified, ["state", "in", ["done", "cancelled"]]],
            ["number", "reference", "state", "create_date", "effective_date", "last_modified_at"],
        )
        purchases = await self._rpc.search(
            "purchase.purchase",
            [modified, ours, ["origin", "=", None], ["state", "in", ["processing", "done", "cancelled"]]],
            ["reference", "state", "last_modified_at"],
        )
        payments = await self._rpc.search(
            "account.payment", [modified, ours, ["state", "in", ["processing", "succeeded", "failed"]]], PAYMENT_FIELDS
        )
        seen = [_utc(row["last_modified_at"]) for row in (*shipments, *purchases, *payments)]
        return ErpChanges(
            receipts=tuple(await self._receipts(facility, shipments)),
            cancelled_orders=tuple(await self._ended(purchases)),
            payments=tuple(_payment(facility, row) for row in payments),
            until=max([since, *(moment - OVERLAP for moment in seen)]),
        )

    async def _receipts(self, facility: str, shipments: Sequence[Record]) -> list[Receipt]:
        """A receipt for each shipment and order; goods nobody ordered go with the shipment's first order."""
        # Given up before it was taken in (no effective date): no goods came, and it may still be taken in later.
        shipments = [row for row in shipments if row["state"] == "done" or row["effective_date"]]
        if not shipments:
            return []
        names = [f"{SHIPMENT},{row['id']}" for row in shipments]
        moves = await self._rpc.search(
            "stock.move", [["shipment", "in", names], ["from_location.type", "=", "supplier"]], MOVE_FIELDS
        )
        lines = await self._lines({target(move["origin"])[1] for move in moves if move["origin"]}, facility)
        receipts = []
        for shipment in shipments:
            taken = [move for move in moves if target(move["shipment"])[1] == shipment["id"]]
            if shipment["state"] == "done":  # a move cancelled by itself stays on it and brought nothing
                taken = [move for move in taken if move["state"] == "done"]
            taken.sort(key=lambda move: target(move["origin"])[1])
            orders: dict[str, list[ReceivedLine]] = {}
            strays = []
            for move in taken:
                line = lines.get(target(move["origin"])[1])
                if line is not None:
                    orders.setdefault(line["purchase."]["reference"], []).append(_received(move, line))
                elif not move["origin"]:
                    strays.append(_received(move, None))
            for place, (order, came) in enumerate(orders.items()):
                receipts.append(_receipt(facility, order, shipment, (*came, *(strays if place == 0 else ()))))
        return receipts

    async def _lines(self, ids: set[int], facility: str) -> dict[int, Record]:
        ours = ["purchase.fascia_key", "like", f"{case_id('purchase_order', facility)}/%"]
        fields = ["note", "unit.symbol", "unit.factor", "purchase.reference", "purchase.origin"]
        rows = await self._rpc.search("purchase.line", [["id", "in", sorted(ids)], ours], fields)
        return {row["id"]: row for row in rows if row["purchase."]["origin"] is None}

    async def _ended(self, purchases: Sequence[Record]) -> list[str]:
        """Orders that will bring nothing: of which nothing came and nothing is awaited any more.

        Tryton takes an order's moves away when it is amended and plans them anew in a transaction of its own: a line that
        asks for goods and has no move between the two is not given up. All is asked at once, as one moment has it.
        """
        ids = [row["id"] for row in purchases if row["state"] != "cancelled"]
        fields = ["purchase", "quantity", "moves.state", "moves_recreated"]
        lines = await self._rpc.search("purchase.line", [["purchase", "in", ids]], fields)
        living = {line["purchase"] for line in lines if _awaited(line)}
        return [row["reference"] for row in purchases if row["id"] not in living]

    async def order(self, facility: str, number: str) -> ErpOrder:
        """An order with everything that hangs on it."""
        case = case_id("purchase_order", facility, number)
        found = await self._records.find_keyed(
            "purchase.purchase",
            order_key(case, number),
            ["number", "state", "total_amount", "currency.code", "reference", "shipments", KEY],
        )
        if found is None:
            return ErpOrder(order=number)
        lines = await self._records.purchase_lines(found["id"])
        moved = await self._records.moved(lines)
        of_case = [KEY, "like", f"{case}/%"]
        head = ["number", "state", "reference"]
        back = await self._rpc.search(
            "purchase.purchase",
            [["origin", "=", f"purchase.purchase,{found['id']}"]],
            [*head, "total_amount", "currency.code", KEY],
        )
        shipments = await self._rpc.search(SHIPMENT, [["id", "in", found["shipments"]]], head)
        bills = await self._rpc.search("account.invoice", [of_case], [*head, "total_amount", "currency.code", KEY])
        payments = await self._rpc.search("account.payment", [of_case], PAYMENT_FIELDS)
        return ErpOrder(
            order=number,
            document=_document("erp_order", found),
            receipts=tuple(_document("erp_receipt", row) for row in shipments),
            invoices=tuple(_document(_bill_kind(row), row) for row in bills),
            payments=tuple(_document("erp_payment", row) for row in payments),
            returns=tuple(_document("erp_return", row) for row in back),
            received={line_id(line): moved[line["id"]] for line in lines},
        )

    async def actuals(self, from_day: date, to_day: date) -> list[CostCentreActual]:
        """What is booked on each cost centre between two days."""
        rows = await self._rpc.search(
            "analytic_account.account",
            [["type", "=", "normal"], ["code", "!=", None]],
            ["code", "debit", "credit", "currency.code"],
            context={"start_date": from_day, "end_date": to_day},
        )
        return [
            CostCentreActual(
                cost_centre=row["code"], actual=money(row["debit"] - row["credit"], row["currency."]["code"])
            )
            for row in rows
        ]


def _awaited(line: Record) -> bool:
    """Whether anything came or is to come of a purchase line: it has a move, or Tryton has yet to plan one."""
    moves = line["moves."]
    if any(move["state"] != "cancelled" for move in moves):
        return True
    return (line["quantity"] or 0) > 0 and {move["id"] for move in moves} <= set(line["moves_recreated"])


def _received(move: Record, line: Record | None) -> ReceivedLine:
    unit = move["unit."]
    if line is not None:
        quantity = in_unit(move["quantity"], unit["factor"], line)
    else:
        quantity = Quantity(value=decimal(move["quantity"]), unit=unit["symbol"])
    lot = move.get("lot.") or {}
    return ReceivedLine(
        line=(line_id(line) or None) if line is not None else None,
        item=move["product."]["code"],
        quantity=quantity,
        lot=lot.get("number") or "",
        expires=lot.get("shelf_life_expiration_date"),
    )


def _receipt(facility: str, order: str, shipment: Record, lines: tuple[ReceivedLine, ...]) -> Receipt:
    return Receipt(
        facility=facility,
        order=order,
        key=f"{shipment['number'] or shipment['id']}/{order}",  # also when it is taken back: the case looks it up
        number=shipment["number"] or "",
        delivery_note=shipment["reference"] or "",
        received_at=_utc(shipment["create_date"]),
        cancelled=shipment["state"] == "cancelled",
        lines=lines,
    )


def _payment(facility: str, row: Record) -> Payment:
    parts = case_parts(row[KEY])
    if len(parts) < 3:
        raise Rejected("a payment in the ERP carries a key we did not give", code="erp-fault", system=SYSTEM)
    return Payment(
        facility=facility,
        order=parts[2],
        key=row[KEY],
        number=row["number"] or "",
        state=row["state"],
        amount=money(row["amount"], row["currency."]["code"]),
        changed_at=_utc(row["last_modified_at"]),
    )


def _bill_kind(row: Record) -> str:
    if row["total_amount"] >= 0:
        return "erp_invoice"
    return "erp_debit_memo" if row[KEY].endswith("/debit-memo") else "erp_credit_note"


def _document(kind: str, row: Record) -> ErpDocument:
    amount: Any = row.get("total_amount", row.get("amount"))
    return ErpDocument(
        kind=kind,
        id=str(row["id"]),
        number=row["number"] or "",
        state=row["state"],
        key=row.get(KEY) or "",
        amount=None if amount is None else money(amount, row["currency."]["code"]),
        reference=row.get("reference") or "",
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC)
