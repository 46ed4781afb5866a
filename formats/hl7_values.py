"""Numbers, dates, times and money as HL7 writes them, exactly: never through a float.

HL7 v2 chapter 2A: NM is sign, digits and a point; SI a whole number; DT YYYY[MM[DD]]; TM HH[MM[SS[.S[S[S[S]]]]]][+/-ZZZZ];
DTM (TS before 2.6) the two joined. How much of a date was sent is kept: the year alone is not the first of January.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Literal

from formats.hl7_faults import DATA_TYPE, Fault, Unreadable

Precision = Literal["year", "month", "day", "hour", "minute", "second", "fraction"]
PRECISIONS: dict[int, Precision] = {4: "year", 6: "month", 8: "day", 10: "hour", 12: "minute", 14: "second"}
_LENGTHS = {name: length for length, name in PRECISIONS.items()}

NUMBER = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})")
WHOLE = re.compile(r"[0-9]{1,18}")
_ZONE = r"(?P<zone>[+-](?:0[0-9]|1[0-4])[0-5][0-9])?"
_CLOCK = (
    r"(?P<hour>[01][0-9]|2[0-3])(?:(?P<minute>[0-5][0-9])(?:(?P<second>[0-5][0-9])(?:\.(?P<fraction>[0-9]{1,4}))?)?)?"
)
_DAY = r"(?P<year>[0-9]{4})(?:(?P<month>0[1-9]|1[0-2])(?:(?P<day>0[1-9]|[12][0-9]|3[01])"
DAY = re.compile(_DAY + r")?)?")
CLOCK = re.compile(_CLOCK + _ZONE)
MOMENT = re.compile(_DAY + f"(?:{_CLOCK})?)?)?{_ZONE}")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date and time as far as it was sent: ``at`` is its first instant, without a zone where none was sent."""

    at: datetime
    precision: Precision

    @property
    def day(self) -> date:
        """The day by the sender's own clock."""
        return self.at.date()


@dataclass(frozen=True, slots=True)
class Price:
    """An amount, and its currency where the sender named one (CP, MO)."""

    amount: Decimal
    currency: str = ""


def is_number(text: str) -> bool:
    """A legal NM."""
    return NUMBER.fullmatch(text) is not None


def is_whole(text: str) -> bool:
    """A legal SI."""
    return WHOLE.fullmatch(text) is not None


def is_day(text: str) -> bool:
    """A legal DT that is in the calendar."""
    found = DAY.fullmatch(text)
    return found is not None and _in_calendar(found)


def is_clock(text: str) -> bool:
    """A legal TM."""
    return CLOCK.fullmatch(text) is not None


def is_moment(text: str) -> bool:
    """A legal DTM, or TS without its second component, that is in the calendar."""
    found = MOMENT.fullmatch(text)
    return found is not None and _in_calendar(found)


def _in_calendar(found: re.Match[str]) -> bool:
    year, day = int(found["year"]), int(found["day"] or 1)
    return year > 0 and (day < 29 or day <= monthrange(year, int(found["month"]))[1])


def wrong(at: Fault, what: str) -> Unreadable:
    """The refusal of a value; ``at`` holds the place."""
    text = f"{at.path} is not {what}"
    return Unreadable(
        Fault(
            DATA_TYPE,
            "data-invalid",
            text,
            at.segment,
            at.sequence,
            at.field,
            at.repetition,
            at.component,
            at.subcomponent,
        )
    )


def number(text: str, at: Fault) -> Decimal:
    """An NM. Raises Unreadable where it is none (``1,5``, ``1e3``)."""
    if not is_number(text):
        raise wrong(at, "a number")
    return Decimal(text)


def whole(text: str, at: Fault) -> int:
    """An SI. Raises Unreadable where it is none."""
    if not is_whole(text):
        raise wrong(at, "a whole number")
    return int(text)


def day(text: str, at: Fault) -> date:
    """The day of a DT or DTM. Raises Unreadable where there is no such day or it is less exact than a day."""
    found = moment(text, at)
    if found.precision in ("year", "month"):
        raise wrong(at, "exact to the day")
    return found.day


def clock(text: str, at: Fault) -> time:
    """A TM, with its zone where one was sent. Raises Unreadable where there is no such time."""
    found = CLOCK.fullmatch(text)
    if found is None:
        raise wrong(at, "a time HHMMSS")
    return time(int(found["hour"]), *_finer(found), tzinfo=_zone(found["zone"]))


def moment(text: str, at: Fault) -> Moment:
    """A DTM, TS or DT with its precision and zone. Raises Unreadable where it is none or not in the calendar."""
    found = MOMENT.fullmatch(text)
    if found is None or not _in_calendar(found):
        raise wrong(at, "a date and time YYYYMMDDHHMMSS")
    digits = len(text) - len(found["zone"] or "")
    begins = datetime(
        int(found["year"]),
        int(found["month"] or 1),
        int(found["day"] or 1),
        int(found["hour"] or 0),
        *_finer(found),
        tzinfo=_zone(found["zone"]),
    )
    return Moment(begins, PRECISIONS.get(digits, "fraction"))


def price(amount: str, currency: str, at: Fault) -> Price:
    """A CP or MO from its two parts. Raises Unreadable where the amount is no number or the currency no code."""
    if currency and not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        raise wrong(at, "in a currency of ISO 4217")
    return Price(number(amount, at), currency.upper())


def _finer(found: re.Match[str]) -> tuple[int, int, int]:
    fraction = (found["fraction"] or "0").ljust(6, "0")
    return int(found["minute"] or 0), int(found["second"] or 0), int(fraction)


def _zone(text: str | None) -> timezone | None:
    if not text:
        return None
    away = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
    return timezone(-away if text[0] == "-" else away)


def as_moment(value: datetime, precision: Precision = "second") -> str:
    """A time as DTM, with its zone where it has one."""
    text = f"{value.year:04}{value:%m%d%H%M%S}"[: _LENGTHS.get(precision, 14)]
    if precision == "fraction":
        text += f".{value.microsecond // 100:04}"
    if value.tzinfo is None or len(text) <= 8:
        return text
    return text + ("+0000" if value.tzinfo is UTC else value.strftime("%z")[:5])


def as_number(value: Decimal) -> str:
    """A decimal as NM: plain digits, never an exponent."""
    return f"{value:f}"
