"""Warns of what comes near its expiry (stock, credentials): once a day, each once at each number of days its facility warns at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Final, Protocol

import structlog

EXPIRY_EVERY: Final = 600.0  # seconds between two looks at the date; a round of a day that was done costs nothing

log = structlog.get_logger(__name__)


class Warned(Protocol):
    """What has dates."""

    async def warn(self, as_of: datetime) -> int: ...


class ExpiryWarnings:
    """One round a day. A day on which we were down is made up for: what was passed meanwhile is warned of then."""

    def __init__(
        self,
        expiry: Warned,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        what: str = "stock comes near its expiry",
    ) -> None:
        self._expiry, self._clock, self._what = expiry, clock, what
        self._done: date | None = None

    async def once(self) -> None:
        """Warn, unless today is done."""
        now = self._clock()
        if self._done == now.date():
            return
        warned = await self._expiry.warn(now)
        self._done = now.date()
        if warned:
            log.info(self._what, many=warned, alert=True)
