"""The trading partners' own X12 4010: cutting an interchange into segments, checking its envelope, and writing one.

A supplier's system is not ours, so this shares nothing with the platform's reading and writing. It is small and strict: what does not
hold together is refused with the code the standard has for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

ISA_ELEMENTS = 16
GROUPS = {
    "850": "PO",
    "860": "PC",
    "820": "RA",
    "997": "FA",
    "855": "PR",
    "856": "SH",
    "810": "IN",
    "865": "CA",
    "832": "SC",
}

# TA105, interchange note codes
NO_ERROR, NUMBER_MISMATCH, BAD_SENDER, BAD_RECEIVER = "000", "001", "006", "008"
BAD_GROUP_COUNT, BAD_STRUCTURE, CUT_OFF, SEEN_BEFORE, BAD_SEPARATOR = "021", "022", "023", "025", "026"

Segment = list[str]


class NotX12(Exception):
    """There is no envelope to answer."""


@dataclass(frozen=True)
class Marks:
    """What stands between elements, components and segments."""

    element: str = "*"
    segment: str = "~"
    component: str = ">"
    line_break: bool = True


@dataclass
class Transaction:
    """One transaction set, its ST and SE taken off; ``wrong`` holds AK502 codes of its own envelope."""

    code: str
    number: str
    segments: list[Segment]
    wrong: list[str] = field(default_factory=list)

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return next((segment for segment in self.segments if segment[0] == name), None)

    def all(self, name: str) -> list[Segment]:
        """Every segment of that name."""
        return [segment for segment in self.segments if segment[0] == name]


@dataclass
class Group:
    """One functional group; ``wrong`` holds AK905 codes."""

    code: str
    number: str
    transactions: list[Transaction] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass
class Interchange:
    """What came in one file; ``note`` is the TA105 code when the envelope does not hold, else 000."""

    sender: str
    receiver: str
    number: str
    dated: str
    timed: str
    marks: Marks
    groups: list[Group] = field(default_factory=list)
    replies: list[Segment] = field(default_factory=list)
    note: str = NO_ERROR


def element(segment: Segment, position: int) -> str:
    """An element of a segment by its number in the standard, empty where there is none."""
    return segment[position] if position < len(segment) else ""


def read(data: bytes) -> Interchange:
    """Cut an interchange and check its envelope.

    Raises:
        NotX12: no ISA can be made out, so there is no number to answer.
    """
    text = data.decode("latin-1").lstrip()
    if not text.startswith("ISA") or len(text) < 106:
        raise NotX12("no ISA segment")
    mark = text[3]
    if mark.isalnum() or mark.isspace():
        raise NotX12("the element separator is a letter, a digit or a blank")
    parts = text.split(mark, ISA_ELEMENTS)
    if len(parts) <= ISA_ELEMENTS or len(parts[ISA_ELEMENTS]) < 2:
        raise NotX12("the ISA segment is cut off")
    component, end = parts[ISA_ELEMENTS][0], parts[ISA_ELEMENTS][1]
    rest = text[len(mark.join(parts[:ISA_ELEMENTS])) + 3 :]
    marks = Marks(mark, end, component, line_break=rest[:1] in "\r\n")
    read_as = Interchange(parts[6].strip(), parts[8].strip(), parts[13], parts[9], parts[10], marks)
    if end.isalnum() or end == mark:
        read_as.note = BAD_SEPARATOR
        return read_as
    segments = [piece.strip("\r\n").split(mark) for piece in rest.split(end)]
    tail = segments.pop()
    _cut(read_as, segments, unfinished=tail != [""])
    return read_as


def _cut(interchange: Interchange, segments: list[Segment], *, unfinished: bool) -> None:
    group: Group | None = None
    open_set: list[Segment] | None = None
    ended = False
    for segment in segments:
        name = segment[0]
        if ended:
            interchange.note = BAD_STRUCTURE
        elif name == "TA1" and group is None:
            interchange.replies.append(segment)
        elif name == "GS" and group is None:
            group = Group(element(segment, 1), element(segment, 6))
        elif name == "ST" and group is not None and open_set is None:
            open_set = [segment]
        elif name == "SE" and group is not None and open_set is not None:
            group.transactions.append(_close(open_set, segment))
            open_set = None
        elif name == "GE" and group is not None and open_set is None:
            interchange.groups.append(_close_group(group, segment))
            group = None
        elif name == "IEA":
            ended = True
            _close_interchange(interchange, segment)
            if group is not None:
                interchange.note = BAD_STRUCTURE
        elif open_set is not None:
            open_set.append(segment)
        else:
            interchange.note = BAD_STRUCTURE
    if not ended or unfinished:
        interchange.note = CUT_OFF


def _close(opened: list[Segment], trailer: Segment) -> Transaction:
    code, number = element(opened[0], 1), element(opened[0], 2)
    wrong = []
    if element(trailer, 2) != number:
        wrong.append("3")
    if element(trailer, 1) != str(len(opened) + 1):
        wrong.append("4")
    return Transaction(code, number, opened[1:], wrong)


def _close_group(group: Group, trailer: Segment) -> Group:
    if element(trailer, 2) != group.number:
        group.wrong.append("4")
    if element(trailer, 1) != str(len(group.transactions)):
        group.wrong.append("5")
    return group


def _close_interchange(interchange: Interchange, trailer: Segment) -> None:
    if element(trailer, 2) != interchange.number:
        interchange.note = NUMBER_MISMATCH
    elif element(trailer, 1).lstrip("0") != (str(len(interchange.groups)) if interchange.groups else ""):
        interchange.note = BAD_GROUP_COUNT


@dataclass(frozen=True)
class Envelope:
    """Who writes to whom, and how."""

    sender: str
    receiver: str
    marks: Marks = Marks()


def _isa(envelope: Envelope, number: int, now: datetime) -> str:
    marks = envelope.marks
    elements = [
        "ISA",
        "00",
        " " * 10,
        "00",
        " " * 10,
        "ZZ",
        envelope.sender.ljust(15),
        "ZZ",
        envelope.receiver.ljust(15),
    ]
    elements += [f"{now:%y%m%d}", f"{now:%H%M}", "U", "00401", f"{number:09d}", "0", "P", marks.component]
    return marks.element.join(elements)


def write(envelope: Envelope, code: str, segments: list[Segment], numbers: tuple[int, int, int]) -> bytes:
    """One transaction set in an interchange of its own, under these numbers (ISA13, GS06, ST02)."""
    now = datetime.now(UTC)
    interchange, group, transaction = numbers
    mark = envelope.marks.element
    inner = [["ST", code, f"{transaction:04d}"], *segments]
    inner.append(["SE", str(len(inner) + 1), f"{transaction:04d}"])
    heading = ["GS", GROUPS[code], envelope.sender, envelope.receiver, f"{now:%Y%m%d}", f"{now:%H%M}", str(group), "X"]
    whole = [[*heading, "004010"], *inner, ["GE", "1", str(group)], ["IEA", "1", f"{interchange:09d}"]]
    return _joined(envelope, [_isa(envelope, interchange, now), *(mark.join(_trimmed(segment)) for segment in whole)])


def write_ta1(envelope: Envelope, answered: Interchange, number: int) -> bytes:
    """A TA1 for an interchange whose envelope does not hold (or was seen before), in an interchange of its own."""
    now = datetime.now(UTC)
    reply = ["TA1", answered.number, answered.dated, answered.timed, "R", answered.note]
    mark = envelope.marks.element
    texts = [_isa(envelope, number, now), mark.join(reply), mark.join(["IEA", "0", f"{number:09d}"])]
    return _joined(envelope, texts)


def _trimmed(segment: Segment) -> Segment:
    while len(segment) > 1 and not segment[-1]:
        segment = segment[:-1]
    return segment


def _joined(envelope: Envelope, texts: list[str]) -> bytes:
    end = envelope.marks.segment + ("\n" if envelope.marks.line_break else "")
    return "".join(text + end for text in texts).encode("latin-1", errors="replace")
