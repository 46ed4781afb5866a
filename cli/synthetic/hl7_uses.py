"""What theatres, pharmacies and analysers say they used, of goods of the hospital's register: DFT, RDS, INU. The patients are nobody.

Each use has a number of its own (FT1-2, ORC-3 with RXD-1, the analyser's container), which is its seed's and its message's. Some are
taken back in the message they came by, and said anew with another quantity.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from cli.synthetic.hl7_patients import Occasion, Segment, coded, pid, pv1
from cli.synthetic.hospital import FACILITY, IMPLANTS, MEDICINES, REAGENTS, SUPPLIES, Supply, patient
from formats.hl7_write import Field

THEATRE, PHARMACY = "NGH-OR", "NGH-PHARM"
CORRECTED: Final = 0.08  # how many are taken back and said anew
IMPLANTED: Final = 0.15


def number_of(what: Occasion, place: int) -> str:
    """A use's number: up to number 2,000,000 in the 12 characters that FT1-2 has before 2.7."""
    return f"{what.tag}{what.number * 8 + place:X}"


def dft(what: Occasion) -> list[Segment]:
    """What was used for a patient is charged, an implant by its barcode."""
    about: list[Segment] = [("EVN", {1: "P03", 2: what.at}), pid(patient(what.subject)), pv1(what)]
    if what.chance.random() < IMPLANTED:
        good = what.chance.one(IMPLANTS)
        seen = _observed("74711-3", "Unique device identifier", barcode(good, what))
        charge = _charge(what, 1, 1, good, 1)
        return [*about, seen, charge] if what.version in ("2.3", "2.3.1") else [*about, charge, seen]
    segments, place = about, 0
    for which in range(1, what.chance.number(1, 3) + 1):
        good, amount = what.chance.one(SUPPLIES), what.chance.number(1, 5)
        said = [(amount, "CG")]
        if what.chance.random() < CORRECTED:
            said += [(amount, "CD"), (amount + 1, "CG")]
        for many, kind in said:
            place += 1
            segments.append(_charge(what, place, which, good, many, kind))
            if good.lots and what.version not in ("2.3", "2.3.1"):
                segments.append(_observed("LOT", "Lot", lot_of(good, what.at.date()), "L"))
    return segments


def _charge(what: Occasion, place: int, which: int, good: Supply, amount: int, kind: str = "CG") -> Segment:
    each = Decimal(good.price) / 100
    fields: dict[int, Field] = {
        1: place,
        2: number_of(what, which),
        4: what.at,
        5: what.at,
        6: kind,
        7: coded(good.code, good.name),
        10: amount,
        12: ((each, "USD"),),
        16: (THEATRE, None, None, FACILITY),
    }
    return "FT1", fields


def _observed(code: str, name: str, value: str, system: str = "LN") -> Segment:
    return "OBX", {1: 1, 2: "ST", 3: coded(code, name, system), 4: 1, 5: value, 11: "F"}


def lot_of(good: Supply, day: date) -> str:
    """The lot of a good that is used that month."""
    return f"L{good.code[-2:]}{day:%y%m}"


def barcode(good: Supply, what: Occasion) -> str:
    """What is on its label, as it is printed (GS1): device, expiry, lot, serial."""
    expires = f"(17){what.at.date() + timedelta(days=700):%y%m%d}"
    serial = f"(21){number_of(what, 1)}" if good.serial else ""
    return f"(01){good.gtin}{expires}(10){lot_of(good, what.at.date())}{serial}"


def rds(what: Occasion) -> list[Segment]:
    """A pharmacy hands out a medicine."""
    good, number = what.chance.one(MEDICINES), number_of(what, 1)
    segments: list[Segment] = [pid(patient(what.subject)), pv1(what)]
    amount = what.chance.number(1, 20)
    said = [(1, amount, "RE")]
    if what.chance.random() < CORRECTED:
        said += [(1, amount, "OC"), (2, amount + 1, "RE")]
    for count, many, control in said:
        given: dict[int, Field] = {
            1: count,
            2: coded(good.code, good.name),
            3: what.at,
            4: many,
            5: coded("EA", "Each", "L"),
            7: (number,),
            18: (lot_of(good, what.at.date()),),
            19: what.at + timedelta(days=400),
            26: coded(PHARMACY, "Pharmacy store"),
        }
        if what.version in ("2.3", "2.3.1"):
            del given[19]
        timing: Field = (None, None, None, what.at, None, "R") if what.old else None
        segments += [("ORC", {1: control, 3: (number, "PHARM"), 7: timing}), ("RXD", given)]
        segments.append(("RXR", {1: coded("IV", "Intravenous", "HL70162")}))
        if what.version == "2.3":  # whose table demands one
            segments.append(("OBX", {1: 1, 2: "ST", 3: coded("NOTE", "Note"), 4: 1, 5: "none", 11: "F"}))
    return segments


def inu(what: Occasion) -> list[Segment]:
    """An analyser says what it used up of a container, and what it has left."""
    good, used = what.chance.one(REAGENTS), what.chance.number(1, 12)
    left = what.chance.number(0, 84)
    fields: dict[int, Field] = {
        1: coded(good.code, good.name),
        2: coded("OK", "OK", "HL70383"),
        3: coded("RC", "Reagent", "HL70384"),
        4: coded(number_of(what, 1)),
        7: 96,
        8: left,
        10: used,
        11: coded("EA", "Each", "L"),
        12: what.at + timedelta(days=90),
        16: lot_of(good, what.at.date()),
    }
    state: Field = coded("OP", "Normal operation", "HL70365")
    return [("EQU", {1: (f"ANALYZER{what.subject % 4 + 1:02}", FACILITY), 2: what.at, 3: state}), ("INV", fields)]
