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
from urllib.parse import parse_qsl

import structlog

from canonical.errors import FasciaError, Unavailable
from canonical.messages import KeepResult, Kept, Move, NewMessage
from canonical.ports import Unmatched
from canonical.senders import Sender
from formats import fhir
from formats.fhir import Identifier, Issue, Release, Resource
from gateway import registry
from gateway.conflicts import taken_as_new, untold
from gateway.directory import Directory
from gateway.fhir_faults import Refused, refusal
from gateway.fhir_judge import (
    DOOR,
    Reads,
    faults,
    id_of,
    id_without,
    known_by,
    occurred,
    reason,
    same_content,
    starts,
    subject,
)
from gateway.keeping import Keeper, Line
from gateway.lookups import Caller
from gateway.problems import trace_id
from gateway.quota import Allowance

SCOPE: Final = "fhir"
SENDERS_EVERY: Final = 5.0  # seconds until a changed row of the register counts
PENDING: Final = "its transaction is not whole"
SEARCHED: Final = "identifier"  # the one search parameter there is

log = structlog.get_logger(__name__)


class DoorJournal(Keeper, Protocol):
    """The journal as this door needs it."""

    async def kept_under(self, prefix: str) -> Sequence[Kept]: ...
    async def mark_many(self, moves: Sequence[Move]) -> None: ...


class Listing(Protocol):
    """The list of what a person must look at."""

    async def put_unmatched(self, document: Unmatched) -> None: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A resource as it is kept: under which ``id``, since when, and whether this request ``created`` it."""

    id: str
    resource: Resource
    kept: Kept
    created: bool = True

    @property
    def place(self) -> str:
        """Its address, relative to the base."""
        return f"{self.resource.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request asks for besides its resource: only if there is no such one (a search); the caller's own key."""

    if_none_exist: str = ""
    idempotency_key: str = ""


class FhirDoor:
    """Takes resources in and shows what was taken. ``patience``: seconds a message may wait to be kept.

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
        self._looked = -SENDERS_EVERY

    async def close(self) -> None:
        """End what is under way."""
        await self.line.close()

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
            resource = fhir.read(data, release)
            if resource.type != resource_type:
                raise Refused(400, [Issue("value", "The address is of another type of resource", "resourceType")])
            self.judge(resource, sender)
            if wish.if_none_exist and (there := await self.there(sender, release, resource_type, wish.if_none_exist)):
                return there
        except (Refused, fhir.Unreadable) as no:
            raise await self.refused(sender, release.kind(resource_type), data, refusal(no)) from None
        name = self.name(resource, data, wish.idempotency_key)
        (result,) = await self.keep(sender, [self.new(sender, resource, name, data)])
        return await self.stored(sender, resource, name, result, wished=bool(wish.if_none_exist))

    def judge(self, resource: Resource, sender: Sender) -> None:
        """Nothing, for what may be taken.

        Raises:
            Refused: it may not.
        """
        status, issues = faults(resource, sender, self._reads)
        if status:
            raise Refused(status, issues)
        if issues:
            log.warning("resource taken with faults", sender=sender.code, kind=resource.kind, faults=len(issues))

    def name(self, resource: Resource, data: bytes, otherwise: str = "") -> str:
        """The id of a resource; ``otherwise`` is what it is known by where it has no identifier, else its bytes."""
        if (identifier := resource.identifier) is not None:
            return id_of(identifier)
        return id_without("key", otherwise) if otherwise else id_without(data)

    def new(self, sender: Sender, resource: Resource, name: str, data: bytes, refused: str = "") -> NewMessage:
        """A resource as a message to keep. Its id names it for as long as it is kept."""
        identifier = resource.identifier
        return NewMessage(
            door=DOOR,
            data=data,
            sender=sender.code,
            kind=resource.kind,
            control_number=identifier.value[:200] if identifier else "",
            key=known_by(sender, resource.release, resource.type, name),
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
            return self._found(resource.release, first, created=not wished)
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
        if first is None or not first.data or not same_content(first.data, again.data):
            return None
        if untold(again):
            why = f"the same content as message {first.id}"
            await self.journal.mark_many([Move(message=again.id, state="routed", reason=why)])
        return first

    async def conflict(self, sender: Sender, result: KeepResult) -> Refused:
        """Other content under a known identifier: refused, and listed for a person once."""
        refused = Refused(409, "This was sent before with other content: a person looks at it")
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

    # ---- out ----------------------------------------------------------------------------------------------------------

    async def read(self, sender: Sender, release: Release, resource_type: str, name: str) -> Stored | None:
        """The resource of an id that this sender sent, or None."""
        key = known_by(sender, release, resource_type, name)
        found = [one for one in await self.journal.kept_under(key) if one.key == key and not pending(one)]
        return self._found(release, found[0], created=False) if found else None

    async def search(self, sender: Sender, release: Release, resource_type: str, said: str) -> list[Stored]:
        """What this sender sent that has the identifier a search (``identifier=system|value``) names.

        Raises:
            Refused: it searches for anything else.
        """
        found: dict[str, Kept] = {}
        for ids in wanted(said):
            prefix = known_by(sender, release, resource_type, ids)
            found |= {one.id: one for one in await self.journal.kept_under(prefix) if not pending(one)}
        return [self._found(release, one, created=False) for one in found.values()]

    async def there(self, sender: Sender, release: Release, resource_type: str, said: str) -> Stored | None:
        """The one that a conditional create asks for, None where there is none.

        Raises:
            Refused: there are several, or the search is none we do.
        """
        found = await self.search(sender, release, resource_type, said)
        if len(found) > 1:
            raise Refused(412, "Several resources have the identifier of If-None-Exist: name its system too")
        return found[0] if found else None

    def _found(self, release: Release, kept: Kept, *, created: bool) -> Stored:
        return Stored(kept.key.rpartition("/")[2], fhir.read(kept.data, release), kept, created)


def wanted(said: str) -> list[str]:
    """How the ids begin that a search asks for.

    Raises:
        Refused: it is no search by identifier.
    """
    asked = [(name, value) for name, value in parse_qsl(said.lstrip("?"), keep_blank_values=True) if name[:1] != "_"]
    if len(asked) != 1 or asked[0][0] != SEARCHED:
        raise Refused(400, [Issue("not-supported", f"Search by {SEARCHED}=system|value, and by nothing else")])
    return [_wanted(token) for token in _cut(asked[0][1], ",")]


def _wanted(token: str) -> str:
    parts = [part.strip() for part in _cut(token, "|")]
    if len(parts) > 2 or not parts[-1]:
        raise Refused(400, [Issue("value", f"{SEARCHED} is system|value or value")])
    return id_of(Identifier(*parts)) if len(parts) == 2 else starts(parts[0])


def _cut(text: str, sign: str) -> list[str]:
    """Cut where a sign stands that is not escaped, and take the escapes of what was cut by the last sign (|)."""
    parts, part, escaped = [], "", False
    for letter in text:
        if escaped:
            part += letter if sign == "|" else f"\\{letter}"
            escaped = False
        elif letter == "\\":
            escaped = True
        elif letter == sign:
            parts.append(part)
            part = ""
        else:
            part += letter
    return [*parts, part]


def pending(kept: Kept) -> bool:
    """Whether it was kept with a transaction that was never whole: as good as not sent."""
    return kept.state == "refused" and kept.reason == PENDING
