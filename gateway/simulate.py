"""Shows what a message would become if its sender sent it today: read as its door and feed would, nothing kept, nothing sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import date

from pydantic import Field, SerializeAsAny

from canonical.base import Canonical
from canonical.errors import Malformed
from canonical.parties import Partner
from canonical.senders import Mapping, Sender
from formats import hl7, x12
from gateway.mapping import in_force
from gateway.registry import X12_KINDS, hl7_feed, read_hl7, read_x12, read_x12_ta1

FRAMES = re.compile(rb"\x0b(.*?)\x1c\r?", re.DOTALL)  # MLLP around each message, where the file is a capture
NOT_CODE = re.compile(r"[^A-Za-z0-9._-]+")


class Problem(Canonical):
    """What is wrong, and where."""

    path: str = ""
    reason: str
    refuses: bool = True


class Simulated(Canonical):
    """What one message (or document of an interchange) would become.

    ``known``: whether the sender has a row in the register; without one it is read as if it spoke our codes. ``nouns`` are what
    its feed would give, ``reads`` says whether there is a feed at all.
    """

    kind: str = ""
    control: str = ""
    sender: str = ""
    facility: str = ""
    known: bool = False
    reads: bool = False
    problems: tuple[Problem, ...] = ()
    nouns: tuple[SerializeAsAny[Canonical], ...] = Field(default=())

    @property
    def refused(self) -> bool:
        """Whether something in it keeps it from being read."""
        return any(problem.refuses for problem in self.problems)


class Book:
    """Who sends to us and how each is understood, as of a day."""

    def __init__(
        self,
        as_of: date,
        senders: Iterable[Sender] = (),
        mappings: Iterable[Mapping] = (),
        partners: Iterable[Partner] = (),
    ) -> None:
        self.as_of = as_of
        self.senders = {one.code: one for one in senders}
        self.mappings = tuple(mappings)
        self.partners = tuple(partners)

    def sender(self, named: str, head: hl7.Header, facility: str) -> tuple[Sender, bool]:
        """The sender of that name, else the one whose row MSH-3 and MSH-4 fit; made up from them where there is none.

        Raises:
            Malformed: a name nobody has, where senders are known.
        """
        if named and self.senders:
            return self.named(named), True
        application, site = head.sender
        fitting = [
            one
            for one in self.senders.values()
            if application in one.applications and (not one.facilities or site in one.facilities)
        ]
        if fitting:
            return fitting[0], True
        code = code_of(named or application) or "UNKNOWN"
        return Sender(code=code, facility=code_of(facility or site) or "UNKNOWN", addresses=("127.0.0.1",)), False

    def named(self, name: str) -> Sender:
        """The sender of that name.

        Raises:
            Malformed: nobody has it.
        """
        if name not in self.senders:
            reason = f"no sender {name} in the register: {', '.join(sorted(self.senders))}"
            raise Malformed(reason, path="sender", code="not-found")
        return self.senders[name]

    def partner(self, named: str, interchange: x12.Interchange) -> tuple[Partner, bool]:
        """The partner of that name, else the one of ISA06; made up from it where there is none.

        Raises:
            Malformed: a name nobody has, where partners are known.
        """
        found = [one for one in self.partners if named in (one.code, one.supplier)] if named else []
        if named and self.partners and not found:
            raise Malformed(f"no partner {named} in the register", path="sender", code="not-found")
        found = found or [one for one in self.partners if (one.qualifier, one.id) == interchange.sender]
        if found:
            return found[0], True
        code = code_of(named or interchange.sender[1]) or "UNKNOWN"
        return Partner(code=code, id=interchange.sender[1][:15], our_id=interchange.receiver[1][:15], version=""), False


def simulate(data: bytes, book: Book, *, sender: str = "", facility: str = "", release: str = "") -> list[Simulated]:
    """What a file of HL7 (messages, batches, MLLP frames), X12, FHIR JSON or CSV would become, message by message.

    ``release`` is that of FHIR (``r4b``, ``r5``), the one it fits where none is named.

    Raises:
        Malformed: it is none of them, or cannot be cut into messages.
    """
    start = data.lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\x00")
    if start[:3] == b"ISA":
        return [one for each in x12.read(data) for one in _interchange(each, book, sender)]
    if start[:1] == b"{":
        from gateway import simulate_fhir

        return simulate_fhir.simulate(data, book, sender=sender, facility=facility, release=release)
    if start[:1] == b"\x0b":
        frames = FRAMES.findall(start)
        if not frames:
            raise Malformed("an MLLP frame that does not end", path="file", code="data-invalid")
        return [_hl7(one, book, sender, facility) for one in frames]
    if start.replace(b"\x00", b"")[:3] not in (b"MSH", b"FHS", b"BHS"):
        from gateway import simulate_csv

        return [simulate_csv.simulate(data, book, sender=sender, facility=facility)]
    return [_hl7(one, book, sender, facility) for one in _messages(data)]


def _messages(data: bytes) -> Sequence[bytes]:
    """The messages of a file, with batch envelopes or without; a lone one as its bytes are."""
    try:
        found = hl7.split(data).messages
    except Malformed:
        if hl7.is_batch(data):
            raise
        return [data]
    return found if len(found) > 1 or hl7.is_batch(data) else [data]


def _hl7(data: bytes, book: Book, named: str, facility: str) -> Simulated:
    try:
        head = hl7.header(data)
    except Malformed as wrong:
        return Simulated(problems=(_problem(wrong),))
    kind = f"{head.type}^{head.event}" if head.event else head.type
    said, known = book.sender(named, head, facility)
    feed = hl7_feed(kind, said.code)
    about = Simulated(
        kind=kind, control=head.control, sender=said.code, facility=said.facility, known=known, reads=feed is not None
    )
    problems = [Problem(path=fault.path, reason=fault.text, refuses=fault.severity in "EF") for fault in head.faults]
    if not said.takes(kind):
        problems.append(Problem(path="MSH-9", reason=f"{kind} is not in the scope of {said.code}"))
    nouns: tuple[Canonical, ...] = ()
    try:
        message = hl7.read(data, default=said.character_set or hl7.DEFAULT_SET)
        problems += _structure(message, said)
        if feed is not None:
            nouns = read_hl7(feed, message, said, in_force(book.mappings, said.code, book.as_of))
    except Malformed as wrong:
        problems.append(_problem(wrong))
    return about.model_copy(update={"problems": tuple(dict.fromkeys(problems)), "nouns": nouns})


def _structure(message: hl7.Message, sender: Sender) -> list[Problem]:
    """What the structure check of the door would say, and whether that refuses the message by the sender's row."""
    if sender.check == "off":
        return []
    tolerate = hl7.LATER_VERSION if sender.later_version else frozenset()
    report = hl7.check(message, z_segments=sender.z_segments, tolerate=tolerate)
    strict = sender.check == "refuse"
    return [Problem(path=one.path, reason=one.text, refuses=strict) for one in report.errors]


def _interchange(interchange: x12.Interchange, book: Book, named: str) -> list[Simulated]:
    partner, known = book.partner(named, interchange)
    versions = (partner.version,) if partner.version else ()
    report = x12.check(interchange, versions=versions, kinds=X12_KINDS, allow_unknown=partner.allow_unknown)
    about = Simulated(sender=partner.code, facility=partner.facility or "", known=known, reads=True)
    found = []
    if report.status == "R":
        problem = Problem(path="ISA", reason="; ".join(report.refused))
        found.append(about.model_copy(update={"kind": "ISA", "control": interchange.control, "problems": (problem,)}))
    if answers := read_x12_ta1(interchange, partner):
        found.append(about.model_copy(update={"kind": "TA1", "control": interchange.control, "nouns": answers}))
    taken = {id(document) for _, document in report.accepted}
    for group in report.groups:
        for one in group.documents:
            words = [word for error in one.errors for word in error.words]
            fine = id(one.document) in taken
            problems = [Problem(path=word.partition(",")[0], reason=word, refuses=not fine) for word in words]
            if not fine and not problems:
                problems = [Problem(path="ST", reason="; ".join(report.refused) or "refused")]
            nouns: tuple[Canonical, ...] = ()
            try:
                nouns = read_x12(interchange, one.document, partner) if fine else ()
            except Malformed as wrong:
                problems.append(_problem(wrong))
            said = {"kind": one.document.code, "control": one.document.control}
            found.append(about.model_copy(update={**said, "problems": tuple(problems), "nouns": nouns}))
    return found


def _problem(wrong: Malformed) -> Problem:
    return Problem(path=wrong.path, reason=wrong.message)


def code_of(text: str) -> str:
    """A text as a code of ours can be."""
    return NOT_CODE.sub("-", text).strip("-._")[:40]
