"""Sends an invented hospital's traffic over MLLP as its systems would, right and wrong, and keeps the ledger of it.

Each connection sends in order, with so many messages unanswered at most, and takes an answer for the message it names and no
other. What was sent and not answered is sent again, where more than one try is allowed, over a new connection and before
anything else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cli.synthetic.faults import Faults, Step, Wire
from cli.synthetic.ledger import Ledger
from cli.synthetic.traffic import Letter, Plan
from formats.mllp import Frame, Frames, wrap

AHEAD: Final = 64  # writes that wait on a connection before no more are made
REACHED_EVERY: Final = 0.5  # seconds between tries to connect
CLOSED, NO_ANSWER, NEVER_ENDS = "connection closed, no answer", "no answer in time", "frame without an end"


@dataclass(frozen=True)
class Target:
    """Where to, and how patient. ``in_flight``: messages unanswered on a connection at most; ``tries``: of each message."""

    host: str
    port: int
    in_flight: int = 1
    answer_within: float = 30.0
    tries: int = 1
    connect_within: float = 10.0


@dataclass(slots=True)
class _Sent:
    letter: Letter
    at: float
    tries: int


@dataclass(slots=True)
class _Waiting:
    step: Step
    tries: int = 1


class _Ears(asyncio.Protocol):
    """Hears answers on one connection."""

    def __init__(self, told: Callable[[str, str], None]) -> None:
        self._frames = Frames()
        self._told = told
        self.closed = asyncio.get_running_loop().create_future()
        self._room = asyncio.Event()
        self._room.set()

    def data_received(self, data: bytes) -> None:
        for found in self._frames.feed(data):
            if isinstance(found, Frame):
                self._told(*acknowledged(found.data))

    def pause_writing(self) -> None:
        self._room.clear()

    def resume_writing(self) -> None:
        self._room.set()

    async def room(self) -> None:
        await self._room.wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._room.set()
        if not self.closed.done():
            self.closed.set_result(None)


@dataclass
class _Lane:
    """One connection's place: what waits to be written, what waits for its answer."""

    number: int
    target: Target
    ledger: Ledger
    clock: Callable[[], float]
    waiting: deque[_Waiting] = field(default_factory=deque)
    sent: deque[_Sent] = field(default_factory=deque)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    no_more: bool = False
    left: list[tuple[asyncio.Transport, Letter, float]] = field(default_factory=list)
    transport: asyncio.Transport | None = None
    ears: _Ears | None = None
    paced: bool = False
    _taken: asyncio.Event = field(default_factory=asyncio.Event)
    _alarm: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Send until nothing is left; what cannot be sent any more is said to be so."""
        while True:
            if not self.waiting:
                if self.no_more and not self.sent:
                    break
                await self._until(lambda: bool(self.waiting) or (self.no_more and not self.sent))
                if not self.waiting:
                    continue
            if not await self._connected():
                self._give_up("not reachable")
                continue
            await self._write(self.waiting.popleft())
            self._taken.set()
        self._close()
        if self._alarm is not None:
            self._alarm.cancel()
        for transport, letter, at in self.left:
            transport.close()
            self.ledger.unanswered(letter, 1, at, NEVER_ENDS)

    async def room(self) -> None:
        """Wait until not much waits to be written."""
        while len(self.waiting) >= AHEAD:
            self._taken.clear()
            await self._taken.wait()

    async def _write(self, one: _Waiting) -> None:
        step = one.step
        some = len(step.letters)
        await self._until(lambda: len(self.sent) + some <= max(self.target.in_flight, some) or self._gone)
        if self._gone or self.transport is None or self.ears is None:
            self.waiting.appendleft(one)
            return
        now = self.clock()
        transport, ears = self.transport, self.ears
        if step.then == "leave":
            transport.write(step.data)
            self.left.append((transport, step.letters[0], now))
            self.transport = self.ears = None
            return
        self.sent.extend(_Sent(letter, now, one.tries) for letter in step.letters)
        transport.write(step.data)
        await ears.room()
        if step.then == "half-close" and not self._gone:
            transport.write_eof()
        if step.then:
            await self._until(lambda: not self.sent or self._gone)
            self._close()

    async def _until(self, there: Callable[[], bool]) -> None:
        """Wait until it is so, as long as answers come in time."""
        while not there():
            self.changed.clear()
            if self.sent and self._alarm is None:
                within = self.target.answer_within - (self.clock() - self.sent[0].at)
                self._alarm = asyncio.get_running_loop().call_later(max(within, 0.01), self._alarmed)
            await self.changed.wait()
            if self.sent and self.clock() - self.sent[0].at >= self.target.answer_within:
                self._lost(NO_ANSWER)
            if self._gone and self.sent:
                self._lost(CLOSED)

    def _alarmed(self) -> None:
        """One timer for all that wait for an answer: it looks whether the first of them has waited too long."""
        self._alarm = None
        self.changed.set()

    @property
    def _gone(self) -> bool:
        return (
            self.transport is None or self.transport.is_closing() or (self.ears is not None and self.ears.closed.done())
        )

    async def _connected(self) -> bool:
        if not self._gone:
            return True
        self._close()
        loop, ends = asyncio.get_running_loop(), self.clock() + self.target.connect_within
        while True:
            try:
                transport, ears = await loop.create_connection(
                    lambda: _Ears(self._told), self.target.host, self.target.port
                )
            except OSError:
                if self.clock() > ends:
                    return False
                await asyncio.sleep(REACHED_EVERY)
                continue
            self.transport, self.ears = transport, ears
            ears.closed.add_done_callback(lambda _: self.changed.set())
            return True

    def _told(self, code: str, control: str) -> None:
        now = self.clock()
        place = next((at for at, one in enumerate(self.sent) if one.letter.control == control), None)
        if place is None:
            self.ledger.stray(control, self.number, now, code)
            return
        one = self.sent[place]
        del self.sent[place]
        due = one.letter.due if self.paced else one.at
        problem = "answered out of turn" if place else ""
        self.ledger.answered(one.letter, one.tries, one.at, due, now, code, problem)
        self.changed.set()

    def _lost(self, problem: str) -> None:
        """No answer comes any more for what was sent: some of it may be sent again."""
        again = []
        while self.sent:
            one = self.sent.popleft()
            retried = one.tries < self.target.tries
            self.ledger.unanswered(one.letter, one.tries, one.at, problem, again=retried)
            if retried:
                again.append(_Waiting(Step(wrap(one.letter.data), (one.letter,)), one.tries + 1))
        self.waiting.extendleft(reversed(again))
        self._close()

    def _give_up(self, problem: str) -> None:
        """Nobody is there: what waits is not sent."""
        while self.waiting:
            one = self.waiting.popleft()
            self._taken.set()
            for letter in one.step.letters:
                self.ledger.unanswered(letter, one.tries, self.clock(), problem)

    def _close(self) -> None:
        if self.transport is not None:
            self.transport.close()
        self.transport = self.ears = None


async def send(
    plan: Plan, target: Target, faults: Faults, ledger: Ledger, *, told: Callable[[int], None] = lambda _: None
) -> None:
    """Send the plan's letters, at its rate where it has one; ``told`` hears every so often how many were handed on."""
    begin = time.perf_counter()

    def clock() -> float:
        return time.perf_counter() - begin

    lanes = [_Lane(number, target, ledger, clock, paced=bool(plan.rate)) for number in range(plan.connections)]
    wires = [Wire(plan.seed, number, faults) for number in range(plan.connections)]
    async with asyncio.TaskGroup() as group:
        for lane in lanes:
            group.create_task(lane.run())
        for many, letter in enumerate(plan.letters()):
            if plan.rate and (early := letter.due - clock()) > 0.001:
                await asyncio.sleep(early)
            lane = lanes[letter.connection]
            if not plan.rate:
                await lane.room()
            lane.waiting.extend(map(_Waiting, wires[letter.connection].take(letter)))
            lane.changed.set()
            if many % 256 == 0:
                told(many)
                await asyncio.sleep(0)
        for lane, wire in zip(lanes, wires, strict=True):
            lane.waiting.extend(map(_Waiting, wire.end()))
            lane.no_more = True
            lane.changed.set()


def acknowledged(answer: bytes) -> tuple[str, str]:
    """MSA-1 and MSA-2, by the field mark of its own MSH; empty where there is none."""
    mark = answer[3:4]
    at = answer.find(b"\rMSA" + mark) if mark else -1
    if at < 0:
        return "", ""
    fields = answer[at + 5 : (answer + b"\r").index(b"\r", at + 1)].split(mark)
    return fields[0].decode("latin-1"), fields[1].decode("latin-1") if len(fields) > 1 else ""
