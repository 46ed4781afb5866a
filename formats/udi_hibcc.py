"""A HIBC barcode: ``+``, the labeller, its product, and behind a slash what tells one package from another.

ANSI/HIBC 2.6 (2016), Supplier Labeling Standard: section 2.1 primary, 2.2 secondary data structure, 2.2.3 additional data,
appendix B the check character (modulo 43).
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from canonical.errors import Malformed
from canonical.udi import Udi

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-. $/+%"
PRIMARY = re.compile(r"\+([A-Z][A-Z0-9]{3}[A-Z0-9]{1,18}[0-9])")
# After "$$": what kind of date comes, how many characters it has, and how it is written. Month and year need no digit before them.
DATED = {
    "2": (6, "%m%d%y"),
    "3": (6, "%y%m%d"),
    "4": (8, "%y%m%d%H"),
    "5": (5, "%y%j"),
    "6": (7, "%y%j%H"),
}
UNDATED = "7"
COUNTED = {"8": 2, "9": 5}  # how many digits of a quantity follow, before the date


def read(code: str) -> Udi:
    """The identifier in a barcode of HIBCC; its last character is its check character.

    Raises:
        Malformed: a character it may not have, a wrong check character, or a part that is none of the standard's.
    """
    code = code.upper()  # appendix B: the alphabet has capitals only; a keyboard wedge may not
    if any(character not in ALPHABET for character in code):
        raise _wrong("it has a character it may not have")
    body, check = code[:-1], code[-1]
    if ALPHABET[sum(ALPHABET.index(character) for character in body) % len(ALPHABET)] != check:
        raise _wrong("its check character is wrong: it was misread or mistyped")
    first, *more = body.split("/")
    primary = PRIMARY.fullmatch(first)
    if primary is None:
        raise _wrong("it names no labeller and product: scan its primary barcode too")
    said: dict[str, object] = {}
    for number, part in enumerate(more):
        found = _secondary(part) if number == 0 and not _is_additional(part) else _additional(part)
        for name, value in found.items():
            if said.setdefault(name, value) != value:
                raise _wrong(f"it gives two values for {name}")
    return Udi.model_validate({"agency": "HIBCC", "device": primary[1], **said})


def _is_additional(part: str) -> bool:
    return part[:1] == "S" or part[:3] in ("14D", "16D") or bool(re.fullmatch(r"Q\d{1,5}", part))


def _additional(part: str) -> dict[str, object]:
    """Section 2.2.3: what may follow, each behind a slash of its own."""
    if part[:1] == "S" and len(part) > 1:
        return {"serial": part[1:]}
    if part[:3] == "14D":
        return {"expires": _day(part[3:], "%Y%m%d")}
    if part[:3] == "16D":
        return {"made": _day(part[3:], "%Y%m%d")}
    if part[:1] == "Q" and part[1:].isdigit():
        return _counted(part[1:])
    raise _wrong("it has a part that is none of the standard's")


def _secondary(part: str) -> dict[str, object]:
    """Section 2.2: lot or serial number, with or without quantity and expiration date."""
    if part.startswith("$$+"):
        return _dated(part[3:], "serial")
    if part.startswith("$$"):
        return _dated(part[2:], "lot")
    if part.startswith("$+"):
        return {"serial": part[2:]}
    if part.startswith("$"):
        return {"lot": part[1:]}
    if re.match(r"\d{5}", part):
        return {"expires": _day(part[:5], "%y%j"), **({"lot": part[5:]} if part[5:] else {})}
    raise _wrong("it has a part that is none of the standard's")


def _dated(rest: str, name: str) -> dict[str, object]:
    found: dict[str, object] = {}
    if rest[:1] in COUNTED:
        length = COUNTED[rest[0]]
        found |= _counted(rest[1 : 1 + length])
        rest = rest[1 + length :]
    if rest[:1] in DATED:
        length, written = DATED[rest[0]]
        found["expires"] = _day(rest[1 : 1 + length], written)
        rest = rest[1 + length :]
    elif rest[:1] == UNDATED:
        rest = rest[1:]
    elif rest:
        found["expires"] = _month_end(rest[:4])
        rest = rest[4:]
    return {**found, name: rest} if rest else found


def _counted(digits: str) -> dict[str, object]:
    if not digits.isdigit():
        raise _wrong("its quantity is no number")
    return {"quantity": int(digits) or None}


def _day(text: str, written: str) -> date:
    try:
        if not text.isdigit() or len(text) != len(f"{date(2000, 1, 1):{written}}"):  # strptime would take 2026111 too
            raise ValueError
        found = datetime.strptime(text, written).date()  # noqa: DTZ007 - a day, in one of six ways to write it
    except ValueError:
        raise _wrong("its date is no date") from None
    return (
        found.replace(year=found.year + 100) if found.year < 1990 else found
    )  # two digits: no device is older than HIBC


def _month_end(text: str) -> date:
    first = _day("01" + text, "%d%m%y")
    return (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _wrong(what: str) -> Malformed:
    return Malformed(f"Not a HIBC barcode we can read: {what}", path="udi", code="data-invalid")
