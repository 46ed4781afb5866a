"""Judges an HL7 message by the tables of its version: order, number, required segments and fields, components, formats.

It finds what a department should mend and says where, as an ERR segment does (ERL, table 0357). It walks over the cut text:
nothing is built, changed or looked up by list order. Lengths and withdrawn fields are warnings: newer versions leave them
to the parties.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from formats import hl7_tables as tables
from formats.hl7_faults import (
    DATA_TYPE,
    FIELD_MISSING,
    SEGMENT_SEQUENCE,
    TOO_LONG,
    UNSUPPORTED_TYPE,
    UNSUPPORTED_VERSION,
    Fault,
    place,
)
from formats.hl7_message import WITH_MARKS, Message, Segment
from formats.hl7_order import arrange
from formats.hl7_tables import Rule
from formats.hl7_text import NULL, Marks

MOST_FAULTS = 100  # more help nobody
PLAIN = 199  # characters; a shorter text needs no look at its length
NOTHING: frozenset[str] = frozenset()
# What to tolerate from a sender that writes a newer HL7 than its MSH-12 says; chapter 2 lets a receiver ignore it.
LATER_VERSION = frozenset({"field-beyond", "component-beyond", "subcomponent-beyond"})


@dataclass(frozen=True, slots=True)
class Report:
    """What was found, in the order of the message. ``known`` says that the version has a table of this structure."""

    version: str
    structure: str
    known: bool
    faults: tuple[Fault, ...]

    @property
    def errors(self) -> tuple[Fault, ...]:
        """What the message is refused for; the rest are warnings and notes."""
        return tuple(fault for fault in self.faults if fault.severity in ("E", "F"))

    @property
    def ok(self) -> bool:
        """Nothing in it is an error."""
        return not self.errors


def prepare(version: str, structure: str) -> bool:
    """Compile the tables of a structure ahead of its first message; False where the version has none of that name."""
    known = tables.tables_of(version)
    found = tables.structure(known, structure) if known else None
    for name in found.names if found else ():
        tables.fields(known, name)
    return found is not None


def check(
    message: Message,
    *,
    version: str = "",
    structure: str = "",
    z_segments: bool = True,
    tolerate: frozenset[str] = NOTHING,
) -> Report:
    """Judge a message.

    ``version`` and ``structure`` stand in for MSH-12 and MSH-9 where a sender's row says so; ``z_segments`` allows segments
    of a sender's own, which are noted; faults of a kind in ``tolerate`` become warnings.
    """
    said = version or message.header.version
    name = structure or message.header.structure
    known = tables.tables_of(said)
    judge = _Judge(known, message.header.marks, tolerate)
    if not known:
        text = "There are no tables for the version that MSH-12 names"
        judge.note(UNSUPPORTED_VERSION, "version-unknown", text, _place("MSH", 1, 12))
        return Report(said, name, known=False, faults=tuple(judge.found))
    found = tables.structure(known, name)
    if found is None:
        text = f"Version {known} has no message structure of that name: order is not checked"
        judge.note(UNSUPPORTED_TYPE, "structure-unknown", text, _place("MSH", 1, 9, "W"))
    _walk(message, found, judge, z_segments)
    return Report(said, name, found is not None, tuple(judge.found))


def _place(segment: str, sequence: int, number: int = 0, severity: str = "E") -> Fault:
    return Fault("", "", "", segment, sequence, number, severity=severity)


def _walk(message: Message, structure: tables.Structure | None, judge: _Judge, z_segments: bool) -> None:
    segments = message.segments
    findings = iter(arrange([segment.name for segment in segments], structure)) if structure else iter(())
    finding = next(findings, None)
    for index, segment in enumerate(segments):
        if finding is not None and structure is not None and finding.index == index:
            judge.missing(finding.missing, message, segment)
            if finding.after is not None:
                judge.misplaced(segment, finding.after, structure)
            finding = next(findings, None)
        if segment.name[0] == "Z":
            judge.own(segment, allowed=z_segments)
        else:
            judge.segment(segment)
        if len(judge.found) >= MOST_FAULTS:
            name = segment.name
            text = f"Checking ended at {place(name, segment.sequence)}: {MOST_FAULTS} faults are enough"
            judge.found.append(Fault(SEGMENT_SEQUENCE, "too-many-faults", text, name, segment.sequence))
            return
    if finding is not None:
        judge.missing(finding.missing, message, None)


@dataclass(slots=True)
class _Judge:
    """Collects faults; one per message."""

    version: str
    marks: Marks
    tolerate: frozenset[str]
    found: list[Fault] = field(default_factory=list)

    def note(self, code: str, kind: str, text: str, at: Fault) -> None:
        severity = "W" if kind in self.tolerate and at.severity == "E" else at.severity
        where = (at.segment, at.sequence, at.field, at.repetition, at.component, at.subcomponent)
        self.found.append(Fault(code, kind, text, *where, severity=severity))

    def missing(self, names: tuple[str, ...], message: Message, before: Segment | None) -> None:
        for name in names:
            end = before.position if before else len(message) + 1
            sequence = sum(one.name == name for one in message.segments[: end - 1]) + 1
            where = f"before {place(before.name, before.sequence)}" if before else "at the end"
            self.note(SEGMENT_SEQUENCE, "segment-missing", f"{name} is missing {where}", _place(name, sequence))

    def misplaced(self, segment: Segment, at: tables.Spot, structure: tables.Structure) -> None:
        name, where = segment.name, _place(segment.name, segment.sequence)
        if name not in structure.names:
            self.note(SEGMENT_SEQUENCE, "segment-unknown", f"{name} has no place in {structure.name}", where)
        elif name == at.name:
            self.note(SEGMENT_SEQUENCE, "segment-repeats", f"{name} may not repeat here", where)
        else:
            self.note(SEGMENT_SEQUENCE, "segment-order", f"{name} may not stand here", where)

    def own(self, segment: Segment, *, allowed: bool) -> None:
        where = _place(segment.name, segment.sequence, severity="I" if allowed else "E")
        self.note(SEGMENT_SEQUENCE, "segment-z", f"{segment.name} is a segment of the sender's own", where)

    def segment(self, segment: Segment) -> None:
        rules = tables.fields(self.version, segment.name)
        if rules is None:
            return
        sent = segment.fields
        for number in rules.required:
            if number >= len(sent) or not sent[number]:
                text = f"{place(segment.name, segment.sequence, number)} is required"
                self.note(FIELD_MISSING, "field-missing", text, _place(segment.name, segment.sequence, number))
        field_rules, count = rules.rules, len(rules.rules)
        component, repetition, _, subcomponent = self.marks[1:5]
        whole = segment.text  # most segments have none of what a field of them would have to be looked at for
        marked = (repetition and repetition in whole) or (subcomponent and subcomponent in whole) or len(whole) > PLAIN
        first = 3 if segment.name in WITH_MARKS else 1
        for number, text in enumerate(sent[first:], first):
            if not text:
                continue
            rule = field_rules[number] if number < count else None
            if rule is None:
                self.beyond(segment, number)
            elif not rule.free and (
                rule.withdrawn
                or (
                    marked
                    and (
                        len(text) > PLAIN
                        or (repetition and repetition in text)
                        or (subcomponent and subcomponent in text)
                    )
                )
                or not _clean(rule, text, component)
            ):
                self.field(segment, number, rule, text)

    def beyond(self, segment: Segment, number: int) -> None:
        text = f"{place(segment.name, segment.sequence, number)} is beyond the last field of {segment.name}"
        self.note(DATA_TYPE, "field-beyond", text, _place(segment.name, segment.sequence, number))

    def field(self, segment: Segment, number: int, rule: Rule, text: str) -> None:
        name, sequence = segment.name, segment.sequence
        if rule.withdrawn:
            at = _place(name, sequence, number, "W")
            self.note(DATA_TYPE, "field-withdrawn", f"{at.path} is withdrawn in version {self.version}", at)
            return
        mark = self.marks.repetition
        repeated = text.split(mark) if mark and mark in text else [text]
        if rule.most and len(repeated) > rule.most:
            severity = "W" if rule.text and rule.most == 1 else "E"
            at = Fault("", "", "", name, sequence, number, rule.most + 1, severity=severity)
            self.note(DATA_TYPE, "field-repeats", f"{at.path} may be sent {_times(rule.most)}", at)
        for repetition, one in enumerate(repeated, start=1):
            if one and one != NULL:
                self.value(rule, one, (name, sequence, number, repetition, 0, 0))

    def value(self, rule: Rule, text: str, at: _Where) -> None:
        """One repetition of a field, or a component of it; ``at`` has its numbers, 0 for the levels below."""
        mark = self.marks.subcomponent if at[4] else self.marks.component
        parts = text.split(mark) if mark and mark in text else [text]
        allowed = len(rule.parts) or 1
        if len(parts) > allowed and any(parts[allowed:]) and not rule.free:
            self.too_many(rule, _deeper(at, allowed + 1))
        if not rule.parts:
            self.simple(rule, parts[0] if rule.check or not any(parts[1:]) else text, at)
            return
        if not at[4] and self.marks.subcomponent and self.marks.subcomponent in text:
            todo = [(index, one) for index, one in enumerate(rule.parts) if not one.free]
        else:
            todo = list(rule.checked)
        for index, one in todo:
            if index < len(parts) and parts[index] and parts[index] != NULL:
                self.below(one, parts[index], _deeper(at, index + 1))

    def below(self, rule: Rule, text: str, at: _Where) -> None:
        if at[5]:
            self.simple(rule, text, at)
        else:
            self.value(rule, text, at)

    def simple(self, rule: Rule, text: str, at: _Where) -> None:
        if rule.check and not rule.check(text):
            self.note(DATA_TYPE, "data-type", f"{place(*at)} is not {rule.legal}", Fault("", "", "", *at))
        elif rule.longest and len(text) > rule.longest and (not at[4] or len(text) > PLAIN):
            said = f"{place(*at)} is longer than {rule.longest} characters"
            self.note(TOO_LONG, "too-long", said, Fault("", "", "", *at, severity="W"))

    def too_many(self, rule: Rule, at: _Where) -> None:
        """More parts than the type has. In free text it is most often a mark that should have been escaped."""
        kind = "subcomponent-beyond" if at[5] else "component-beyond"
        text = f"{place(*at)} is beyond the last part of {rule.kind}"
        self.note(DATA_TYPE, kind, text, Fault("", "", "", *at, severity="W" if rule.text else "E"))


def _clean(rule: Rule, text: str, component: str) -> bool:
    """The usual value, told from the rest at little cost: without repetition or subcomponent, and as it should be."""
    allowed = rule.parts
    if not allowed:
        short = not rule.longest or len(text) <= rule.longest
        return short and component not in text and (rule.check is None or rule.check(text))
    quick = rule.quick
    if component not in text:
        return not quick or quick[0][0] > 0 or quick[0][1](text)
    parts = text.split(component)
    sent = len(parts)
    if sent > len(allowed):
        return False
    for (
        index,
        check,
    ) in quick:  # a loop: for every component of every message, and half the time of all() of an expression
        if index >= sent:
            break
        if parts[index] and not check(parts[index]):
            return False
    return True


_Where = tuple[str, int, int, int, int, int]


def _deeper(at: _Where, number: int) -> _Where:
    return (*at[:5], number) if at[4] else (*at[:4], number, 0)


def _times(most: int) -> str:
    return "once only" if most == 1 else f"{most} times at most"
