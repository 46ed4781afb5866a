"""The corridor of what is reported and asked with a scanner in the hand: read, kept and only then answered; routed like any message.

Reported uses and counts are messages in streams: a router reads them by their feed (``gateway/feeds/rest_usage.py``,
``rest_counts.py``) and brings them to who keeps them. A void stands in the stream of the use it takes back.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from canonical.base import Canonical
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.messages import Kept, Move, NewMessage
from canonical.people import HrEvent
from canonical.ports import Journal
from canonical.scans import Scan
from canonical.senders import Sender
from canonical.stock import StockCount
from canonical.usage import UsageEvent
from gateway import registry
from gateway.conflicts import LISTED, REUSED, taken_as_new, untold
from gateway.directory import Directory
from gateway.intake import Intake, reason_of
from gateway.keeping import URGENT, Line, NotKept
from gateway.lookups import Caller
from gateway.mapping import Tongue
from gateway.problems import trace_id
from gateway.quota import Allowance
from gateway.scans import Checked, Stock, judged

DOOR: Final = "rest"
SENDERS_EVERY: Final = 5.0  # seconds until a changed row of the register counts
LONGEST_NUMBER: Final = 80
QUOTA_PAUSE: Final = 5.0  # seconds

log = structlog.get_logger(__name__)


class ScanDoor:
    """Takes reports in, and answers what may be used. ``patience``: seconds a report may wait to be kept."""

    def __init__(
        self,
        intake: Intake,
        journal: Journal,
        directory: Directory,
        stock: Stock,
        *,
        patience: float = 3.0,
        allowance: Allowance | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.journal = journal
        self.stock = stock
        self._intake = intake
        self._directory = directory
        self._line = Line(journal, patience=patience, allowance=allowance)
        self._clock = clock
        self._looked = -SENDERS_EVERY

    async def close(self) -> None:
        """End what is under way."""
        await self._line.close()

    async def sender(self, who: Caller, kind: str) -> Sender:
        """Whose row of the register the caller's key goes with.

        Raises:
            Rejected: its sender may not send this here.
        """
        await self._look()
        found = self._directory.sender(who.sender)
        if found is None or not found.active:
            reason = (
                f"sender {who.sender} has no row in the register: ask for one (`fascia register load --kind sender`)"
            )
            raise Rejected(reason, code="not-allowed")
        if found.facility != who.facility:
            reason = f"this key is for facility {who.facility}, its sender's row is not"
            raise Rejected(reason, code="not-allowed")
        if not found.takes(kind):
            raise Rejected(f"{kind} is not in the scope of sender {found.code}", code="not-allowed")
        return found

    async def keep(self, who: Caller, sender: Sender, kind: str, number: str, data: bytes) -> Kept:
        """Keep a report under its sender's own number of it; the same again is the first one.

        Raises:
            Malformed: it is not as agreed; it is kept as refused, with the reason.
            Rejected: the number was used for something else; both are kept, a person looks at it.
            Unavailable, Throttled: nothing was kept: it is sent again.
        """
        feed = registry.rest_feed(kind, sender.code)
        assert feed is not None  # its address would not be there
        wrong: Malformed | None = None
        nouns: Sequence[Canonical] = ()
        try:
            nouns = registry.read_rest(feed, data, number, self._clock(), sender, self._directory.mappings(sender.code))
        except Malformed as found:
            wrong = found
        new = NewMessage(
            door=DOOR,
            data=data,
            partner=who.sender,
            sender=sender.code,
            kind=kind,
            key=f"{DOOR}/{who.sender}/{number}",
            control_number=number,
            stream=f"{DOOR}/{sender.code}/{about(nouns, number)}",
            priority=URGENT if ends_at_once(nouns) else sender.priority_of(kind),
            trace=trace_id(),
            remember=timedelta(days=sender.keep_for),
            refused=reason_of(wrong) if wrong is not None else "",
        )
        message = await self._kept(sender, new)
        if message.kind not in ("", kind):
            raise Rejected("this key was used for something else", code=REUSED)
        if message.state == "refused":
            raise wrong or _refused(message)
        return message

    async def _kept(self, sender: Sender, new: NewMessage) -> Kept:
        place = self._line.join([new], sender=sender.code, per_minute=sender.per_minute)
        try:
            (result,) = await self._line.kept(place)
        except NotKept as late:
            if late.code == "over-quota":
                raise Throttled("more was sent than is agreed for a minute", retry_after=QUOTA_PAUSE) from late
            raise Unavailable(late.message, system="store") from late
        if result.outcome == "conflict" and not taken_as_new(result.message):
            why = Rejected("this Idempotency-Key was used with another body", code=REUSED)
            if untold(result.message):
                reason = f"{why.message} ({result.message.reason})"
                await self._intake.listed(
                    LISTED, result.message, reason, facility=sender.facility, number=new.control_number
                )
                await self.journal.mark_many([Move(message=result.message.id, state="refused", reason=reason_of(why))])
            raise why
        return result.message

    async def check(self, who: Caller, scan: Scan) -> Checked:
        """Whether what is scanned may be used, by our store; codes are the sender's own where it has tables."""
        await self._look()
        row = self._directory.sender(who.sender)
        if row is not None and row.facility == who.facility:
            tongue = Tongue(row, self._directory.mappings(row.code))
            said = {"item": tongue.ours("item", scan.item), "location": tongue.ours("location", scan.location)}
            scan = scan.model_copy(update=said)
        return judged(scan, await self.stock.facts(scan))

    async def _look(self) -> None:
        if time.monotonic() - self._looked < SENDERS_EVERY:
            return
        try:
            await self._directory.refresh()
        except Unavailable:
            if self._looked < 0:
                raise
        self._looked = time.monotonic()


def ends_at_once(nouns: Sequence[Canonical]) -> bool:
    """Whether it says that somebody's access ends now: routed before whatever else waits."""
    return any(isinstance(one, HrEvent) and one.emergency for one in nouns)


def about(nouns: Sequence[Canonical], number: str) -> str:
    """What a report is about: a void about the report it takes back, a count about its location, any other about itself."""
    first = nouns[0] if nouns else None
    if isinstance(first, HrEvent):  # their order is in what they say: none waits behind another
        return f"people/{_digest(number)}"
    if isinstance(first, StockCount):
        return f"count/{_digest(first.location)}"
    if isinstance(first, UsageEvent) and first.kind == "void":
        return f"usage/{_digest(first.voids_number)}"
    return f"usage/{_digest(number)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _refused(message: Kept) -> Malformed:
    """What its sender heard the first time, by rules that were others."""
    code, _, said = message.reason.partition(": ")
    return Malformed(said or message.reason, path="document", code=code or "data-invalid")
