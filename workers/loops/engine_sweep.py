"""Finds cases that were stopped from outside or whose process fails, and shows it on the case: owner, and what to do.

A case is ended by its own process or it is open. An open one whose run was terminated, cancelled at once, deleted or reset
away is "stopped outside"; one whose workflow task fails again and again is an "engine fault". Both go away by themselves when
the case runs again. It also tells a requisition's case of orders that ended while nobody could.

A hospital has 100,000 open cases, so no round asks for all of them. Each round (20 s) does four bounded things:

- failing: Temporal's own list of runs whose workflow task fails. Shown one round after the server says so, which is at the
  second failure in a row; 2,000 a round. One that stays unknown to our own store is listed among the unmatched.
- ended otherwise: runs terminated, cancelled, failed or timed out since the last look, and a little before it again, since
  Temporal's list is some seconds late. Shown within two rounds; 2,000 a round. How far it has come is kept in our store: what
  was stopped while no loop ran is found first.
- shown as stopped: looked at again, 1,000 a round, so what was resumed is shown so within two rounds.
- everything open, name by name, 5,000 a round and never ending: finds what no list tells, a run deleted in Temporal or ended
  by a fault of ours with the case still open. Shown within a minute (three rounds) with up to 15,000 open cases; with 100,000
  it takes 7 minutes. No list of Temporal's has what was deleted, and its list of all that runs costs more than asking by name.
  Of requisitions among them, orders that were numbered and never began: where a run of nobody we know has an order's name, and
  fails nowhere since nobody serves it, that is listed among the unmatched, once it was seen so for ten minutes.

More than a round can take goes on in the next. Two processes that take turns keep a place each: slower, never wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, Protocol

import structlog

from store.cases import EndedChild
from store.open_cases import ClaimPlace, OpenCase
from workers.loops.engine_runs import Page, Runs
from workers.loops.engine_strangers import ENDED, FAILS, LOOK_FOR, TAKEN, KnownCases, Strangers

Stopped = Literal["stopped outside", "engine fault"]

OWNER: Final = "support"
GRACE: Final = timedelta(seconds=10)  # a run just started is not in the list of running ones yet
ANNOUNCED_GRACE: Final = timedelta(minutes=2)  # announced by a door, not started: the routing sweep does that
TOLD_LATE: Final = timedelta(seconds=30)
SETTLED: Final = timedelta(days=1)  # a closed requisition hears of nothing any more; one that is reset asks our store
OVERLAP: Final = timedelta(minutes=2)  # how late Temporal's list may be, and our clock and its may differ
FIRST_LOOK: Final = timedelta(hours=1)
SILENT_FOR: Final = timedelta(days=30)  # a claim older than that was looked at before, again and again
BATCH: Final = 200  # cases named in one question to Temporal
BATCHES: Final = 5  # of what is shown as stopped, in a round
OPEN_BATCHES: Final = 25  # of everything open: about a second of a round
PAGE: Final = 1000
PAGES: Final = 2
NUMBERED_LATELY: Final = timedelta(minutes=10)  # an order begins within seconds of its number
LOOKED: Final = "engine sweep: ended runs"

log = structlog.get_logger(__name__)

NextPage = Callable[[bytes], Awaitable[Page]]


class CaseBook(KnownCases, Protocol):
    """The read model's side of the sweep."""

    async def open_page(self, after: str, limit: int) -> Sequence[OpenCase]: ...
    async def stopped_page(self, after: str, limit: int) -> Sequence[OpenCase]: ...
    async def not_begun(self, cases: Sequence[str]) -> Sequence[str]: ...
    async def silent_page(self, after: ClaimPlace, limit: int) -> tuple[Sequence[OpenCase], ClaimPlace | None]: ...
    async def mark_stopped(self, case: str, kind: Stopped, *, owner: str, next_action: str) -> bool: ...
    async def mark_running(self, case: str) -> None: ...
    async def ended_children_not_told(self, older_than: datetime) -> Sequence[EndedChild]: ...
    async def nobody_to_tell(self, older_than: datetime) -> int: ...
    async def child_told(self, case: str) -> None: ...


class Marks(Protocol):
    """How far the sweep has come."""

    async def mark(self, name: str) -> datetime | None: ...
    async def set_mark(self, name: str, at: datetime) -> None: ...


class EngineSweep:
    """One round compares what should run with what runs."""

    def __init__(
        self,
        cases: CaseBook,
        runs: Runs,
        marks: Marks,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        look_for: timedelta = LOOK_FOR,
    ) -> None:
        self._cases = cases
        self._runs = runs
        self._marks = marks
        self._clock = clock
        self._window: tuple[datetime, datetime, bytes] | None = None  # of ended runs, while its pages last
        self._strangers = Strangers(cases, runs, clock, look_for)
        self._failing_after = b""
        self._open_after = ""
        self._stopped_after = ""
        self._silent_after: ClaimPlace | None = None

    async def once(self) -> None:
        """Look at what fails, what ended, what stood still and some of the rest; tell parents what they missed."""
        await self._find_failing()
        await self._find_ended()
        self._stopped_after = await self._walk(self._cases.stopped_page, self._stopped_after, BATCHES)
        self._open_after = await self._walk(self._open_page, self._open_after, OPEN_BATCHES)
        await self._walk_silent()
        await self._tell_parents()

    # What Temporal's lists tell. A question that fails forgets its place: the next round begins this list anew.

    async def _find_failing(self) -> None:
        async def ask(after: bytes) -> Page:
            return await self._runs.failing(after, PAGE)

        async def show(names: Sequence[str]) -> None:
            found = {case.case: case for case in await self._cases.open_among(names)}
            ended = set(await self._cases.known_among([name for name in names if name not in found]))
            for name in names:
                if name in found:
                    await self._show_failing(found[name])
                else:  # one that has ended may run anew, and then fail before its first word
                    await self._strangers.seen(name, ENDED if name in ended else FAILS)

        after, self._failing_after = self._failing_after, b""
        self._failing_after = await _pages(ask, after, show)

    async def _find_ended(self) -> None:
        since, until, after = self._window or (*await self._since_last_look(), b"")
        self._window = None

        async def ask(after: bytes) -> Page:
            return await self._runs.ended_otherwise(since, until, after, PAGE)

        async def show(names: Sequence[str]) -> None:
            await self._look_closer(await self._cases.open_among(names))

        if after := await _pages(ask, after, show):
            self._window = since, until, after
        else:
            await self._marks.set_mark(LOOKED, until)

    async def _since_last_look(self) -> tuple[datetime, datetime]:
        now, last = self._clock(), await self._marks.mark(LOOKED)
        return (last - OVERLAP if last else now - FIRST_LOOK), now

    # What no list tells: our own open cases, one batch after the other.

    async def _walk(self, page: Callable[[str, int], Awaitable[Sequence[OpenCase]]], after: str, batches: int) -> str:
        for _ in range(batches):
            batch = await page(after, BATCH)
            await self._compare(batch)
            if len(batch) < BATCH:
                return ""
            after = batch[-1].case
        return after

    async def _open_page(self, after: str, limit: int) -> Sequence[OpenCase]:
        batch = await self._cases.open_page(after, limit)
        await self._find_taken_names(batch)
        return batch

    async def _find_taken_names(self, batch: Sequence[OpenCase]) -> None:
        """Orders that cannot begin, since a run of nobody we know has their name: their requisition tries again for ever."""
        old = [one.case for one in batch if self._clock() - one.changed_at > NUMBERED_LATELY]
        for name in await self._cases.not_begun(old):
            if await self._runs.status(name) == "running":
                await self._strangers.seen(name, TAKEN)

    async def _walk_silent(self) -> None:
        """Claims whose case never wrote a word are on no page of cases."""
        after = self._silent_after or ClaimPlace(self._clock() - SILENT_FOR, "")
        silent, self._silent_after = await self._cases.silent_page(after, PAGE)
        for begin in range(0, len(silent), BATCH):
            await self._compare(silent[begin : begin + BATCH])

    async def _compare(self, batch: Sequence[OpenCase]) -> None:
        # The open cases were read before the running ones are: what ends in between is not missed among these.
        running = await self._runs.look([case.case for case in batch])
        for case in batch:
            if running.get(case.case):
                await self._show_failing(case)
            elif case.case in running:
                await self._goes_on(case)
        await self._look_closer(case for case in batch if case.case not in running)

    async def _look_closer(self, suspects: Iterable[OpenCase]) -> None:
        """Temporal's list is a moment old; the run itself is asked before anybody is alarmed, and so is the read model."""
        stopped: list[tuple[OpenCase, str]] = []
        for case in suspects:
            age = self._clock() - case.changed_at
            if age <= GRACE or case.stopped == "stopped outside":
                continue
            status = await self._runs.status(case.case)
            if status == "running":
                await self._goes_on(case)
            elif status != "missing" or case.run or age >= ANNOUNCED_GRACE:
                stopped.append((case, await self._how_its_own_ended(case, status)))
        still = {one.case: one.changed_at for one in await self._cases.open_among([case.case for case, _ in stopped])}
        for case, status in stopped:
            if still.get(case.case) == case.changed_at:
                await self._show(case, "stopped outside", f"its run is {status}")

    async def _how_its_own_ended(self, case: OpenCase, latest: str) -> str:
        """A repeat that was started under its name and ended as a duplicate says nothing of what became of the case's own run."""
        if latest != "completed" or not case.run:
            return latest
        own = await self._runs.status(case.case, case.run)
        return latest if own in ("running", "continued as new") else own

    async def _show_failing(self, case: OpenCase) -> None:
        await self._show(case, "engine fault", "its process fails: see it in the Temporal UI")

    async def _show(self, case: OpenCase, kind: Stopped, why: str) -> None:
        if case.stopped == kind:
            return
        next_action = f"{why}; then: fascia case resume {case.case}"
        if await self._cases.mark_stopped(case.case, kind, owner=OWNER, next_action=next_action):
            log.error("case stands still", alert=True, workflow=case.case, kind=kind, problem=why)

    async def _goes_on(self, case: OpenCase) -> None:
        if case.stopped:
            await self._cases.mark_running(case.case)
            log.info("case runs again", workflow=case.case)

    async def _tell_parents(self) -> None:
        for child in await self._cases.ended_children_not_told(self._clock() - TOLD_LATE):
            if await self._runs.tell_ended(child.parent, child.ended):
                await self._cases.child_told(child.ended.case)
        await self._cases.nobody_to_tell(self._clock() - SETTLED)


async def _pages(ask: NextPage, after: bytes, show: Callable[[Sequence[str]], Awaitable[None]]) -> bytes:
    """Go through the pages of one round; gives where the next round goes on, empty at the end."""
    for _ in range(PAGES):
        page = await ask(after)
        await show(page.cases)
        after = page.next
        if not after:
            break
    return after
