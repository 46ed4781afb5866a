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
FAST: Final = 1.0  # seconds in which what was counted ahead is used up, where it was too little
MOST_LEASES: Final = 10_000
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


class Counts(Protocol):
    """How often each key called in the last minute, at whichever door of ours."""

    async def count(self, key: str, per_minute: int, calls: int = 1) -> float:
        """Count these calls, all or none; 0 when they are within the quota, else the seconds until one will be."""
        ...


class _Lease:
    """Calls of one key that were counted before they came."""

    __slots__ = ("asking", "left", "size", "taken")

    def __init__(self) -> None:
        self.left, self.size, self.taken = 0, 0, 0.0
        self.asking: asyncio.Task[float] | None = None


class Leases:
    """Counts calls ahead, more of them the faster they come: a key that calls a thousand times a second costs a few questions in it.

    At most a second's worth of the quota is counted ahead. So each door may let through that much more than a quota in a minute;
    what a door holds while another asks in vain, or held when it was killed, is that much less. A key of up to 60 calls a minute
    is counted call by call.
    """

    def __init__(self, counts: Counts, *, clock: Callable[[], float] | None = None) -> None:
        self._counts = counts
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._leases: dict[str, _Lease] = {}

    async def count(self, key: str, per_minute: int) -> float:
        """Count a call; 0 when it is within the quota, else the seconds until the next one will be.

        Raises:
            Unavailable: our database does not answer.
        """
        lease = self._leases.get(key)
        if lease is None:
            if len(self._leases) >= MOST_LEASES:
                self._leases = {one: held for one, held in self._leases.items() if held.asking is not None}
            lease = self._leases[key] = _Lease()
        while not lease.left:
            if lease.asking is None:
                lease.asking = asyncio.get_running_loop().create_task(self._ask(lease, key, per_minute))
            if seconds := await asyncio.shield(lease.asking):
                return seconds
        lease.left -= 1
        return 0.0

    async def _ask(self, lease: _Lease, key: str, per_minute: int) -> float:
        now = self._clock()
        wanted = 2 * lease.size if now - lease.taken < FAST else lease.size // 2
        size = max(1, min(wanted, per_minute // SECONDS_OF_A_MINUTE))
        try:
            seconds = await self._counts.count(key, per_minute, size)
            if seconds and size > 1:
                size = 1
                seconds = await self._counts.count(key, per_minute)
        finally:
            lease.asking = None
        lease.left = lease.size = 0 if seconds else size
        lease.taken = now
        return seconds


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
