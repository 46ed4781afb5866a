"""The corridor of FHIR resources: each is known by its sender, checked, kept, and answered once that is durable.

Nothing here knows what a resource is for: that is read and routed later (``gateway/routing.py``). ``docs/fhir.md`` says what is
answered when.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Unavailable
from canonical.messages import KeepResult, Kept, Move, NewMessage
from canonical.ports import Unmatched
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Issue, Release, Resource
from gateway import registry
from gateway.beside import Beside
from gateway.conflicts import taken_as_new, untold
from gateway.directory import Directory
from gateway.fhir_faults import Refused, refusal
from gateway.fhir_judge import (
    DOOR,
    Reads,
    id_of,
    id_without,
    known_by,
    occurred,
    reason,
    same_content,
    subject,
)
from gateway.fhir_looks import look
from gateway.fhir_shelf import Keyed, Shelf, Stored, pending, version_key
from gateway.fhir_tasks import Fulfilment, Messages, Nothing, Tasks
from gateway.keeping import Keeper, Line
from gateway.lookups import Caller
from gateway.problems import trace_id
from gateway.quota import Allowance

SCOPE: Final = "fhir"
SENDERS_EVERY: Final = 5.0  # seconds until a changed row of the register counts
OTHERWISE: Final = (
    "This was sent before with other content: a person looks at it. What changes a resource is a PUT with If-Match"
)

log = structlog.get_logger(__name__)


class DoorJournal(Keeper, Keyed, Messages, Protocol):
    """The journal as this door needs it."""

    async def mark_many(self, moves: Sequence[Move]) -> None: ...


class Listing(Protocol):
    """The list of what a person must look at."""

    async def put_unmatched(self, document: Unmatched) -> None: ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for besides its resource: only if there is no such one (a search); the caller's own key."""

    if_none_exist: str = ""
    idempotency_key: str = ""


class FhirDoor:
    """Takes resources in and shows what was taken. ``patience``: seconds a message may wait to be kept.

    ``fulfilment`` knows what became of requests;
    ``allowance`` counts what senders with a quota send by all doors; without it each door counts for itself.
    """

    def __init__(
        self,
        journal: DoorJournal,
        directory: Directory,
        listing: Listing,
        *,
        secret: bytes = b"",
        patience: float = 20.0,
        allowance: Allowance | None = None,
        fulfilment: Fulfilment | None = None,
        reads: Reads = lambda kind, sender: registry.fhir_feed(kind, sender) is not None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.journal = journal
        self._directory = directory
        self._listing = listing
        self._secret = secret
        self.line = Line(journal, patience=patience, allowance=allowance)
        self._reads = reads
        self._clock = clock
        self.beside = Beside()
        self.shelf = Shelf(journal, self.beside)
        self.tasks = Tasks(self.shelf, journal, fulfilment or Nothing())
        self._looked = -SENDERS_EVERY

    async def close(self) -> None:
        """End what is under way."""
        await self.line.close()
        await self.beside.close()

    async def sender(self, who: Caller, host: str) -> Sender:
        """Whose row of the register the caller's key goes with.

        Raises:
            Refused: the key, its sender or its address may not send here.
        """
        if not who.may(SCOPE):
            raise Refused(403, f"This key is not made for {SCOPE}")
        await self._look()
        found = self._directory.sender(who.sender)
        if found is None or found.dialect != DOOR or not found.active:
            raise Refused(403, "The sender of this key has no active row of dialect fhir in the register")
        if found.facility != who.facility:
            raise Refused(403, "This key and the row of its sender are of different facilities")
        if not found.comes_from(host):
            raise Refused(403, "This sender does not send from there")
        return found

    async def _look(self) -> None:
        if time.monotonic() - self._looked < SENDERS_EVERY:
            return
        try:
            await self._directory.refresh()
        except Unavailable:
            if self._looked < 0:
                raise
        self._looked = time.monotonic()

    # ---- in -----------------------------------------------------------------------------------------------------------

    async def create(self, sender: Sender, release: Release, resource_type: str, data: bytes, wish: Wish) -> Stored:
        """Keep a resource, or find that it is here already.

        Raises:
            Refused: it may not be taken; it is kept all the same, with the reason.
            NotKept: our database or the sender's quota made it wait too long; nothing is kept.
        """
        try:
            resource = await self._looked_at(sender, release, resource_type, data)
            if wish.if_none_exist and (
                there := await self.shelf.there(sender, release, resource_type, wish.if_none_exist)
            ):
                return there
        except (Refused, fhir.Unreadable) as no:
            raise await self.refused(sender, release.kind(resource_type), data, refusal(no)) from None
        name = self.name(resource, data, wish.idempotency_key)
        (result,) = await self.keep(sender, [self.new(sender, resource, name, data)])
        return await self.stored(sender, resource, name, result, wished=bool(wish.if_none_exist))

    async def _looked_at(self, sender: Sender, release: Release, resource_type: str, data: bytes) -> Resource:
        read = self.read_of(sender, release)
        looked = await self.beside.run(len(data), look, data, release, sender, read, resource_type)
        if looked.tolerated:
            log.warning(
                "resource taken with faults", sender=sender.code, kind=looked.resource.kind, faults=looked.tolerated
            )
        return looked.resource

    def read_of(self, sender: Sender, release: Release) -> dict[str, bool]:
        """By kind, whether anybody reads it from this sender."""
        return {kind: self._reads(kind, sender.code) for kind in map(release.kind, release.types)}

    async def update(
        self, sender: Sender, release: Release, resource_type: str, name: str, data: bytes, if_match: str
    ) -> Stored:
        """Keep a new version of a resource; the same as it is now makes none. What follows of it is read and routed like any other.

        Raises:
            Refused: it may not be taken, there is no such resource, or the sender changes a version that is not the newest.
            NotKept: our database or the sender's quota made it wait too long; nothing is kept.
        """
        try:
            resource = await self._looked_at(sender, release, resource_type, data)
            if resource.tree.get("id") != name:
                raise Refused(400, [Issue("value", "This is not the id of the address", f"{resource_type}.id")])
            now = await self.shelf.read(sender, release, resource_type, name)
            if now is None:
                raise Refused(405, "There is no such resource to change: it is created by POST")
            if resource.identifier != now.resource.identifier or resource.group != now.resource.group:
                text = "An update does not change what a resource is known by"
                raise Refused(422, [Issue("business-rule", text, f"{resource_type}.identifier")])
            if await self.beside.run(len(data) + len(now.kept.data), same_content, now.kept.data, data):
                return now
            if not if_match:
                raise Refused(428, "Say which version you change: If-Match with the ETag you read")
            if not matches(if_match, now.version):
                raise Refused(412, [Issue("conflict", "It was changed since: read it again")])
        except (Refused, fhir.Unreadable) as no:
            raise await self.refused(sender, release.kind(resource_type), data, refusal(no)) from None
        version = now.version + 1
        message = self.new(sender, resource, name, data, version=version)
        (result,) = await self.keep(sender, [message])
        if result.outcome == "conflict" and await self.as_before(result) is None:  # another change took the number
            late = Refused(412, [Issue("conflict", "It was changed at the same time: read it again")])
            why = reason(412, late.issues)
            await self.journal.mark_many([Move(message=result.message.id, state="refused", reason=why)])
            raise late
        kept = result.first if result.outcome == "conflict" and result.first else result.message
        return Stored(name, resource, kept, created=False, version=version)

    def name(self, resource: Resource, data: bytes, otherwise: str = "") -> str:
        """The id of a resource; ``otherwise`` is what it is known by where it has no identifier, else its bytes."""
        if (identifier := resource.identifier) is not None:
            return id_of(identifier)
        return id_without("key", otherwise) if otherwise else id_without(data)

    def new(
        self, sender: Sender, resource: Resource, name: str, data: bytes, refused: str = "", *, version: int = 1
    ) -> NewMessage:
        """A version of a resource as a message to keep. Its id names it for as long as it is kept."""
        identifier = resource.identifier
        return NewMessage(
            door=DOOR,
            data=data,
            sender=sender.code,
            kind=resource.kind,
            control_number=identifier.value[:200] if identifier else "",
            key=version_key(known_by(sender, resource.release, resource.type, name), version),
            stream=f"{DOOR}/{sender.code}/{subject(resource, name, self._secret)}",
            priority=sender.priority_of(resource.kind),
            occurred=occurred(resource),
            trace=trace_id(),
            remember=timedelta(days=sender.keep_for),
            refused=refused,
        )

    async def keep(self, sender: Sender, messages: Sequence[NewMessage]) -> Sequence[KeepResult]:
        """Keep messages by one commit, in line with all others.

        Raises:
            NotKept: see :meth:`Line.kept`.
        """
        place = self.line.join(messages, sender=sender.code, per_minute=sender.per_minute)
        return await self.line.kept(place)

    async def stored(
        self, sender: Sender, resource: Resource, name: str, result: KeepResult, *, wished: bool = False
    ) -> Stored:
        """What a kept resource is answered: the same as the first time where it is here already.

        Raises:
            Refused: its identifier was sent before with other content; it is kept beside the first, for a person.
        """
        if result.outcome == "conflict":
            first = await self.as_before(result)
            if first is None and taken_as_new(result.message):
                return Stored(name, resource, result.message, created=not wished)
            if first is None:
                raise await self.conflict(sender, result)
            await self._taken_by_itself(first)
            return Stored(name, resource, first, created=not wished)
        if result.outcome == "duplicate":
            await self._taken_by_itself(result.message)
            return Stored(name, resource, result.message, created=not wished)
        return Stored(name, resource, result.message)

    async def _taken_by_itself(self, kept: Kept) -> None:
        """What was kept with a transaction that was never whole counts, now that it is sent by itself."""
        if pending(kept):
            await self.journal.mark_many([Move(message=kept.id, state="received", reason="sent again, by itself")])

    async def as_before(self, result: KeepResult) -> Kept | None:
        """The first message, where the new one says the same in other bytes; None where it says something else."""
        first, again = result.first, result.message
        if first is None or not first.data:
            return None
        if not await self.beside.run(len(first.data) + len(again.data), same_content, first.data, again.data):
            return None
        if untold(again):
            why = f"the same content as message {first.id}"
            await self.journal.mark_many([Move(message=again.id, state="routed", reason=why)])
        return first

    async def conflict(self, sender: Sender, result: KeepResult) -> Refused:
        """Other content under a known identifier: refused, and listed for a person once."""
        refused = Refused(409, OTHERWISE)
        first = result.first.id if result.first else ""
        why = f"{reason(409, refused.issues)} (message {first})"
        if untold(result.message):
            await self._list(sender, result.message, why)
            await self.journal.mark_many([Move(message=result.message.id, state="refused", reason=why)])
        return refused

    async def refused(self, sender: Sender, kind: str, data: bytes, why: Refused) -> Refused:
        """Keep what is not taken, with the reason. It takes no identifier: corrected, it comes as a new one."""
        said = reason(why.status, why.issues)
        digest = hashlib.sha256(data).hexdigest()
        message = NewMessage(
            door=DOOR,
            data=data,
            sender=sender.code,
            kind=kind,
            key=f"{DOOR}/{sender.code}/{kind.partition('/')[0]}/refused/{digest}",
            stream=f"{DOOR}/{sender.code}/-/{digest[:32]}",  # of its own: should a person replay it, it is read like any other
            trace=trace_id(),
            remember=timedelta(days=sender.duplicates_for),
            refused=said,
        )
        (result,) = await self.keep(sender, [message])
        if why.status == 409 and result.outcome == "kept":
            await self._list(sender, result.message, said)
        log.warning("resource refused", message=result.message.id, sender=sender.code, kind=kind, reason=said)
        return why

    async def _list(self, sender: Sender, kept: Kept, why: str) -> None:
        row = Unmatched(
            id=f"conflict-{hashlib.sha256(kept.id.encode()).hexdigest()[:20]}",
            kind="conflict",
            number=kept.control_number[:80],
            supplier=sender.code,
            facility=sender.facility,
            reason=why + (f" [owner: {sender.owner}]" if sender.owner else ""),
            message=kept.id,
            at=self._clock(),
        )
        log.warning("resource listed", message=kept.id, sender=sender.code, kind=kept.kind, reason=why)
        try:
            await self._listing.put_unmatched(row)
        except FasciaError as away:  # it is kept and refused with its reason: the list is a help
            log.warning("not listed", message=kept.id, problem=away.message)


def matches(if_match: str, version: int) -> bool:
    """Whether an If-Match names this version of its sender's; what we add to a version (``1.2``) is no change of the sender's."""
    tags = [one.strip().removeprefix("W/").strip('"') for one in if_match.split(",")]
    return "*" in tags or any(tag.partition(".")[0] == str(version) for tag in tags)
