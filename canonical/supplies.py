"""What is brought to a location: goods received for it are put away, and a warehouse of ours fills it up."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import quote

from canonical.shelves import Parcel, Place, Shelf, not_put_away
from canonical.stock import RoundKey, StockLine, StockPosting
from canonical.stock_moves import MOVED


@dataclass(frozen=True, slots=True)
class DueSupply:
    """A need something can be brought for. ``quantity``, ``received``, ``put_away``: base units.

    ``came``: what was received so far, by lot; ``put``: what of each lot was put away. ``warehouse``: where it comes from; empty where
    it was bought and lies in the ERP's store. ``package``: what a warehouse gives out whole.
    """

    need: str
    item: str
    quantity: int
    received: int = 0
    put_away: int = 0
    warehouse: str = ""
    package: int = 1
    came: Sequence[Parcel] = ()
    put: Mapping[str, int] = field(default_factory=dict)

    @property
    def left(self) -> int:
        """What is still to be brought: what came, or what the warehouse owes."""
        return (self.quantity if self.warehouse else self.received) - self.put_away


def supply(
    key: RoundKey,
    due: DueSupply,
    day: date,
    *,
    tracked: bool,
    warehouse: Shelf | None = None,
    blocked: Collection[Place] = (),
) -> StockPosting | None:
    """The transfer that brings what there is for a need; None where there is nothing now.

    A warehouse gives whole packages, what expires first first, nothing past its day or recalled; its shelf is less by it.
    """
    if warehouse is None:
        parcels = not_put_away(due.came, due.put, due.left)
    else:
        parcels = warehouse.first_to_expire(due.left, day, blocked)
        there = sum(parcel.quantity for parcel in parcels)
        whole = there if there >= due.left else there // due.package * due.package
        parcels = _cut(parcels, whole)
    if not tracked:
        quantity = sum(parcel.quantity for parcel in parcels)
        parcels = [Parcel(quantity)] if quantity else []
    if not parcels:
        return None
    if warehouse is not None:
        for parcel in parcels:
            warehouse.move(parcel.lot, parcel.serial, -parcel.quantity)
    name = f"{key.key}/transfer/{quote(due.need, safe='')}"
    return _transfer(key, name, due.item, parcels, key.location, due.warehouse or None, day)


def move_out(key: RoundKey, to: str, shelves: Mapping[str, Shelf], day: date) -> StockPosting | None:
    """Everything a location that moved has goes to where it is now; what is below zero stays, for a count to find."""
    name = f"{key.key}/transfer/{MOVED}"
    lines = [line for item, shelf in sorted(shelves.items()) for line in _lines(name, item, shelf.parcels())]
    if not lines:
        return None
    return StockPosting.model_validate(
        {
            "facility": key.facility,
            "key": name,
            "kind": "transfer",
            "location": to,
            "from_location": key.location,
            "posted_on": day,
            "reason": f"location {key.location} moved to {to}",
            "lines": lines[:1000],
        }
    )


def _cut(parcels: Sequence[Parcel], quantity: int) -> list[Parcel]:
    cut, left = [], quantity
    for parcel in parcels:
        taken = min(parcel.quantity, left)
        if taken > 0:
            cut.append(Parcel(taken, parcel.lot, parcel.serial, parcel.expires))
        left -= taken
    return cut


def _lines(name: str, item: str, parcels: Sequence[Parcel]) -> list[StockLine]:
    return [
        StockLine(
            key=f"{name}/{quote(item, safe='')}/{quote(one.lot, safe='')}/{quote(one.serial, safe='')}",
            item=item,
            quantity=one.quantity,
            lot=one.lot,
            serial=one.serial,
            expires=one.expires,
        )
        for one in parcels
    ]


def _transfer(
    key: RoundKey, name: str, item: str, parcels: Sequence[Parcel], to: str, source: str | None, day: date
) -> StockPosting:
    return StockPosting.model_validate(
        {
            "facility": key.facility,
            "key": name,
            "kind": "transfer",
            "location": to,
            "from_location": source,
            "posted_on": day,
            "lines": _lines(name, item, parcels),
        }
    )
