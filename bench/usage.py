"""From a use's arrival to its movement, over many locations; and what the history of one location comes to."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from bench.cpu import spent
from bench.figures import Life, Movement
from bench.replaying import replayed
from bench.stand import Stand, time_now
from canonical.base import Canonical, case_id
from canonical.parties import Location
from canonical.supply import Item
from canonical.usage import UsageEvent
from store.authority import ERP
from store.register import StoredRegister
from store.usage import StoredUsage
from store.usage_tables import stock_balances, usage_locations
from tests import build
from workflows.consumption_to_replenishment import ConsumptionToReplenishment

PARTS = ("database", "temporal")
LOCATIONS, ITEMS = 100, 50
RATE = 300.0
A_DAY = 2000
FULLER = 20.0  # seconds after which every location has had a full round
SETTLED = 60.0  # seconds to wait for the last movements
TICK = 0.1
_COUNT = text("SELECT state, count(*) FROM usage_events WHERE number LIKE :mark GROUP BY state")
_TOOK = text("""
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY took), percentile_cont(0.95) WITHIN GROUP (ORDER BY took)
FROM (SELECT extract(epoch FROM posted_at - at)::float AS took FROM usage_events WHERE number LIKE :mark) AS e
""")
_MOVED = text("SELECT count(*) FROM usage_events WHERE number LIKE :mark AND posted_at BETWEEN :since AND :until")
_ROUNDS = text("SELECT count(DISTINCT (location, round)) FROM usage_events WHERE number LIKE :mark")


async def measure(stand: Stand, keep: Callable[..., None], *, quick: bool, say: Callable[[str], None]) -> None:
    """All rows; each is kept as soon as it is there."""
    await _load(stand)
    await stand.serve("usage", "fascia")
    put = Uses(stand)
    await put.through("warm", rate=100.0, seconds=5.0, say=say)
    keep(await put.through("idle", rate=2.0, seconds=15.0 if quick else 60.0, say=say))
    keep(await put.through("full rate", rate=RATE, seconds=30.0 if quick else 120.0, say=say))
    keep(await _life(stand, rounds=100 if quick else 400, say=say))
    await stand.rest("usage")


async def _load(stand: Stand) -> None:
    """Locations and items, with more on each shelf than will be used."""
    places: list[Canonical] = [
        Location(code=f"W-{number}", facility=build.FACILITY, cost_centre="CC-4100") for number in range(LOCATIONS)
    ]
    items: list[Canonical] = [Item(code=f"USE-{number}", description=f"supply {number}") for number in range(ITEMS)]
    register = StoredRegister(stand.database)
    for kind, records in (("location", places), ("item", items)):
        report = await register.load(kind, records, ERP, build.FACILITY)
        assert not report.refused, report.refused
    there = {
        "facility": build.FACILITY,
        "lot": "",
        "serial": "",
        "on_hand": 10_000_000,
        "changed_at": datetime.now(UTC),
    }
    rows = [
        there | {"location": f"W-{place}", "item": f"USE-{item}"} for place in range(LOCATIONS) for item in range(ITEMS)
    ]
    async with stand.database.begin() as connection:
        await connection.execute(insert(stock_balances), rows)
        here = {"facility": build.FACILITY, "counted_at": datetime.now(UTC)}
        counted = [here | {"location": f"W-{place}"} for place in range(LOCATIONS)]
        await connection.execute(insert(usage_locations), counted)


class Uses:
    """Puts uses in at a steady rate, and waits until each is a movement."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._inbox = StoredUsage(stand.database)
        self._numbers = itertools.count(1)
        self._random = random.Random(5)

    def some(self, mark: str, many: int, place: str = "") -> list[UsageEvent]:
        """So many uses, at any location or at this one."""
        now = datetime.now(UTC)
        return [
            UsageEvent(
                facility=build.FACILITY,
                source="bench",
                number=f"{mark}-{next(self._numbers)}",
                location=place or f"W-{self._random.randrange(LOCATIONS)}",
                item=f"USE-{self._random.randrange(ITEMS)}",
                unit="EA",
                used_at=now,
            )
            for _ in range(many)
        ]

    async def keep(self, events: list[UsageEvent]) -> None:
        """As the taker of a message's events does."""
        await self._inbox.keep(events, "", "bench")

    async def through(self, what: str, *, rate: float, seconds: float, say: Callable[[str], None]) -> Movement:
        """So many a second for so long."""
        mark = f"{what.replace(' ', '-')}-{time.time_ns():x}"
        meter, began, put = self._stand.meter, time.perf_counter(), 0
        before, first = meter.read(), datetime.now(UTC)
        while (elapsed := time.perf_counter() - began) < seconds:
            owed = int(elapsed * rate) - put
            if owed > 0:
                await self.keep(self.some(mark, owed))
                put += owed
            await asyncio.sleep(TICK)
        until, since = datetime.now(UTC), first + timedelta(seconds=min(FULLER, seconds / 2))
        await self._moved(mark, put)
        after = meter.read()
        p50, p95 = await self._ask(_TOOK, mark)
        moved = (await self._ask(_MOVED, mark, since=since, until=until))[0]
        found = Movement(
            at=time_now(),
            temporals_store=self._stand.temporals_store,
            what=what,
            locations=LOCATIONS,
            asked=rate,
            events=put,
            rate=moved / (until - since).total_seconds(),
            p50=p50,
            p95=p95,
            rounds=(await self._ask(_ROUNDS, mark))[0],
            cpu=spent(before, after, put),
        )
        say(f"usage, {what}: {found.rate:.0f} events/s, p95 {p95:.2f} s, {put / max(found.rounds, 1):.1f} a round")
        return found

    async def _moved(self, mark: str, many: int) -> None:
        """Wait until all are posted; what is not after a minute stopped for a reason that is shown."""
        states: dict[str, int] = {}
        async with asyncio.timeout(SETTLED + many / 100):
            while states.get("posted", 0) < many:
                await asyncio.sleep(0.5)
                async with self._stand.database.connect() as connection:
                    rows = await connection.execute(_COUNT, {"mark": f"{mark}-%"})
                    states = {row[0]: row[1] for row in rows}
                assert set(states) <= {"waiting", "taken", "posted"}, states

    async def _ask(self, what: Any, mark: str, **more: datetime) -> Any:
        async with self._stand.database.connect() as connection:
            return (await connection.execute(what, {"mark": f"{mark}-%", **more})).one()

    async def one(self, place: str, number: int, mark: str) -> None:
        """One use at a location, moved."""
        await self.keep(self.some(f"{mark}-{number}", 1, place))
        await self._moved(f"{mark}-{number}", 1)


async def _life(stand: Stand, *, rounds: int, say: Callable[[str], None]) -> Life:
    """Round after round at one location, each of one use, as on a quiet day; and the longest of its runs replayed."""
    place, uses, mark = "W-0", Uses(stand), f"life-{time.time_ns():x}"
    handle = stand.client.get_workflow_handle(case_id("consumption_to_replenishment", build.FACILITY, place))
    runs: dict[str, int] = {}
    for number in range(rounds):
        await uses.one(place, number, mark)
        found = await handle.describe()
        runs[found.run_id] = found.history_length
    longest, length = max(runs.items(), key=lambda one: one[1])
    history, seconds = await replayed(stand.client, handle.id, longest, ConsumptionToReplenishment)
    say(f"one location: {len(runs)} runs, {length} events at most, replayed in {max(seconds):.2f} CPU s")
    whole = list(runs.values())[1:-1] or list(runs.values())
    return Life(
        at=time_now(),
        temporals_store=stand.temporals_store,
        what=f"{A_DAY:,} uses a day, one a round",
        a_day=A_DAY,
        rounds=rounds,
        runs=len(runs),
        per_round=sum(whole) / max(rounds * len(whole) / len(runs), 1),
        longest=len(history.events),
        bytes=sum(event.ByteSize() for event in history.events),
        replayed=seconds,
    )
