"""Shows what a CSV file would become if its sender put it today: rows read and refused as its feed would, columns nobody reads
named, nothing kept."""

from __future__ import annotations

from canonical.base import Canonical
from canonical.catalogue import CatalogueEntry
from canonical.errors import Malformed
from canonical.senders import Sender
from gateway.csv_parts import catalogue
from gateway.csv_reading import CsvFile, passed_over
from gateway.csv_rows import CsvFeed
from gateway.mapping import in_force
from gateway.registry import CSV_FEEDS, csv_feed
from gateway.simulate import Book, Problem, Simulated, code_of


def simulate(data: bytes, book: Book, *, sender: str = "", facility: str = "") -> Simulated:
    """A file of rows: what its door would refuse it for, what each row that cannot be read says, and what the others are."""
    said, known = _sender(book, sender, facility)
    feed, file = _csv_feed(data, book, said)
    about = Simulated(
        kind=feed.kind, control=file.sheet.number, sender=said.code, facility=said.facility, known=known, reads=True
    )
    problems: list[Problem] = []
    if not said.takes(feed.kind):
        problems.append(Problem(reason=f"{feed.kind} is not in the scope of {said.code}"))
    if file.unread:
        problems.append(Problem(reason=passed_over(file.unread), refuses=False))
    try:
        file.check()
    except Malformed as wrong:
        return about.model_copy(update={"problems": (*problems, Problem(path=wrong.path, reason=wrong.message))})
    nouns: list[Canonical] = []
    for part in file.parts():
        for fault in part.faults:
            path = f"row {fault.row} {fault.column}".strip()
            problems.append(Problem(path=path, reason=fault.reason, refuses=said.bad_rows == "refuse all"))
        if part.noun is not None:
            nouns.append(part.noun)
    entries = tuple(one for one in nouns if isinstance(one, CatalogueEntry))
    if entries:
        nouns = [catalogue(file, said, entries)]
    return about.model_copy(update={"problems": tuple(problems), "nouns": tuple(nouns)})


def _csv_feed(data: bytes, book: Book, sender: Sender) -> tuple[CsvFeed, CsvFile]:
    """The feed that takes notice of most of the file's columns, of those that find what they need."""
    reading: list[tuple[CsvFeed, CsvFile]] = []
    lacking: list[str] = []
    for _, name in CSV_FEEDS:
        feed = csv_feed(name, sender.code)
        assert feed is not None
        try:
            reading.append((feed, CsvFile(data, feed, sender, in_force(book.mappings, sender.code, book.as_of))))
        except Malformed as wrong:
            lacking.append(f"no CSV of {name} ({wrong.message})")
    if not reading:
        reason = f"neither HL7 (MSH, FHS, BHS) nor X12 (ISA) nor FHIR JSON, and {'; '.join(lacking)}"
        raise Malformed(reason, path="file", code="data-invalid")
    return max(reading, key=lambda one: len(one[0].columns & set(one[1].sheet.names)))


def _sender(book: Book, name: str, facility: str) -> tuple[Sender, bool]:
    """The sender of that name, as files have nothing in them that says whose they are; made up where there is none."""
    if name and book.senders:
        return book.named(name), True
    return Sender(code=code_of(name) or "UNKNOWN", facility=code_of(facility) or "UNKNOWN", dialect="file"), False
