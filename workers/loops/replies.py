"""Writes the replies departments are due: an order's number and its lines' states, for the channel of who asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from canonical.cases import CaseStatus
from canonical.errors import Malformed, Rejected, Throttled, Unavailable
from canonical.messages import KeepResult, Kept, NewMessage
from canonical.senders import Channel, Sender
from gateway.hl7_replies import reply
from store.replies import DueReply

FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=10)

log = structlog.get_logger(__name__)


class Due(Protocol):
    """Replies that wait to be written."""

    async def due(self, at: datetime, limit: int = 50) -> Sequence[DueReply]: ...
    async def written(self, reply: int, message: str) -> None: ...
    async def needless(self, reply: int, reason: str) -> None: ...
    async def dead(self, reply: int, reason: str) -> None: ...
    async def later(self, reply: int, reason: str, again_at: datetime) -> None: ...


class Messages(Protocol):
    """The journal, as far as it is read."""

    async def read(self, message: str) -> Kept | None: ...


class Statuses(Protocol):
    """Where cases are."""

    async def status(self, case: str) -> CaseStatus | None: ...


class Terms(Protocol):
    """Who sends to us, and the channels to them."""

    async def senders(self) -> Sequence[Sender]: ...
    async def channels(self) -> Sequence[Channel]: ...


class Outgoing(Protocol):
    """Keeps a message of ours and queues it for its channel; the same key again is the same message."""

    async def put(self, channel: str, message: NewMessage) -> KeepResult: ...


class ReplyWriter:
    """One round writes what is due; what cannot be written now is tried again, what never can is shown to a person."""

    def __init__(
        self,
        replies: Due,
        messages: Messages,
        cases: Statuses,
        register: Terms,
        outgoing: Outgoing,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._replies = replies
        self._messages = messages
        self._cases = cases
        self._register = register
        self._outgoing = outgoing
        self._clock = clock

    async def once(self) -> None:
        """Write everything that is due."""
        waiting: set[str] = set()
        due = await self._replies.due(self._clock())
        if not due:
            return
        senders = {one.code: one for one in await self._register.senders()}
        channels = {one.code: one for one in await self._register.channels()}
        for one in due:
            if one.event.case in waiting:
                continue  # its case's replies come in order
            if not await self._write(one, senders, channels):
                waiting.add(one.event.case)

    async def _write(self, one: DueReply, senders: dict[str, Sender], channels: dict[str, Channel]) -> bool:
        try:
            asked = await self._messages.read(one.asked)
            sender = senders.get(asked.sender) if asked else None
            channel = channels.get(sender.reply_channel or "") if sender else None
            if asked is None or sender is None or channel is None or not channel.active:
                await self._replies.needless(one.id, "who asked has no channel for replies")
                return True
            status = await self._cases.status(one.event.case)
            orders = {line.line: line.order for line in status.lines if line.order} if status else {}
            message = reply(asked.data, one.event, orders, sender, channel)
            kept = await self._outgoing.put(channel.code, message)
        except (Unavailable, Throttled) as away:
            log.warning("reply waits", case=one.event.case, problem=away.message)
            return await self._later(one, away.message)
        except (Malformed, Rejected) as wrong:
            await self._replies.dead(one.id, wrong.message)
            log.error("reply cannot be written", alert=True, case=one.event.case, problem=wrong.message)
            return True
        except (
            Exception
        ) as bug:  # ours: the next version of our code writes it, and meanwhile it keeps no other waiting
            log.exception("reply could not be written", alert=True, case=one.event.case)
            return await self._later(one, f"unexpected {type(bug).__name__}")
        await self._replies.written(one.id, kept.message.id)
        return True

    async def _later(self, one: DueReply, why: str) -> bool:
        pause = min(FIRST_PAUSE * 2 ** min(one.attempts, 20), LONGEST_PAUSE)
        await self._replies.later(one.id, why, self._clock() + pause)
        return False
