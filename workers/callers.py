"""How long, and how often at once, a caller of the HTTP doors may stay connected: who only holds connections open keeps nobody out.

uvicorn waits for a request as long as its caller likes, and counts nobody. A request that is whole has all the time its answer takes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

import structlog
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from gateway.mllp_flow import origin_of

TICK: Final = 0.25  # of the shorter time, between two looks at a connection
_Protocol: Any = AutoHTTPProtocol  # whichever of its two uvicorn has here

log = structlog.get_logger(__name__)


class Callers:
    """``most`` connections at once, of one address ``share`` of them. Seconds: ``head_within`` from the connection, or the answer
    before, to a request's last header; ``body_within`` to the last byte of its body."""

    def __init__(self, most: int, *, share: float = 0.5, head_within: float = 20.0, body_within: float = 120.0) -> None:
        self.most = most
        self.most_of_one = max(1, int(most * share))
        self.head_within = head_within
        self.body_within = body_within
        self.refused = 0
        self._there: Counter[str] = Counter()

    def admit(self, origin: str) -> bool:
        """Count one more connection from there, until :meth:`gone`; False where that is too many."""
        if self._there.total() >= self.most or self._there[origin] >= self.most_of_one:
            self.refused += 1
            if (
                self.refused & (self.refused - 1) == 0
            ):  # the first, the second, the fourth ...: a flood is no flood of lines
                log.warning("connections refused: too many", door="http", peer=origin, count=self.refused)
            return False
        self._there[origin] += 1
        return True

    def gone(self, origin: str) -> None:
        """This connection is closed."""
        self._there[origin] -= 1
        if not self._there[origin]:
            del self._there[origin]

    def protocol(self) -> type[asyncio.Protocol]:
        """What uvicorn talks by."""
        callers = self

        class Patient(_Protocol):  # type: ignore[misc]
            def connection_made(self, transport: asyncio.Transport) -> None:
                super().connection_made(transport)
                self._origin = origin_of(self.client[0] if self.client else "")
                self._admitted = callers.admit(self._origin)
                self._timer: asyncio.TimerHandle | None = None
                if not self._admitted:
                    transport.abort()
                    return
                self._since = self.loop.time()
                self._look()

            def connection_lost(self, exc: Exception | None) -> None:
                if self._timer is not None:
                    self._timer.cancel()
                if self._admitted:
                    callers.gone(self._origin)
                super().connection_lost(exc)

            def on_response_complete(self) -> None:
                self._since = self.loop.time()
                super().on_response_complete()

            def _look(self) -> None:
                spent = self.loop.time() - self._since
                answering = self.cycle is not None and not self.cycle.response_complete
                if (spent > callers.head_within and not answering) or (
                    spent > callers.body_within and answering and self.cycle.more_body
                ):
                    self.transport.abort()
                else:
                    pause = TICK * min(callers.head_within, callers.body_within)
                    self._timer = self.loop.call_later(pause, self._look)

        return Patient
