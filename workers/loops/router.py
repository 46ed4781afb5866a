"""Routes what was kept in streams: urgent messages first, each stream in its own order, no stream waiting for another.

Streams are dealt out to shards, and a shard is one process's at a time (``store/shards.py``), so no two route one stream at once. What
a router did and could not write down before it was killed is done again, with the effect of once. A round is of all shards of the
process, and while much comes it waits a moment for more: what a round costs is spread over what it routes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Final, Protocol

import structlog

from canonical.errors import Throttled, Unavailable
from canonical.messages import Kept, Move
from canonical.ports import Journal
from gateway.routing import Routing

AT_MOST: Final = 500  # messages in a round
MOST_WAITING: Final = (
    10_000  # streams; where more wait, what they need is away for everybody, and no more are looked for
)
FORGOTTEN_AFTER: Final = (
    600.0  # seconds after its pause, of a stream that was not seen again: another has routed or parked it
)
STREAMS_AT_ONCE: Final = 16  # of each shard
ENOUGH: Final = 250  # messages; a round of fewer lets more come together before the next
GATHER: Final = 0.1  # seconds for that
ROUND: Final = 2.0  # seconds a router works on before it looks whether its shard is still its own
STALE: Final = 30.0  # seconds after which it begins nothing more that it read before: it may have stood still, and another be there
PAUSE_FIRST, PAUSE_LONGEST = 1.0, 30.0  # seconds a stream waits for what is away

log = structlog.get_logger(__name__)


class Router:
    """The router of some shards. ``shard``: one of them, or several; they may change between two rounds."""

    def __init__(
        self,
        journal: Journal,
        routing: Routing,
        shard: int | Collection[int],
        of: int,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._journal = journal
        self._routing = routing
        self.shards: Collection[int] = (shard,) if isinstance(shard, int) else tuple(shard)
        self._of = of
        self._clock = clock
        self._pause = pause
        self._waits: dict[str, tuple[float, int]] = {}  # stream -> until when, after how many tries

    async def once(self) -> None:
        """Route until nothing is left that can go on."""
        began = self._clock()
        while self._clock() - began < ROUND:
            now = self._clock()
            self._waits = {name: one for name, one in self._waits.items() if one[0] > now - FORGOTTEN_AFTER}
            waiting = [name for name, (until, _) in self._waits.items() if until > now]
            if len(waiting) >= MOST_WAITING:
                return
            found = await self._journal.next_to_route(self.shards, self._of, AT_MOST, without=waiting)
            if not found:
                return
            await self._route(found)
            if len(found) < ENOUGH:
                await self._pause(GATHER)

    async def _route(self, messages: Sequence[Kept]) -> None:
        streams: dict[str, list[Kept]] = {}
        for message in messages:
            streams.setdefault(message.stream, []).append(message)
        moves: list[Move] = []
        waiting, began = iter(streams.items()), self._clock()

        async def work() -> None:
            for stream, own in waiting:
                await self._stream(stream, own, moves, began)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(STREAMS_AT_ONCE * len(self.shards), len(streams))):
                    group.create_task(work())
        finally:
            if self._clock() - began > STALE:
                moves = [move for move in moves if await self._still_waits(move.message)]
            await self._journal.mark_many(moves)

    async def _still_waits(self, message: str) -> bool:
        """Whether nobody has settled it since it was read: what another router or a person said of it meanwhile stands."""
        stands = await self._journal.read(message)
        return stands is not None and stands.state in ("received", "validated")

    async def _stream(self, stream: str, messages: Sequence[Kept], moves: list[Move], began: float) -> None:
        for message in messages:
            if self._clock() - began > STALE:
                return
            try:
                move = await self._routing.route(message)
            except (Unavailable, Throttled) as away:
                tries = self._waits.get(stream, (0.0, 0))[1] + 1
                pause = min(PAUSE_FIRST * 2 ** min(tries - 1, 10), PAUSE_LONGEST)
                if isinstance(away, Throttled):
                    pause = max(pause, away.retry_after)
                self._waits[stream] = (self._clock() + pause, tries)
                if tries in (1, 5) or tries % 50 == 0:
                    log.warning(
                        "stream waits", message=message.id, kind=message.kind, tries=tries, problem=away.message
                    )
                return
            except (
                Exception
            ):  # a mistake of ours: its stream waits for the next version, and keeps no other from going on
                tries = self._waits.get(stream, (0.0, 0))[1] + 1
                self._waits[stream] = (self._clock() + PAUSE_LONGEST, tries)
                log.exception("message could not be routed", alert=tries == 1, message=message.id, kind=message.kind)
                return
            moves.append(move)
            self._waits.pop(stream, None)
            if move.state != "routed":  # its stream may be parked now: what is behind it is asked for again
                return


class Shards(Protocol):
    """Which shards this process has."""

    of: int

    async def hold(self) -> Sequence[int]: ...


class Routers:
    """The router of the shards this process has at the time."""

    def __init__(self, shards: Shards, journal: Journal, routing: Routing) -> None:
        self._shards = shards
        self._router = Router(journal, routing, (), shards.of)

    async def once(self) -> None:
        """Route what waits in them."""
        self._router.shards = held = await self._shards.hold()
        if held:
            await self._router.once()
