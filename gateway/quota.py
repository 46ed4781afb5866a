"""Holds senders to what was agreed: what is over a quota waits at its own gate, in order, and holds up nobody else.

Several doors may serve one sender. What it may send is counted once for all of them, in our own store, and taken from there a
second's worth at a time: no question for each message, and never more than was agreed and one second's worth for each door.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Final, Generic, Protocol, TypeVar

import structlog

from canonical.errors import FasciaError

BURST_OF_A_MINUTE: Final = 12  # a quota's part that may come at once: five seconds' worth
SECONDS_OF_A_MINUTE: Final = 60
ASK_AGAIN: Final = 1.0  # seconds until our database is asked again where it does not answer

log = structlog.get_logger(__name__)


class Allowance(Protocol):
    """What each sender may send, counted once for all doors."""

    async def take(self, key: str, per_minute: int, most: int) -> tuple[int, float]:
        """Up to ``most`` of the messages that this sender may send now; where it may send none, seconds until it may.

        Raises:
            Unavailable: our database does not answer.
        """
        ...


class Party(Protocol):
    """Messages that go through a gate together: those of one frame."""

    @property
    def count(self) -> int: ...


PartyT = TypeVar("PartyT", bound=Party)


class Gate(Generic[PartyT]):
    """One sender's gate in one door. A token a message; without an ``allowance`` the tokens of this door are all there are."""

    def __init__(
        self,
        sender: str,
        per_minute: int,
        through: Callable[[PartyT], None],
        *,
        allowance: Allowance | None = None,
        before: Gate[PartyT] | None = None,
    ) -> None:
        self.per_minute = per_minute
        self.away = False  # what holds up who waits here is our database, not the quota
        self._sender = sender
        self._through = through
        self._allowance = allowance
        self._most = max(1.0, per_minute / BURST_OF_A_MINUTE)
        self._tokens = 0.0 if allowance is not None else self._most
        self._seen = asyncio.get_running_loop().time()
        self._waiting: deque[PartyT] = before.close() if before is not None else deque()
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._let_through()

    def enter(self, party: PartyT) -> None:
        """Go through now, or wait behind those who came before."""
        self._waiting.append(party)
        self._let_through()

    def leave(self, party: PartyT) -> bool:
        """Wait no longer; False for who is through already."""
        try:
            self._waiting.remove(party)
        except ValueError:
            return False
        return True

    @property
    def idle(self) -> bool:
        """Whether it is as good as a new one: nobody waits, and it may be passed as often as at its beginning."""
        if self._waiting or self._timer is not None or self._asking is not None:
            return False
        if self._allowance is not None:
            return self._tokens >= 0
        since = asyncio.get_running_loop().time() - self._seen
        return self._tokens + since * self.per_minute / SECONDS_OF_A_MINUTE >= self._most

    def close(self) -> deque[PartyT]:
        """Let nobody through any more; gives who waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._asking is not None:
            self._asking.cancel()
        return self._waiting

    def _let_through(self) -> None:
        if self._allowance is None:
            now = asyncio.get_running_loop().time()
            self._tokens = min(self._most, self._tokens + (now - self._seen) * self.per_minute / SECONDS_OF_A_MINUTE)
            self._seen = now
        # What comes in one frame goes through together: it may overdraw, and those behind it wait the longer.
        while self._waiting and self._tokens >= 1:
            party = self._waiting.popleft()
            self._tokens -= party.count
            self._through(party)
        if not self._waiting or self._timer is not None or self._asking is not None:
            return
        if self._allowance is None:
            self._wait((1 - self._tokens) * SECONDS_OF_A_MINUTE / self.per_minute)
        else:
            self._asking = asyncio.get_running_loop().create_task(self._ask(self._allowance))

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._let_through()

    async def _ask(self, allowance: Allowance) -> None:
        """Take a second's worth, and what was overdrawn."""
        most = ceil(self.per_minute / SECONDS_OF_A_MINUTE) + max(0, ceil(-self._tokens))
        try:
            granted, seconds = await allowance.take(self._sender, self.per_minute, most)
            self.away = False
        except FasciaError as away:
            granted, seconds = 0, ASK_AGAIN
            if not self.away:
                log.warning("quota cannot be asked for", sender=self._sender, problem=away.message)
            self.away = True
        except Exception:
            log.exception("quota could not be asked for", sender=self._sender)
            granted, seconds, self.away = 0, ASK_AGAIN, True
        self._asking = None
        self._tokens += granted
        if granted:
            self._let_through()
        else:
            self._wait(seconds)
