"""Runs under a case's name that are no case of ours: looked at again and again, for long, before one is named to a person.

A case of ours begins as a run that our own store does not know yet: its first word is written by its first workflow task, which
under load comes minutes after its start, and may fail or time out before. Temporal's list of runs that fail is a moment old, too:
a case may have ended since. So one is named only when it was seen for :data:`LOOK_FOR`, each time without a word in our own store,
and still runs when both are asked once more. So is a run of a case that has ended by our own store: it was begun anew, and fails.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

import structlog

from canonical.ports import Unmatched
from store.open_cases import OpenCase
from workers.loops.engine_runs import Runs
from workflows.registry import PROCESSES

LOOK_FOR: Final = timedelta(minutes=10)  # an order begins within seconds of its number, a case within a minute or so
FORGET: Final = timedelta(
    minutes=30
)  # not seen for so long: the next look is the first. A walk through all takes 7 minutes
MOST: Final = 10_000
FAILS: Final = (
    "a run under this case's name fails again and again, and no case of that name ever said a word to our own store:"
    " see it in the Temporal UI and end it"
)
ENDED: Final = (
    "a run under the name of a case that has ended by our own store fails again and again: see it in the Temporal UI;"
    " until it is mended or ended there, nothing of this case is done"
)
TAKEN: Final = (
    "a run that nobody we know began has this order's name, so the order cannot begin: see it in the Temporal UI and end it;"
    " the order then begins by itself (where our workers are away, it may be the order's own)"
)

log = structlog.get_logger(__name__)


class KnownCases(Protocol):
    """Our own store's side."""

    async def open_among(self, names: Sequence[str]) -> Sequence[OpenCase]: ...
    async def known_among(self, names: Sequence[str]) -> Sequence[str]: ...
    async def put_unmatched(self, document: Unmatched) -> None: ...


class Strangers:
    """What was seen under cases' names, and since when."""

    def __init__(self, cases: KnownCases, runs: Runs, clock: Callable[[], datetime], look_for: timedelta) -> None:
        self._cases, self._runs, self._clock, self._look_for = cases, runs, clock, look_for
        self._seen: dict[str, tuple[datetime, datetime]] = {}  # first and last
        self._named: set[str] = set()

    async def seen(self, name: str, why: str) -> None:
        """A look found it, unknown to our own store (or ended there); it is named once that has lasted."""
        process, _, _ = name.partition("/")
        if process not in PROCESSES or name in self._named:
            return
        now = self._clock()
        first, last = self._seen.get(name, (now, now))
        if now - last > FORGET:
            first = now
        self._seen[name] = first, now
        if now - first >= self._look_for:
            await self._look_again(name, why)
        self._bounded(now)

    async def _look_again(self, name: str, why: str) -> None:
        """Temporal first: what it says runs now has had its time to say a word to us."""
        runs = await self._runs.status(name) == "running"
        look = self._cases.open_among if why == ENDED else self._cases.known_among
        if runs and not await look([name]):
            await self._name(name, why)
        del self._seen[name]

    async def _name(self, name: str, why: str) -> None:
        row = Unmatched(
            id=f"run-{hashlib.sha256(name.encode()).hexdigest()[:20]}",
            kind="run",
            case=name,
            at=self._clock(),
            reason=why,
        )
        await self._cases.put_unmatched(row)
        if len(self._named) >= MOST:  # listed once in our store in any case
            self._named.clear()
        self._named.add(name)
        log.error("a run under a case's name is no case", alert=True, workflow=name, unmatched=row.id, problem=why)

    def _bounded(self, now: datetime) -> None:
        if len(self._seen) > MOST:
            self._seen = {name: at for name, at in self._seen.items() if now - at[1] <= FORGET}
        if len(self._seen) > MOST:  # so many at once are an outage, and told as one
            self._seen.clear()
