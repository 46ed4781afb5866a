"""Does the replays people asked for: some of each job in turn, the oldest first; one process at a time, the next one after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

import structlog

from canonical.replays import ReplayItem, ReplayJob
from store.ids import now
from store.replays import Result

AT_ONCE: Final = 100
ROUND: Final = 5.0  # seconds of a round; then whoever's turn it is goes on

log = structlog.get_logger(__name__)


class Jobs(Protocol):
    """The jobs there are."""

    async def at_work(self) -> Sequence[ReplayJob]: ...
    async def due(self, job: str, at: datetime, limit: int = 100) -> Sequence[ReplayItem]: ...


class Doer(Protocol):
    """Routes the messages of items and writes down what became of them."""

    async def do(self, job: ReplayJob, items: Sequence[ReplayItem]) -> Sequence[Result]: ...


class ReplayJobs:
    """One round does what is due; a job that was cancelled meanwhile is not asked for again."""

    def __init__(
        self,
        jobs: Jobs,
        doer: Doer,
        clock: Callable[[], datetime] = now,
        pace: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jobs = jobs
        self._doer = doer
        self._clock = clock
        self._pace = pace

    async def once(self) -> None:
        """Do some of every job, again and again, until nothing is due or the round is over."""
        began = self._pace()
        while self._pace() - began < ROUND:
            did = 0
            for job in await self._jobs.at_work():
                items = await self._jobs.due(job.id, self._clock(), AT_ONCE)
                if items:
                    results = await self._doer.do(job, items)
                    did += len(results)
                    log.info("messages replayed", job=job.id, messages=len(results), waiting=len(items) - len(results))
            if not did:
                return
