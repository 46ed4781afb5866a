"""What is of one item at one location, by lot and serial, as our own books have it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date

Place = tuple[str, str]  # lot, serial


@dataclass(frozen=True, slots=True)
class Parcel:
    """Some of an item, of one lot or serial; base units."""

    quantity: int
    lot: str = ""
    serial: str = ""
    expires: date | None = None


class Shelf:
    """What is free of one item at one location: on hand, less what rounds under way have taken.

    Goods that came without their lot lie under no lot. A use of a lot the books do not have, or not enough of, draws on them:
    its lot goes below zero by as much, and the sum is right. So it is with a serial of a lot whose serials nobody noted.
    """

    def __init__(self, parcels: Iterable[Parcel] = ()) -> None:
        self._free: dict[Place, int] = {}
        self._expires: dict[str, date] = {}
        for parcel in parcels:
            self.move(parcel.lot, parcel.serial, parcel.quantity)
            if parcel.expires is not None:
                self._expires[parcel.lot] = parcel.expires

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self._free.values())

    def move(self, lot: str, serial: str, quantity: int) -> None:
        """More, or less, of a lot or serial."""
        self._free[lot, serial] = self._free.get((lot, serial), 0) + quantity

    def parcels(self) -> list[Parcel]:
        """What is there, by lot and serial, in order."""
        return [Parcel(free, *place, self.expires(place[0])) for place, free in sorted(self._free.items()) if free > 0]

    def places(self) -> list[Place]:
        """Lots and serials the books have, whatever is left of them."""
        return sorted(self._free)

    def expires(self, lot: str) -> date | None:
        """The last day a lot may be used, where the books know it."""
        return self._expires.get(lot) if lot else None

    def lot_of(self, serial: str) -> str:
        """The lot a serial lies in, where exactly one holds it; else empty."""
        lots = [lot for (lot, one), free in self._free.items() if one == serial and free > 0]
        return lots[0] if len(lots) == 1 else ""

    def available(self, lot: str, serial: str) -> int:
        """How much a use of this lot and serial may take: its own, and what lies there without lot or serial."""
        own = max(0, self._of_serial(lot, serial)) if serial else 0
        in_lot = max(0, self._loose(lot)) if lot else 0
        unknown = self._loose("") + sum(min(0, self._loose(one)) for one in {lot for lot, _ in self._free} - {""})
        return own + in_lot + max(0, unknown)

    def _of_serial(self, lot: str, serial: str) -> int:
        """What is there of one serial, wherever its lot is noted or not; an ERP's first count has a serial as a lot of its own."""
        own = sum(free for (_, one), free in self._free.items() if one == serial)
        return own + (max(0, self._loose(serial)) if serial != lot else 0)

    def _loose(self, lot: str) -> int:
        """What of a lot lies there under no serial, less what serials of it took beyond their own."""
        return sum(free if not serial else min(0, free) for (one, serial), free in self._free.items() if one == lot)

    def first_to_expire(self, quantity: int, day: date, blocked: Collection[Place] = ()) -> list[Parcel]:
        """Up to so much, what expires first first (FEFO); what is past its day or blocked stays where it is."""
        parcels, left = [], min(quantity, self.total)
        for (lot, serial), free in sorted(
            self._free.items(), key=lambda one: (self.expires(one[0][0]) or date.max, one[0])
        ):
            expires = self.expires(lot)
            if left <= 0 or free <= 0 or (lot, serial) in blocked or (expires is not None and expires < day):
                continue
            taken = min(free, left)
            parcels.append(Parcel(taken, lot, serial, expires))
            left -= taken
        return parcels


def not_put_away(came: Iterable[Parcel], put: Mapping[str, int], due: int) -> list[Parcel]:
    """Of what came by lot, what still lies where it was received: ``put`` is what was put away of each lot, ``due`` all that is
    left. What came of no lot known is the rest."""
    found, left = [], due
    for parcel in came:
        quantity = min(left, parcel.quantity - put.get(parcel.lot, 0))
        if parcel.lot and quantity > 0:
            found.append(Parcel(quantity, parcel.lot, parcel.serial, parcel.expires))
            left -= quantity
    return [*found, Parcel(left)] if left > 0 else found
