"""Finds things inside an X12 document: the lines of an order, its dates, references and catalogue numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

from canonical.errors import Malformed
from formats.x12_text import Document, Segment
from formats.x12_values import day

# Data element 235, the qualifiers in use: whose number for a thing it is.
SUPPLIERS_NUMBER = ("VC", "VN", "VP")
BUYERS_NUMBER = ("BP", "IN")
# Data element 639: what a price is for. Contract, catalogue and quoted prices are per unit ordered.
PER_UNIT_ORDERED = frozenset({"", "UM", "CT", "CA", "QT"})
PER_EACH = frozenset({"PE", "TE"})


@dataclass(slots=True)
class Section:
    """A segment and those that belong to it (a PO1 with its PID, ACK, DTM, ...)."""

    head: Segment
    rest: list[Segment] = field(default_factory=list)

    def all(self, *names: str) -> list[Segment]:
        """The segments of these names, in order."""
        return [one for one in self.rest if one.name in names]

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return next((one for one in self.rest if one.name == name), None)


def split(
    document: Document, opens: str, *, closes: Iterable[str] = ("CTT", "TDS")
) -> tuple[Section, list[Section], Section]:
    """What stands before the first ``opens`` segment, one section for each of them, and what stands after the last."""
    ends = frozenset(closes)
    before, lines, after = Section(document.header), [], Section(document.header)
    now = before
    for one in document.body:
        if one.name == opens:
            now = Section(one)
            lines.append(now)
        elif one.name in ends and lines:
            now = after
            after.rest.append(one)
        else:
            now.rest.append(one)
    return before, lines, after


def required(section: Section, name: str) -> Segment:
    """The one segment a document cannot be without.

    Raises:
        Malformed: it is not there.
    """
    found = section.first(name)
    if found is None:
        raise Malformed(f"{name} is missing", path=name, code="data-invalid")
    return found


def dates(segments: Iterable[Segment]) -> dict[str, date]:
    """Dates by their qualifier (DTM01), the first of a kind; written in DTM02 or as D8 in DTM06."""
    found: dict[str, date] = {}
    for one in segments:
        if one.name != "DTM":
            continue
        text = one[2] or (one[6] if one[5] == "D8" else "")
        value = day(text, path(one, 2))
        if value is not None:
            found.setdefault(one[1], value)
    return found


def references(segments: Iterable[Segment], *qualifiers: str) -> list[str]:
    """The numbers (REF02) of these qualifiers, each once."""
    found = [one[2].strip() for one in segments if one.name == "REF" and one[1] in qualifiers and one[2].strip()]
    return list(dict.fromkeys(found))


def chosen(pairs: dict[str, str], qualifiers: Sequence[str]) -> str:
    """The value of the first qualifier that is there."""
    return next((pairs[one].strip() for one in qualifiers if one in pairs), "")


def price_unit(basis: str) -> str | None:
    """The unit a price is for: EA where it says each, None where it is the unit ordered, else the code as it came."""
    if basis in PER_UNIT_ORDERED:
        return None
    return "EA" if basis in PER_EACH else basis


def first_component(value: str) -> str:
    """The first part of a composite, whatever mark parts it (C001: the unit)."""
    found = re.match(r"[A-Za-z0-9]*", value)
    return found[0] if found else ""


def line_number(text: str) -> int | None:
    """A line's number where it is one."""
    text = text.strip()
    return int(text) if re.fullmatch("[0-9]{1,9}", text) and int(text) > 0 else None


def path(one: Segment, number: int = 0) -> str:
    """Where in the document: ``IT1/7/IT104``."""
    place = f"{one.name}/{one.position}"
    return f"{place}/{one.name}{number:02}" if number else place
