"""A count of a stock location held against what should be there: the difference of each item and lot, with its likely cause.

Quantities are base units. What should be there is of the moment of the count: what the books said by then, less what had been used
by then and was not booked yet. Pure: the same for the same arguments.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Final, Literal
from urllib.parse import quote

from canonical.stock import StockLine, StockPosting
from canonical.supply import Item

CAUSES: Final[dict[str, str]] = {
    "opening": "the first count: what the ERP has is where our books begin",
    "lot-swapped": "one lot was taken or put away for another: together they are right",
    "waiting-uses": "uses reported before the count are not booked yet, and what they used was counted all the same",
    "not-put-away": "goods came in and lie there, and are not put away in the books yet",
    "late-use": "a use that was reported late was missed by the count before, and is booked twice by now",
    "unit-slip": "a multiple of a package: counted, or used, in another unit",
    "unscanned-use": "there is less: used, and not scanned",
    "found": "there is more than anybody reported",
    "changed-outside": "changed in the ERP by somebody else",
}
UNBOOKED: Final = frozenset({"waiting-uses", "not-put-away"})  # what is on its way into the books books it
FAULTS: Final[dict[str, str]] = {
    "unknown-item": "the item is not in the register",
    "unknown-unit": "the item is not packed in that unit",
    "not-integral": "it is not a whole number of base units",
    "unit-slip": "it looks like a count in another unit: count it again; the same result once more is booked",
    "which-serial": "one of its serials is missing: count them by serial",
    "refused-by-erp": "the ERP refused it",
}

MOST_LINES: Final = 1000  # of one document

LineState = Literal["matched", "adjusted", "explained", "parked"]


@dataclass(frozen=True, slots=True)
class Counted:
    """A line of a count. ``again``: counted with this result before, and put aside then; ``expires``: as the ERP says."""

    line: int
    item: str
    quantity: int
    lot: str = ""
    expires: date | None = None
    again: bool = False


@dataclass(slots=True)
class Standing:
    """What is known of an item at the location as of the count. ``expected`` by lot and serial.

    ``waiting``: used by then and not booked yet (and taken off ``expected``); ``to_put_away``: received and not put away; ``late``:
    booked since the count before this, and used before that one.
    """

    item: Item
    expected: dict[tuple[str, str], int] = field(default_factory=dict)
    expires: dict[str, date] = field(default_factory=dict)
    waiting: int = 0
    to_put_away: int = 0
    late: int = 0

    @property
    def packages(self) -> list[int]:
        """How many base units its packages hold, where that is more than one."""
        own = (one for sold in self.item.suppliers for one in sold.packagings)
        return sorted({one.base_units for one in (*self.item.packagings, *own) if one.base_units > 1})

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.expected.values())

    def of(self, name: str) -> dict[tuple[str, str], int]:
        """What is expected under a lot's name, or a serial's, which the ERP's first count has as a lot of its own."""
        by_serial = {place: many for place, many in self.expected.items() if place[1] and place[1] == name}
        as_lot = {place: many for place, many in self.expected.items() if place == (name, "")}
        return (
            by_serial | as_lot
            if by_serial
            else {place: many for place, many in self.expected.items() if place[0] == name}
        )


@dataclass(frozen=True, slots=True)
class Variance:
    """What came of a line. ``line`` 0: of a lot nobody named where others of its item were. ``adjusted``: what is booked of it."""

    line: int
    item: str
    lot: str
    serial: str
    counted: int
    expected: int
    state: LineState
    cause: str = ""
    adjusted: int = 0
    expires: date | None = None

    @property
    def variance(self) -> int:
        """More, or less."""
        return self.counted - self.expected


def compared(
    kind: str, lines: Sequence[Counted], standings: Mapping[str, Standing], *, first: bool = False
) -> list[Variance]:
    """Hold a count against what should be there, item by item. ``first``: the location was never counted by the ERP before."""
    by_item: dict[str, list[Counted]] = {}
    for line in lines:
        by_item.setdefault(line.item, []).append(line)
    if kind == "erp":  # what the ERP does not name it has none of
        by_item |= {item: [] for item, one in standings.items() if item not in by_item and any(one.expected.values())}
    return [one for item, own in sorted(by_item.items()) for one in _item(kind, own, standings[item], first=first)]


def _item(kind: str, lines: Sequence[Counted], standing: Standing, *, first: bool) -> Iterator[Variance]:
    if kind == "erp":
        found = list(_by_books(lines, standing))
    else:
        found = list(_by_lot(lines, standing) if any(line.lot for line in lines) else _whole(lines, standing))
    swapped = len([one for one in found if one.variance]) > 1 and not sum(one.variance for one in found)
    for one in found:
        if not one.variance:
            yield replace(one, state="matched")
        elif kind == "erp":
            cause = "lot-swapped" if swapped else "opening" if first else "changed-outside"
            yield replace(one, state="adjusted", cause=cause, adjusted=one.variance)
        else:
            again = any(line.again for line in lines if line.line == one.line)
            yield _caused(one, "lot-swapped" if swapped else _cause(one, standing), standing, again=again)


def _by_lot(lines: Sequence[Counted], standing: Standing) -> Iterator[Variance]:
    """Lot by lot; of an item that was counted so, a lot that nobody names is not there."""
    left = dict(standing.expected)
    for line in lines:
        there = standing.of(line.lot)
        for place in there:
            left.pop(place, None)
        lot, serial = next((place for place in there if place[1] == line.lot != ""), (line.lot, ""))
        expires = line.expires or standing.expires.get(lot)
        yield Variance(
            line.line, line.item, lot, serial, line.quantity, sum(there.values()), "matched", expires=expires
        )
    yield from _nowhere(left, standing)


def _by_books(lines: Sequence[Counted], standing: Standing) -> Iterator[Variance]:
    """By the numbers of the ERP's books, which has a serial as a lot of its own: what has the number here is brought to one place."""
    left = dict(standing.expected)
    for line in lines:
        unknown = ("", line.lot) if standing.item.tracking == "serial" and line.lot else (line.lot, "")
        places = sorted((place for place in left if (place[1] or place[0]) == line.lot), key=_knows_most) or [unknown]
        for number, place in enumerate(places):
            counted = 0 if number else line.quantity
            yield Variance(line.line, line.item, *place, counted, left.pop(place, 0), "matched", expires=line.expires)
    yield from _nowhere(left, standing)


def _knows_most(place: tuple[str, str]) -> tuple[bool, bool, tuple[str, str]]:
    lot, serial = place
    return not (lot and serial), not serial, place


def _nowhere(left: Mapping[tuple[str, str], int], standing: Standing) -> Iterator[Variance]:
    for (lot, serial), expected in sorted(left.items()):
        if expected:
            expires = standing.expires.get(lot)
            yield Variance(0, standing.item.code, lot, serial, 0, expected, "matched", expires=expires)


def _whole(lines: Sequence[Counted], standing: Standing) -> Iterator[Variance]:
    for line in lines:
        yield Variance(line.line, line.item, "", "", line.quantity, standing.total, "matched")


def _cause(one: Variance, standing: Standing) -> str:
    """The likeliest first: what explains the difference to the unit."""
    more = one.variance
    if more > 0 and more == standing.waiting:
        return "waiting-uses"
    if more > 0 and more == standing.to_put_away:
        return "not-put-away"
    if more > 0 and more == standing.late:
        return "late-use"
    if any(more % many == 0 for many in standing.packages) or _other_unit(one, standing):
        return "unit-slip"
    return "found" if more > 0 else "unscanned-use"


def _other_unit(one: Variance, standing: Standing) -> bool:
    """Whether it was counted in packages and written down as single ones, or the other way."""
    return any(one.counted * many == one.expected or one.expected * many == one.counted for many in standing.packages)


def _caused(one: Variance, cause: str, standing: Standing, *, again: bool) -> Variance:
    if cause in UNBOOKED:
        return replace(one, state="explained", cause=cause)
    slip = cause == "unit-slip" and one.expected > 0 and one.counted > 0 and _other_unit(one, standing)
    if slip and not again:
        return replace(one, state="parked", cause=cause)
    serials = [place for place, many in standing.of(one.lot).items() if place[1] and many]
    if one.variance < 0 and not one.serial and one.lot and serials:
        return replace(one, state="parked", cause="which-serial")
    return replace(one, state="adjusted", cause=cause, adjusted=one.variance)


def postings(
    key: str, facility: str, location: str, day: date, reason: str, found: Sequence[Variance]
) -> list[StockPosting]:
    """What the ERP is told of a count, in as many documents as it takes; of what is missing of no lot it chooses the lots.

    The first has ``key``, the next ``key/2``.
    """
    lines = [
        StockLine(
            key=f"{key}/{quote(one.item, safe='')}/{quote(one.serial or one.lot, safe='')}/{one.line}",
            item=one.item,
            quantity=abs(one.adjusted),
            lot=one.lot,
            serial=one.serial,
            expires=one.expires,
            back=one.adjusted > 0,
        )
        for one in found
        if one.adjusted
    ]
    return [
        StockPosting(
            facility=facility,
            key=f"{key}/{number}" if number > 1 else key,
            kind="adjust",
            location=location,
            posted_on=day,
            reason=reason,
            lines=tuple(lines[at : at + MOST_LINES]),
        )
        for number, at in enumerate(range(0, len(lines), MOST_LINES), start=1)
    ]
