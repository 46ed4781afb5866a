"""Which messages tell of people who work here, and what one says of them as it is read today: who opens one is noted with each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from canonical.errors import Malformed, Rejected
from canonical.messages import Kept
from canonical.people import HrEvent
from canonical.senders import Sender
from formats import hl7
from formats.hl7_batch import is_batch, split
from gateway import registry
from gateway.hl7_door import BATCH, BROKEN, DOOR
from gateway.hl7_verdict import UNKNOWN_KIND, kind_of, read_header
from gateway.reading import Reader

STAFF: Final = frozenset(
    {
        *(kind for _, kind in registry.HL7_FEEDS if kind.startswith("PMU^")),
        *("PMU", "MFN^M02", "hr_event", "scim_user", "csv_people"),
        *(kind for kind, name in registry.CSV_PARTS.items() if name == "people"),
    }
)
"""Kinds of messages about staff, in or out."""
STAFF_RESOURCES: Final = ("/Practitioner", "/PractitionerRole")
UNCUT: Final = frozenset({BATCH, BROKEN, UNKNOWN_KIND})
"""Kinds of HL7 that was not cut into messages of a kind: about staff where its sender may tell of them."""


def tells_of_staff(message: Kept, sender: Sender | None) -> bool:
    """Whether names of staff may stand in it. ``sender``: its row, where it has one; nobody knows what a stranger sent."""
    if message.kind in STAFF or message.kind.startswith("PMU^") or message.kind.endswith(STAFF_RESOURCES):
        return True
    if message.kind not in UNCUT or message.door != DOOR or message.direction == "out":
        return False
    return sender is None or any(sender.takes(kind) for kind in STAFF)


async def said_of_staff(reader: Reader, message: Kept, sender: Sender | None) -> tuple[HrEvent, ...]:
    """The HR events it says as it is read today; none of what cannot be read.

    Raises:
        Unavailable: the register is away.
    """
    if sender is None or message.direction == "out":
        return ()
    found: list[HrEvent] = []
    for one in _apart(message, sender):
        try:
            found += await _events(reader, one, sender)
        except (Malformed, Rejected):
            continue
    return tuple(found)


async def _events(reader: Reader, message: Kept, sender: Sender) -> list[HrEvent]:
    if message.kind in registry.CSV_KINDS or message.kind in registry.CSV_PARTS:
        parts = (await reader.rows(message, sender)).parts()
        return [part.noun for part in parts if isinstance(part.noun, HrEvent)]
    feed = reader.feed(message, sender)
    nouns = await reader.read(feed, sender) if feed is not None else ()
    return [noun for noun in nouns if isinstance(noun, HrEvent)]


def _apart(message: Kept, sender: Sender) -> Iterator[Kept]:
    """A message; of a batch, each in it."""
    if message.kind != BATCH or not is_batch(message.data):
        yield message
        return
    try:
        whole = split(message.data).messages
    except Malformed:  # it is not whole: none of it was taken
        return
    for data in whole:
        try:
            kind = kind_of(read_header(data, sender, hl7.header(data)))
        except Malformed:
            continue
        yield message.model_copy(update={"data": data, "kind": kind})
