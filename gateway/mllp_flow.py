"""What the connections of one MLLP listener share: bounds on work and memory that hold for all of them, turns, and counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
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


class Flow:
    """What the connections of one listener share: the corridor, the bounds on work and memory, and the counts."""

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
        self._starved: set[Connection] = set()  # read no further until less is held
        self._changed = asyncio.Event()

    def begin(self, connection: Connection) -> None:
        """Begin what may be begun: a frame of each connection in turn, so that none waits for another's backlog."""
        if connection.can_begin:
            self._waiting[connection] = None
        while self._waiting and self.in_work < self.limits.in_work:
            one = next(iter(self._waiting))
            del self._waiting[one]
            if one.can_begin:
                one.begin_next()
            if one.can_begin:
                self._waiting[one] = None

    def has_room(self, connection: Connection) -> bool:
        """Whether this connection may read on; one that may not is told when it may."""
        if self.held <= self.limits.held_bytes:
            return True
        self._starved.add(connection)
        return False

    def leave(self, connection: Connection) -> None:
        """This connection has neither socket nor work."""
        self.connections.discard(connection)
        self._changed.set()

    def ended(self, turn: Turn, size: int) -> None:
        """This frame of so many bytes is no longer in work."""
        if turn.task is not None:
            self.tasks.discard(turn.task)
        self.in_work -= 1
        self.release(size)
        self._changed.set()

    async def empty(self) -> None:
        """Wait until there is no connection and no work."""
        while self.connections or self.tasks:
            self._changed.clear()
            await self._changed.wait()

    def hold(self, size: int) -> None:
        """So many more bytes are held; past the bound nobody is read from, not even for one more piece each."""
        before, self.held = self.held, self.held + size
        if before <= self.limits.held_bytes < self.held:
            for one in self.connections:
                one.pace()

    def release(self, size: int) -> None:
        """So many bytes are no longer held."""
        self.held -= size
        if self._starved and self.held <= self.limits.held_bytes:
            starved, self._starved = self._starved, set()
            for one in starved:
                one.pace()


class Turn:
    """One frame's place in the order of answers."""

    __slots__ = ("answer", "began", "done", "failed", "task")

    def __init__(self, began: float) -> None:
        self.began = began
        self.answer: Answer = None
        self.done = False
        self.task: asyncio.Task[None] | None = None
        self.failed = True  # until there is an answer, or the word that there is none
