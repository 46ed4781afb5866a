"""Tells inventory, analytics and others what happened: each business event to each subscriber's webhook, signed, until taken.

``Fascia-Signature: t=<unix seconds>,v1=<hex>`` is an HMAC-SHA256 of ``<t>.<body>`` under the secret the subscriber was given.
An event may come twice: ``Fascia-Event`` is its name, the same each time. The same in the headers of Standard Webhooks
(``Webhook-Id``, ``Webhook-Timestamp``, ``Webhook-Signature``), whose signature covers the name too. ``docs/webhooks.md``.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx
import structlog

from adapters.http import retry_after
from canonical.errors import FasciaError
from store.channel_keeping import WEBHOOK
from store.ids import now
from store.outbox import Delivery, Subscriber
from store.standing import CLOSED, Standing
from workers.loops.breaker import Breaker, Rate

PATIENCE = timedelta(seconds=10)  # for one answer, however it drips
LONGEST_ANSWER = 65_536  # bytes read of one, so that its connection can be used again; its status alone counts
ROUND = 5.0  # seconds waited for those who are being told; who takes longer is told on beside the next round
LAST_ANSWERS = 3.0  # seconds a call under way has when we stop
HELD = timedelta(seconds=30)  # a sender that dies with a delivery in hand gives it back after that
STALE = HELD.total_seconds() / 3  # seconds after which what we hold may be another's by now
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
ASKED_TO_WAIT = 30.0  # seconds, where a 429 does not say how long
MOST_ATTEMPTS = 15  # over about seven hours; then a person
LONGEST_WAIT = 2.0  # seconds waited for a moment; for what is further off the next rounds look
BREAKER = Breaker(open_after=5, wait=timedelta(seconds=60))

log = structlog.get_logger(__name__)


class Outbox(Protocol):
    """Deliveries that wait."""

    async def due(self, at: datetime) -> Sequence[str]: ...
    async def claim(
        self, at: datetime, until: datetime, limit: int = 50, *, subscriber: str = ""
    ) -> Sequence[Delivery]: ...
    async def delivered(self, delivery: int, at: datetime) -> None: ...
    async def failed(self, delivery: int, error: str, at: datetime, again_at: datetime | None) -> None: ...
    async def put_off(self, delivery: int, error: str, at: datetime, again_at: datetime) -> None: ...


class Standings(Protocol):
    """How each webhook stands, for all workers."""

    async def lease(self, channel: str, holder: str, lease: timedelta) -> Standing | None: ...
    async def say(self, standing: Standing, holder: str) -> bool: ...
    async def release(self, channel: str, holder: str) -> None: ...


@dataclass(frozen=True)
class _Answer:
    """What a webhook answered: ``trouble`` is empty where it took the event; ``wait``: it asks for that many seconds."""

    trouble: str = ""
    wait: float | None = None
    silent: bool = False  # no answer, or an error of its own


Write = Callable[[Delivery], Awaitable[tuple[bytes, str]]]
"""The body of a delivery and its media type. Raises as a port does where it cannot be written."""


async def _as_it_is(delivery: Delivery) -> tuple[bytes, str]:
    return delivery.event.model_dump_json().encode(), "application/json"


def signature(secret: bytes, body: bytes, at: datetime) -> str:
    """What proves to a subscriber that an event is ours, and when we sent it."""
    stamp = str(int(at.timestamp()))
    return f"t={stamp},v1={hmac.new(secret, stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


class OutboxSender:
    """Sends what is due; subscribers side by side, each from one worker, one event at a time in the order they happened.

    A subscriber is never called more often than its row says, nor before the time its last 429 or 503 asked for; one that fails
    again and again is left in peace by its breaker. ``holder`` names this process; ``write`` says it in the subscriber's words.
    """

    def __init__(
        self,
        outbox: Outbox,
        standings: Standings,
        client: httpx.AsyncClient,
        secrets: Path,
        holder: str,
        *,
        write: Write | None = None,
        clock: Callable[[], datetime] = now,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._standings = standings
        self._client = client
        self._secrets = secrets
        self._holder = holder
        self._write = write or _as_it_is
        self._clock = clock
        self._sleep = sleep
        self._telling: dict[str, asyncio.Task[None]] = {}  # by subscriber
        self._stop = asyncio.Event()
        self._ticks = ticks

    async def once(self) -> None:
        """Send everything that is due. A subscriber with much to hear, or slow to answer, keeps no other waiting."""
        for name in await self._outbox.due(self._clock()):
            if name not in self._telling:
                self._telling[name] = asyncio.create_task(self._send_all(name))
        if self._telling:
            await asyncio.wait(self._telling.values(), timeout=ROUND)
        ended = [self._telling.pop(name) for name, task in list(self._telling.items()) if task.done()]
        for failed in await asyncio.gather(*ended, return_exceptions=True):
            if isinstance(failed, BaseException):  # our database is away, say
                raise failed

    async def close(self) -> None:
        """End what was begun: an answer that comes soon still counts; what has none is sent again."""
        self._stop.set()
        if tasks := list(self._telling.values()):
            _, late = await asyncio.wait(tasks, timeout=LAST_ANSWERS)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_all(self, name: str) -> None:
        channel = WEBHOOK + name
        try:
            while not self._stop.is_set():
                standing = await self._standings.lease(channel, self._holder, HELD)
                wait = self._wait(standing) if standing is not None else None
                if standing is None or wait is None or wait > LONGEST_WAIT:
                    return
                if wait > 0:
                    await self._sleep(wait)
                elif not await self._send_next(name, standing):
                    return
        finally:
            await self._standings.release(channel, self._holder)

    def _wait(self, standing: Standing) -> float | None:
        """Seconds until it may be called; None: nobody knows."""
        if standing.paused:
            return None
        at = self._clock()
        moments = [BREAKER.due(standing), standing.free_at]
        return max(0.0, (max([at, *(one for one in moments if one is not None)]) - at).total_seconds())

    async def _send_next(self, name: str, standing: Standing) -> bool:
        """Send the next event; False where nothing more goes for now."""
        at, asked = self._clock(), self._ticks()
        claimed = await self._outbox.claim(at, at + HELD, 1, subscriber=name)
        if not claimed:
            return False
        delivery = claimed[0]
        rate = Rate(delivery.subscriber.per_second)
        standing = rate.calling(BREAKER.calling(standing, at, HELD), at)
        if not await self._standings.say(standing, self._holder):
            await self._outbox.put_off(delivery.id, "", at, at)
            return False
        if self._ticks() - asked > STALE:
            return False  # we stood still: another may have sent this and what comes after it
        standing = rate.begun(standing, self._clock())
        answer = await self._send(delivery)
        at = self._clock()
        if answer.silent:
            was, standing = standing.breaker, BREAKER.failed(standing, at, answer.trouble)
            if was == CLOSED != standing.breaker:
                log.error("webhook's breaker opens", alert=True, subscriber=name, problem=answer.trouble)
        else:
            standing = BREAKER.answered(standing)
        if answer.wait is not None:
            free_at = max(
                at + timedelta(seconds=answer.wait), standing.free_at or at
            )  # asked for less, its rate still holds
            standing = standing.model_copy(update={"free_at": free_at, "error": answer.trouble, "error_at": at})
            await self._outbox.put_off(delivery.id, answer.trouble, at, free_at)
        elif answer.trouble:
            await self._again(delivery, answer.trouble, standing)
        else:
            await self._outbox.delivered(delivery.id, at)
        return await self._standings.say(standing, self._holder) and not answer.trouble

    async def _send(self, delivery: Delivery) -> _Answer:
        """Send one event."""
        try:
            body, kind = await self._write(delivery)
        except FasciaError as no:
            return _Answer(f"it cannot be written: {no.message}")
        try:
            headers = {
                "Content-Type": kind,
                "Fascia-Event": quote(delivery.event.key, safe="/:"),
                "Fascia-Event-Type": delivery.event.type,
                **self._signed(delivery.subscriber, delivery.event.key, body),
            }
            answer = await self._posted(delivery.subscriber.url, body, headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as lost:
            return _Answer(f"no answer ({type(lost).__name__})", silent=True)
        except OSError as unreadable:
            return _Answer(f"the subscriber's secret cannot be read ({type(unreadable).__name__})")
        if answer.is_success:
            return _Answer()
        trouble = f"HTTP {answer.status_code}"
        if answer.status_code == 429 or (answer.status_code == 503 and "Retry-After" in answer.headers):
            told = "Retry-After" in answer.headers
            seconds = retry_after(answer) if told else ASKED_TO_WAIT
            return _Answer(trouble, wait=min(seconds, LONGEST_PAUSE.total_seconds()))
        return _Answer(trouble, silent=answer.status_code >= 500)

    async def _posted(self, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Its status and headers; what else it says is nobody's to read, and may have no end.

        Raises:
            httpx.HTTPError, TimeoutError: no answer, or none in time.
        """
        seconds = PATIENCE.total_seconds()
        async with (
            asyncio.timeout(seconds),
            self._client.stream("POST", url, content=body, headers=headers, timeout=seconds) as answer,
        ):
            size = 0
            async for part in answer.aiter_bytes():
                size += len(part)
                if size > LONGEST_ANSWER:
                    break
        return answer

    def _signed(self, subscriber: Subscriber, event: str, body: bytes) -> dict[str, str]:
        if not subscriber.secret_file:
            return {}
        secret = (self._secrets / subscriber.secret_file).read_bytes().strip()
        at, name = self._clock(), quote(event, safe="/:")
        stamp = str(int(at.timestamp()))
        standard = base64.b64encode(
            hmac.new(secret, f"{name}.{stamp}.".encode() + body, hashlib.sha256).digest()
        ).decode()
        return {
            "Fascia-Signature": signature(secret, body, at),
            "Webhook-Id": name,
            "Webhook-Timestamp": stamp,
            "Webhook-Signature": f"v1,{standard}",
        }

    async def _again(self, delivery: Delivery, trouble: str, standing: Standing) -> None:
        now = self._clock()
        dead = delivery.attempts >= MOST_ATTEMPTS
        pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 20), LONGEST_PAUSE)
        again_at = max(now + pause, BREAKER.due(standing) or now)
        await self._outbox.failed(delivery.id, trouble, now, None if dead else again_at)
        about = {"subscriber": delivery.subscriber.name, "event_type": delivery.event.type, "problem": trouble}
        if dead:
            log.error("event not delivered, given up", alert=True, attempts=delivery.attempts, **about)
        elif delivery.attempts in (1, 5, 10):
            log.warning("event not delivered", attempts=delivery.attempts, again_in=str(pause), **about)
