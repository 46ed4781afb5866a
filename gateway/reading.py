"""Reads a kept message (HL7, FHIR, rows of a file) as its sender is understood today; changes nothing, so a preview may do it too."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from canonical.base import Canonical
from canonical.errors import Malformed, Rejected
from canonical.messages import Kept
from canonical.senders import Mappings, Sender
from formats import fhir, hl7
from gateway import registry
from gateway.csv_reading import CsvFile
from gateway.directory import Directory
from gateway.fhir_judge import DOOR as FHIR_DOOR
from gateway.fhir_judge import release_of, with_id
from gateway.hl7_verdict import Verdict, answered_no, judge, read_header

FRESH: Final = timedelta(seconds=1)  # what was read of the register before that is read again before anybody is told no

FeedFor = Callable[[str, str], registry.Hl7Feed | None]
Reading = Callable[[Sender, Mappings], tuple[Canonical, ...]]
"""What one message says, by its sender's row and tables of codes. Raises Malformed."""


class Reader:
    """Who a kept message is from, and what it says in our language."""

    def __init__(
        self,
        directory: Directory,
        *,
        feed_for: FeedFor = registry.hl7_feed,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._directory = directory
        self._feed_for = feed_for
        self._clock = clock
        self._looked = datetime.min.replace(tzinfo=UTC)

    async def sender(self, code: str) -> Sender | None:
        """A sender by its code; the register is asked again before it is called unknown."""
        found = self._directory.sender(code)
        if found is None and await self._looked_again():
            found = self._directory.sender(code)
        return found

    def feed(self, message: Kept, sender: Sender) -> Reading | None:
        """What reads it, None where nothing does."""
        if message.door == FHIR_DOOR:
            of_fhir = registry.fhir_feed(message.kind, sender.code)
            return _of_fhir(of_fhir, message) if of_fhir is not None else None
        of_rest = registry.rest_feed(message.kind, sender.code)
        if of_rest is not None:
            return _of_rest(of_rest, message)
        of_hl7 = self._feed_for(message.kind, sender.code)
        return _of_hl7(of_hl7, message) if of_hl7 is not None else None

    async def read(self, reading: Reading, sender: Sender) -> tuple[Canonical, ...]:
        """What it says.

        Raises:
            Malformed: something in it cannot be read, by the register as it is now.
        """
        try:
            return reading(sender, self._directory.mappings(sender.code))
        except Malformed:
            if not await self._looked_again():
                raise
        mended = self._directory.sender(sender.code) or sender  # a code or a row of it may have been mended just now
        return reading(mended, self._directory.mappings(sender.code))

    async def rows(self, message: Kept, sender: Sender) -> CsvFile:
        """A CSV file, or rows of one that were set apart, by the register as it is now.

        Raises:
            Malformed: they cannot be read at all.
            Rejected: such a file is not in the sender's scope any more.
        """
        await self._looked_again()
        mended = self._directory.sender(sender.code) or sender
        feed = registry.csv_feed((registry.CSV_KINDS | registry.CSV_PARTS)[message.kind], sender.code)
        assert feed is not None  # it was taken by one
        if not mended.takes(feed.kind):
            raise Rejected(f"{feed.kind} is not in the scope of sender {sender.code}", code="not-allowed")
        return CsvFile(message.data, feed, mended, self._directory.mappings(sender.code))

    def judged(self, data: bytes, sender: Sender) -> Verdict:
        """How its door would answer it today.

        Raises:
            Malformed: it has no header.
        """
        head = read_header(data, sender, hl7.header(data))
        return judge(data, head, sender, lambda kind, code: self._feed_for(kind, code) is not None)

    def still_refused(self, message: Kept, sender: Sender) -> str:
        """Why its door would say no today, where it said no before; empty where it would take it, or took it."""
        if not (message.state == "refused" and answered_no(message.reason)):
            return ""
        try:
            return self.judged(message.data, sender).reason
        except Malformed as wrong:
            return wrong.message

    async def _looked_again(self) -> bool:
        now = self._clock()
        if now - self._looked < FRESH:
            return False
        await self._directory.refresh()
        self._looked = now
        return True


def _of_hl7(feed: registry.Hl7Feed, message: Kept) -> Reading:
    def reading(sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
        head = read_header(message.data, sender, hl7.header(message.data))
        cut = hl7.read(message.data, default=sender.character_set or hl7.DEFAULT_SET, head=head)
        return registry.read_hl7(feed, cut, sender, mappings)

    return reading


def _of_rest(feed: registry.RestFeed, message: Kept) -> Reading:
    def reading(sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
        return registry.read_rest(feed, message.data, message.control_number, message.at, sender, mappings)

    return reading


def _id_of(message: Kept) -> str:
    """The id in the key it was kept under (``fhir/WARD/r5/DeviceUsage/<id>``); a correction has another's key, and none."""
    parts = message.key.split("/")
    return parts[4] if parts[0] == FHIR_DOOR and len(parts) > 4 else message.version_of or message.id


def _of_fhir(feed: registry.FhirFeed, message: Kept) -> Reading:
    def reading(sender: Sender, mappings: Mappings) -> tuple[Canonical, ...]:
        resource = with_id(fhir.read(message.data, release_of(message.kind)), _id_of(message))
        return registry.read_fhir(feed, resource, sender, mappings)

    return reading
