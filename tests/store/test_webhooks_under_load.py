"""A target that says 429 and 503 under ten times the load is never called more often than agreed, and hears everything in order."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import BusinessEvent
from store.case_tables import deliveries
from store.database import transaction
from store.outbox import StoredOutbox, Subscriber, put_events
from store.standing import Standing, StoredStandings
from tests import proof
from tests.store.build import NOW
from tests.store.webhook_target import Target, target
from workers.loops.breaker import Rate
from workers.loops.outbox import OutboxSender
from workers.loops.pace import forever

SLACK = 0.001  # seconds, for what is rounded


@dataclass(frozen=True)
class Burst:
    """``seconds`` of trouble under ten times ``usual`` events a second, at a target that takes ``limit`` calls a second."""

    seconds: float
    usual: int
    limit: int
    drained_within: float
    plain_503: float = 0.0  # the part of answers that do not say when to come back
    well: float = 0.2  # the part of calls it takes all the same
    seed: int = 2026


class Calls:
    """When each call left us, whoever of our workers made it, by the clock it looked at: on a busy machine it leaves later."""

    def __init__(self) -> None:
        self.moments: list[float] = []
        self.made = 0

    async def note(self, _: httpx.Request) -> None:
        self.made += 1
        assert self.made == len(self.moments), "each call is counted before it leaves"

    def most(self, limit: int) -> float:
        """The shortest time in which one call more than the limit was made, seconds."""
        later = zip(self.moments, self.moments[limit:], strict=False)
        return min((after - before for before, after in later), default=float("inf"))


def _noted_by(calls: Calls) -> Callable[[Rate, Standing, datetime], Standing]:
    begun = Rate.begun

    def noted(rate: Rate, standing: Standing, at: datetime) -> Standing:
        calls.moments.append(at.timestamp())
        return begun(rate, standing, at)

    return noted


def event(number: int) -> BusinessEvent:
    return BusinessEvent(type="order.issued.v1", key=f"e/{number:06}", case="c", facility="NGH", occurred_at=NOW)


@asynccontextmanager
async def workers(engine: AsyncEngine, folder: Path, calls: Calls) -> AsyncIterator[None]:
    """Two of them, as they run in our processes."""
    stop = asyncio.Event()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Rate, "begun", _noted_by(calls))
        async with _senders(engine, folder, calls, stop):
            yield


@asynccontextmanager
async def _senders(engine: AsyncEngine, folder: Path, calls: Calls, stop: asyncio.Event) -> AsyncIterator[None]:
    async with httpx.AsyncClient(event_hooks={"request": [calls.note]}) as client, asyncio.TaskGroup() as group:
        for name in ("one", "two"):
            sender = OutboxSender(StoredOutbox(engine), StoredStandings(engine), client, folder, name)
            group.create_task(forever(f"outbox {name}", 0.1, sender.once, stop))
        try:
            yield
        finally:
            stop.set()


async def _all_taken(engine: AsyncEngine, within: float) -> None:
    waiting = select(func.count()).select_from(deliveries).where(deliveries.c.state == "waiting")
    async with asyncio.timeout(within):
        while True:
            async with engine.connect() as connection:
                if not await connection.scalar(waiting):
                    return
            await asyncio.sleep(0.2)


async def endure(engine: AsyncEngine, folder: Path, burst: Burst) -> tuple[Target, Calls, int]:
    """Live through a burst and what follows; gives how many events there were."""
    chance = random.Random(burst.seed)
    trouble = True

    def answers() -> tuple[int, str]:
        if not trouble or chance.random() < burst.well:
            return 200, ""
        if chance.random() < burst.plain_503:
            return 503, ""
        return chance.choice([(429, "1"), (503, "1"), (429, "0"), (429, "2")])

    calls, put = Calls(), 0
    async with target(answers) as hook:
        await StoredOutbox(engine).subscribe(Subscriber(name="stock", url=hook.url, per_second=burst.limit))
        async with workers(engine, folder, calls):
            began = time.monotonic()
            while (passed := time.monotonic() - began) < burst.seconds or not {429, 503} <= hook.said.keys():
                due = int(passed * 10 * burst.usual) - put
                if due > 0:
                    async with transaction(engine) as connection:
                        await put_events(connection, [event(put + n) for n in range(due)])
                    put += due
                await asyncio.sleep(0.1)
            trouble = False
            await _all_taken(engine, burst.drained_within)
    return hook, calls, put


def _as_promised(hook: Target, calls: Calls, put: int, limit: int) -> None:
    assert put and hook.taken == [event(n).key for n in range(put)], "lost, doubled, or out of order"
    assert hook.said.get(429, 0) and hook.said.get(503, 0), "it never complained"
    assert calls.most(limit) >= 1.0 - SLACK, f"more than {limit} calls in a second"


async def test_a_target_in_trouble_is_called_no_more_than_agreed_and_its_backlog_drains_in_order(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    burst = Burst(
        seconds=3.5, usual=3, limit=20, drained_within=300.0, seed=2028
    )  # which has both in its first seconds
    hook, calls, put = await endure(engine, tmp_path, burst)
    _as_promised(hook, calls, put, burst.limit)


@pytest.mark.prove
@pytest.mark.timeout(3600)
async def test_half_an_hour_of_429_and_503_under_ten_times_the_load(engine: AsyncEngine, tmp_path: Path) -> None:
    began = datetime.now(UTC)
    burst = Burst(seconds=1800.0, usual=1, limit=20, drained_within=1700.0, plain_503=0.02)
    hook, calls, put = await endure(engine, tmp_path, burst)
    _as_promised(hook, calls, put, burst.limit)
    said = ", ".join(f"{count} times {status}" for status, count in sorted(hook.said.items()))
    proof.note(
        "30 minutes of 429 and 503 under ten times the load",
        f"{put} events by two workers to a target that takes {burst.limit} calls a second; it answered {said}",
        f"{len(hook.taken)} taken, once each and in order; 21 calls took {calls.most(burst.limit):.2f} s at least",
        began,
    )
