"""A sender's own codes in ours: items, units, locations, cost centres, departments and priorities, by tables with dates.

A table is data in the register (kind ``mapping``), a version per day it begins on; which day counts is said by the caller.
A sender without a table speaks our codes. In a table, a code without a row is refused with its place, so that the message
becomes a dead letter, the table is corrected and the message replayed. The row of an empty code is what counts where
nothing was sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from canonical.errors import Malformed
from canonical.senders import Mapping, Mappings, Sender

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
UNIT = re.compile(r"[A-Z0-9]{2,3}")
URGENT = frozenset({"S", "STAT", "A", "ASAP", "EMERGENCY"})  # HL7 table 0485 and TQ.6: now, as soon as possible
PRIORITIES = ("emergency", "routine")
UNKNOWN = "unknown-code"


def in_force(mappings: Iterable[Mapping], sender: str, as_of: date) -> Mappings:
    """The newest version of each table of a sender that holds on a day."""
    newest: dict[str, Mapping] = {}
    for one in mappings:
        if one.sender != sender or one.valid_from > as_of:
            continue
        if one.table not in newest or newest[one.table].valid_from < one.valid_from:
            newest[one.table] = one
    return Mappings({table: one.rows for table, one in newest.items()})


class Tongue:
    """How one sender is understood: its row and its tables, as they stand on a day."""

    def __init__(self, sender: Sender, mappings: Mappings | None = None) -> None:
        self.sender = sender
        self._tables = mappings or Mappings()

    def knows(self, table: str, code: str) -> bool:
        """Whether a table of the sender has a row for this code."""
        return self._tables.find(table, code.strip()) is not None

    def speaks(self, table: str) -> bool:
        """Whether the sender has such a table: without one its codes are ours."""
        return table in self._tables

    def ours(self, table: str, code: str) -> str:
        """Our code where the table has a row for this one, else the code as it came: who takes it says what is unknown."""
        found = self._tables.find(table, code.strip())
        return (code if found is None else found).strip()

    def code(self, table: str, code: str, path: str) -> str | None:
        """Our code, None where nothing was sent and the table says nothing of that.

        Raises:
            Malformed: the table has no row for it, or what it becomes is no code of ours.
        """
        code = code.strip()
        found = self._tables.find(table, code)
        if found is None and table in self._tables and code:
            raise _unknown(table, code, path, self.sender.code)
        found = (code if found is None else found).strip()
        if found and not CODE.fullmatch(found):
            reason = f"{path}: {_shown(found)} can be no {_word(table)} of ours: give sender {self.sender.code} a table"
            raise Malformed(reason, path=path, code=UNKNOWN)
        return found or None

    def unit(self, code: str, path: str) -> str | None:
        """Our unit (X12 element 355: EA, BX, CA), None where nothing was sent.

        Raises:
            Malformed: no row in the sender's table, or what it becomes is no unit of ours.
        """
        code = code.strip()
        found = self._tables.find("unit", code)
        if found is None and "unit" in self._tables and code:
            raise _unknown("unit", code, path, self.sender.code)
        found = code if found is None else found
        if found and not UNIT.fullmatch(found):
            reason = f"{path}: {_shown(found)} can be no unit of ours: give sender {self.sender.code} a table"
            raise Malformed(reason, path=path, code=UNKNOWN)
        return found or None

    def urgent(self, code: str, path: str) -> bool:
        """Whether a priority means an emergency; without a table, S, STAT, A and ASAP do.

        Raises:
            Malformed: no row in the sender's table, or one that says neither emergency nor routine.
        """
        code = code.strip()
        found = self._tables.find("priority", code)
        if found is None:
            if code and "priority" in self._tables:
                raise _unknown("priority", code, path, self.sender.code)
            return code.upper() in URGENT
        if found not in PRIORITIES:
            reason = f"{path}: the table of sender {self.sender.code} says {_shown(found)}: emergency or routine"
            raise Malformed(reason, path=path, code=UNKNOWN)
        return found == "emergency"


def _unknown(table: str, code: str, path: str, sender: str) -> Malformed:
    return Malformed(f"{path}: no {_word(table)} for code {_shown(code)} of sender {sender}", path=path, code=UNKNOWN)


def _word(table: str) -> str:
    return table.replace("_", " ")


def _shown(code: str) -> str:
    """A code for a person to read: short, and nothing but what can be printed."""
    return "".join(sign if sign.isprintable() else "?" for sign in code[:40])
