"""Judges what was read: is the envelope whole, and does each document have what its kind must have?

The report has the codes a TA1 or 997 answers with (X12 004010): TA105 notes, AK905, AK502, AK304 and AK403. What a case has
to decide on (an unknown acknowledgement code, a strange unit) is no error here; it is carried.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from formats.x12_sets import FUNCTIONAL_IDS
from formats.x12_structure import SegmentError, examine
from formats.x12_text import Document, Group, Interchange
from formats.x12_values import calendar_day, clock

GOOD, NOTED, PARTLY, REFUSED = "A", "E", "P", "R"
USAGES = ("P", "T", "I")  # production, test, information
TOLERABLE = frozenset({"7"})  # out of order, but nothing is missing
# Lists of rows that say nothing of each other: elements in error are noted (E), and the reader keeps the bad rows apart.
ROW_BY_ROW = frozenset({"832"})
STRANGE = frozenset({"1", "2", "6"})  # segments we do not expect: refused unless the partner's row allows them


@dataclass(frozen=True, slots=True)
class DocumentReport:
    """What is to be said of one document: AK2 to AK5."""

    document: Document
    errors: tuple[SegmentError, ...] = ()
    problems: tuple[str, ...] = ()
    status: str = GOOD

    @property
    def accepted(self) -> bool:
        """Whether it may be read on."""
        return self.status != REFUSED


@dataclass(frozen=True, slots=True)
class GroupReport:
    """What is to be said of one group: AK1 and AK9."""

    group: Group
    documents: tuple[DocumentReport, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """AK901."""
        taken = [report.status for report in self.documents if report.accepted]
        if self.problems or not taken:
            return REFUSED
        if len(taken) < len(self.documents):
            return PARTLY
        return NOTED if NOTED in taken else GOOD

    @property
    def accepted(self) -> int:
        """AK904: how many documents may be read on."""
        return 0 if self.problems else sum(report.accepted for report in self.documents)

    @property
    def declared(self) -> int:
        """AK902: how many documents GE01 says there are; those received where it says nothing."""
        said = self.group.trailer[1].strip() if self.group.trailer else ""
        return int(said) if re.fullmatch("[0-9]{1,6}", said) else len(self.documents)


@dataclass(frozen=True, slots=True)
class EnvelopeReport:
    """What is to be said of an interchange: a TA1 where the envelope is broken, else a 997 for each group."""

    interchange: Interchange
    status: str = GOOD
    note: str = "000"
    why: str = ""
    groups: tuple[GroupReport, ...] = field(default=())

    @property
    def accepted(self) -> list[tuple[Group, Document]]:
        """The documents that may be read on, with their groups."""
        if self.status == REFUSED:
            return []
        return [
            (report.group, one.document)
            for report in self.groups
            if not report.problems
            for one in report.documents
            if one.accepted
        ]

    @property
    def refused(self) -> list[str]:
        """Everything wrong, in words with its place, for the list a person reads."""
        found = [f"TA1 {self.note}: {self.why}"] if self.note != "000" else []
        for group in self.groups:
            name = f"group {group.group.control}"
            found += [f"{name}: {GROUP_WORDS[code]}" for code in group.problems]
            for one in group.documents:
                place = f"{name}, {one.document.code} {one.document.control}"
                found += [f"{place}: {DOCUMENT_WORDS[code]}" for code in one.problems]
                found += [f"{place}: {words}" for error in one.errors for words in error.words]
        return found


GROUP_WORDS = {
    "1": "this kind of group is not exchanged",
    "2": "this version is not exchanged",
    "3": "GE is missing",
    "4": "GS06 and GE02 differ",
    "5": "GE01 does not count the documents",
    "6": "GS06 is not a control number",
}
DOCUMENT_WORDS = {
    "1": "this kind of document is not exchanged",
    "2": "SE is missing",
    "3": "ST02 and SE02 differ",
    "4": "SE01 does not count the segments",
    "5": "segments are in error",
    "6": "ST01 does not fit its group",
    "7": "ST02 is not a control number, or comes twice",
}


def check(
    interchange: Interchange,
    *,
    versions: Collection[str] = (),
    kinds: Collection[str] = (),
    usage: str = "",
    allow_unknown: bool = False,
) -> EnvelopeReport:
    """Judge an interchange.

    ``versions`` limits GS08 and ``kinds`` the documents that are exchanged; ``usage`` is what ISA15 must say (a test is not
    read as the real thing); ``allow_unknown`` lets unexpected segments pass, noted.
    """
    problems = list(_envelope_problems(interchange))
    if usage and interchange.usage in USAGES and interchange.usage != usage:
        problems.append((REFUSED, "020", f"ISA15 is {interchange.usage}, not {usage}"))
    worst = next((one for one in problems if one[0] == REFUSED), problems[0] if problems else (GOOD, "000", ""))
    rules = _Rules(versions, frozenset(kinds) or frozenset(FUNCTIONAL_IDS), allow_unknown)
    groups = () if worst[0] == REFUSED else tuple(_group(one, rules) for one in interchange.groups)
    return EnvelopeReport(interchange, *worst, groups=groups)


@dataclass(frozen=True, slots=True)
class _Rules:
    versions: Collection[str]
    kinds: Collection[str]
    allow_unknown: bool


def refuse(interchange: Interchange, note: str, why: str) -> EnvelopeReport:
    """A report for what a door knows and the text does not: an unknown sender (006), a conflict (025)."""
    return EnvelopeReport(interchange, REFUSED, note, why)


def _envelope_problems(found: Interchange) -> list[tuple[str, str, str]]:
    isa, iea = found.header, found.trailer
    wrong: list[tuple[str, str, str]] = []

    def note(failed: bool, code: str, why: str, status: str = REFUSED) -> None:
        if failed:
            wrong.append((status, code, why))

    cut_short = iea is None or (not found.ended and iea[2].strip() != found.control)
    note(cut_short, "023", "the file ends before its IEA")
    note(not re.fullmatch("[0-9]{1,9}", found.control), "018", "ISA13 is not a control number")
    note(calendar_day("20" + isa[9].strip()) is None, "014", "ISA09 is not a date")
    note(clock(isa[10].strip()) is None or len(isa[10].strip()) != 4, "015", "ISA10 is not a time")
    note(not found.sender[1], "006", "ISA06 is empty")
    note(not found.receiver[1], "008", "ISA08 is empty")
    note(found.usage not in USAGES, "020", "ISA15 is not P, T or I")
    if iea is not None and not cut_short:
        note(iea[2].strip() != found.control, "001", "ISA13 and IEA02 differ")
        declared = iea[1].strip()
        counts = re.fullmatch("[0-9]{1,5}", declared) and int(declared) == len(found.groups)
        note(not counts, "021", "IEA01 does not count the groups")
    broken = next((group for group in found.groups if not _answerable(group)), None)
    note(broken is not None, "024", "a GS segment cannot be answered: GS01, GS06 or GS08 is missing")
    note(bool(found.stray), "022", "segments stand outside any group")
    note(any(group.stray for group in found.groups), "022", "segments stand outside any document")
    note(not found.separators.component, "027", "ISA16 is empty", NOTED)
    note(bool(found.junk), "022", "there is something around the envelope", NOTED)
    note(isa[14].strip() not in ("0", "1"), "019", "ISA14 is not 0 or 1", NOTED)
    return wrong


def _answerable(group: Group) -> bool:
    """A 997 repeats GS01 and GS06; without them only a TA1 can answer."""
    return bool(re.fullmatch("[A-Z]{2}", group.functional_id) and group.control and group.version)


def _group(group: Group, rules: _Rules) -> GroupReport:
    problems: list[str] = []
    if group.functional_id not in {FUNCTIONAL_IDS[kind] for kind in rules.kinds}:
        problems.append("1")
    if rules.versions and not any(group.version.startswith(version) for version in rules.versions):
        problems.append("2")
    if group.trailer is None:
        problems.append("3")
    elif group.trailer[2].strip() != group.control:
        problems.append("4")
    elif group.trailer[1].strip() != str(len(group.documents)) and _number(group.trailer[1]) != len(group.documents):
        problems.append("5")
    if not re.fullmatch("[0-9]{1,9}", group.control):
        problems.append("6")
    seen: set[str] = set()
    reports = []
    for document in group.documents:
        reports.append(_document(document, group, seen, rules))
        seen.add(document.control)
    return GroupReport(group, tuple(reports), tuple(problems))


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,10}", text.strip()) else -1


def _document(document: Document, group: Group, seen: Collection[str], rules: _Rules) -> DocumentReport:
    problems: list[str] = []
    fits = FUNCTIONAL_IDS.get(document.code) == group.functional_id
    if document.code not in rules.kinds:
        problems.append("1" if re.fullmatch("[0-9]{3}", document.code) else "6")
    elif not fits:
        problems.append("6")
    if document.trailer is None:
        problems.append("2")
    else:
        if document.trailer[2].strip() != document.control:
            problems.append("3")
        if _number(document.trailer[1]) != len(document.segments):
            problems.append("4")
    if not re.fullmatch("[A-Za-z0-9]{4,9}", document.control) or document.control in seen:
        problems.append("7")
    errors = tuple(examine(document)) if fits and document.code in rules.kinds else ()
    tolerable = TOLERABLE | STRANGE if rules.allow_unknown else TOLERABLE
    if document.code in ROW_BY_ROW:
        tolerable = tolerable | {"8"}
    grave = any(error.code not in tolerable for error in errors)
    if grave:
        problems.append("5")
    status = REFUSED if problems else NOTED if errors else GOOD
    return DocumentReport(document, errors, tuple(problems), status)
