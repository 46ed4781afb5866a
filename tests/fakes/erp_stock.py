"""The stock side of the ERP in memory: documents by key, what lies where by item and lot, and no for what is not there.

``refuse``, ``silent`` and ``lost`` hold, by step, a reason to say no, how often not to answer, and how often to do what was
asked and lose the answer. Beside them: ``down`` (nothing answers), ``late`` (no answer, and what was asked is done later, by
:meth:`FakeStock.arrive`) and ``slow`` (seconds a step takes before it is done).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from canonical.erp_steps import ErpReceipt
from canonical.errors import Rejected, Unavailable
from canonical.ports import MasterData
from canonical.stock import OnHand, PickedLot, RefusedLine, StockLine, StockPosted, StockPosting

USED, CONSIGNED, LOST = "USED", "CONSIGNED", "LOST"  # where nothing is counted: what went there is gone
UNCOUNTED = (USED, CONSIGNED, LOST)
SUPPLIER = "SUPPLIER"
STORE = ""  # the facility's own, where what was received is put
OPENING = date(2000, 1, 1)


@dataclass(frozen=True)
class StockMove:
    """What moved; ``line`` is the key of ours it moved for, ``reference`` the opaque procedure."""

    item: str
    lot: str
    quantity: int
    from_location: str
    to_location: str
    on: date
    line: str = ""
    cost_centre: str = ""
    reference: str = ""


@dataclass(frozen=True)
class StockDocument:
    """One document of the ERP, ``key`` ours."""

    key: str
    number: str
    state: str
    moves: tuple[StockMove, ...] = ()


@dataclass
class _Posted:
    asked: StockPosting
    outcome: StockPosted
    documents: list[StockDocument] = field(default_factory=list)


class FakeStock:
    """Stock of one ERP. With master data it knows those items and locations and no other; without, every one."""

    def __init__(self, master: MasterData | None = None) -> None:
        self.refuse: dict[str, str] = {}
        self.silent: dict[str, int] = {}
        self.lost: dict[str, int] = {}
        self.late: dict[str, int] = {}
        self.slow: dict[str, float] = {}
        self.down = False
        self.closed_until: date | None = None
        self.moves: list[StockMove] = []
        self.blocked: set[tuple[str, str]] = set()
        self._expiry: dict[tuple[str, str], date] = {}
        self._posted: dict[str, _Posted] = {}
        self._under_way: list[StockPosting] = []
        self._stock_numbers = 0
        master = master or MasterData()
        self._items = {item.code for item in master.items}
        self._places = {location.code for location in master.locations}

    # The port.

    async def post_stock(self, posting: StockPosting) -> StockPosted:
        if self.late.get("post_stock", 0) > 0 and not self.down:
            self.late["post_stock"] -= 1
            self._under_way.append(posting)
            raise Unavailable("the ERP did not answer in time", system="erp")
        lost = self._asked("post_stock")
        if wait := self.slow.get("post_stock", 0):
            await asyncio.sleep(wait)
        outcome = self._post(posting)
        if lost:
            raise Unavailable("the ERP's answer was lost", system="erp")
        return outcome

    async def on_hand(self, facility: str, location: str, as_of: datetime) -> Sequence[OnHand]:
        self._asked("on_hand")
        self._place(location)
        there = self.stock(location, as_of.date())
        return [
            OnHand(item=item, lot=lot, quantity=quantity, expires=self._expiry.get((item, lot)))
            for (item, lot), quantity in sorted(there.items())
        ]

    # What people do in it.

    def put_in(self, location: str, item: str, quantity: int, lot: str = "", expires: date | None = None) -> None:
        """The storekeeper finds goods there, or misses them where ``quantity`` is below zero."""
        self._bring(LOST, location, item, quantity, lot, expires)

    def block_lot(self, item: str, lot: str) -> None:
        """Nobody may move this lot any more."""
        self.blocked.add((item, lot))

    def arrive(self) -> None:
        """What was asked and not answered in time is done now."""
        under_way, self._under_way = self._under_way, []
        for posting in under_way:
            self._post(posting)

    def stock(self, location: str, as_of: date = date.max) -> dict[tuple[str, str], int]:
        """What is at a location by item and lot; what is at zero is left out."""
        there: Counter[tuple[str, str]] = Counter()
        for move in self.moves:
            if move.on <= as_of:
                there[move.item, move.lot] += (move.to_location == location) * move.quantity
                there[move.item, move.lot] -= (move.from_location == location) * move.quantity
        return {what: quantity for what, quantity in there.items() if quantity}

    def stock_documents(self, prefix: str = "") -> tuple[StockDocument, ...]:
        """The documents whose key begins so, in the order they were made."""
        made = (document for posted in self._posted.values() for document in posted.documents)
        return tuple(document for document in made if document.key.startswith(prefix))

    # How it keeps its books.

    def _bring(
        self, source: str, goal: str, item: str, quantity: int, lot: str = "", expires: date | None = None
    ) -> None:
        if expires is not None:
            self._expiry.setdefault((item, lot), expires)
        places = (source, goal) if quantity > 0 else (goal, source)
        self.moves.append(StockMove(item, lot, abs(quantity), *places, OPENING))

    def _asked(self, step: str) -> str:
        """Say no, or nothing, when the test wants that; returns the step when its answer is to be lost."""
        if self.down:
            raise Unavailable("the ERP is down", system="erp")
        if self.silent.get(step, 0) > 0:
            self.silent[step] -= 1
            raise Unavailable("the ERP did not answer", system="erp")
        if step in self.refuse:
            raise Rejected(self.refuse[step], code="business-rule", system="erp")
        if self.lost.get(step, 0) > 0:
            self.lost[step] -= 1
            return step
        return ""

    def _place(self, location: str) -> str:
        if location and self._places and location not in self._places:
            raise Rejected(f"the ERP does not know location {location}", code="unknown-code", system="erp")
        return location

    def _post(self, posting: StockPosting) -> StockPosted:
        if before := self._posted.get(posting.key):
            if not {line.key for line in before.asked.lines} <= {line.key for line in posting.lines}:
                raise Rejected("the ERP's document under this key holds other lines", code="conflict", system="erp")
            receipts = tuple(one.changed(already=True) for one in before.outcome.receipts)
            return before.outcome.changed(receipts=receipts)
        out, back = self._way(posting)
        if self.closed_until is not None and posting.posted_on <= self.closed_until:
            raise Rejected("the ERP refused: the period is closed", code="business-rule", system="erp")
        refused: list[RefusedLine] = []
        picked: list[PickedLot] = []
        documents = []
        for name, (source, goal), lines in (
            ("back", back, [line for line in posting.lines if line.back]),
            ("out", out, [line for line in posting.lines if not line.back]),
        ):
            moved = [move for line in lines for move in self._move(posting, line, source, goal, refused, picked)]
            if lines:
                state = "done" if moved else "cancelled"
                key = f"{posting.key}/{name}"
                documents.append(StockDocument(key, self._stock_number(), state, tuple(moved)))
        outcome = StockPosted(
            receipts=tuple(_receipt(document) for document in documents if document.moves),
            refused=tuple(refused),
            picked=tuple(picked),
        )
        self._posted[posting.key] = _Posted(posting, outcome, documents)
        return outcome

    def _way(self, posting: StockPosting) -> tuple[tuple[str, str], tuple[str, str]]:
        here, other = self._place(posting.location), ""
        match posting.kind:
            case "consume":
                other, into = USED, False
            case "adjust":
                other, into = LOST, False
            case "transfer":
                other, into = self._place(posting.from_location or STORE), True
            case "consign":
                other, into = CONSIGNED, True
        way = (other, here) if into else (here, other)
        return way, (way[1], way[0])

    def _move(
        self,
        posting: StockPosting,
        line: StockLine,
        source: str,
        goal: str,
        refused: list[RefusedLine],
        picked: list[PickedLot],
    ) -> list[StockMove]:
        """One line, whole or not at all."""
        lots = self._pick(line, source)
        if isinstance(lots, RefusedLine):
            refused.append(lots)
            return []
        moves = []
        for lot, quantity in lots:
            if line.expires is not None and lot:
                self._expiry.setdefault((line.item, lot), line.expires)
            if lot and not (line.serial or line.lot):
                expires = self._expiry.get((line.item, lot))
                picked.append(PickedLot(key=line.key, lot=lot, quantity=quantity, expires=expires))
            moves.append(
                StockMove(
                    line.item,
                    lot,
                    quantity,
                    source,
                    goal,
                    posting.posted_on,
                    line.key,
                    line.cost_centre or "",
                    line.procedure,
                )
            )
        self.moves.extend(moves)
        return moves

    def _pick(self, line: StockLine, source: str) -> list[tuple[str, int]] | RefusedLine:
        lot = line.serial or line.lot
        if self._items and line.item not in self._items:
            return RefusedLine(key=line.key, reason=f"the ERP does not know item {line.item}", code="unknown-code")
        if (line.item, lot) in self.blocked:
            return RefusedLine(key=line.key, reason=f"lot {lot} is blocked in the ERP", code="blocked")
        if source in UNCOUNTED:
            return [(lot, line.quantity)]
        there = {
            name: quantity
            for (item, name), quantity in self.stock(source).items()
            if item == line.item and quantity > 0 and (not lot or name == lot) and (item, name) not in self.blocked
        }
        if sum(there.values()) < line.quantity:
            return RefusedLine(key=line.key, reason="not in the ERP's stock", code="not-in-stock")
        taken, left = [], line.quantity
        for name in sorted(there, key=lambda name: (self._expiry.get((line.item, name), date.max), name)):
            if left:
                taken.append((name, min(left, there[name])))
                left -= taken[-1][1]
        return taken

    def _stock_number(self) -> str:
        self._stock_numbers += 1
        return f"M{self._stock_numbers}"


def _receipt(document: StockDocument) -> ErpReceipt:
    return ErpReceipt(
        system="fake",
        kind="erp_stock",
        id=document.number,
        number=document.number,
        key=document.key,
        state=document.state,
    )
