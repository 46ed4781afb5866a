"""Sends what waits for one target by MLLP: in order, one message under way, its own answer or none credited to it.

No answer, or no connection any more: the same bytes go again under the same MSH-10, by a new connection, until the target has
answered; receivers know a repeat by that. AE and CE are tried again with longer and longer pauses, AR and CR never. What is
given up is a dead letter with an alert; the channel's row says whether what comes after it goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from adapters.mllp import Answer, OnAnswer, Stray
from canonical.errors import FasciaError, Malformed, Rejected, Unavailable
from canonical.senders import Channel
from store.channels import Outcome, Queued, StoredChannels, Turn, Word
from store.ids import now
from store.standing import CLOSED, OPEN, Standing
from workers.loops.breaker import Breaker, Rate

LEASE: Final = timedelta(seconds=15)  # after which another worker sends for one that is gone; renewed every round
STALE: Final = (
    LEASE.total_seconds() / 3
)  # seconds after which what we wrote down of the channel may be another's by now
LONGEST_WAIT: Final = 2.0  # seconds waited for a moment; for what is further off the next rounds look
MOST_STRAYS: Final = 100  # answers to nothing that are kept until they are written down
DOUBLINGS: Final = 20
NOT_SENT: Final = frozenset({"data-invalid"})  # the message's own fault: it could not even be framed

log = structlog.get_logger(__name__)


class Way(Protocol):
    """A transport to one target; :class:`adapters.mllp.MllpSender`."""

    async def connect(self) -> None: ...
    async def send(self, data: bytes, control_id: str) -> Answer: ...
    async def close(self) -> None: ...


WayTo = Callable[[Channel, OnAnswer | None, Callable[[Stray], None]], Way]
Accept = Callable[[Answer], bytes | None]  # what is owed for an application's answer


class ChannelSender:
    """One channel in one process. ``holder`` names the process; ``clock``, ``ticks`` and ``sleep`` are time, which a test may own.

    ``holding``: the lease was ours when last looked; ``leaving``: its row has changed, and another takes its place.
    """

    def __init__(
        self,
        channel: Channel,
        store: StoredChannels,
        way_to: WayTo,
        holder: str,
        *,
        accept: Accept = lambda _: None,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self.channel = channel
        self.holding = False
        self.leaving = False
        self._store = store
        self._holder = holder
        self._accept = accept
        self._clock = clock
        self._sleep = sleep
        self._ticks = ticks
        self._breaker = Breaker(channel.open_after, timedelta(seconds=channel.half_open_after))
        self._rate = Rate(channel.per_second)
        self._strays: deque[Stray] = deque()
        self._not_kept = 0
        self._way = way_to(channel, self._application if channel.enhanced else None, self._stray)

    async def drain(self, stop: asyncio.Event) -> None:
        """Send what is due, one after the other, until nothing is, another worker sends, or we are told to stop."""
        while not (stop.is_set() or self.leaving):
            await self.tell_strays()
            turn = await self._store.turn(self.channel.code, self._holder, LEASE)
            self.holding = turn is not None
            if turn is None:
                return await self._way.close()  # two connections of ours would be two streams to the target
            wait = self._wait(turn)
            if turn.head is None or wait is None or wait > LONGEST_WAIT:
                return None
            if wait > 0:
                await self._sleep(wait)
            elif not await self._send(turn.head, turn.standing):
                return None
        return None

    async def tell_strays(self) -> None:
        """Write down what answered nothing."""
        while self._strays:
            one = self._strays.popleft()
            word = Word(code=one.code, data=one.data)
            try:
                message = await self._store.stray(self.channel.code, one.control_id, one.reason, word, self._clock())
            except FasciaError:
                self._strays.appendleft(one)
                raise
            log.warning("answer to nothing kept", channel=self.channel.code, reason=one.reason, message=message or "")
        if self._not_kept:
            log.error("answers to nothing not kept: too many", channel=self.channel.code, count=self._not_kept)
            self._not_kept = 0

    async def close(self) -> None:
        """Close the connection and let another worker send."""
        await self._way.close()
        with contextlib.suppress(FasciaError):  # the lease ends by itself
            await self.tell_strays()
            await self._store.release(self.channel.code, self._holder)
        self.holding = False

    # ---- one message ---------------------------------------------------------------------------------------------------

    def _wait(self, turn: Turn) -> float | None:
        """Seconds until the next message may leave; None: nobody knows."""
        head, standing = turn.head, turn.standing
        if head is None or head.blocks or standing.paused:
            return None
        moments = [head.next_at, self._breaker.due(standing), standing.free_at]
        return max(0.0, (max(one for one in moments if one is not None) - self._clock()).total_seconds())

    async def _send(self, head: Queued, standing: Standing) -> bool:
        """One try; False when this worker should leave the channel alone for now."""
        data = await self._store.content(head)
        try:
            await self._way.connect()
        except (Unavailable, Rejected) as away:  # Rejected: certificates, which is not the message's fault
            return await self._unreached(head, standing, away)
        at = self._clock()
        standing = self._breaker.calling(standing, at, timedelta(seconds=self.channel.answer_within))
        standing = self._rate.calling(standing, at)
        asked = self._ticks()
        if not await self._store.sending(head, standing, self._holder, at, LEASE):
            return False  # paused meanwhile, or another's
        if self._ticks() - asked > STALE:
            return False  # we stood still: another may have sent this and what comes after it
        standing = self._rate.begun(standing, self._clock())
        try:
            answer = await self._way.send(data, head.control_id)
        except Rejected as refused:
            if refused.code in NOT_SENT:
                return await self._ended(head, standing, "dead", Word(text=refused.message))
            return await self._again(head, self._failed(standing, refused), Word(text=refused.message), final=False)
        except (Unavailable, Malformed) as unknown:
            return await self._unanswered(head, self._failed(standing, unknown), Word(text=unknown.message))
        return await self._answered(head, self._closed(standing), answer)

    async def _answered(self, head: Queued, standing: Standing, answer: Answer) -> bool:
        word = Word(code=answer.code, text=answer.text, data=answer.data)
        if answer.accepted:
            return await self._ended(head, standing, "answered", word, application=answer.code == "AA")
        if answer.code in ("AR", "CR"):
            return await self._ended(head, standing, "dead", word)
        return await self._again(head, standing, word)

    async def _unanswered(self, head: Queued, standing: Standing, word: Word) -> bool:
        """Silence may be the message's fault or the target's. Where nothing may pass a dead letter there is nothing to gain by
        giving up; elsewhere one message is given up in one silence, not a backlog one after the other."""
        final = self.channel.on_dead == "go on" and not standing.given_up
        return await self._again(head, standing, word, final=final)

    async def _again(self, head: Queued, standing: Standing, word: Word, *, final: bool = True) -> bool:
        """The same bytes later, unless its tries are used up."""
        tries = head.attempts + 1
        if final and tries >= self.channel.attempts:
            gone = {"given_up": standing.given_up + (not word.code)}
            return await self._ended(head, standing.model_copy(update=gone), "dead", word)
        at = self._clock()
        next_at = (standing.probe_at if standing.breaker == OPEN else None) or at + self._pause(tries)
        return await self._store.ended(head, standing, self._holder, at, "again", word, next_at=next_at)

    async def _ended(
        self, head: Queued, standing: Standing, outcome: Outcome, word: Word, *, application: bool = False
    ) -> bool:
        stands = outcome == "dead" and self.channel.on_dead == "stand still"
        held = await self._store.ended(
            head, standing, self._holder, self._clock(), outcome, word, blocks=stands, application=application
        )
        if held and outcome == "dead":
            self._alert(head.message, word.code, stands=stands)
        return held

    async def _unreached(self, head: Queued, standing: Standing, away: FasciaError) -> bool:
        at = self._clock()
        standing = self._failed(standing, away)
        next_at = (standing.probe_at if standing.breaker == OPEN else None) or at + self._pause(standing.failures)
        return await self._store.unreached(head, standing, self._holder, at, next_at)

    def _pause(self, failures: int) -> timedelta:
        seconds = self.channel.pause_first * 2 ** min(failures - 1, DOUBLINGS)
        return timedelta(seconds=min(seconds, self.channel.pause_longest))

    # ---- the target ------------------------------------------------------------------------------------------------------

    def _failed(self, before: Standing, failure: FasciaError) -> Standing:
        after = self._breaker.failed(before, self._clock(), failure.message)
        if after.breaker == OPEN and before.breaker == CLOSED:
            told = {"failures": after.failures, "problem": failure.message, "owner": self.channel.owner}
            log.error("channel's breaker opens", alert=True, channel=self.channel.code, **told)
        return after

    def _closed(self, before: Standing) -> Standing:
        if before.breaker != CLOSED:
            log.info("channel's breaker closes", channel=self.channel.code, after_failures=before.failures)
        return self._breaker.answered(before)

    def _alert(self, message: str, code: str, *, stands: bool) -> None:
        about = {"channel": self.channel.code, "message": message, "answer": code, "owner": self.channel.owner}
        log.error("message given up", alert=True, channel_stands_still=stands, **about)

    # ---- what nobody waits for -------------------------------------------------------------------------------------------

    def _stray(self, stray: Stray) -> None:
        if len(self._strays) < MOST_STRAYS:
            self._strays.append(stray)
        else:
            self._not_kept += 1

    async def _application(self, answer: Answer) -> bytes | None:
        """The application's answer, when it likes; raises where it could not be kept, so that it comes again."""
        code, control_id = self.channel.code, answer.control_id
        word = Word(code=answer.code, text=answer.text, data=answer.data)
        message, fresh = await self._store.application(code, control_id, word, self._clock())
        if message is None:
            await self._store.stray(code, control_id, "not sent by us", word, self._clock())
        elif fresh and answer.code != "AA":
            self._alert(message, answer.code, stands=False)
        return self._accept(answer)
