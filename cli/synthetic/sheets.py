"""Files and bodies without a standard behind them: a catalogue, requisitions or uses as CSV (RFC 4180), a requisition as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, Protocol

from cli.synthetic.hl7_people import role_of
from cli.synthetic.hospital import (
    COST_CENTRE,
    DEPARTMENT,
    FACILITY,
    GOODS,
    PLACES,
    REQUESTER,
    SUPPLIES,
    Chance,
    Good,
    clinician,
    moment_of,
    npi_of,
    tag_of,
)

CATALOGUE: Final = (
    *("catalogue_number", "item", "supplier", "description"),
    *("unit", "base_units", "price", "currency", "valid_from"),
)
REQUISITIONS: Final = (
    *("number", "department", "cost_centre", "requester", "deliver_to", "needed_by"),
    *("line", "item", "quantity", "unit"),
)
USES: Final = ("number", "location", "barcode", "item", "quantity", "unit", "lot", "used_at", "kind", "voids")
STAFF_SAID: Final = (
    *("number", "person", "kind", "said_at", "effective", "family", "given", "birth_date"),
    *("npi", "role", "licences", "reason"),
)
SOURCE: Final = "ORPLAN"
ROWS: Final = 20  # of a file


def number_of(seed: int | str, number: int) -> str:
    """A requisition's number."""
    return f"R-{tag_of(seed)}-{number}"


def catalogue(seed: int | str, number: int, *, first: date, at: float) -> bytes:
    """A supplier's price list: each good once, at a price of its own."""
    chance, since = Chance(seed, "catalogue", number), moment_of(first, at).date() + timedelta(days=30)
    rows = []
    for good in GOODS:
        price = Decimal(good.price + chance.number(-20, 40)) / 100
        what, packed = (good.catalogue, good.code, good.supplier, good.name), (good.unit, good.pieces)
        rows.append([str(cell) for cell in (*what, *packed, price, "USD", since.isoformat())])
    return _csv(CATALOGUE, rows)


def requisitions(seed: int | str, number: int, *, first: date, at: float) -> bytes:
    """A day's requisitions of a department, a line a row."""
    rows = []
    for place in range(ROWS // 2):
        one = _requisition(f"{seed}/file", number * 100 + place, first, at)
        for line in one["lines"]:
            head = [str(one[name]) for name in REQUISITIONS[:6]]
            rows.append([*head, line["id"], line["item"], line["quantity"]["value"], line["quantity"]["unit"]])
    return _csv(REQUISITIONS, rows)


def uses(seed: int | str, number: int, *, first: date, at: float) -> bytes:
    """What the cabinets of the wards gave out; every tenth is put back, and one row is scanned."""
    chance, when = Chance(seed, "uses", number), moment_of(first, at)
    rows = []
    for place in range(1, ROWS + 1):
        good, own, lot = chance.one(SUPPLIES), f"U-{tag_of(seed)}-{number}-{place}", f"L{when:%y%m}"
        scanned = f"(01){good.gtin}(10){lot}" if place == ROWS else ""
        about = [scanned, "" if scanned else good.code, str(chance.number(1, 5)), "EA", lot if good.lots else ""]
        moment = f"{when + timedelta(seconds=place):%Y-%m-%dT%H:%M:%SZ}"
        rows.append([own, "NGH-W3", *about, moment, "use", ""])
        if place % 10 == 0:
            rows.append([f"{own}-BACK", "NGH-W3", *about, moment, "void", own])
    return _csv(USES, rows)


def requisition(seed: int | str, number: int, *, first: date, at: float) -> bytes:
    """A requisition as the REST door takes it."""
    return json.dumps(_requisition(seed, number, first, at), separators=(",", ":")).encode()


def _requisition(seed: int | str, number: int, first: date, at: float) -> dict[str, Any]:
    chance = Chance(seed, "requisition", number)
    goods: list[Good] = [chance.one(GOODS) for _ in range(chance.number(1, 3))]
    return {
        "facility": FACILITY,
        "source": SOURCE,
        "number": number_of(seed, number),
        "department": DEPARTMENT,
        "cost_centre": COST_CENTRE,
        "requester": REQUESTER,
        "deliver_to": chance.one(PLACES),
        "needed_by": (moment_of(first, at) + timedelta(days=chance.number(2, 6))).date().isoformat(),
        "lines": [
            {"id": str(place), "item": good.code, "quantity": {"value": str(chance.number(1, 20)), "unit": good.unit}}
            for place, good in enumerate(goods, start=1)
        ],
    }


def _csv(columns: tuple[str, ...], rows: list[list[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()


def staff(seed: int | str, number: int, *, first: date, at: float) -> bytes:
    """A file of what was said of members of staff, each of them hired in it first."""
    chance, said = Chance(seed, "staff", number), moment_of(first, at)
    rows: list[list[str]] = []
    for place in range(1, ROWS // 2 + 1):
        who = clinician(chance.number(1, 500))
        about = [who.family, who.given, who.born.isoformat(), npi_of(who.number), role_of(who.number)]
        for kind, days in (("hire", 14), (chance.one(("update", "leave", "terminate")), chance.number(60, 400))):
            name = f"{number_of(seed, number)}-{place}-{kind}"
            when, holds = said + timedelta(seconds=len(rows)), (said + timedelta(days=days)).date()
            end = ["IL 036" + who.id[2:], "RESIGNED" if kind == "terminate" else ""]
            rows.append([name, who.id, kind, f"{when.isoformat(timespec='seconds')}Z", holds.isoformat(), *about, *end])
    return _csv(STAFF_SAID, rows)


class _Maker(Protocol):
    def __call__(self, seed: int | str, number: int, *, first: date, at: float) -> bytes: ...


MAKERS: Final[Mapping[str, _Maker]] = {
    "catalogue": catalogue,
    "requisitions": requisitions,
    "usage": uses,
    "staff": staff,
    "requisition": requisition,
}
