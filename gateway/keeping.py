"""Lines messages up for keeping: in the order they came, many by one commit, and none told kept before it is.

Whoever brings a message is in line before it first waits, so the order is that of the connection. While one commit is on its way the
next ones gather; while several send, few wait a moment for more, so that what a commit costs is spread over many. One who sends alone
waits for nobody. A sender over its quota waits at its own gate (``gateway/quota.py``), and holds up nobody else.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final, Protocol

import structlog

from canonical.errors import FasciaError, Throttled, Unavailable
from canonical.messages import KeepResult, NewMessage
from gateway.gates import forget_idle
from gateway.quota import Allowance, Gate

MOST_AT_ONCE, MOST_BYTES = 500, 8 * 2**20  # of messages in one commit; what is larger goes alone
FEW, GATHER = 8, 0.001  # while several senders are busy, fewer than that wait so many seconds for more
BUSY: Final = 0.02  # seconds after a commit that several had part in, or had to wait for
LET_GO: Final = 256  # places
STRANGER: Final = "?"  # begins the name of who is nobody's sender: an address, which each process counts for itself
STRANGERS_PIECE, STRANGERS_MOST = 64 * 1024, 32  # bytes of a stranger's that count as a message more; the most of those
PAUSE_FIRST, PAUSE_LONGEST = 0.05, 1.0  # seconds between tries while our database is away
URGENT: Final = 0  # the first of the priorities: what ends somebody's access now, whatever the sender's row says

log = structlog.get_logger(__name__)


class Keeper(Protocol):
    """The journal, as far as keeping goes."""

    async def keep_many(self, messages: Sequence[NewMessage]) -> Sequence[KeepResult]: ...


class NotKept(FasciaError):
    """It could not be kept in time: its sender must send it again. ``code`` says whether we or its quota are to blame."""

    code = "not-kept"


class Place:
    """What is in line together, in its order."""

    __slots__ = ("done", "given_up", "kept_for", "messages", "overdue", "size")

    def __init__(self, messages: Sequence[NewMessage], kept_for: str) -> None:
        self.messages = tuple(messages)
        self.kept_for = kept_for
        self.size = sum(len(message.data) for message in messages)
        self.done: asyncio.Future[Sequence[KeepResult]] = asyncio.get_running_loop().create_future()
        self.given_up = False
        self.overdue = 0.0  # on the loop's clock, once somebody waits for it

    @property
    def count(self) -> int:
        """How many messages they are at a gate. A stranger's large ones count for several: nobody agreed to keep gigabytes for it."""
        more = min(self.size // STRANGERS_PIECE, STRANGERS_MOST) if self.kept_for.startswith(STRANGER) else 0
        return len(self.messages) + more


class Line:
    """The one way into the journal of a listening process. ``allowance`` counts quotas for all of them."""

    def __init__(self, journal: Keeper, *, patience: float = 20.0, allowance: Allowance | None = None) -> None:
        self._journal = journal
        self._patience = patience
        self._waiting: deque[Place] = deque()
        self._allowance = allowance
        self._gates: dict[str, Gate[Place]] = {}
        self._work: asyncio.Task[None] | None = None
        self._patient: deque[Place] = deque()  # somebody waits for them, the first to lose patience first
        self._let_go_at = LET_GO
        self._busy_until = 0.0  # on the loop's clock
        self._alarm: asyncio.TimerHandle | None = None

    def join(self, messages: Sequence[NewMessage], *, sender: str = "", per_minute: int = 0) -> Place:
        """Take a place, now; wait for it by :meth:`kept`."""
        place = Place(messages, sender)
        gate = self._gates.get(sender)
        if per_minute:
            if gate is None or gate.per_minute != per_minute:
                shared = None if sender.startswith(STRANGER) else self._allowance
                gate = Gate(sender, per_minute, self._admit, allowance=shared, before=gate)
                forget_idle(self._gates)
                self._gates[sender] = gate
            gate.enter(place)
        else:
            if gate is not None:  # its row has no quota any more: who waited for it still goes first
                del self._gates[sender]
                for waiting in gate.close():
                    self._admit(waiting)
            self._admit(place)
        return place

    async def kept(self, place: Place) -> Sequence[KeepResult]:
        """What became of each message of a place, once that is durable.

        Raises:
            NotKept: our database, or the sender's quota, made it wait longer than patience lasts.
        """
        if not place.done.done():
            self._be_patient(place)
        try:
            return await place.done
        except asyncio.CancelledError:
            place.given_up = True
            raise

    async def close(self) -> None:
        """End what is under way; who is still in line hears nothing."""
        for gate in self._gates.values():
            gate.close()
        if self._alarm is not None:
            self._alarm.cancel()
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    def _be_patient(self, place: Place) -> None:
        """One timer for all: it goes off when the patience of the first who waits ends."""
        loop = asyncio.get_running_loop()
        place.overdue = loop.time() + self._patience
        while self._patient and self._patient[0].done.done():
            self._patient.popleft()
        self._patient.append(place)
        if len(self._patient) > self._let_go_at:  # nothing of what is kept stays here until then
            self._patient = deque(one for one in self._patient if not one.done.done())
            self._let_go_at = 2 * len(self._patient) + LET_GO
        if self._alarm is None:
            self._alarm = loop.call_at(place.overdue, self._look_who_waited)

    def _look_who_waited(self) -> None:
        loop, patient = asyncio.get_running_loop(), self._patient
        self._alarm = None
        while patient and (patient[0].done.done() or patient[0].overdue <= loop.time()):
            place = patient.popleft()
            if not place.done.done():
                self._give_up(place)
        if patient:
            self._alarm = loop.call_at(patient[0].overdue, self._look_who_waited)

    def _give_up(self, place: Place) -> None:
        place.given_up = True
        gate = self._gates.get(place.kept_for)
        if gate is not None and gate.leave(place) and not gate.away:
            place.done.set_exception(NotKept("more messages than were agreed", code="over-quota"))
        else:
            place.done.set_exception(NotKept("our database does not answer", system="store"))
        place.done.exception()  # who waited may be gone: that must not leave an unheard failure

    def _admit(self, place: Place) -> None:
        self._waiting.append(place)
        if self._work is None or self._work.done():
            self._work = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        pause = PAUSE_FIRST
        while self._waiting:
            await self._gather()
            batch = self._next()
            if not batch:  # all of them gave up
                continue
            try:
                results = await self._journal.keep_many([message for place in batch for message in place.messages])
            except (Unavailable, Throttled) as away:
                if pause == PAUSE_FIRST:
                    log.warning(
                        "messages wait to be kept", waiting=len(self._waiting) + len(batch), problem=away.message
                    )
                self._waiting.extendleft(reversed(batch))
                await asyncio.sleep(pause)
                pause = min(2 * pause, PAUSE_LONGEST)
                continue
            except Exception as bug:  # one of them, perhaps: alone, each fails for itself
                await self._one_by_one(batch, bug)
                continue
            pause = PAUSE_FIRST
            _tell(batch, results)
            if self._waiting or len(batch) > 1:
                self._busy_until = asyncio.get_running_loop().time() + BUSY

    async def _gather(self) -> None:
        """While several send, few wait a moment for more."""
        if len(self._waiting) < FEW and asyncio.get_running_loop().time() < self._busy_until:
            await asyncio.sleep(GATHER)

    def _next(self) -> list[Place]:
        batch: list[Place] = []
        count = size = 0
        while self._waiting and count < MOST_AT_ONCE:
            place = self._waiting[0]
            if batch and size + place.size > MOST_BYTES:
                break
            self._waiting.popleft()
            if not place.given_up:
                batch.append(place)
                count += len(place.messages)
                size += place.size
        return batch

    async def _one_by_one(self, batch: Sequence[Place], bug: Exception) -> None:
        for place in batch:
            if len(batch) > 1:
                try:
                    _tell([place], await self._journal.keep_many(place.messages))
                    continue
                except Exception as own:
                    bug = own
            if not place.done.done():
                place.done.set_exception(bug)
                place.done.exception()  # somebody who gave up must not leave an unheard failure


def _tell(batch: Sequence[Place], results: Sequence[KeepResult]) -> None:
    at = 0
    for place in batch:
        end = at + len(place.messages)
        if not place.done.done():
            place.done.set_result(results[at:end])
        at = end
