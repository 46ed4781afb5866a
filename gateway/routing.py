"""Reads what was kept and brings it where it belongs: the second half of the corridor, for messages in streams.

Routing a message twice has the effect of once: whoever takes what it says knows it by its own number. What a feed cannot read, and
what nobody takes, is a dead letter with its sender's owner, and by the sender's policy its own stream waits behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from canonical.base import Canonical
from canonical.errors import FasciaError, Malformed, Rejected, Throttled, Unavailable
from canonical.messages import CONFLICT, Kept, Move
from canonical.ports import Journal
from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from formats import fhir, hl7
from gateway import registry
from gateway.directory import Directory
from gateway.fhir_judge import DOOR as FHIR_DOOR
from gateway.fhir_judge import release_of
from gateway.hl7_door import BATCH
from gateway.hl7_verdict import read_header
from gateway.intake import Conflict, Ended, Intake

Taker = Callable[[Kept, Sender, Canonical], Awaitable[str]]
"""Brings what a message says to whom it concerns, and gives the case if there is one. Raises as a port does."""
Reader = Callable[[Sender, Mappings], tuple[Canonical, ...]]
"""Reads one message by its sender's row and tables of codes."""
BUNDLE: Final = f"/{fhir.BUNDLE}"

NOTHING_READS_IT: Final = "kept, nothing reads it"
FRESH: Final = timedelta(seconds=1)  # what was read of the register before that is read again before anybody is told no

log = structlog.get_logger(__name__)


class Routing:
    """Where each kept message of a stream goes, HL7 or FHIR. ``takers``: by what it says, in our language."""

    def __init__(
        self,
        journal: Journal,
        intake: Intake,
        directory: Directory,
        takers: Mapping[type[Canonical], Taker],
        *,
        feed_for: Callable[[str, str], registry.Hl7Feed | None] = registry.hl7_feed,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._directory = directory
        self._takers = dict(takers)
        self._feed_for = feed_for
        self._clock = clock
        self._looked = datetime.min.replace(tzinfo=UTC)

    async def route(self, message: Kept) -> Move:
        """Bring a message where it belongs; gives the state it has by that, for the caller to write down.

        Raises:
            Unavailable, Throttled: something it needs is away. Nothing behind it in its stream may go first.
        """
        if message.reason.startswith(CONFLICT):  # its door ended before it could say so
            return Move(message=message.id, state="refused", reason=message.reason)
        if message.kind == BATCH or (message.door == FHIR_DOOR and message.kind.endswith(BUNDLE)):
            return Move(message=message.id, state="routed", reason="its messages are kept one by one")
        sender = await self._sender(message)
        if sender is None:
            return await self._dead(message, None, "its sender is not in the register")
        try:
            return await self._routed(message, sender)
        except (Unavailable, Throttled):
            raise
        except Ended as ended:
            return await self._dead(message, sender, ended.message)
        except Conflict as conflict:  # the intake has listed it
            await self._wait_behind(message, sender, conflict.message)
            return Move(message=message.id, state="refused", reason=conflict.message, case=conflict.case)
        except (Rejected, Malformed) as wrong:
            return await self._dead(message, sender, _told(wrong))
        except Exception as bug:
            log.exception("message could not be routed", message=message.id, kind=message.kind)
            return await self._dead(message, sender, f"unexpected {type(bug).__name__} while routing")

    async def _routed(self, message: Kept, sender: Sender) -> Move:
        reader = self._fhir_reader(message) if message.door == FHIR_DOOR else self._hl7_reader(message, sender)
        if reader is None:
            return Move(message=message.id, state="routed", reason=NOTHING_READS_IT)
        nouns = await self._read(reader, sender)
        cases, wrong = [], None
        for noun in nouns:  # what is wrong with one keeps no other from going where it belongs
            try:
                taker = self._takers.get(type(noun))
                if taker is None:
                    raise Rejected(f"nobody takes a {type(noun).__name__}", code="configuration")
                cases.append(await taker(message, sender, noun))
            except (Rejected, Malformed) as no:
                wrong = wrong or no
        if wrong is not None:
            raise wrong
        reason = "" if nouns else "read: nothing in it is for us"
        return Move(message=message.id, state="routed", reason=reason, case=next(filter(None, cases), ""))

    def _hl7_reader(self, message: Kept, sender: Sender) -> Reader | None:
        feed = self._feed_for(message.kind, sender.code)
        if feed is None:
            return None
        head = read_header(message.data, sender, hl7.header(message.data))
        cut = hl7.read(message.data, default=sender.character_set or hl7.DEFAULT_SET, head=head)
        return lambda said, mappings: registry.read_hl7(feed, cut, said, mappings)

    def _fhir_reader(self, message: Kept) -> Reader | None:
        feed = registry.fhir_feed(message.kind, message.sender)
        if feed is None:
            return None
        resource = fhir.read(message.data, release_of(message.kind))
        return lambda said, mappings: registry.read_fhir(feed, resource, said, mappings)

    async def _read(self, reader: Reader, sender: Sender) -> tuple[Canonical, ...]:
        try:
            return reader(sender, self._directory.mappings(sender.code))
        except Malformed:
            if not await self._looked_again():
                raise
        mended = self._directory.sender(sender.code) or sender  # a code or a row of it may have been mended just now
        return reader(mended, self._directory.mappings(sender.code))

    async def _sender(self, message: Kept) -> Sender | None:
        found = self._directory.sender(message.sender)
        if found is None and await self._looked_again():
            found = self._directory.sender(message.sender)
        return found

    async def _looked_again(self) -> bool:
        now = self._clock()
        if now - self._looked < FRESH:
            return False
        await self._directory.refresh()
        self._looked = now
        return True

    async def _dead(self, message: Kept, sender: Sender | None, reason: str) -> Move:
        """Listed, its stream parked, and then dead: cut short anywhere, it is routed again and nothing went past it."""
        owner = f" [owner: {sender.owner}]" if sender is not None and sender.owner else ""
        log.error(
            "dead letter", alert=True, message=message.id, kind=message.kind, sender=message.sender, reason=reason
        )
        facility = sender.facility if sender is not None else ""
        await self._intake.listed("unreadable", message, reason + owner, facility=facility, supplier=message.sender)
        if sender is not None:
            await self._wait_behind(message, sender, reason)
        return Move(message=message.id, state="dead", reason=reason)

    async def _wait_behind(self, message: Kept, sender: Sender, reason: str) -> None:
        if sender.on_dead == "park" and message.stream:
            await self._journal.park(message.stream, message.id, reason)


def requisitions(intake: Intake) -> Taker:
    """Requisitions start their case."""

    async def take(message: Kept, sender: Sender, noun: Canonical) -> str:
        assert isinstance(noun, Requisition)
        data = noun.model_dump_json(exclude_defaults=True).encode()
        started = await intake.requisition(message, noun, data)
        if started.outcome == "kept":
            raise Unavailable("Temporal does not answer, or the case has not taken it yet", system="temporal")
        return started.case

    return take


def _told(wrong: FasciaError) -> str:
    path = getattr(wrong, "path", "")
    where = f" at {path}" if path and path not in wrong.message else ""
    return f"{wrong.code}{where}: {wrong.message}"
