"""May this be used? What is scanned is held against our store while it is still in the hand, so that what may not be used is put down.

What is stopped here and posted all the same is parked by its location's case: the check saves a patient, not a rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Final, Protocol

from pydantic import Field

from canonical.base import Canonical
from canonical.scans import Holding, Scan, ScanFacts, UseStanding
from canonical.usage import FINDINGS

STOPS: Final = ("unknown-item", "recalled", "expired", "serial-used-before")


class Stock(Protocol):
    """Our store, as far as somebody with a scanner asks it."""

    async def facts(self, scan: Scan) -> ScanFacts:
        """What is known of it, in one look."""
        ...

    async def uses(self, facility: str, source: str, number: str) -> Sequence[UseStanding]:
        """What became of the uses that a sender reported under one number, by their sequence."""
        ...


class Said(Canonical):
    """One thing that is the matter with a scan: its code and what it means."""

    code: str
    text: str


class Advice(Canonical):
    """What to take instead: the lot at this location that expires first."""

    lot: str
    serial: str = ""
    expires: date
    on_hand: int
    text: str


class Checked(Canonical):
    """Whether it may be used. ``on_hand``: base units (``unit``) at the location, of the lot or serial where there is one."""

    stop: bool
    reasons: tuple[Said, ...] = Field(default=(), description="why it may not be used")
    notes: tuple[Said, ...] = Field(default=(), description="what does not stop it, and will be asked about")
    item: str = ""
    description: str = ""
    lot: str = ""
    serial: str = ""
    expires: date | None = None
    location: str = ""
    on_hand: int | None = None
    unit: str = ""
    recalls: tuple[str, ...] = ()
    advice: Advice | None = None
    at: datetime


def judged(scan: Scan, facts: ScanFacts) -> Checked:
    """The answer to who holds it, of nothing but what our store knows."""
    item = facts.item
    about = {"location": scan.location, "lot": scan.lot, "serial": scan.serial, "expires": facts.expires, "at": scan.at}
    stops = {
        "unknown-item": item is None,
        "recalled": bool(facts.recalls),
        "expired": facts.expires is not None and facts.expires < facts.today,
        "serial-used-before": bool(facts.used_before),
    }
    reasons = tuple(_said(code) for code in STOPS if stops[code])
    if item is None:
        return Checked(stop=True, reasons=reasons, item=scan.item, **about)
    there = sum(one.on_hand for one in _of(scan, facts.holdings))
    notes = {
        "inactive-item": not item.active,
        "unknown-location": not facts.location_known,
        "inactive-location": facts.location_known and not facts.location_active,
        "lot-missing": item.tracking != "none" and not scan.lot and not scan.serial,
        "beyond-balance": facts.location_known and there < 1,
    }
    return Checked(
        stop=bool(reasons),
        reasons=reasons,
        notes=tuple(_said(code) for code, noted in notes.items() if noted),
        item=item.code,
        description=item.description,
        on_hand=there,
        unit=item.base_unit,
        recalls=facts.recalls,
        advice=_advice(scan, facts, stopped=bool(reasons)),
        **about,
    )


def _of(scan: Scan, holdings: Sequence[Holding]) -> list[Holding]:
    """What lies there of the very serial or lot that is scanned; of all, where it says neither."""
    if scan.serial and (same := [one for one in holdings if one.serial == scan.serial]):
        return same
    if scan.lot:
        return [one for one in holdings if one.lot == scan.lot and one.serial in ("", scan.serial)]
    return [one for one in holdings if not scan.serial or not one.serial]


def _advice(scan: Scan, facts: ScanFacts, *, stopped: bool) -> Advice | None:
    """First expired, first out: another lot that may be used and ends sooner; of what is stopped, any that may be used."""
    for one in facts.holdings:  # the first to expire first
        if one.on_hand < 1 or one.recalled or one.expires is None or one.expires < facts.today:
            continue
        if (one.lot, one.serial) == (scan.lot, scan.serial) or (not one.serial and one.lot == scan.lot):
            continue
        if stopped or (facts.expires is not None and one.expires < facts.expires):
            name = f"serial {one.serial}" if one.serial else f"lot {one.lot}"
            text = f"take {name}: it expires on {one.expires.isoformat()}"
            return Advice(lot=one.lot, serial=one.serial, expires=one.expires, on_hand=one.on_hand, text=text)
    return None


def _said(code: str) -> Said:
    return Said(code=code, text=FINDINGS[code])
