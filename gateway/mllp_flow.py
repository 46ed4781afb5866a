"""What the connections of one MLLP listener share: bounds on work and memory that hold for all of them, turns, and counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from itertools import count
from typing import TYPE_CHECKING

from gateway.mllp_peer import Answer, Corridor, Limits

if TYPE_CHECKING:
    from gateway.mllp_connection import Connection


@dataclass
class Counts:
    """What happened since the start."""

    accepted: int = 0
    refused: int = 0
    handshakes_failed: int = 0
    frames: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    noise_bytes: int = 0
    answered: int = 0
    failed: int = 0
    timed_out: int = 0
    idle_closed: int = 0


class Share:
    """What the connections from one address have of a listener."""

    __slots__ = ("alive", "held", "in_work", "origin", "starved", "waiting")

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.alive = 0
        self.in_work = 0
        self.held = 0
        self.waiting: dict[Connection, None] = {}  # until less of this address is in work, in that order
        self.starved: set[Connection] = set()  # read no further until less is held


class Flow:
    """What the connections of one listener share: the corridor, the bounds on work and memory, and the counts.

    No address has more than its share of any of it: what one sender piles up (over its quota, say, or a slow disk of ours) leaves
    room for the others.
    """

    def __init__(self, corridor: Corridor, limits: Limits, listener: str) -> None:
        self.corridor = corridor
        self.limits = limits
        self.listener = listener
        self.counts = Counts()
        self.numbers = count(1)
        self.alive = 0  # sockets, handshakes included
        self.in_work = 0
        self.held = 0  # bytes, of open frames, of frames in work and of frames before it
        self.connections: set[Connection] = set()  # those that have a socket or work
        self.tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[Connection, None] = {}  # for their turn, in that order
        self._shares: dict[str, Share] = {}
        self._most_in_work = max(1, int(limits.in_work * limits.share))
        self._most_held = max(limits.frame_bytes, int(limits.held_bytes * limits.share))
        self._most_connections = max(1, int(limits.connections * limits.share))
        self._changed = asyncio.Event()

    def admit(self, host: str) -> Share | None:
        """Count one more connection from there, until :meth:`gone`; None where that would be more than its share."""
        origin = origin_of(host)
        share = self._shares.get(origin)
        if self.alive >= self.limits.connections or (share is not None and share.alive >= self._most_connections):
            return None
        if share is None:
            share = self._shares[origin] = Share(origin)
        self.alive += 1
        share.alive += 1
        return share

    def gone(self, share: Share) -> None:
        """This connection has no socket any more."""
        self.alive -= 1
        share.alive -= 1
        self._forget(share)

    def begin(self, connection: Connection) -> None:
        """Begin what may be begun: a frame of each connection in turn, so that none waits for another's backlog."""
        if connection.can_begin:
            self._waiting[connection] = None
        while self._waiting and self.in_work < self.limits.in_work:
            one = next(iter(self._waiting))
            del self._waiting[one]
            if not one.can_begin:
                continue
            if one.share.in_work >= self._most_in_work:
                one.share.waiting[one] = None
                continue
            one.begin_next()
            if one.can_begin:
                self._waiting[one] = None

    def has_room(self, connection: Connection) -> bool:
        """Whether this connection may read on; one that may not is told when it may."""
        share = connection.share
        if self.held <= self.limits.held_bytes and share.held <= self._most_held:
            return True
        share.starved.add(connection)
        return False

    def leave(self, connection: Connection) -> None:
        """This connection has neither socket nor work."""
        self.connections.discard(connection)
        self._changed.set()

    def began(self, share: Share) -> None:
        """One more frame is in work, until :meth:`ended`."""
        self.in_work += 1
        share.in_work += 1

    def ended(self, turn: Turn, size: int, share: Share) -> None:
        """This frame of so many bytes is no longer in work."""
        if turn.task is not None:
            self.tasks.discard(turn.task)
        self.in_work -= 1
        share.in_work -= 1
        if share.waiting:
            one = next(iter(share.waiting))
            del share.waiting[one]
            self._waiting[one] = None
        self.release(size, share)
        self._changed.set()

    async def empty(self) -> None:
        """Wait until there is no connection and no work."""
        while self.connections or self.tasks:
            self._changed.clear()
            await self._changed.wait()

    def hold(self, size: int, share: Share) -> None:
        """So many more bytes are held; past a bound nobody it holds for is read from, not even for one more piece each."""
        before, self.held = self.held, self.held + size
        mine, share.held = share.held, share.held + size
        if before <= self.limits.held_bytes < self.held:
            for one in self.connections:
                one.pace()
        elif mine <= self._most_held < share.held:
            for one in self.connections:
                if one.share is share:
                    one.pace()

    def release(self, size: int, share: Share) -> None:
        """So many bytes are no longer held."""
        was_full = self.held > self.limits.held_bytes
        self.held -= size
        share.held -= size
        if self.held <= self.limits.held_bytes:
            for one in list(self._shares.values()) if was_full else (share,):
                if one.starved and one.held <= self._most_held:
                    starved, one.starved = one.starved, set()
                    for connection in starved:
                        connection.pace()
        self._forget(share)

    def _forget(self, share: Share) -> None:
        if not (share.alive or share.in_work or share.held) and self._shares.get(share.origin) is share:
            del self._shares[share.origin]


def origin_of(host: str) -> str:
    """The address that counts as one: of IPv6 the network of 64 bits, which one machine has all of."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else str(IPv6Address(int(address) >> 64 << 64))
    return host


class Turn:
    """One frame's place in the order of answers."""

    __slots__ = ("answer", "began", "done", "failed", "task")

    def __init__(self, began: float) -> None:
        self.began = began
        self.answer: Answer = None
        self.done = False
        self.task: asyncio.Task[None] | None = None
        self.failed = True  # until there is an answer, or the word that there is none
