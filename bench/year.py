"""A year of one stock location, played day after day as fast as the platform takes it: its history, and what it leaves in our store.

Each day has 2,000 events, all different and the same at every playing: one in a hundred takes a use back, of that day or of the day
before. What must lie there in the end is reckoned beside it, from the days themselves. A playing that was cut short goes on where it
stopped, if its folder was kept.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from bench.figures import Year
from bench.replaying import replayed
from bench.stand import Stand, time_now
from bench.worker import BOOKED
from canonical.base import Canonical, case_id
from canonical.parties import Location
from canonical.supply import Item
from canonical.usage import UsageEvent, UsagePolicy
from store.authority import ERP, HOSPITAL
from store.register import StoredRegister
from store.usage import StoredUsage
from store.usage_tables import stock_balances, usage_locations
from tests import build
from workflows.consumption_to_replenishment import ConsumptionToReplenishment

A_DAY, YEAR = 2000, 365
PLACE, SOURCE, ITEMS = "W-YEAR", "year", 50
OPENING = 10_000_000  # of each item
BACK, BEHIND = 100, 50  # one in so many takes back the use so many before it
AHEAD = 4 * A_DAY  # that may wait: rounds stay full, and the case never waits for a fuller one
BATCH = 500
LOOK = 0.2
LATE = 365  # days: the first day of the year is reported today
SPARE = timedelta(
    minutes=10
)  # so the first use is not too old when it is kept, and the last no more in the future than clocks may be
TABLES = ("usage_events", "usage_rounds", "stock_movements", "charges")
_BEGAN = text("SELECT min(used_at), count(*) FROM usage_events WHERE facility = :facility AND location = :location")
_STATES = text(
    "SELECT state, count(*) FROM usage_events WHERE facility = :facility AND location = :location GROUP BY state"
)
_WAITING = text("""
SELECT count(*) FROM usage_events WHERE facility = :facility AND location = :location AND state = 'waiting'""")
_TAKEN = text("""
SELECT count(*) FROM usage_rounds WHERE facility = :facility AND location = :location AND state = 'taken'""")
_ON_HAND = text("""
SELECT item, CAST(sum(on_hand) AS bigint) FROM stock_balances
WHERE facility = :facility AND location = :location GROUP BY item""")
_MOVED = text("""
SELECT item, CAST(sum(quantity) AS bigint) FROM stock_movements
WHERE facility = :facility AND location = :location GROUP BY item""")
_CHARGED = text("""
SELECT coalesce(sum(CASE kind WHEN 'charge' THEN 1 ELSE -1 END), 0) FROM charges WHERE facility = :facility""")
_ROUND = text("SELECT round FROM usage_locations WHERE facility = :facility AND location = :location")
_WHERE = {"facility": build.FACILITY, "location": PLACE}


# -- the days ---------------------------------------------------------------------------------------------------------


def day(number: int, first: datetime) -> Iterator[UsageEvent]:
    """What was reported on a day, in its order; ``first`` is when the year begins."""
    begins = first + timedelta(days=number)
    for at in range(A_DAY):
        told: dict[str, Any] = {"facility": build.FACILITY, "source": SOURCE, "number": f"{number:03d}-{at:04d}"}
        told |= {"location": PLACE, "used_at": begins + timedelta(days=at / A_DAY)}
        if back := _takes_back(number, at):
            yield UsageEvent(kind="void", voids_number=f"{back[0]:03d}-{back[1]:04d}", **told)
        else:
            item, amount, charged = _used(number, at)
            yield UsageEvent(item=item, unit="EA", amount=amount, chargeable=charged, **told)


def _used(number: int, at: int) -> tuple[str, int, bool]:
    """Item, amount and whether it is charged."""
    return f"USE-{(7 * number + 13 * at) % ITEMS}", 1 + (number + 31 * at) % 4, at % 3 == 0


def _takes_back(number: int, at: int) -> tuple[int, int] | None:
    """Day and place of the use that this one takes back, in turn of its own day and of the day before."""
    of = number - at // BACK % 2
    return (of, at - BEHIND) if at % BACK == BACK - 1 and of >= 0 else None


def reckoned(days: int) -> tuple[Counter[str], int]:
    """What so many days use of each item, and how many charges they leave standing."""
    used, charged = Counter[str](), 0
    for number in range(days):
        for at in range(A_DAY):
            back = _takes_back(number, at)
            item, amount, chargeable = _used(*(back or (number, at)))
            used[item] += -amount if back else amount
            charged += (-1 if back else 1) * chargeable
    return used, charged


# -- playing them -----------------------------------------------------------------------------------------------------


async def measure(stand: Stand, *, days: int, minutes: float, say: Callable[[str], None]) -> Year:
    """Play up to so many days, but put no more in after so many minutes."""
    await _load(stand)
    await stand.serve("year", "fascia")
    began = time.monotonic()
    held = await _one(stand, _BEGAN)
    first = held[0] or datetime.now(UTC) - timedelta(days=LATE) + SPARE
    before = played = held[1] // A_DAY  # the day it was stopped in is put in anew: what is there already is the same
    inbox = StoredUsage(stand.database)
    while played < days and time.monotonic() - began < 60 * minutes:
        events = list(day(played, first))
        for at in range(0, A_DAY, BATCH):
            await inbox.keep(events[at : at + BATCH], "", SOURCE)
        played += 1
        await _no_more_than(stand, AHEAD)
        if played % 10 == 0:
            say(
                f"a year of one location: day {played}, {(played - before) * A_DAY / (time.monotonic() - began):.0f} events/s"
            )
    await _no_more_than(stand, 0)
    took = time.monotonic() - began
    found = await _found(stand, played, rate=(played - before) * A_DAY / took)
    await stand.rest("year")
    say(
        f"a year of one location: {found.days} days, {found.runs} runs, {found.longest} events at most, off by {found.off}"
    )
    return found


async def _load(stand: Stand) -> None:
    """The location, its items with more of each than a year uses, and that what is reported a year late is taken."""
    register = StoredRegister(stand.database)
    place: list[Canonical] = [Location(code=PLACE, facility=build.FACILITY, cost_centre="CC-4100")]
    items: list[Canonical] = [Item(code=f"USE-{number}", description=f"supply {number}") for number in range(ITEMS)]
    rules: list[Canonical] = [UsagePolicy(facility=build.FACILITY, late_days=LATE, bill_to="BILLING")]
    for kind, records, source in (("location", place, ERP), ("item", items, ERP), ("usage_policy", rules, HOSPITAL)):
        report = await register.load(kind, records, source, build.FACILITY)
        assert not report.refused, report.refused
    there = _WHERE | {"lot": "", "serial": "", "on_hand": OPENING, "changed_at": datetime.now(UTC)}
    async with stand.database.begin() as connection:
        if not (await connection.execute(_ON_HAND, _WHERE)).all():
            await connection.execute(insert(stock_balances), [there | {"item": f"USE-{item}"} for item in range(ITEMS)])
            await connection.execute(insert(usage_locations), [_WHERE | {"counted_at": datetime.now(UTC)}])


async def _no_more_than(stand: Stand, many: int) -> None:
    """Wait until so few wait; and for none, until the last round is over."""
    while True:
        waiting, taken = (await _one(stand, _WAITING))[0], (await _one(stand, _TAKEN))[0]
        if waiting <= many and not (taken and not many):
            return
        await asyncio.sleep(LOOK)


# -- what became of it ------------------------------------------------------------------------------------------------


async def _found(stand: Stand, days: int, *, rate: float) -> Year:
    case = case_id("consumption_to_replenishment", build.FACILITY, PLACE)
    lengths = {
        run.run_id: (await stand.client.get_workflow_handle(case, run_id=run.run_id).describe()).history_length
        async for run in stand.client.list_workflows(f'WorkflowId = "{case}"')
    }
    history, seconds = await replayed(
        stand.client, case, max(lengths, key=lambda run: lengths[run]), ConsumptionToReplenishment
    )
    used, charged = reckoned(days)
    stands = {item: OPENING - many for item, many in used.items()}
    gone = {item: -many for item, many in used.items()}
    return Year(
        at=time_now(),
        temporals_store=stand.temporals_store,
        what=f"{A_DAY:,} events a day at one location",
        days=days,
        a_day=A_DAY,
        rate=rate,
        rounds=(await _one(stand, _ROUND))[0],
        runs=len(lengths),
        longest=len(history.events),
        bytes=sum(event.ByteSize() for event in history.events),
        replayed=seconds,
        states=await _pairs(stand, _STATES),
        off={
            "on hand": _differ(stands, await _pairs(stand, _ON_HAND)),
            "movements": _differ(gone, await _pairs(stand, _MOVED)),
            "ERP": _differ(gone, booked(stand)),
        },
        charges=(await _one(stand, _CHARGED))[0],
        chargeable=charged,
        rows={table: (await _one(stand, text(f"SELECT count(*) FROM {table}")))[0] for table in TABLES},
        mib={table: await _size(stand, table) for table in TABLES},
    )


def booked(stand: Stand) -> Mapping[str, int]:
    """What the stub ERP's stock changed by, each document counted once however often it was told."""
    path = stand.orders / BOOKED
    documents = dict(json.loads(row) for row in path.read_text(encoding="utf-8").splitlines()) if path.exists() else {}
    found = Counter[str]()
    for moved in documents.values():
        found.update(moved)
    return found


def _differ(one: Mapping[str, int], other: Mapping[str, int]) -> int:
    """Base units that differ."""
    return sum(abs(one.get(item, 0) - other.get(item, 0)) for item in {*one, *other})


async def _one(stand: Stand, what: Any) -> Any:
    async with stand.database.connect() as connection:
        return (await connection.execute(what, _WHERE)).one()


async def _pairs(stand: Stand, what: Any) -> dict[str, int]:
    async with stand.database.connect() as connection:
        return {row[0]: int(row[1]) for row in await connection.execute(what, _WHERE)}


async def _size(stand: Stand, table: str) -> float:
    """MiB of a table with its indexes."""
    async with stand.database.connect() as connection:
        asked = text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
        return int(await connection.scalar(asked, {"name": table}) or 0) / 1024**2
