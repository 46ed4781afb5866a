"""What departments ask of the stores, and what stores and item file say: OMS, OMN, MFN."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from cli.synthetic.hl7_patients import Occasion, Segment, coded, pid, pv1
from cli.synthetic.hospital import (
    COST_CENTRE,
    DEPARTMENT,
    FACILITY,
    GOODS,
    PLACES,
    REQUESTER,
    SUPPLIER_NAMES,
    UNIT_NAMES,
    Good,
    patient,
)
from formats.hl7_write import Field


def unit(code: str) -> Field:
    """A unit with its name."""
    return coded(code, UNIT_NAMES[code], "L")


def oms(what: Occasion) -> list[Segment]:
    """A department asks for stock, most often for no patient."""
    about = [pid(patient(what.subject % 5000)), pv1(what)] if what.chance.random() < 0.3 else []
    place = what.chance.one(PLACES)
    segments: list[Segment] = [*about]
    for line in range(1, what.chance.number(1, 3) + 1):
        good = what.chance.one(GOODS)
        segments += _order(what, line)
        asked: dict[int, Field] = {
            1: line,
            2: coded(good.code, good.name),
            4: coded(good.code, good.name),
            5: what.chance.number(1, 20),
            6: unit(good.unit),
            7: _paid_by(what),
            9: place,
            10: (what.at + timedelta(days=what.chance.number(2, 6))).date(),
        }
        segments.append(("RQD", asked))
    return segments


def omn(what: Occasion) -> list[Segment]:
    """A department asks for what the stores do not hold."""
    good = what.chance.one(GOODS)
    asked: dict[int, Field] = {
        1: 1,
        3: coded(good.code, good.name),
        4: coded(good.code, good.name),
        5: what.chance.number(1, 20),
        6: unit(good.unit),
        7: _paid_by(what),
        9: what.chance.one(PLACES),
    }
    return [
        *_order(what, 1),
        ("RQD", asked),
        ("RQ1", {1: f"{good.price / 100:.2f}", 4: _supplier(good), 5: good.catalogue}),
    ]


def _paid_by(what: Occasion) -> Field:
    return COST_CENTRE if what.version < "2.7" else (COST_CENTRE, None, None, FACILITY, "AN")


def _order(what: Occasion, line: int) -> list[Segment]:
    number = f"R{what.subject}"
    order: dict[int, Field] = {
        1: "NW",
        2: (f"{number}-{line}", "ORSYS"),
        4: (number, "ORSYS"),
        9: what.at,
        10: (REQUESTER,),
        17: coded(DEPARTMENT),
    }
    if what.old:
        order[7] = (None, None, None, what.at, None, "R")
        return [("ORC", order)]
    return [("ORC", order), ("TQ1", {1: 1, 9: coded("R", "Routine", "HL70485")})]


def mfn_places(what: Occasion) -> list[Segment]:
    """The file of locations (M05)."""
    ward: Field = (f"W{what.chance.number(3, 9)}", None, None, FACILITY)
    fields: dict[int, Field] = {1: ward, 2: "Test ward", 3: "N"}
    serves: dict[int, Field] = {1: ward, 2: "MED" if what.version == "2.3" else coded("MED", "Medicine"), 6: "A"}
    return [_file(what, "LOC", "Location master file"), _entry(what, ward, kind="PL"), ("LOC", fields), ("LDP", serves)]


def mfn_stock(what: Occasion) -> list[Segment]:
    """What a store has of an item (M15)."""
    good = what.chance.one(GOODS)
    there = what.chance.number(0, 60)
    fields: dict[int, Field] = {
        1: coded(good.code, good.name),
        2: coded(good.code, good.name),
        3: f"LOT-{what.chance.number(10, 99)}",
        4: what.at + timedelta(days=700),
        5: _supplier(good),
        6: coded("MAIN", "Main store"),
        7: what.at - timedelta(days=3),
        8: 60,
        9: unit(good.unit),
        10: (Decimal(good.price) / 100, "USD"),
        11: what.at,
        12: there,
        13: unit(good.unit),
    }
    entry = _entry(what, coded(good.code, good.name))
    return [_file(what, "INV", "Inventory master file"), entry, ("IIM", fields)]


def mfn_items(what: Occasion) -> list[Segment]:
    """The item file with vendors, packaging and prices (M16)."""
    good = what.chance.one(GOODS)
    price = Decimal(good.price + what.chance.number(-20, 40)) / 100
    active: Field = coded("A", "Active")
    item: dict[int, Field] = {1: (good.code, FACILITY), 2: good.name, 3: active, 4: coded("SUP", "Supply")}
    vendor: dict[int, Field] = {
        1: 1,
        2: (good.supplier, FACILITY),
        3: SUPPLIER_NAMES[good.supplier],
        4: (good.catalogue, good.supplier),
    }
    yes, no = coded("Y", "Yes", "HL70136"), coded("N", "No", "HL70136")
    packs: list[Segment] = [
        ("PKG", {1: 1, 2: unit("EA"), 3: no, 4: 1}),
        ("PKG", {1: 2, 2: unit(good.unit), 3: yes, 4: good.pieces, 5: ((price, "USD"),)}),
    ]
    entry = _entry(what, (good.code, FACILITY), kind="EI")
    return [_file(what, "INV", "Inventory master file"), entry, ("ITM", item), ("VND", vendor), *packs]


def _supplier(good: Good) -> Field:
    return coded(good.supplier, SUPPLIER_NAMES[good.supplier])


def _file(what: Occasion, code: str, name: str) -> Segment:
    return "MFI", {1: coded(code, name, "HL70175"), 3: "UPD", 4: what.at, 5: what.at, 6: "NE"}


def _entry(what: Occasion, key: Field, *, kind: str = "CE") -> Segment:
    return "MFE", {1: "MUP", 2: f"E{what.number}", 3: what.at, 4: key, 5: kind}
