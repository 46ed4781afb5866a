"""Numbers, dates and units as X12 writes them, exactly: never through a float.

X12.6 element types: N2 has two implied decimals (``1304594`` is 13045.94), R carries its point, DT is CCYYMMDD, TM is
HHMM and on.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, time
from decimal import Decimal

from canonical.errors import Malformed

WHOLE = re.compile(r"^-?[0-9]{1,18}$")
REAL = re.compile(r"^-?(?:[0-9]{1,18}\.?[0-9]{0,18}|\.[0-9]{1,18})$")

# Data element 355, the codes in use, and what we call each: one word per unit in our language.
UNITS = {"EA": "EA", "BX": "BX", "CA": "CA", "CS": "CA", "CT": "CT", "PK": "PK", "DZ": "DZ"}


def unit(code: str) -> str:
    """Our name for a unit; an unknown code is carried as it came, never guessed."""
    return UNITS.get(code, code)


def implied(text: str, path: str, decimals: int = 2) -> Decimal:
    """An N element: the point is implied.

    Raises:
        Malformed: it is not a whole number.
    """
    if not WHOLE.match(text):
        raise Malformed(f"{path} is not a whole number", path=path, code="data-invalid")
    return Decimal(text).scaleb(-decimals)


def real(text: str, path: str) -> Decimal:
    """An R element.

    Raises:
        Malformed: it is not a plain decimal number.
    """
    if not REAL.match(text):
        raise Malformed(f"{path} is not a number", path=path, code="data-invalid")
    return Decimal(text)


def day(text: str, path: str) -> date | None:
    """A DT element, None where it is empty.

    Raises:
        Malformed: there is no such day.
    """
    if not text:
        return None
    found = calendar_day(text)
    if found is None:
        raise Malformed(f"{path} is not a date CCYYMMDD", path=path, code="data-invalid")
    return found


def calendar_day(text: str) -> date | None:
    """CCYYMMDD as a day of the calendar, else None."""
    if len(text) != 8 or not (text.isascii() and text.isdigit()):
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def clock(text: str) -> time | None:
    """HHMM, HHMMSS or HHMMSSD.. as a time of day, else None."""
    if len(text) not in (4, 6, 7, 8) or not (text.isascii() and text.isdigit()):
        return None
    try:
        return time(int(text[:2]), int(text[2:4]), int(text[4:6] or 0))
    except ValueError:
        return None


def as_real(value: Decimal) -> str:
    """A decimal as an R element: no exponent, no trailing zeros after the point."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text if text not in ("-0", "") else "0"


def as_day(value: date) -> str:
    """A day as CCYYMMDD."""
    return f"{value:%Y%m%d}"


def free_text(value: str, marks: str, longest: int) -> str:
    """A description for a person to read, made fit for the wire: plain ASCII, marks become blanks, cut to length.

    For names and descriptions only; a number or code with such a character is refused on writing instead.
    """
    folded = unicodedata.normalize("NFKD", value).encode("ascii", "ignore").decode()
    clean = "".join(" " if sign in marks or not sign.isprintable() else sign for sign in folded)
    return " ".join(clean.split())[:longest].rstrip()
