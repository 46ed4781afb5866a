"""What our store knows of a thing that is being scanned, and what became of the uses that were reported."""

from __future__ import annotations

from datetime import date, datetime

from canonical.base import Canonical, FacilityCode, LotOrSerial
from canonical.supply import Item
from canonical.udi import Udi


class Scan(Canonical):
    """What is held under a scanner at a location: named by ``item`` or by its ``device``. ``at``: when it would be used."""

    facility: FacilityCode
    location: str
    item: str = ""
    device: Udi | None = None
    lot: LotOrSerial = ""
    serial: LotOrSerial = ""
    expires: date | None = None
    at: datetime


class Holding(Canonical):
    """What lies at the location of one item: base units of a lot or serial. ``recalled``: it may not be used."""

    lot: str = ""
    serial: str = ""
    on_hand: int
    expires: date | None = None
    recalled: bool = False


class ScanFacts(Canonical):
    """Everything our store has to say of a scan.

    ``item`` None: the register knows no such thing. ``holdings``: what lies there of the item, the first to expire first.
    ``recalls``: the notices that block it. ``used_before``: the sender's number of an earlier use of this serial.
    ``expires``: the scan's, else what we know of its lot. ``today``: the facility's day at that moment.
    """

    item: Item | None = None
    location_known: bool = False
    location_active: bool = True
    holdings: tuple[Holding, ...] = ()
    recalls: tuple[str, ...] = ()
    used_before: str = ""
    expires: date | None = None
    today: date


class UseStanding(Canonical):
    """What became of a use that was reported. ``finding``: a code of ``canonical.usage.FINDINGS``; ``quantity`` in base units."""

    number: str
    sequence: int
    kind: str
    state: str
    owner: str = ""
    finding: str = ""
    reason: str = ""
    location: str = ""
    item: str = ""
    lot: str = ""
    serial: str = ""
    quantity: int | None = None
    used_at: datetime


class CountLineStanding(Canonical):
    """What came of one line of a count, in base units. ``cause``: a code of ``canonical.counting.CAUSES`` or ``FAULTS``.

    ``adjusted``: what was booked of the difference; one that is explained is booked by what explains it. Line 0 and below: a lot
    that nobody counted where others of its item were.
    """

    line: int
    item: str
    code: str = ""
    lot: str = ""
    serial: str = ""
    counted: int | None = None
    expected: int | None = None
    adjusted: int = 0
    state: str
    cause: str = ""
    reason: str = ""


class CountStanding(Canonical):
    """What became of a count: waiting for its location's case, taken, reconciled, or parked with the reason."""

    number: str
    kind: str
    location: str
    state: str
    reason: str = ""
    counted_at: datetime
    lines: tuple[CountLineStanding, ...] = ()
