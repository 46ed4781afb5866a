"""Writes X12 as the partner's row says: fixed-width ISA, its separators, its ids, and our control numbers.

X12 has no escape character, so a separator inside data cannot be sent: it is refused with its path. What we write is
judged by the same tables as what we read, so nothing leaves that a partner would have to refuse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from canonical.errors import Malformed
from canonical.parties import Partner
from formats.x12_sets import FUNCTIONAL_IDS
from formats.x12_structure import examine
from formats.x12_text import ISA_WIDTHS, Document, Interchange, Segment, Separators

GROUP_VERSION = "004010"
STANDARD = Separators()


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who writes to whom, with which marks, under which control number, when."""

    sender: tuple[str, str]
    receiver: tuple[str, str]
    control: int
    when: datetime
    separators: Separators = STANDARD
    usage: str = "P"
    version: str = GROUP_VERSION
    group_sender: str = ""
    group_receiver: str = ""
    group: int = 0
    transaction_set: int = 1

    @classmethod
    def to_partner(
        cls, partner: Partner, control: int, when: datetime, *, group: int = 0, transaction_set: int = 1
    ) -> Envelope:
        """An envelope from us to a partner. Without a ``group`` number GS06 is that of the interchange."""
        marks = Separators(
            partner.element_separator,
            partner.segment_terminator,
            partner.component_separator,
            line_break=partner.line_break,
        )
        return cls(
            sender=(partner.our_qualifier, partner.our_id),
            receiver=(partner.qualifier, partner.id),
            control=control,
            when=when,
            separators=marks,
            usage=partner.usage,
            version=partner.version,
            group_sender=partner.our_group_id,
            group_receiver=partner.group_id,
            group=group,
            transaction_set=transaction_set,
        )

    @classmethod
    def answering(cls, interchange: Interchange, control: int, when: datetime) -> Envelope:
        """An envelope back to whoever sent an interchange, where there is no partner row for them."""
        return cls(interchange.receiver, interchange.sender, control, when, usage=interchange.usage or "P")


def segment(name: str, *elements: str) -> Segment:
    """A segment to be written; empty elements at its end are left out, as X12 wants it."""
    kept = list(elements)
    while kept and not kept[-1]:
        kept.pop()
    return Segment(name, tuple(kept))


def write(
    envelope: Envelope, documents: Sequence[tuple[str, Sequence[Segment]]], *, answers: Sequence[Segment] = ()
) -> bytes:
    """One interchange with one group of documents of one kind, as (kind, segments between ST and SE), and TA1 segments.

    Raises:
        Malformed: data that this envelope cannot carry, or a document that lacks what its kind must have, with the path.
    """
    marks = envelope.separators
    lines = [_isa(envelope), *(_line(answer, marks) for answer in answers)]
    if documents:
        lines += _group(envelope, documents)
    lines.append(_line(segment("IEA", "1" if documents else "0", f"{envelope.control:09}"), marks))
    ending = marks.segment + ("\n" if marks.line_break and marks.segment not in "\r\n" else "")
    return "".join(line + ending for line in lines).encode("ascii")


def _group(envelope: Envelope, documents: Sequence[tuple[str, Sequence[Segment]]]) -> list[str]:
    kinds = {FUNCTIONAL_IDS[code] for code, _ in documents}
    if len(kinds) != 1:
        raise Malformed("A group holds documents of one kind", path="GS01", code="data-invalid")
    number = str(envelope.group or envelope.control)
    header = segment(
        "GS",
        kinds.pop(),
        envelope.group_sender or envelope.sender[1],
        envelope.group_receiver or envelope.receiver[1],
        f"{envelope.when:%Y%m%d}",
        f"{envelope.when:%H%M}",
        number,
        "X",
        envelope.version,
    )
    whole = [header]
    for count, (code, body) in enumerate(documents, start=envelope.transaction_set):
        whole += _whole(code, f"{count:04}", body).segments
    whole.append(segment("GE", str(len(documents)), number))
    return [_line(one, envelope.separators) for one in whole]


def _whole(code: str, control: str, body: Sequence[Segment]) -> Document:
    """The document with ST and SE, checked by the tables."""
    placed = [Segment(one.name, one.elements, at) for at, one in enumerate(body, start=2)]
    document = Document(
        Segment("ST", (code, control), 1),
        placed,
        Segment("SE", (str(len(body) + 2), control), len(body) + 2),
    )
    for error in examine(document):
        first = error.elements[0] if error.elements else None
        path = f"{error.name}/{error.position}" + (f"/{error.name}{first.number:02}" if first else "")
        raise Malformed(f"A {code} cannot be written: {error.words[0]}", path=path, code="data-invalid")
    return document


def _line(one: Segment, marks: Separators) -> str:
    for number, value in enumerate(one.elements, start=1):
        clash = next((sign for sign in value if sign in marks.marks), "")
        if clash or not (value.isascii() and (value.isprintable() or not value)):
            path = f"{one.name}/{one.position}/{one.name}{number:02}" if one.position else f"{one.name}{number:02}"
            what = f"the separator {clash!r}" if clash else "a character this partner cannot read"
            raise Malformed(f"{path} holds {what}", path=path, code="data-invalid")
    return marks.element.join([one.name, *one.elements])


def _isa(envelope: Envelope) -> str:
    marks = envelope.separators
    if len(set(marks.marks)) != len(marks.marks) or any(sign.isalnum() or sign == " " for sign in marks.marks):
        raise Malformed("The separators must differ and not be letters or digits", path="ISA", code="data-invalid")
    if not 0 < envelope.control <= 999_999_999:
        raise Malformed("A control number has at most nine digits", path="ISA13", code="data-invalid")
    values = (
        *("00", "", "00", ""),
        *envelope.sender,
        *envelope.receiver,
        f"{envelope.when:%y%m%d}",
        f"{envelope.when:%H%M}",
        "U",
        envelope.version[:5],
        f"{envelope.control:09}",
        "0",
        envelope.usage,
    )
    for number, (value, width) in enumerate(zip(values, ISA_WIDTHS, strict=True), start=1):
        if len(value) > width:
            raise Malformed(f"ISA{number:02} is too long", path=f"ISA{number:02}", code="data-invalid")
    _line(Segment("ISA", values), marks)
    padded = [value.ljust(width) for value, width in zip(values, ISA_WIDTHS, strict=True)]
    return marks.element.join(["ISA", *padded, marks.component])
