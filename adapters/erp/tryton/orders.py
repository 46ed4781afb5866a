"""Orders in Tryton: created and confirmed once, changed by amendment, taken back while nothing has come, returned after.

Every change is an amendment with our key, so that a repeat applies it once. An order is ended by amending each line to
what has come of it; Tryton then waits for nothing more.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from adapters.erp.tryton.records import LINE_MARK, Records, decimal, line_id, money, order_key
from adapters.erp.tryton.rpc import SYSTEM, Record
from canonical.base import content_hash
from canonical.erp_steps import ErpReceipt
from canonical.errors import Rejected
from canonical.purchasing import GoodsReturn, LineChange, OrderChange, PurchaseOrder

PURCHASE: Final = "purchase.purchase"
FIELDS: Final = ("number", "state", "total_amount", "reference", "currency.code")
LIVE: Final = ("confirmed", "processing", "done")
RETURN_ORDER: Final = "/R"  # a return's reference is its order's with this and its sequence


class Orders:
    """What we do with orders in one Tryton database."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rpc = records.rpc

    async def create(self, order: PurchaseOrder) -> ErpReceipt:
        """Create and confirm an order, once."""
        key = order_key(order.case_id, order.number)
        purchase, already = await self._draft(order)
        state = purchase["state"]
        if state == "cancelled":
            raise Rejected(f"order {order.number} was cancelled in the ERP", code="cancelled", system=SYSTEM)
        if state == "draft":
            state = await self._press(purchase, "quote", ("quotation", *LIVE))
        if state == "quotation":
            state = await self._press(purchase, "confirm", LIVE)
        if state == "confirmed":
            await self._press(purchase, "process", ("processing", "done"))
        if order.after_use:
            await self._await_nothing(purchase["id"])
        return await self._receipt(purchase["id"], key, already=already and purchase["state"] in LIVE)

    async def _await_nothing(self, purchase: int) -> None:
        """An order after use brings no goods: what Tryton planned to receive of it is given up, and not planned again."""
        planned = [["origin.purchase", "=", purchase, "purchase.line"], ["shipment", "=", None]]
        if drafts := await self._rpc.search("stock.move", [*planned, ["state", "=", "draft"]], []):
            await self._rpc.press("stock.move", "cancel", [row["id"] for row in drafts])
        if (await self._rpc.read(PURCHASE, purchase, ["shipment_state"]))["shipment_state"] != "exception":
            return
        given_up = [
            row["id"] for row in await self._rpc.search("stock.move", [*planned, ["state", "=", "cancelled"]], [])
        ]
        answer = {"recreate_moves": [], "ignore_moves": given_up, "domain_moves": given_up}
        steps: tuple[tuple[Record, str], ...] = ({}, "ask"), ({"ask": answer}, "handle")
        await self._rpc.wizard("purchase.handle.shipment.exception", PURCHASE, [purchase], *steps)

    async def change(self, change: OrderChange) -> ErpReceipt:
        """Change quantity, price or expected date of lines, or end a line's open rest."""
        purchase = await self._records.purchase(change.order, FIELDS)
        already = await self._amend(purchase, change, await self._changed_lines(purchase, change.lines))
        await self._expect(purchase, change.lines)
        return await self._receipt(purchase["id"], change.key, already=already)

    async def cancel(self, change: OrderChange) -> ErpReceipt:
        """Take an order back, of which nothing has come or all went back.

        One whose creation was never answered is created here as a draft and cancelled, so that its key is taken when the
        lost request still arrives.
        """
        purchase, _ = await self._draft(change.order)
        if purchase["state"] in ("draft", "quotation", "cancelled"):
            already = purchase["state"] == "cancelled"
            if not already:
                await self._press(purchase, "cancel", ("cancelled",))
            return await self._receipt(purchase["id"], change.key, already=already)
        lines = await self._records.purchase_lines(purchase["id"])
        if any((await self._kept(purchase, lines)).values()):
            raise Rejected("goods have come and were not returned", code="goods-received", system=SYSTEM)
        arriving = [["origin.purchase", "=", purchase["id"], "purchase.line"], ["state", "=", "draft"]]
        if await self._rpc.search("stock.move", [*arriving, ["shipment", "!=", None]], []):
            raise Rejected("the storekeeper is taking goods in just now", code="goods-arriving", system=SYSTEM)
        moved = await self._records.moved(lines)
        ended = [_amended(line, moved[line["id"]]) for line in lines]
        already = await self._amend(purchase, change, ended)
        receipt = await self._receipt(purchase["id"], change.key, already=already)
        return receipt.changed(state="cancelled")

    async def give_back(self, goods: GoodsReturn) -> ErpReceipt:
        """Book goods back to the supplier: a purchase of less than nothing, and the shipment it makes.

        Raises:
            Rejected: other goods went back under this key: a case that was reset counts its returns anew.
        """
        purchase = await self._records.purchase(goods.order, [*FIELDS, "party", "warehouse", "invoice_address"])
        made = await self._records.find_keyed(PURCHASE, goods.key, FIELDS)
        already = made is not None
        if made is None:
            values = await self._returned(purchase, goods)
            made, already = await self._records.create_once(PURCHASE, goods.key, values, FIELDS)
        if already:
            await self._same_goods(made, goods)
        state = made["state"]
        for button, before in (("quote", "draft"), ("confirm", "quotation"), ("process", "confirmed")):
            if state == before:
                state = await self._press(made, button, ("quotation", *LIVE) if button == "quote" else LIVE)
        shipments = (await self._rpc.read(PURCHASE, made["id"], ["shipment_returns"]))["shipment_returns"]
        for shipment in shipments:
            state = await self._ship_back(shipment)
        receipt = await self._receipt(made["id"], goods.key, already=already)
        return receipt.changed(kind="erp_return", state=state)

    async def _same_goods(self, made: Record, goods: GoodsReturn) -> None:
        """Whether what is under our key is this return and no other; the day and the reason may differ."""
        asked: dict[str, Decimal] = {}
        for line in goods.lines:
            asked[line.line or ""] = asked.get(line.line or "", Decimal(0)) + line.quantity.value
        held: dict[str, Decimal] = {}
        for row in await self._records.purchase_lines(made["id"]):
            held[line_id(row)] = held.get(line_id(row), Decimal(0)) - decimal(row["quantity"])
        if held != asked:
            name = made["reference"] or made["number"]
            said = ", ".join(f"{quantity.normalize():f} of line {line}" for line, quantity in sorted(held.items()))
            raise Rejected(f"return {name} holds other goods: {said}", code="conflict", system=SYSTEM)

    async def _name_lots(self, shipment: int) -> None:
        """Say which lot goes back, where one holds as much: without, Tryton would book the goods off no lot at all."""
        mine = [["shipment", "=", f"stock.shipment.in.return,{shipment}"], ["lot", "=", None], ["state", "=", "draft"]]
        taken: dict[int, float] = {}
        for move in await self._rpc.search("stock.move", mine, ["product", "internal_quantity", "from_location"]):
            lots = await self._rpc.search(
                "stock.lot",
                [["product", "=", move["product"]], ["quantity", ">=", move["internal_quantity"]]],
                ["quantity"],
                context={"locations": [move["from_location"]], "with_childs": False, "stock_assign": True},
                order="id",
            )
            for lot in reversed(lots):  # what came last goes back
                if lot["quantity"] - taken.get(lot["id"], 0) >= move["internal_quantity"]:
                    taken[lot["id"]] = taken.get(lot["id"], 0) + move["internal_quantity"]
                    await self._rpc.write("stock.move", [move["id"]], {"lot": lot["id"]})
                    break

    async def _ship_back(self, shipment: int) -> str:
        model, done = "stock.shipment.in.return", ("done",)
        state = str((await self._rpc.read(model, shipment, ["state"]))["state"])
        if state in ("draft", "waiting"):
            await self._name_lots(shipment)
            if state == "draft":
                await self._records.press_once(model, shipment, "wait", reached=("waiting", "assigned", *done))
            state = await self._records.press_once(model, shipment, "assign_try", reached=("assigned", *done))
        if state == "assigned":
            state = await self._records.press_once(model, shipment, "do", reached=done)
        if state != "done":
            raise Rejected("the goods to return are not in store any more", code="not-in-stock", system=SYSTEM)
        return state

    async def _kept(self, purchase: Record, lines: list[Record]) -> dict[str, Decimal]:
        """What has come and not gone back, by our line id."""
        moved = await self._records.moved(lines)
        kept = {line_id(line): moved[line["id"]] for line in lines}
        for back in await self._rpc.search(PURCHASE, [["origin", "=", f"{PURCHASE},{purchase['id']}"]], []):
            returned = await self._records.purchase_lines(back["id"])
            for line, quantity in (await self._records.moved(returned)).items():
                mark = next(line_id(row) for row in returned if row["id"] == line)
                kept[mark] = kept.get(mark, Decimal(0)) - quantity
        return kept

    async def _draft(self, order: PurchaseOrder) -> tuple[Record, bool]:
        key = order_key(order.case_id, order.number)
        if found := await self._records.find_keyed(PURCHASE, key, FIELDS):
            return found, True
        supplier = await self._records.supplier(order.supplier)
        analytic = await self._records.analytic(order.cost_centre)
        lines = []
        for line in order.lines:
            product = await self._records.product(line.item)
            lines.append(
                {
                    "type": "line",
                    "sequence": line.number,
                    "note": f"{LINE_MARK}{line.id}",
                    "description": line.description or None,
                    "product": product["id"],
                    "unit": await self._records.unit(product, line.quantity.unit),
                    "quantity": float(line.quantity.value),
                    "unit_price": line.unit_price.amount,
                    "analytic_accounts": analytic,
                }
            )
        values = {
            "party": supplier["id"],
            "invoice_address": (supplier["addresses"] or [None])[0],
            "warehouse": (await self._records.warehouse(order.facility))["id"],
            "currency": (await self._records.by_code("currency.currency", order.currency))["id"],
            "payment_term": await self._records.payment_term(order.net_days, supplier),
            "purchase_date": order.ordered_on,
            "delivery_date": order.needed_by,
            "invoice_method": "manual",  # the platform posts what its match let through, Tryton makes nothing itself
            "reference": order.number,
            "description": f"Deliver to {order.ship_to}",
            "lines": [["create", lines]],
        }
        return await self._records.create_once(PURCHASE, key, values, FIELDS)

    async def _returned(self, purchase: Record, goods: GoodsReturn) -> Record:
        lines = await self._records.purchase_lines(purchase["id"])
        held_by_line, kept = {line_id(line): line for line in lines}, await self._kept(purchase, lines)
        analytic = await self._records.analytic(goods.order.cost_centre)
        back = []
        for line in goods.lines:
            held = held_by_line.get(line.line or "")
            if held is None or line.quantity.value > kept[line_id(held)]:
                raise Rejected(f"so much of {line.item} has not come", code="business-rule", system=SYSTEM)
            back.append(
                {
                    "type": "line",
                    "note": f"{LINE_MARK}{line.line}",
                    "product": held["product"],
                    "unit": held["unit"],
                    "quantity": -float(line.quantity.value),
                    "unit_price": held["unit_price"],
                    "analytic_accounts": analytic,
                }
            )
        return {
            "party": purchase["party"],
            "invoice_address": purchase["invoice_address"],
            "warehouse": purchase["warehouse"],
            "currency": (await self._records.by_code("currency.currency", goods.order.currency))["id"],
            "purchase_date": goods.returned_on,
            "invoice_method": "manual",
            "origin": f"{PURCHASE},{purchase['id']}",
            "reference": f"{goods.order.number}{RETURN_ORDER}{goods.sequence}",
            "description": goods.reason or None,
            "lines": [["create", back]],
        }

    async def _changed_lines(self, purchase: Record, changes: tuple[LineChange, ...]) -> list[Record]:
        lines = await self._records.purchase_lines(purchase["id"])
        held_by_line, moved = {line_id(line): line for line in lines}, await self._records.moved(lines)
        amended = []
        for change in changes:
            held = held_by_line.get(change.line)
            if held is None:
                raise Rejected(f"the ERP's order has no line {change.line}", code="unknown-code", system=SYSTEM)
            came = moved[held["id"]]
            quantity = came if change.ended else change.quantity.value
            if quantity < came:
                raise Rejected(f"more has come of line {change.line} already", code="goods-received", system=SYSTEM)
            product = await self._records.product(change.item)
            values = _amended(held, quantity) | {"product": product["id"], "unit_price": change.unit_price.amount}
            if not change.ended:
                values["unit"] = await self._records.unit(product, change.quantity.unit)
            amended.append(values)
        return amended

    async def _amend(self, purchase: Record, change: OrderChange, lines: list[Record]) -> bool:
        """Apply a change once; whether it had been applied already."""
        if purchase["state"] not in LIVE:
            raise Rejected(f"order {purchase['number']} is {purchase['state']}", code="wrong-state", system=SYSTEM)
        values: Record = {
            "purchase": purchase["id"],
            "date": change.dated,
            "description": change.reason or None,
            "lines": [["create", lines]],
        }
        made, already = await self._records.create_once("purchase.amendment", _change_key(change), values, ["state"])
        if made["state"] == "draft":
            await self._records.press_once(
                "purchase.amendment", made["id"], "validate_amendment", reached=("validated",)
            )
        return already and made["state"] == "validated"

    async def _expect(self, purchase: Record, changes: tuple[LineChange, ...]) -> None:
        """Keep the day goods are expected current on what is still to come."""
        lines = {line_id(line): line for line in await self._records.purchase_lines(purchase["id"])}
        for change in (c for c in changes if c.expected is not None and not c.ended):
            origin = f"purchase.line,{lines[change.line]['id']}"
            waiting = [["origin", "=", origin], ["state", "=", "draft"], ["shipment", "=", None]]
            if moves := [row["id"] for row in await self._rpc.search("stock.move", waiting, [])]:
                await self._rpc.write("stock.move", moves, {"planned_date": change.expected})

    async def _press(self, purchase: Record, button: str, reached: tuple[str, ...]) -> str:
        return await self._records.press_once(PURCHASE, purchase["id"], button, reached=reached)

    async def _receipt(self, purchase: int, key: str, *, already: bool) -> ErpReceipt:
        row = await self._rpc.read(PURCHASE, purchase, FIELDS)
        return ErpReceipt(
            system="tryton",
            kind="erp_order",
            id=str(purchase),
            number=row["number"] or "",
            key=key,
            state=row["state"],
            amount=money(row["total_amount"], row["currency."]["code"]),
            already=already,
        )


def _change_key(change: OrderChange) -> str:
    """A change's key and what it says: a case that was reset counts its changes anew, and another one is no repeat."""
    content = content_hash(change, without=frozenset({"order", "dated", "reason"}))
    return f"{change.key}/{content[:16]}"


def _amended(line: Record, quantity: Decimal) -> Record:
    return {
        "action": "line",
        "line": line["id"],
        "product": line["product"],
        "unit": line["unit"],
        "quantity": float(quantity),
        "unit_price": line["unit_price"],
    }
