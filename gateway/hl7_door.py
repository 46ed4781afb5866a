"""The corridor of HL7 messages over MLLP: each is known by its sender, checked, kept, and answered once that is durable.

Nothing here knows what a message is for: that is read and routed later (``gateway/routing.py``). ``docs/gateway.md`` says what is
answered when.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Malformed
from canonical.messages import KeepResult, Kept, NewMessage
from canonical.ports import Unmatched
from canonical.senders import Sender
from formats import hl7, mllp
from formats.hl7 import Fault, Header, Unreadable
from formats.hl7_faults import DATA_TYPE, SEGMENT_SEQUENCE, TOO_LONG, UNKNOWN_KEY
from gateway import conflicts, hl7_answers, registry
from gateway.checking import Checks
from gateway.directory import Directory
from gateway.hl7_refusals import fault_of
from gateway.hl7_verdict import Verdict, answered_no, judge, kind_of, occurred, read_header, subject
from gateway.keeping import URGENT, Keeper, Line, NotKept, Place
from gateway.mllp_flow import origin_of
from gateway.mllp_peer import Peer
from gateway.quota import Allowance

DOOR: Final = "mllp"
BATCH: Final = "BATCH"
BROKEN: Final = "broken"
LONGEST_NAME: Final = 40
WHY_BROKEN: Final = {
    mllp.Fault.INTERRUPTED: "another began before it was ended by FS and CR",
    mllp.Fault.UNTERMINATED: "after its FS there is no CR",
    mllp.Fault.TOO_LARGE: "it is longer than we take",
    mllp.Fault.TRUNCATED: "the connection ended inside it",
    mllp.Fault.TIMED_OUT: "it was not ended in time",
    mllp.Fault.NOISE: "there is no VT before it",
}
UNKNOWN_PER_MINUTE: Final = 600  # messages of nobody we know that one address may have kept
ANSWERS_AT_ONCE: Final = 50  # of a batch, before others have their turn
STRANGERS_REMEMBERED: Final = timedelta(days=7)
ANSWERED_FRAMES: Final = (mllp.Fault.TOO_LARGE, mllp.Fault.UNTERMINATED, mllp.Fault.NOISE)

log = structlog.get_logger(__name__)


class DoorJournal(Keeper, Protocol):
    """The journal as a door needs it."""

    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None: ...
    async def history(self, message: str) -> Sequence[tuple[str, str, datetime]]: ...


class Listing(Protocol):
    """The list of what a person must look at."""

    async def put_unmatched(self, document: Unmatched) -> None: ...


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as the door sees it; ``listed`` names the kind of list entry it needs, empty for none."""

    head: Header | None
    sender: Sender | None
    verdict: Verdict
    new: NewMessage
    listed: str = ""

    @property
    def gate(self) -> tuple[str, int]:
        """Whose quota counts, and how much it is a minute; strangers', whose name begins with ``?``, each door counts itself."""
        if self.sender is not None:
            return self.sender.code, self.sender.per_minute
        return f"?{origin_of(self.new.key.split('/')[2])}", UNKNOWN_PER_MINUTE


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the door sees it: its envelopes, its messages, and the whole as it came."""

    file: hl7.File
    seen: Sequence[Seen]
    whole: NewMessage

    @property
    def known(self) -> Seen:
        """The first of its messages whose sender we know, else the first."""
        return next((one for one in self.seen if one.sender is not None), self.seen[0])

    @property
    def gate(self) -> tuple[str, int]:
        """As :attr:`Seen.gate`."""
        return self.known.gate


class Hl7Door:
    """Takes frames in. ``patience``: seconds a message may wait to be kept; ``secret`` keys the hash of who it is about.

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
        feed_for: Callable[[str, str], registry.Hl7Feed | None] = registry.hl7_feed,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._journal = journal
        self._directory = directory
        self._listing = listing
        self._secret = secret
        self._line = Line(journal, patience=patience, allowance=allowance)
        self._checks = Checks()
        self._feed_for = feed_for
        self._clock = clock

    async def close(self) -> None:
        """End what is under way."""
        self._checks.close()
        await self._line.close()

    async def take(self, frame: bytes, peer: Peer) -> tuple[bytes, ...]:
        """Keep a message, or a batch of them, and say what answers it."""
        if self._checks.at_once(len(frame), peer):
            looked = self._looked(frame, peer)
            place = self._lined_up(looked)
        else:
            async with self._checks.in_turn(len(frame), peer) as look:
                looked = await look(lambda: self._looked(frame, peer))
                place = self._lined_up(looked)
        return await (self._one(looked, place) if isinstance(looked, Seen) else self._batch(looked, place))

    async def broken(self, broken: mllp.Broken, peer: Peer) -> tuple[bytes, ...]:
        """Keep what is no whole frame, as far as it came, and list it; its sender hears of it where it can wait for a word."""
        code = TOO_LONG if broken.fault is mllp.Fault.TOO_LARGE else SEGMENT_SEQUENCE
        fault = Fault(code, "frame", f"The frame is broken ({broken.fault.value}): {WHY_BROKEN[broken.fault]}")
        head = _header(broken.data)
        named = self._directory.find(peer, head) if head else None
        sender = named if isinstance(named, Sender) else None
        verdict = Verdict("R", (fault,))
        new = _nobodys(broken.data, peer, verdict, kind=BROKEN, sender=sender.code if sender else "")
        seen = Seen(head, sender, verdict, new, "broken_frame")
        answers = await self._one(seen, self._lined_up(seen))
        return answers if head and broken.fault in ANSWERED_FRAMES else ()

    # ---- one message --------------------------------------------------------------------------------------------------

    def _looked(self, frame: bytes, peer: Peer) -> Seen | Batch:
        """What came; asks nothing of anybody."""
        return self._look_at_batch(frame, peer) if hl7.is_batch(frame) else self._look(frame, peer)

    def _lined_up(self, looked: Seen | Batch) -> Place:
        messages = [looked.new] if isinstance(looked, Seen) else [looked.whole, *(one.new for one in looked.seen)]
        sender, per_minute = looked.gate
        return self._line.join(messages, sender=sender, per_minute=per_minute)

    async def _one(self, seen: Seen, place: Place) -> tuple[bytes, ...]:
        try:
            (result,) = await self._line.kept(place)
        except NotKept as failed:
            return self._not_kept(seen.head, failed)
        return await self._answers(seen, result)

    def _look(self, data: bytes, peer: Peer) -> Seen:
        """Who sends it and whether it may be taken; asks nothing of anybody."""
        try:
            head = hl7.header(data)
        except Unreadable as broken:
            verdict = Verdict("R", (broken.fault,))
            return Seen(None, None, verdict, _nobodys(data, peer, verdict), "unreadable")
        found = self._directory.find(peer, head)
        if not isinstance(found, Sender):
            verdict = Verdict(
                "R", (Fault(UNKNOWN_KEY, "unknown-sender", f"Not from you: {found.reason}", "MSH", 1, 3),)
            )
            new = _nobodys(data, peer, verdict, kind=kind_of(head), called=_called(head))
            return Seen(head, None, verdict, new, "unknown_sender")
        return self._of(found, data, head)

    def _of(self, sender: Sender, data: bytes, head: Header) -> Seen:
        head = read_header(data, sender, head)
        verdict = judge(data, head, sender, lambda kind, code: self._feed_for(kind, code) is not None)
        kind = kind_of(head)
        mappings = partial(self._directory.mappings, sender.code)
        urgent = registry.hl7_ends_at_once(kind, verdict.message, sender, mappings)
        # What has no number of its own is the same message again where its bytes are.
        same = head.control if head.control.strip(" ") else f"#{hashlib.sha256(data).hexdigest()}"
        new = NewMessage(
            door=DOOR,
            data=data,
            sender=sender.code,
            kind=kind,
            control_number=head.control,
            key=f"hl7/{sender.code}/{same}",
            stream=f"hl7/{sender.code}/{subject(head, verdict.message, self._secret)}",
            priority=URGENT if urgent else sender.priority_of(kind),
            occurred=occurred(head),
            remember=timedelta(days=sender.duplicates_for),
            refused=verdict.reason,
            note=verdict.note,
        )
        return Seen(head, sender, verdict, new)

    async def _answers(self, seen: Seen, result: KeepResult) -> tuple[bytes, ...]:
        kept, verdict = result.message, seen.verdict
        if result.outcome == "conflict" and not conflicts.taken_as_new(kept):
            verdict = hl7_answers.KNOWN_OTHERWISE
            if conflicts.untold(kept):
                reason = f"{verdict.reason} (message {result.first.id if result.first else ''})"
                await self._list("conflict", seen, kept, reason)
                await self._journal.mark(kept.id, "refused", reason=reason)
        elif result.outcome != "kept":
            verdict = await self._as_before(seen, kept)
        elif seen.listed:
            await self._list(seen.listed, seen, kept, seen.new.refused)
        elif not verdict.ok:
            log.warning("message refused", message=kept.id, sender=kept.sender, kind=kept.kind, reason=seen.new.refused)
        read = None
        if verdict.ok and hl7_answers.asks_for_reading(seen.head):
            read = await self._checks.run(len(seen.new.data), lambda: self._read(seen))
        return hl7_answers.told(seen.head, verdict, kept, read)

    async def _as_before(self, seen: Seen, kept: Kept) -> Verdict:
        """What its first coming was answered. What was refused then and would be taken today is taken: nothing had come of it.

        What a person has corrected or passed over since is not: these bytes were refused and nothing of them was taken.
        """
        if kept.state in conflicts.BY_A_PERSON:
            said = await conflicts.heard_no(self._journal, kept)
            return hl7_answers.refused_as(said, seen.verdict) if said else Verdict()
        no = kept.state == "refused" and answered_no(kept.reason)
        if seen.verdict.ok and no:
            await self._journal.mark(kept.id, "received", reason="sent again, and taken by today's rules")
        return seen.verdict if seen.verdict.ok or no else Verdict()

    def _read(self, seen: Seen) -> Verdict:
        """What became of it when it was read: a feed changes nothing, so it may be read here and again by the router."""
        sender, message = seen.sender, seen.verdict.message
        feed = self._feed_for(seen.new.kind, seen.new.sender)
        if sender is None or message is None or feed is None:
            return Verdict()
        try:
            registry.read_hl7(feed, message, sender, self._directory.mappings(sender.code))
        except Unreadable as wrong:
            return Verdict("E", (wrong.fault,))
        except Malformed as wrong:
            return Verdict("E", (fault_of(wrong, DATA_TYPE, wrong.message),))
        except Exception as bug:
            log.error("message could not be read", sender=sender.code, kind=seen.new.kind, error=type(bug).__name__)
            return Verdict("E", (Fault("207", "internal", "We could not read it; a person looks at it"),))
        return Verdict()

    def _not_kept(self, head: Header | None, failed: NotKept) -> tuple[bytes, ...]:
        log.warning("message not kept", code=failed.code, problem=failed.message)
        answers = hl7_answers.not_kept(head, failed.message, self._clock())
        if not answers:
            raise failed  # who wants no answer at all can only be told by closing
        return answers

    async def _list(self, kind: str, seen: Seen, kept: Kept, reason: str) -> None:
        """For a person; of nobody's messages one entry an address and day, whatever they call themselves, so that a flood is no flood
        of entries."""
        about = kept.id if kind == "conflict" else f"{seen.gate[0]}/{seen.verdict.reason}/{self._clock():%Y-%m-%d}"
        row = Unmatched(
            id=f"{kind}-{hashlib.sha256(about.encode()).hexdigest()[:20]}",
            kind=kind,
            number=kept.control_number[:80] if kind == "conflict" else "",
            supplier=kept.sender,
            facility=seen.sender.facility if seen.sender else "",
            reason=reason + (f" [owner: {seen.sender.owner}]" if seen.sender and seen.sender.owner else ""),
            message=kept.id,
            at=self._clock(),
        )
        log.warning("message listed", kind=kind, message=kept.id, sender=kept.sender, reason=reason)
        try:
            await self._listing.put_unmatched(row)
        except FasciaError as away:  # it is kept and refused with its reason: the list is a help
            log.warning("not listed", message=kept.id, problem=away.message)

    # ---- batches ------------------------------------------------------------------------------------------------------

    def _look_at_batch(self, frame: bytes, peer: Peer) -> Seen | Batch:
        try:
            file = hl7.split(frame)
        except Unreadable as broken:
            return self._cut(frame, peer, (broken.fault,))
        if file.faults or not file.messages:
            empty = Fault(SEGMENT_SEQUENCE, "empty-batch", "There is no message in this batch", "BHS", 1)
            return self._cut(frame, peer, tuple(file.faults) or (empty,))
        seen = [self._look(message, peer) for message in file.messages]
        code = next((one.new.sender for one in seen if one.sender is not None), "")
        digest = hashlib.sha256(frame).hexdigest()
        whole = NewMessage(
            door=DOOR,
            data=frame,
            sender=code,
            kind=BATCH,
            key=f"hl7/{code or '?' + peer.host}/batch/{digest}",
            stream=f"hl7/{code or '?'}/-/batch/{digest[:32]}",
            remember=STRANGERS_REMEMBERED,
        )
        return Batch(file, seen, whole)

    def _cut(self, frame: bytes, peer: Peer, faults: tuple[Fault, ...]) -> Seen:
        """A batch that is not whole: none of it is taken, so that it can come again whole. Whose it is, its first message says."""
        verdict = Verdict("R", faults)
        begins = re.search(rb"[\r\n](?=MSH)", frame)
        head = _header(frame[begins.end() :]) if begins else None
        named = self._directory.find(peer, head) if head else None
        sender = named if isinstance(named, Sender) else None
        new = _nobodys(frame, peer, verdict, kind=BATCH, sender=sender.code if sender else "")
        return Seen(None, sender, verdict, new, "unreadable")

    async def _batch(self, batch: Batch, place: Place) -> tuple[bytes, ...]:
        """The messages of a batch are kept one by one, by one commit, and the batch as it came beside them."""
        file, seen, known = batch.file, batch.seen, batch.known
        try:
            first, *results = await self._line.kept(place)
        except NotKept as failed:
            return self._batch_not_kept(file, seen, failed)
        answers = []
        for one, result in zip(seen, results, strict=True):
            answers.append(await self._answers(one, result))
            if len(answers) % ANSWERS_AT_ONCE == 0:
                await asyncio.sleep(0)  # a batch of thousands holds up nobody else's acknowledgement
        if known.sender is not None and known.sender.batch == "single":
            return tuple(one for said in answers for one in said)
        size = len(batch.whole.data)
        return (await self._checks.run(size, lambda: hl7_answers.of_batch(file, answers, first.message)),)

    def _batch_not_kept(self, file: hl7.File, seen: Sequence[Seen], failed: NotKept) -> tuple[bytes, ...]:
        answers = [self._not_kept(one.head, failed) for one in seen]
        known = next((one.sender for one in seen if one.sender is not None), None)
        if known is not None and known.batch == "single":
            return tuple(one for said in answers for one in said)
        now = self._clock()
        return (hl7_answers.of_batch(file, answers, Kept(id=now.isoformat(), direction="in", door=DOOR, at=now)),)


def _header(data: bytes) -> Header | None:
    try:
        return hl7.header(data)
    except Unreadable:
        return None


def _called(head: Header) -> str:
    """What a stranger calls itself in MSH-3 and MSH-4, for who is to give it a row; cut, and without what is no letter."""
    return "^".join(re.sub(r"[^ -~]", "?", name)[:LONGEST_NAME] for name in head.sender)


def _nobodys(
    data: bytes, peer: Peer, verdict: Verdict, *, kind: str = "unknown", sender: str = "", called: str = ""
) -> NewMessage:
    """A message without a sender whose number could make it known again: its bytes do."""
    return NewMessage(
        door=DOOR,
        data=data,
        sender=sender,
        kind=kind,
        key=f"hl7/?/{peer.host}/{hashlib.sha256(data).hexdigest()}",
        remember=STRANGERS_REMEMBERED,
        refused=f"{verdict.reason} (from {peer.host}{f' as {called}' if called else ''})",
    )
