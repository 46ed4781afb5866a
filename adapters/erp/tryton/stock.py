"""Stock in Tryton: many movements in one internal shipment, made once under our key and moved on by its buttons.

Used goods go to the lost-and-found location ``USED`` of the facility's warehouse, consigned goods come from ``CONSIGNED`` beside
it: a move from the supplier's place would ask for a price and an order, which a consigned item has only after its use. What
``CONSIGNED`` is below zero is what suppliers have yet to be ordered. See ``docs/adr/0004-tryton.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from adapters.erp.tryton.picking import Plan, Shelf, Way, not_in_stock, number_of, whole
from adapters.erp.tryton.records import KEY, Records
from adapters.erp.tryton.rpc import SYSTEM, AsksFirst, Record
from canonical.erp_steps import ErpReceipt
from canonical.errors import Rejected, Unavailable
from canonical.stock import OnHand, PickedLot, RefusedLine, StockLine, StockPosted, StockPosting

SHIPMENT: Final = "stock.shipment.internal"
LINE: Final = "fascia_line"
MOVE_FIELDS: Final = (LINE, "quantity", "state", "from_location", "lot.number", "lot.shelf_life_expiration_date")
FIELDS: Final = ("number", "state", *(f"moves.{name}" for name in MOVE_FIELDS))
LOT_FIELDS: Final = ("number", "product", "active", "shelf_life_expiration_date", "quantity")
FINISHED: Final = ("done", "cancelled")
AHEAD: Final = "effective_date_future"
TRIES: Final = 6  # a document whose goods others take meanwhile is filled anew


class Stock:
    """What we do with stock in one Tryton database."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rpc = records.rpc
        self._virtual: dict[tuple[int, str], int] = {}

    async def post(self, posting: StockPosting) -> StockPosted:
        """Book a posting: what goes back first, so that it can go out again by the same posting."""
        out, back = await self._ways(posting)
        posted = StockPosted()
        for name, way, lines in (
            ("back", back, [line for line in posting.lines if line.back]),
            ("out", out, [line for line in posting.lines if not line.back]),
        ):
            if lines:
                booked = await _Document(self, posting, f"{posting.key}/{name}", way, lines).book()
                posted = posted.changed(
                    receipts=posted.receipts + booked.receipts,
                    refused=posted.refused + booked.refused,
                    picked=posted.picked + booked.picked,
                )
        return posted

    async def on_hand(self, facility: str, location: str, as_of: datetime) -> list[OnHand]:
        """What is at a location at the end of a day, by item and lot; what has no lot is the rest of its item."""
        there = {
            "locations": [await self.location(facility, location)],
            "with_childs": False,
            "stock_date_end": as_of.astimezone(UTC).date(),
            "active_test": False,
        }
        lots = await self._rpc.search(
            "stock.lot", [["quantity", "!=", 0]], [*LOT_FIELDS, "product.code"], context=there
        )
        items = [["quantity", "!=", 0], ["id", "in", sorted({lot["product"] for lot in lots})]]
        products = await self._rpc.search("product.product", ["OR", *items], ["code", "quantity"], context=there)
        rest = {row["id"]: whole(row["quantity"]) for row in products}
        rows = []
        for lot in lots:
            quantity = whole(lot["quantity"])
            rest[lot["product"]] -= quantity
            expires = lot["shelf_life_expiration_date"]
            rows.append((lot["product."]["code"], lot["number"], quantity, expires))
        rows += [(row["code"], "", rest[row["id"]], None) for row in products]
        return [
            OnHand(item=item, lot=number, quantity=quantity, expires=expires)
            for item, number, quantity, expires in sorted(rows, key=lambda row: row[:2])
            if quantity and item
        ]

    async def shelf(self, lines: Sequence[StockLine], way: Way) -> Shelf:
        """What of these lines' items may leave where they come from; what others have reserved may not."""
        there = {"locations": [way.source], "with_childs": False, "stock_assign": True, "active_test": False}
        codes = sorted({line.item for line in lines})
        products = await self._rpc.search(
            "product.product",
            [["code", "in", codes]],
            ["code", "default_uom", "lot_required", "quantity"],
            context=there,
        )
        named = sorted({number_of(line) for line in lines} - {""})
        fitting = ["OR", ["number", "in", named], *([["quantity", "!=", 0]] if way.counted else [])]
        of_items = ["product", "in", [row["id"] for row in products]]
        lots = await self._rpc.search("stock.lot", [of_items, fitting], LOT_FIELDS, context=there)
        return Shelf(products, lots)

    async def make_lots(self, plan: Plan) -> None:
        """Make the lots nobody has seen before, each once."""
        new: dict[str, Record] = {
            f"lot/{line.item}/{number}": {
                "product": product,
                "number": number,
                "shelf_life_expiration_date": line.expires,
            }
            for (product, number), line in plan.missing.items()
        }
        try:
            await self._rpc.call("model.stock.lot.create", [{**values, KEY: key} for key, values in new.items()])
        except Rejected:  # some of them are there by now
            for key, values in new.items():
                await self._records.create_once("stock.lot", key, values, ["number"])

    async def location(self, facility: str, code: str) -> int:
        """A place by its code; without one, where the warehouse keeps what was received."""
        if not code:
            return int((await self._records.warehouse(facility))["storage_location"])
        return int((await self._records.by_code("stock.location", code))["id"])

    async def _ways(self, posting: StockPosting) -> tuple[Way, Way]:
        """The way of its lines, and of those that go back."""
        facility = posting.facility
        here = await self.location(facility, posting.location)
        if posting.kind == "transfer":
            there = await self.location(facility, posting.from_location or "")
            return Way(there, here, True, virtual=False), Way(here, there, True, virtual=False)
        if posting.kind == "adjust":
            there = int((await self._records.warehouse(facility))["lost_found_location"])
        else:
            there = await self._beside(facility, "USED" if posting.kind == "consume" else "CONSIGNED")
        leaves, comes = Way(here, there, counted=True), Way(there, here, counted=False)
        return (comes, leaves) if posting.kind == "consign" else (leaves, comes)

    async def _beside(self, facility: str, code: str) -> int:
        """A lost-and-found location that belongs to the facility's warehouse; every facility has its own."""
        warehouse = (await self._records.warehouse(facility))["id"]
        if (warehouse, code) not in self._virtual:
            of_warehouse = [["code", "=", code], ["type", "=", "lost_found"], ["waste_warehouses", "=", warehouse]]
            found = await self._rpc.search("stock.location", of_warehouse, [])
            if len(found) != 1:
                why = f"the ERP has no location {code} of warehouse {facility}"
                raise Rejected(why, code="unknown-code", system=SYSTEM)
            self._virtual[warehouse, code] = int(found[0]["id"])
        return self._virtual[warehouse, code]


class _Document:
    """One internal shipment: some lines of a posting, all one way."""

    def __init__(self, stock: Stock, posting: StockPosting, key: str, way: Way, lines: Sequence[StockLine]) -> None:
        self._stock = stock
        self._records = stock._records
        self._rpc = stock._rpc
        self._posting = posting
        self._key = key
        self._way = way
        self._lines = lines
        self._shelf: Shelf | None = None

    async def book(self) -> StockPosted:
        """Bring it to done, from wherever an earlier try left it; what it holds then is the answer.

        Raises:
            Rejected: the ERP takes nothing of it; it was given up, and its goods are free.
        """
        held = await self._records.find_keyed(SHIPMENT, self._key, FIELDS)
        already = held is not None
        if held is None:
            held, already = await self._make()
        self._is_ours(held)
        for _ in range(TRIES):
            if held["state"] in FINISHED:
                return await self._outcome(held, already=already)
            held = await self._advance(held)
        raise Unavailable("others keep taking what this document is to move", code="contention", system=SYSTEM)

    async def _make(self) -> tuple[Record, bool]:
        # Tryton lets a shipment into a closed period: it looks at a movement's day before the movement has one.
        closed = [["state", "=", "closed"], ["date", ">=", self._posting.posted_on]]
        if await self._rpc.search("stock.period", closed, [], limit=1):
            why = f"the ERP's books of {self._posting.posted_on} are closed"
            raise Rejected(why, code="closed-period", system=SYSTEM)
        moves = await self._moves()
        values = {
            "from_location": self._way.source,
            "to_location": self._way.goal,
            "effective_date": self._posting.posted_on,
            "reference": self._posting.reason or None,
            "moves": [["create", moves]],
            KEY: self._key,
        }
        try:
            made = await self._rpc.create(SHIPMENT, values)
        except Rejected:
            # A try of ours that was given up for lost may have made it meanwhile: the key is unique in the database.
            held = await self._records.find_keyed(SHIPMENT, self._key, FIELDS)
            if held is None:
                raise
            return held, True
        return {"id": made, "number": None, "state": "draft", "moves.": moves}, False

    async def _moves(self) -> list[Record]:
        """The movements of what can be moved now."""
        self._shelf = await self._stock.shelf(self._lines, self._way)
        plan = self._shelf.plan(self._lines, self._way)
        if plan.missing:
            await self._stock.make_lots(plan)
            self._shelf = await self._stock.shelf(self._lines, self._way)
            plan = self._shelf.plan(self._lines, self._way)
        return [
            {
                LINE: part.line.key,
                "product": part.product["id"],
                "unit": part.product["default_uom"],
                "quantity": float(part.quantity),
                "lot": part.lot,
                "from_location": self._way.source,
                "to_location": self._way.goal,
                "fascia_cost_centre": part.line.cost_centre,
                "fascia_reference": part.line.procedure or None,
            }
            for part in plan.parts
        ]

    async def _advance(self, held: Record) -> Record:
        """One step further, or back where others took its goods meanwhile; as it then stands."""
        if not held["moves."]:
            return await self._press(held, "cancel")
        if held["state"] == "draft":
            held = await self._press(held, "wait", "assign_try")
        elif held["state"] == "waiting":
            held = await self._press(held, "assign_try")
        if held["state"] == "assigned" and self._is_whole(held):
            return await self._do(held)
        return held if held["state"] in FINISHED else await self._fill_anew(held)

    async def _do(self, held: Record) -> Record:
        try:
            try:
                return await self._press(held, "do")
            except AsksFirst as question:
                if not question.is_about(AHEAD):
                    raise
            # Our day is ahead of the ERP's: booked on a day to come, nobody would see it as used today.
            await self._rpc.write(SHIPMENT, [held["id"]], {"effective_date": None})
            return await self._press(held, "do")
        except Rejected:
            await self._press(held, "cancel")
            raise

    async def _fill_anew(self, held: Record) -> Record:
        """Let go of what was reserved, and put in what is there now."""
        held = await self._press(held, "wait", "draft")
        if held["state"] != "draft":
            return held  # another of our tries is at it
        old = [move["id"] for move in held["moves."]]
        moves = await self._moves()
        try:
            await self._rpc.write(SHIPMENT, [held["id"]], {"moves": [["delete", old], ["create", moves]]})
        except Rejected:
            if [move["id"] for move in (await self._read(held))["moves."]] == old:
                raise
        return await self._read(held)

    async def _press(self, held: Record, *buttons: str) -> Record:
        """Press buttons and look. A refusal is none where another try of ours has moved the document meanwhile."""
        try:
            for button in buttons:
                await self._rpc.press(SHIPMENT, button, [held["id"]])
        except Rejected:
            now = await self._read(held)
            if now["state"] == held["state"]:
                raise
            return now
        return await self._read(held)

    async def _read(self, held: Record) -> Record:
        return await self._rpc.read(SHIPMENT, held["id"], FIELDS)

    def _is_ours(self, held: Record) -> None:
        if not {move[LINE] for move in held["moves."]} <= {line.key for line in self._lines}:
            why = "the ERP's document under this key holds other lines"
            raise Rejected(why, code="conflict", system=SYSTEM)

    def _is_whole(self, held: Record) -> bool:
        """Whether every line in it is reserved in full, at the place it is asked of."""
        ready = all(
            move["state"] == "assigned" and move["from_location"] == self._way.source for move in held["moves."]
        )
        sums = self._sums(held)
        return ready and all(sums[line.key] == line.quantity for line in self._lines if line.key in sums)

    @staticmethod
    def _sums(held: Record) -> dict[str, int]:
        sums: dict[str, int] = {}
        for move in held["moves."]:
            sums[move[LINE]] = sums.get(move[LINE], 0) + whole(move["quantity"])
        return sums

    async def _outcome(self, held: Record, *, already: bool) -> StockPosted:
        """What the finished document says of our lines."""
        done = held["state"] == "done"
        if not done and held["moves."]:
            why = "the ERP's document under this key was given up"
            raise Rejected(why, code="cancelled", system=SYSTEM)
        sums = self._sums(held)
        left_out = [line for line in self._lines if sums.get(line.key) != line.quantity]
        if left_out and self._shelf is None:
            self._shelf = await self._stock.shelf(left_out, self._way)
        receipt = ErpReceipt(
            system="tryton",
            kind="erp_stock",
            id=str(held["id"]),
            number=held["number"] or "",
            key=self._key,
            state=held["state"],
            already=already,
        )
        return StockPosted(
            receipts=(receipt,) if done else (),
            refused=tuple(self._refusal(line, sums.get(line.key, 0)) for line in left_out),
            picked=self._picked(held),
        )

    def _refusal(self, line: StockLine, moved: int) -> RefusedLine:
        if moved:
            return RefusedLine(key=line.key, reason=f"the ERP moved {moved} of {line.quantity}", code="partly-moved")
        return (self._shelf and self._shelf.refusal(line)) or not_in_stock(line)

    def _picked(self, held: Record) -> tuple[PickedLot, ...]:
        chosen = {line.key for line in self._lines if not number_of(line)}
        return tuple(
            PickedLot(
                key=move[LINE],
                lot=move["lot."]["number"],
                quantity=whole(move["quantity"]),
                expires=move["lot."]["shelf_life_expiration_date"],
            )
            for move in held["moves."]
            if move[LINE] in chosen and move["lot."]
        )
