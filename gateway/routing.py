"""Reads what was kept and brings it where it belongs: the second half of the corridor, for messages in streams.

Routing a message twice has the effect of once: whoever takes what it says knows it by its own number. What a feed cannot read, and
what nobody takes, is a dead letter with its sender's owner, and by the sender's policy its own stream waits behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from canonical.base import Canonical
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.messages import APART, Kept, Move
from canonical.ports import Journal
from canonical.purchasing import Requisition
from canonical.senders import Sender
from formats import fhir
from formats.hl7_faults import DATA_TYPE, INTERNAL_ERROR, Fault
from gateway import acknowledgements, registry
from gateway.directory import Directory
from gateway.fhir_judge import DOOR as FHIR_DOOR
from gateway.fhir_judge import ENTRIES_KEPT
from gateway.hl7_door import BATCH
from gateway.hl7_refusals import fault_of
from gateway.intake import Conflict, Ended, Intake, reason_of
from gateway.reading import Reader

Taker = Callable[[Kept, Sender, Canonical], Awaitable[str]]
"""Brings what a message says to whom it concerns, and gives the case if there is one. Raises as a port does."""
TakerOfAll = Callable[[Kept, Sender, Sequence[Canonical]], Awaitable[str]]
"""As a taker, of everything of one kind that a message says, at once: all of it or nothing. It may raise NotTaken for some of it."""
ONE_BY_ONE: Final = "its messages are kept one by one"
NOTHING_READS_IT: Final = "kept, nothing reads it"

log = structlog.get_logger(__name__)


class Refuser(Protocol):
    """Tells who asked that it cannot be taken."""

    async def tell(self, message: Kept, sender: Sender, fault: Fault, numbers: Sequence[str] = ()) -> str: ...


class NotTaken(Exception):
    """Some of what a message says was not taken: why, and which requisitions that are (none named: all of it)."""

    def __init__(self, why: Rejected | Malformed, numbers: Sequence[str] = ()) -> None:
        super().__init__(why.message)
        self.why = why
        self.numbers = numbers


class Routing:
    """Where each kept message of a stream goes, HL7 or FHIR. ``takers``: by what it says, in our language, ``takers_of_all`` those
    that take all of their kind at once; ``refuser`` tells who asked of a no; ``credit`` notes what answers messages of ours."""

    def __init__(
        self,
        journal: Journal,
        intake: Intake,
        directory: Directory,
        takers: Mapping[type[Canonical], Taker],
        *,
        credit: acknowledgements.Credit | None = None,
        feed_for: Callable[[str, str], registry.Hl7Feed | None] = registry.hl7_feed,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        refuser: Refuser | None = None,
        takers_of_all: Mapping[type[Canonical], TakerOfAll] | None = None,
    ) -> None:
        self._journal = journal
        self._intake = intake
        self._credit = credit
        self._takers = dict(takers)
        self._of_all = dict(takers_of_all or {})
        self._refuser = refuser
        self.reader = Reader(directory, feed_for=feed_for, clock=clock)

    async def route(self, message: Kept) -> Move:
        """Bring a message where it belongs; gives the state it has by that, for the caller to write down.

        Raises:
            Unavailable, Throttled: something it needs is away. Nothing behind it in its stream may go first.
        """
        if message.reason.startswith(APART):  # its door ended before it could say so
            return Move(message=message.id, state="refused", reason=message.reason)
        if message.kind == BATCH:
            return Move(message=message.id, state="routed", reason=ONE_BY_ONE)
        sender = await self.reader.sender(message.sender)
        if sender is None:
            return await self._dead(message, None, "its sender is not in the register")
        try:
            return await self._routed(message, sender)
        except (Unavailable, Throttled):
            raise
        except NotTaken as some:
            return await self._not_taken(message, sender, some)
        except Exception as bug:
            log.exception("message could not be routed", message=message.id, kind=message.kind)
            fault = Fault(INTERNAL_ERROR, "internal", "We could not read it; a person looks at it")
            return await self._dead(message, sender, f"unexpected {type(bug).__name__} while routing", fault)

    async def _routed(self, message: Kept, sender: Sender) -> Move:
        if self._credit is not None and acknowledgements.is_ours(message.kind, sender):
            try:
                return await acknowledgements.credited(message, sender, self._credit)
            except Malformed as unreadable:  # nobody waits to be told of it
                return await self._dead(message, sender, reason_of(unreadable))
        feed = self.reader.feed(message, sender)
        if feed is None:
            return Move(message=message.id, state="routed", reason=NOTHING_READS_IT)
        try:
            nouns = await self.reader.read(feed, sender)
        except (Rejected, Malformed) as no:
            raise NotTaken(no) from no
        cases: list[str] = []
        wrong: Rejected | Malformed | None = None
        numbers: list[str] = []
        for some in self._lots(nouns):  # what is wrong with one keeps no other from going where it belongs
            try:
                cases.append(await self._taken(message, sender, some))
            except NotTaken as no:
                wrong = wrong or no.why
                numbers += no.numbers
            except (Rejected, Malformed) as no:
                wrong = wrong or no
                numbers += [str(getattr(noun, "number", "")) for noun in some]
        if wrong is not None:
            raise NotTaken(wrong, numbers)
        in_bundle = message.door == FHIR_DOOR and message.kind.endswith(fhir.BUNDLE)
        reason = "" if nouns else ENTRIES_KEPT if in_bundle else "read: nothing in it is for us"
        return Move(message=message.id, state="routed", reason=reason, case=next(filter(None, cases), ""))

    def _lots(self, nouns: Sequence[Canonical]) -> list[list[Canonical]]:
        """One by one; those whose taker takes all of their kind together, where the first of them stands."""
        lots: list[list[Canonical]] = []
        together: dict[type[Canonical], list[Canonical]] = {}
        for noun in nouns:
            kind = type(noun)
            if kind in together:
                together[kind].append(noun)
                continue
            lots.append([noun])
            if kind in self._of_all:
                together[kind] = lots[-1]
        return lots

    async def _taken(self, message: Kept, sender: Sender, nouns: Sequence[Canonical]) -> str:
        kind = type(nouns[0])
        if of_all := self._of_all.get(kind):
            return await of_all(message, sender, nouns)
        taker = self._takers.get(kind)
        if taker is None:
            raise Rejected(f"nobody takes a {kind.__name__}", code="configuration")
        return await taker(message, sender, nouns[0])

    async def _not_taken(self, message: Kept, sender: Sender, some: NotTaken) -> Move:
        why = some.why
        if isinstance(why, Conflict) and not isinstance(why, Ended):  # the intake has listed it
            await self._tell(message, sender, fault_of(why, DATA_TYPE, why.message), some.numbers)
            await self._wait_behind(message, sender, why.message)
            return Move(message=message.id, state="refused", reason=why.message, case=why.case, owner=sender.owner)
        reason = why.message if isinstance(why, Ended) else reason_of(why)
        return await self._dead(message, sender, reason, fault_of(why, DATA_TYPE, why.message), some.numbers)

    async def _dead(
        self,
        message: Kept,
        sender: Sender | None,
        reason: str,
        fault: Fault | None = None,
        numbers: Sequence[str] = (),
    ) -> Move:
        """Listed, its stream parked, and then dead: cut short anywhere, it is routed again and nothing went past it."""
        owner = f" [owner: {sender.owner}]" if sender is not None and sender.owner else ""
        log.error(
            "dead letter", alert=True, message=message.id, kind=message.kind, sender=message.sender, reason=reason
        )
        facility = sender.facility if sender is not None else ""
        await self._intake.listed("unreadable", message, reason + owner, facility=facility, supplier=message.sender)
        if sender is None:
            return Move(message=message.id, state="dead", reason=reason)
        if fault is not None:
            await self._tell(message, sender, fault, numbers)
        await self._wait_behind(message, sender, reason)
        return Move(message=message.id, state="dead", reason=reason, owner=sender.owner)

    async def _tell(self, message: Kept, sender: Sender, fault: Fault, numbers: Sequence[str]) -> None:
        """Its sender was told that we have it, and would else wait for a reply that never comes."""
        if self._refuser is not None:
            await self._refuser.tell(message, sender, fault, numbers)

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
