"""An ISBT 128 barcode of a medical product of human origin: data structures one after another, each begun by two characters.

ISBT 128 Standard Technical Specification (ST-001), section 2.4: 001 donation identification number, 004 and 031 to 034. Its
dates are a century digit, two digits of the year and the day of the year (``014032`` is 1 February 2014).
"""

from __future__ import annotations

import re
from calendar import isleap
from datetime import date, timedelta

from canonical.errors import Malformed
from canonical.udi import Udi

# What begins each data structure, what follows, and where it goes. What is longer stands before what is its beginning.
STRUCTURES = (
    ("=/", r"([A-Z0-9]{16})", "device"),  # 034: facility, its product code, product description
    ("=,", r"([A-Z0-9]{6})", "serial"),  # 032: product divisions
    ("=>", r"([0-9]{6})", "expires"),  # 004
    ("=}", r"([0-9]{6})", "made"),  # 031: production date
    ("&>", r"([0-9]{6})[0-9]{4}", "expires"),  # 005: expiration date and time
    ("&,1", r"([A-Z0-9]{18})", "lot"),  # 035: MPHO lot number
    ("=)", r"([A-Z0-9]{10})", "device"),  # 017: container manufacturer and catalogue number
    ("&)", r"([A-Z0-9]{10})", "lot"),  # 018: container lot number
    ("=", r"([A-NP-Z1-9][A-Z0-9]{4}[0-9]{8}[A-Z0-9]{2})", "donation"),  # 001
)
DAYS = ("expires", "made")


def read(code: str) -> Udi:
    """The identifier in a barcode of ICCBBA.

    Raises:
        Malformed: a data structure that is none of these, a date that is none, or one thing given twice in two ways.
    """
    said: dict[str, str | date] = {}
    at = 0
    while at < len(code):
        name, value, at = _next(code, at)
        found: str | date = _day(value) if name in DAYS else value
        if said.setdefault(name, found) != found:
            raise _wrong(f"it gives two values for {name}")
    if "device" not in said and "donation" not in said:
        raise _wrong("it names neither a product nor a donation")
    lot = said.get("lot")
    if isinstance(lot, str):
        said["lot"] = lot.lstrip("0") or "0"  # 035 is filled with zeros from the left
    return Udi.model_validate({"agency": "ICCBBA", **said})


def _next(code: str, at: int) -> tuple[str, str, int]:
    for begins, follows, name in STRUCTURES:
        if code.startswith(begins, at):
            found = re.compile(follows).match(code, at + len(begins))
            if found is None:
                raise _wrong(f"its {name} is not as the standard has it")
            return name, found[1], found.end()
    raise _wrong("it has a part that is none of the standard's")


def _day(text: str) -> date:
    century = 1000 + 100 * int(text[0]) if text[0] == "9" else 2000 + 100 * int(text[0])
    year, number = century + int(text[1:3]), int(text[3:])
    if not 1 <= number <= 365 + isleap(year):
        raise _wrong("its date is no date")
    return date(year, 1, 1) + timedelta(days=number - 1)


def _wrong(what: str) -> Malformed:
    return Malformed(f"Not an ISBT 128 barcode we can read: {what}", path="udi", code="data-invalid")
