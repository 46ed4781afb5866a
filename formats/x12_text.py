"""Cuts what a partner sent into interchanges, groups, documents and segments, without judging them.

The envelope is found by counting separators, not by position: real files collapse the padding of ISA. Nothing is
normalised or dropped; what does not belong anywhere is kept beside the place it stood.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from canonical.errors import Malformed

ISA_ELEMENTS = 16
LONGEST_HEADER = 400  # characters; a proper ISA has 106
ISA_WIDTHS = (2, 10, 2, 10, 2, 15, 2, 15, 6, 4, 1, 5, 9, 1, 1)
BLANKS = " \t\r\n"  # not str.isspace: 0x1c to 0x1f are separators to some partners
PADDING = BLANKS + "\x00\x1a"  # what programs and old transfers put around segments and after the end
REPEATS_SINCE = "00402"  # before this version ISA11 is a standards identifier ("U"), not a mark
BYTE_ORDER_MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
START = re.compile(r"ISA(?=[^A-Za-z0-9 \t\r\n])")
AFTER_HEADER = re.compile(r"(?:GS|TA1|IEA|ISA|ISB|ISE)(?=[^A-Za-z0-9 \t\r\n])")


@dataclass(frozen=True, slots=True)
class Separators:
    """The marks one interchange is written with. ``repetition`` is empty where the version has none."""

    element: str = "*"
    segment: str = "~"
    component: str = ">"
    repetition: str = ""
    line_break: bool = True

    @property
    def marks(self) -> str:
        """Every character that data may not hold."""
        return self.element + self.segment + self.component + self.repetition


@dataclass(frozen=True, slots=True)
class Segment:
    """A name and its elements as text. ``position`` counts from the document's ST, which is 1."""

    name: str
    elements: tuple[str, ...] = ()
    position: int = 0

    def __getitem__(self, number: int) -> str:
        """Element ``number`` (``segment[1]`` is BEG01 of a BEG), empty where it was not sent."""
        return self.elements[number - 1] if 0 < number <= len(self.elements) else ""

    def pairs(self, first: int) -> dict[str, str]:
        """Qualifier and value pairs from element ``first`` on (PO106/07, 08/09, ...); the first of a kind wins."""
        found: dict[str, str] = {}
        for number in range(first, len(self.elements) + 1, 2):
            if self[number] and self[number + 1]:
                found.setdefault(self[number], self[number + 1])
        return found


@dataclass(slots=True)
class Document:
    """One transaction set: everything from ST to SE."""

    header: Segment
    body: list[Segment] = field(default_factory=list)
    trailer: Segment | None = None

    @property
    def code(self) -> str:
        """Which kind: 850, 855, ..."""
        return self.header[1].strip()

    @property
    def control(self) -> str:
        """ST02."""
        return self.header[2].strip()

    @property
    def segments(self) -> list[Segment]:
        """ST, what is between, and SE where it is there."""
        return [self.header, *self.body, *([self.trailer] if self.trailer else [])]


@dataclass(slots=True)
class Group:
    """One functional group: GS, its documents, GE, and segments that stand in none of them."""

    header: Segment
    documents: list[Document] = field(default_factory=list)
    trailer: Segment | None = None
    stray: list[Segment] = field(default_factory=list)

    @property
    def functional_id(self) -> str:
        """GS01: PO, PR, SH, IN, FA, ..."""
        return self.header[1].strip()

    @property
    def control(self) -> str:
        """GS06."""
        return self.header[6].strip()

    @property
    def version(self) -> str:
        """GS08."""
        return self.header[8].strip()


@dataclass(slots=True)
class Interchange:
    """One envelope as it came: ISA, groups, TA1 segments, IEA, and the very bytes it was read from."""

    header: Segment
    separators: Separators
    raw: bytes
    encoding: str
    junk: str = ""
    groups: list[Group] = field(default_factory=list)
    answers: list[Segment] = field(default_factory=list)
    trailer: Segment | None = None
    stray: list[Segment] = field(default_factory=list)
    ended: bool = True

    @property
    def sender(self) -> tuple[str, str]:
        """Qualifier and id of who sent it (ISA05, ISA06)."""
        return self.header[5].strip(), self.header[6].strip()

    @property
    def receiver(self) -> tuple[str, str]:
        """Qualifier and id of whom it is for (ISA07, ISA08)."""
        return self.header[7].strip(), self.header[8].strip()

    @property
    def control(self) -> str:
        """ISA13."""
        return self.header[13].strip()

    @property
    def version(self) -> str:
        """ISA12."""
        return self.header[12].strip()

    @property
    def wants_answer(self) -> bool:
        """ISA14: the sender asks for a TA1 even where all is well."""
        return self.header[14].strip() == "1"

    @property
    def usage(self) -> str:
        """ISA15: P production, T test."""
        return self.header[15].strip()

    @property
    def key(self) -> str:
        """Both parties and ISA13: what makes an interchange the same one when it comes again."""
        return "/".join([*self.sender, *self.receiver, self.control])

    @property
    def digest(self) -> str:
        """SHA-256 over its bytes; the same key with another digest is a conflict."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def documents(self) -> list[tuple[Group, Document]]:
        """Every document with its group, in the order they came."""
        return [(group, document) for group in self.groups for document in group.documents]


def read(data: bytes) -> list[Interchange]:
    """All interchanges in a file.

    Raises:
        Malformed: there is no envelope in it, or one so broken that nobody can be answered: keep, list, alert.
    """
    encoding, text = _decoded(data)
    starts = _starts(text)
    found: list[Interchange] = []
    failure = Malformed("No ISA segment: nobody can be answered", path="ISA", code="no-envelope")
    taken = 0
    for start in starts:
        if start < taken:  # "ISA" within the data of the interchange before
            continue
        try:
            header = _header(text, start)
        except Malformed as broken:
            failure = broken if not found else failure
            continue
        junk = text[taken:start].strip(PADDING)
        interchange, taken = _interchange(text, start, header, frozenset(starts), encoding)
        interchange.junk = junk
        found.append(interchange)
    if not found:
        raise failure
    found[-1].junk += text[taken:].strip(PADDING)
    return found


def _decoded(data: bytes) -> tuple[str, str]:
    """X12 names no character set: UTF-8 where it is that, else one character per byte, so that nothing is lost."""
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            try:
                return encoding, data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                break
    try:
        return "utf-8", data.decode("utf-8")
    except UnicodeDecodeError:
        return "latin-1", data.decode("latin-1")


def _starts(text: str) -> list[int]:
    """Where an ISA may begin: anywhere but within a word."""
    return [at for at in (match.start() for match in START.finditer(text)) if at == 0 or not text[at - 1].isalnum()]


def _header(text: str, start: int) -> tuple[Segment, Separators, int]:
    """ISA, the marks, and where the first segment after it begins.

    Raises:
        Malformed: fewer than 16 elements, or a segment end that can also be data.
    """
    element = text[start + 3]
    at = start + 3
    for _ in range(ISA_ELEMENTS - 1):
        at = text.find(element, at + 1, start + LONGEST_HEADER)
        if at < 0:
            raise Malformed("The ISA segment is cut short", path="ISA", code="no-envelope")
    fields = text[start + 4 : at].split(element)
    for number, (value, width) in enumerate(zip(fields, ISA_WIDTHS, strict=True), start=1):
        if len(value.strip()) > width or "\n" in value or "\r" in value:
            raise Malformed(f"ISA{number:02} cannot be read", path=f"ISA{number:02}", code="no-envelope")
    component, segment, after = _ending(text, at + 1)
    for mark, path in ((segment, "segment end"), (component, "ISA16")):
        if mark and (mark.isalnum() or mark == element):
            raise Malformed(f"The {path} is {mark!r}, which can also be data", path=path, code="no-envelope")
    version, eleventh = fields[11].strip(), fields[10].strip()
    repeats = version >= REPEATS_SINCE and len(eleventh) == 1 and not eleventh.isalnum()
    marks = Separators(element, segment, component, eleventh if repeats else "", line_break=segment not in "\r\n")
    return Segment("ISA", (*fields, component)), marks, after


def _ending(text: str, at: int) -> tuple[str, str, int]:
    """ISA16, the segment end, and where the next segment begins.

    ISA16 may be empty, which shifts the segment end by one. One mark and a line break are ambiguous ("*P*>⏎" with the
    line break as segment end, or "*P*~⏎" without ISA16): the end of the next segment tells.
    """
    following = AFTER_HEADER.search(text, at, at + 12)
    between = text[at : following.start()] if following else text[at : at + 2]
    if not between.strip(" \t") or (following is None and len(between) < 2):
        raise Malformed("The ISA segment is cut short", path="ISA16", code="no-envelope")
    after = following.start() if following else at + 2
    first, rest = between[0], between[1:]
    if first in "\r\n":
        return "", first, after
    if not rest.strip(" \t"):
        return ("", first, after) if following else (first, rest or first, after)
    if following and not rest.strip(BLANKS):
        line = re.split(r"[\r\n]", text[after : after + 500], maxsplit=1)[0].rstrip(" \t")
        if line.endswith(first):
            return "", first, after
    if first == rest[0]:
        return "", first, after
    return first, rest[0], after


def _interchange(
    text: str, start: int, header: tuple[Segment, Separators, int], starts: frozenset[int], encoding: str
) -> tuple[Interchange, int]:
    isa, marks, at = header
    found = Interchange(isa, marks, b"", encoding)
    builder = _Builder(found)
    while at < len(text) and found.trailer is None:
        while at < len(text) and text[at] in BLANKS and text[at] != marks.segment:
            at += 1
        if at in starts:  # a new envelope where a segment begins: this one was cut short
            break
        end = text.find(marks.segment, at)
        found.ended = end >= 0
        end = end if found.ended else len(text)
        cut = next((new for new in _line_starts(text, at, end) if new in starts), None)
        if cut is not None:
            end, found.ended = cut - 1, False
        piece = text[at:end].rstrip(PADDING)
        at = end + 1 if end < len(text) else end
        if piece:
            builder.add(piece)
    found.raw = text[start:at].rstrip(PADDING).encode(encoding)
    return found, at


def _line_starts(text: str, at: int, end: int) -> Iterator[int]:
    line = text.find("\n", at, end)
    while line >= 0:
        yield line + 1
        line = text.find("\n", line + 1, end)


def _cut(piece: str, marks: Separators) -> tuple[str, tuple[str, ...]]:
    name, *elements = piece.split(marks.element)
    return name.strip(), tuple(elements)


class _Builder:
    """Puts segments where they belong, in the order they come."""

    def __init__(self, found: Interchange) -> None:
        self._found = found
        self._group: Group | None = None
        self._document: Document | None = None

    def add(self, piece: str) -> None:
        name, elements = _cut(piece, self._found.separators)
        if name in ("GS", "GE", "IEA"):
            self._document = None
        if name == "IEA":
            self._group = None
            self._found.trailer = Segment(name, elements)
        elif name == "GS":
            self._group = Group(Segment(name, elements))
            self._found.groups.append(self._group)
        elif self._group is None:
            (self._found.answers if name == "TA1" else self._found.stray).append(Segment(name, elements))
        elif name == "GE":
            self._group.trailer = Segment(name, elements)
            self._group = None
        elif name == "ST":
            self._document = Document(Segment(name, elements, 1))
            self._group.documents.append(self._document)
        elif self._document is None:
            self._group.stray.append(Segment(name, elements))
        else:
            segment = Segment(name, elements, len(self._document.body) + 2)
            if name == "SE":
                self._document.trailer = segment
                self._document = None
            else:
                self._document.body.append(segment)
