"""The fake of usage and stock, as the suites look into it."""

from __future__ import annotations

from datetime import date
from typing import Any

from canonical.base import Canonical
from canonical.shelves import Parcel
from canonical.usage_kept import KeptUse
from tests.fakes.register import FakeRegister
from tests.fakes.usage import FakeUsage
from tests.store.usage_house import NOW


class FakeStock:
    """Everything in memory."""

    def __init__(self) -> None:
        self.register = FakeRegister()
        self.book = FakeUsage(self.register, now=lambda: NOW)

    async def put(self, *records: Canonical) -> None:
        self.register.put(*records)

    async def opening(
        self, location: str, item: str, quantity: int, lot: str = "", serial: str = "", expires: date | None = None
    ) -> None:
        self.book.opening(location, item, quantity, lot, serial, expires)

    async def block(self, item: str, lot: str = "", serial: str = "", recall: str = "Z-1") -> None:
        self.book.block(item, lot, serial, recall)

    async def came(self, need: str, *parcels: Parcel) -> None:
        one = self.book.needs[need]
        one.lots, one.received = list(parcels), sum(parcel.quantity for parcel in parcels)
        one.state = "received" if one.received >= one.quantity else one.state

    async def on_hand(self, location: str, item: str) -> dict[tuple[str, str], int]:
        places = self.book.balances.items()
        return {place[3:]: there for place, there in places if place[1:3] == (location, item)}

    async def moved(self, location: str, item: str) -> int:
        moves = self.book.moves.values()
        return sum(move.quantity for move in moves if (move.location, move.item) == (location, item))

    async def event(self, number: str) -> KeptUse:
        return next(one for one in self.book.events.values() if one.number == number)

    async def needs(self) -> list[dict[str, Any]]:
        return [vars(need) | {"event": self._number(need.event)} for need in self.book.needs.values()]

    async def charges(self) -> list[tuple[str, str, str]]:
        return [(self._number(one.event), one.kind, one.channel) for one in self.book.charges]

    async def conflicts(self) -> int:
        return len(self.book.conflicts)

    def _number(self, event: str) -> str:
        return self.book.events[event].number if event else ""
