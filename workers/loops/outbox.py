"""Tells inventory, analytics and others what happened: each business event to each subscriber's webhook, signed, until taken.

``Fascia-Signature: t=<unix seconds>,v1=<hex>`` is an HMAC-SHA256 of ``<t>.<body>`` under the secret the subscriber was given.
An event may come twice: ``Fascia-Event`` is its name, the same each time.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import httpx
import structlog

from store.outbox import Delivery, Subscriber

PATIENCE = timedelta(seconds=10)  # for one answer
HELD = timedelta(minutes=2)  # a sender that dies with deliveries in hand gives them back after that
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
MOST_ATTEMPTS = 15  # over about seven hours; then a person

log = structlog.get_logger(__name__)


class Outbox(Protocol):
    """Deliveries that wait."""

    async def claim(self, at: datetime, until: datetime, limit: int = 50) -> Sequence[Delivery]: ...
    async def delivered(self, delivery: int, at: datetime) -> None: ...
    async def failed(self, delivery: int, error: str, at: datetime, again_at: datetime | None) -> None: ...


def signature(secret: bytes, body: bytes, at: datetime) -> str:
    """What proves to a subscriber that an event is ours, and when we sent it."""
    stamp = str(int(at.timestamp()))
    return f"t={stamp},v1={hmac.new(secret, stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


class OutboxSender:
    """Sends what is due; subscribers side by side, each one's events in the order they happened."""

    def __init__(
        self,
        outbox: Outbox,
        client: httpx.AsyncClient,
        secrets: Path,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._outbox = outbox
        self._client = client
        self._secrets = secrets
        self._clock = clock

    async def once(self) -> None:
        """Send everything that is due."""
        while due := await self._outbox.claim(self._clock(), self._clock() + HELD):
            by_subscriber: dict[str, list[Delivery]] = defaultdict(list)
            for delivery in due:
                by_subscriber[delivery.subscriber.name].append(delivery)
            await asyncio.gather(*(self._send_all(deliveries) for deliveries in by_subscriber.values()))

    async def _send_all(self, deliveries: Sequence[Delivery]) -> None:
        trouble = ""
        for delivery in deliveries:
            # One that fails stops those after it: they wait as long, and come in order.
            trouble = trouble or await self._send(delivery)
            if trouble:
                await self._again(delivery, trouble)
            else:
                await self._outbox.delivered(delivery.id, self._clock())

    async def _send(self, delivery: Delivery) -> str:
        """Send one event; gives what went wrong, empty when it was taken."""
        body = delivery.event.model_dump_json().encode()
        try:
            headers = {
                "Content-Type": "application/json",
                "Fascia-Event": quote(delivery.event.key, safe="/:"),
                "Fascia-Event-Type": delivery.event.type,
                **self._signed(delivery.subscriber, body),
            }
            answer = await self._client.post(
                delivery.subscriber.url, content=body, headers=headers, timeout=PATIENCE.total_seconds()
            )
        except (httpx.HTTPError, httpx.InvalidURL) as lost:
            return f"no answer ({type(lost).__name__})"
        except OSError as unreadable:
            return f"the subscriber's secret cannot be read ({type(unreadable).__name__})"
        return "" if answer.is_success else f"HTTP {answer.status_code}"

    def _signed(self, subscriber: Subscriber, body: bytes) -> dict[str, str]:
        if not subscriber.secret_file:
            return {}
        secret = (self._secrets / subscriber.secret_file).read_bytes().strip()
        return {"Fascia-Signature": signature(secret, body, self._clock())}

    async def _again(self, delivery: Delivery, trouble: str) -> None:
        now = self._clock()
        dead = delivery.attempts >= MOST_ATTEMPTS
        pause = min(FIRST_PAUSE * 2 ** min(delivery.attempts - 1, 20), LONGEST_PAUSE)
        await self._outbox.failed(delivery.id, trouble, now, None if dead else now + pause)
        about = {"subscriber": delivery.subscriber.name, "event_type": delivery.event.type, "problem": trouble}
        if dead:
            log.error("event not delivered, given up", alert=True, attempts=delivery.attempts, **about)
        elif delivery.attempts in (1, 5, 10):
            log.warning("event not delivered", attempts=delivery.attempts, again_in=str(pause), **about)
