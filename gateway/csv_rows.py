"""A row of a CSV file as feeds read it: by our names of its columns, each value exact or refused with its row and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from typing import Final

from canonical.base import Canonical, Money
from canonical.errors import Malformed
from canonical.senders import Sender
from formats.csv_sheet import decimal
from gateway.mapping import Tongue

MOST_DIGITS: Final = 12  # before the decimal sign; what is larger is a slip of a finger
CURRENCY: Final = re.compile(r"[A-Z]{3}")
LONGEST_TITLE: Final = 40  # characters of a column's name that are shown
ALIKE: Final = 0.7  # of 1: how much two columns' names have in common before one is said to be meant by the other
_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})", re.ASCII)
_PLACE: Final = re.compile(r"row (\d+)(?: (.+))?")


class Row:
    """One row. ``number`` is the row a spreadsheet shows; ``meant``: by a column the file has not, the one it probably has for it."""

    __slots__ = ("_decimal_sign", "_meant", "_values", "number")

    def __init__(
        self, number: int, values: dict[str, str], sender: Sender, meant: Mapping[str, str] | None = None
    ) -> None:
        self.number = number
        self._values = values
        self._meant = meant or {}
        self._decimal_sign = sender.decimal_sign

    def path(self, column: str) -> str:
        """Where a value stands: ``row 7 price``."""
        return f"row {self.number} {column}"

    def text(self, column: str) -> str:
        """What stands there, without blanks around it; empty where nothing does or there is no such column."""
        return self._values.get(column, "")

    def needed(self, column: str) -> str:
        """What stands there.

        Raises:
            Malformed: nothing does.
        """
        return self.text(column) or self._nothing(column)

    def number_of(self, column: str) -> Decimal | None:
        """A number exactly as it is written, None where nothing is.

        Raises:
            Malformed: it is no plain number: nothing is guessed of thousands and exponents.
        """
        text = self.text(column)
        if not text:
            return None
        found = decimal(text, self._decimal_sign)
        if found is None or len(text.lstrip("-").partition(self._decimal_sign)[0]) > MOST_DIGITS:
            raise self.wrong(column, f"this is no number like 12{self._decimal_sign}50")
        return found

    def whole(self, column: str) -> int | None:
        """A whole number above nothing, None where nothing is written.

        Raises:
            Malformed: it is none.
        """
        found = self.number_of(column)
        if found is not None and (found != found.to_integral_value() or found <= 0):
            raise self.wrong(column, "this is no whole number above nothing")
        return int(found) if found is not None else None

    def price(self, column: str, currency: str, default: str) -> Money | None:
        """An amount in the currency of its row, else in the ``default`` one; None where nothing is written.

        Raises:
            Malformed: it is no number, below nothing, or the currency is no code of three letters.
        """
        amount = self.number_of(column)
        coin = self.text(currency).upper() or default
        if not CURRENCY.fullmatch(coin):
            raise self.wrong(currency, "a currency is three letters, like USD")
        if amount is None:
            return None
        if amount < 0:
            raise self.wrong(column, "a price is not below nothing")
        return Money(amount=amount, currency=coin)

    def day(self, column: str) -> date | None:
        """A day as ``2026-11-21`` or ``20261121``, None where nothing is written.

        Raises:
            Malformed: it is no day: 11/12 is two of them, and neither is guessed.
        """
        text = self.text(column)
        if not text:
            return None
        found = _DAY.fullmatch(text)
        try:
            return date(*(int(part) for part in found.groups())) if found else self._no_day(column)
        except ValueError:
            return self._no_day(column)

    def wrong(self, column: str, reason: str, code: str = "data-invalid") -> Malformed:
        """What is wrong with a value, to be raised."""
        return Malformed(f"{self.path(column)}: {reason}", path=self.path(column), code=code)

    def nothing(self, column: str) -> str:
        """What to say where something is needed and nothing stands: also which column nobody reads was probably meant."""
        likely = self._meant.get(column, "")
        return "nothing stands here" + (f": there is no such column, is {likely} meant?" if likely else "")

    def _no_day(self, column: str) -> date:
        raise self.wrong(column, "this is no day like 2026-11-21")

    def _nothing(self, column: str) -> str:
        raise self.wrong(column, self.nothing(column))


@dataclass(frozen=True)
class CsvFeed:
    """What reads a kind of CSV file.

    ``columns`` are those it takes notice of; of each set in ``required`` the file has at least one. ``total`` is the column
    that control totals add up, ``group`` the one whose equal values make several rows one thing; empty: each row is one.
    """

    kind: str
    columns: frozenset[str]
    required: tuple[frozenset[str], ...]
    total: str
    read: Callable[[Sequence[Row], Tongue], Canonical]
    group: str = ""

    @property
    def parts_kind(self) -> str:
        """The kind of message that rows set apart are kept as: a correction of one is read by itself."""
        return f"{self.kind}_rows"

    def missing(self, names: Sequence[str]) -> str:
        """What a file with these columns lacks to be read; empty: nothing."""
        lacking = [sorted(one) for one in self.required if not one & set(names)]
        likely = self.meant(names)
        told = [(" or ".join(one), next(filter(None, (likely.get(name) for name in one)), "")) for one in lacking]
        return ", ".join(f"{one} (is {found} meant?)" if found else one for one, found in told)

    def unread(self, names: Sequence[str]) -> list[str]:
        """Which of these columns it passes over; one without a name is nobody's."""
        return [name for name in names if name and name not in self.columns]

    def meant(self, names: Sequence[str]) -> dict[str, str]:
        """By each column the file has not, the one nobody reads that is spelt most like it, where there is one."""
        unread, found = [name[:LONGEST_TITLE] for name in self.unread(names) if name.isprintable()], {}
        for column in sorted(self.columns - set(names)) if unread else ():
            if alike := get_close_matches(column, unread, n=1, cutoff=ALIKE):
                found[column] = alike[0]
        return found


class RowFault(Canonical):
    """What is wrong with a row, and in which column where it is one's."""

    row: int
    column: str = ""
    reason: str


def fault_of(wrong: Malformed, row: int) -> RowFault:
    """The fault at the place its path names; else of this row."""
    place = _PLACE.fullmatch(wrong.path)
    if place is None:
        return RowFault(row=row, reason=wrong.message[:2000])
    reason = wrong.message.removeprefix(f"{wrong.path}: ")
    return RowFault(row=int(place[1]), column=place[2] or "", reason=reason[:2000])
