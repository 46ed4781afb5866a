"""Balances and needs in memory, and what the register there says of them: the lower half of :mod:`tests.fakes.usage`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import count
from zoneinfo import ZoneInfo

from canonical.errors import Rejected
from canonical.parties import Facility, Location
from canonical.replenishment import AFTER_USE, NewNeed, UsedUp, need_after_use, need_of_level, short_of
from canonical.shelves import Parcel, Shelf
from canonical.stock import (
    Need,
    Recorded,
    RoundKey,
    StockLevel,
    StockPosted,
    StockPosting,
    TakenRound,
)
from canonical.stock_moves import Move, reserved_by, rose
from canonical.supplies import DueSupply, supply
from canonical.supply import Item
from canonical.usage import UsagePolicy
from canonical.usage_kept import KeptUse
from canonical.usage_planning import Known
from canonical.usage_settling import touched
from tests.fakes.register import FakeRegister

UNFINISHED = ("open", "ordered", "back-ordered")


@dataclass
class FakeNeed:
    """A need, as it changes."""

    id: str
    facility: str
    location: str
    item: str
    supply: str
    quantity: int
    state: str = "open"
    event: str = ""
    warehouse: str = ""
    package: int = 1
    received: int = 0
    put_away: int = 0
    case: str = ""
    reason: str = ""
    requisition: str = ""
    lots: list[Parcel] = field(default_factory=list)


@dataclass
class FakeRound:
    """A round, as it changes."""

    key: RoundKey
    taken: TakenRound
    postings: list[StockPosting]
    state: str = "taken"
    outcomes: dict[str, StockPosted] = field(default_factory=dict)
    recorded: Recorded | None = None


class FakeBooks:
    """Stock as our books have it."""

    def __init__(self, register: FakeRegister) -> None:
        self.register = register
        self.rounds: dict[tuple[str, str, int], FakeRound] = {}
        self.balances: dict[tuple[str, str, str, str, str], int] = defaultdict(int)
        self.expires: dict[tuple[str, str, str, str, str], date | None] = {}
        self.moves: dict[str, Move] = {}
        self.needs: dict[str, FakeNeed] = {}
        self.blocks: list[tuple[str, str, str, str]] = []  # item, lot, serial, recall
        self._number = count(1)

    def opening(
        self,
        location: str,
        item: str,
        quantity: int,
        lot: str = "",
        serial: str = "",
        expires: date | None = None,
        facility: str = "NGH",
    ) -> None:
        """What is there when the books are opened."""
        key = f"opening/{facility}/{location}/{item}/{lot}/{serial}"
        self._move([Move(key, facility, location, item, quantity, "opening", lot, serial, expires)])

    def block(self, item: str, lot: str = "", serial: str = "", recall: str = "Z-1") -> None:
        """A recall forbids a lot or serial from now on; neither: the item."""
        self.blocks.append((item, lot, serial, recall))

    def on_hand(self, location: str, item: str, facility: str = "NGH") -> int:
        """All of an item at a location, by our books."""
        return sum(on_hand for place, on_hand in self.balances.items() if place[:3] == (facility, location, item))

    def _supplies(self, key: RoundKey, known: Known) -> list[StockPosting]:
        postings, shelves = [], dict[tuple[str, str], Shelf]()
        for need in self.needs.values():
            if (need.facility, need.location) != (key.facility, key.location) or not is_due(need):
                continue
            put: dict[str, int] = defaultdict(int)
            for move in self.moves.values():
                if move.need == need.id and move.location == need.location:
                    put[move.lot] += move.quantity
            shelf = None
            if need.warehouse:
                where = (need.warehouse, need.item)
                shelf = shelves.setdefault(where, self._shelf(key.facility, *where))
            due = DueSupply(
                need=need.id,
                item=need.item,
                quantity=need.quantity,
                received=need.received,
                put_away=need.put_away,
                warehouse=need.warehouse,
                package=need.package,
                came=need.lots,
                put=put,
            )
            item = self._items().get(need.item)
            blocked = self._blocked(need.item, shelf)
            tracked = item is None or item.tracking != "none"
            posting = supply(key, due, known.day, tracked=tracked, warehouse=shelf, blocked=blocked)
            if posting is None:
                need.state = "back-ordered"
            else:
                postings.append(posting)
        return postings

    def _blocked(self, item: str, shelf: Shelf | None) -> Collection[tuple[str, str]]:
        there = [(parcel.lot, parcel.serial) for parcel in shelf.parcels()] if shelf else []
        return {
            (lot, serial)
            for lot, serial in there
            for blocked, its_lot, its_serial, _ in self.blocks
            if blocked == item and its_lot in ("", lot) and its_serial in ("", serial)
        }

    def _new_needs(self, key: RoundKey, stands: Sequence[KeptUse], moves: Sequence[Move]) -> list[Need]:
        policy, begun = self._policy(key), []
        bins = {(one.location, one.item) for one in stands if one.kind == "empty-bin"}
        for location, item in sorted(touched(moves, bins)):
            level = next((one for one in self._levels(key.facility, location) if one.item == item), None)
            where, known = self._location(key.facility, location), self._items().get(item)
            if level is None or where is None or known is None or where.moved_to:
                continue
            short = short_of(
                level,
                self.on_hand(location, item, key.facility),
                self._on_order(key.facility, location, item),
                empty_bin=(location, item) in bins,
            )
            if not short or self._unfinished(key.facility, location, item):
                continue
            before = self._refused(key.facility, location, item)
            number = before or f"N{next(self._number):08}"
            new = need_of_level(number, level, known, where, policy, key.as_of.date(), short)
            begun += self._begin(key.facility, location, item, new)
        for one in stands:
            level = next((le for le in self._levels(key.facility, key.location) if le.item == one.item), None)
            where, known = self._location(key.facility, key.location), self._items().get(one.item)
            if one.kind == "void":
                self._no_more_wanted(one.voids)
            if one.kind == "use" and level and level.active and level.supply in AFTER_USE and where and known:
                used = UsedUp(one.id, one.quantity or 0, one.lot, one.serial, one.procedure, one.cost_centre)
                new = need_after_use(f"N{next(self._number):08}", level, known, where, policy, used)
                begun += self._begin(key.facility, key.location, one.item, new)
        for facility, location, item in rose(moves):
            for need in self.needs.values():
                if (need.facility, need.warehouse, need.item, need.state) == (facility, location, item, "back-ordered"):
                    need.state = "open"
        return begun

    def _begin(self, facility: str, location: str, item: str, new: NewNeed) -> list[Need]:
        requisition = new.requisition.model_dump_json() if new.requisition else ""
        self.needs[new.id] = FakeNeed(
            id=new.id,
            facility=facility,
            location=location,
            item=item,
            supply=new.level.supply,
            quantity=new.quantity,
            state=new.state,
            event=new.event,
            warehouse=(new.level.warehouse or "") if new.level.supply == "warehouse" else "",
            package=new.package,
            reason=new.refused,
            requisition=requisition,
        )
        if new.refused:
            return []
        told = {"facility": facility, "location": location, "item": item, "supply": new.level.supply}
        return [Need.model_validate({"id": new.id, "quantity": new.quantity, "requisition": requisition, **told})]

    def _no_more_wanted(self, event: str) -> None:
        for need in self.needs.values():
            if need.event == event and need.state != "cancelled":
                need.state, need.reason = need.state if need.case else "cancelled", "its use was taken back"

    # -- looks ---------------------------------------------------------------------------------------------------

    def _unfinished(self, facility: str, location: str, item: str) -> bool:
        return any(
            (one.facility, one.location, one.item, one.event) == (facility, location, item, "")
            and one.state in UNFINISHED
            for one in self.needs.values()
        )

    def _refused(self, facility: str, location: str, item: str) -> str:
        wanted = (facility, location, item, "", "refused", "")
        needs = self.needs.values()
        found = (n.id for n in needs if (n.facility, n.location, n.item, n.event, n.state, n.case) == wanted)
        return next(found, "")

    def _on_order(self, facility: str, location: str, item: str) -> int:
        needs = [n for n in self.needs.values() if (n.facility, n.location, n.item) == (facility, location, item)]
        needs = [one for one in needs if not one.event]
        open_ = sum(one.quantity - one.put_away for one in needs if one.state in UNFINISHED)
        return open_ + sum(max(0, one.received - one.put_away) for one in needs if one.state not in UNFINISHED)

    def _move(self, moves: Sequence[Move]) -> None:
        for move in moves:
            assert move.key not in self.moves, f"{move.key} moved twice"
            self.moves[move.key] = move
            self.balances[move.place] += move.quantity
            self.expires[move.place] = move.expires or self.expires.get(move.place)

    def _shelf(self, facility: str, location: str, item: str) -> Shelf:
        free: dict[tuple[str, str, str, str, str], int] = defaultdict(int)
        for place, on_hand in self.balances.items():
            free[place] += on_hand
        for round_ in self.rounds.values():
            if round_.state == "taken":
                for move in (move for posting in round_.postings for move in reserved_by(posting)):
                    free[move.place] += move.quantity
        here = (facility, location, item)
        return Shelf(
            Parcel(quantity, place[3], place[4], self.expires.get(place))
            for place, quantity in free.items()
            if place[:3] == here
        )

    def _round(self, key: RoundKey) -> FakeRound:
        if (found := self.rounds.get((key.facility, key.location, key.round))) is None:
            raise Rejected(f"round {key.round} of {key.location} was never taken", code="not-found")
        return found

    def _items(self) -> dict[str, Item]:
        found: dict[str, Item] = {}
        for item in (record for record in self.register.records if isinstance(record, Item)):
            names = {item.code, *(f"device:{one}" for one in item.devices)}
            names |= {f"device:{one.gtin}" for one in item.packagings if one.gtin}
            for name in names:
                found.setdefault(name, item)
        return found

    def _levels(self, facility: str, location: str) -> list[StockLevel]:
        records = (record for record in self.register.records if isinstance(record, StockLevel))
        return [one for one in records if (one.facility, one.location) == (facility, location)]

    def _location(self, facility: str, code: str) -> Location | None:
        records = (record for record in self.register.records if isinstance(record, Location))
        return next((one for one in records if (one.facility, one.code) == (facility, code)), None)

    def _policy(self, key: RoundKey) -> UsagePolicy:
        records = (record for record in self.register.records if isinstance(record, UsagePolicy))
        return next((one for one in records if one.facility == key.facility), UsagePolicy(facility=key.facility))

    def _zone(self, facility: str) -> ZoneInfo | None:
        records = (record for record in self.register.records if isinstance(record, Facility))
        found = next((one for one in records if one.code == facility), None)
        return ZoneInfo(found.calendar.time_zone) if found else None


def is_due(need: FakeNeed) -> bool:
    return need.state != "refused" and (
        need.received > need.put_away or (bool(need.warehouse) and need.state == "open")
    )
