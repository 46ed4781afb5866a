"""How long a recall takes: a notice of lots and a range of serial numbers, over a million uses and what 400 locations hold.

From the load of the notice (it blocks with that commit) until each location and procedure has its task; then the look that the
loop takes for what is new, which costs the same however often nothing is. Of 2,000 items one is used 50 times as often as another.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.figures import Recalled
from bench.own_postgres import own_postgres
from bench.stand import time_now
from canonical.cases import Actor
from canonical.parties import Facility
from canonical.recall import RecallNotice, RecallScope
from canonical.supply import Item
from store import migrate
from store.acts import Act
from store.authority import ERP, HOSPITAL
from store.database import open_engine
from workers.settings import Settings
from workers.wiring import Wiring

MANY = 1_000_000
BATCH = 250_000
OFTEN, SELDOM, SERIALS = "ITM-0", "ITM-777", "ITM-5"
DEVICE = "00643169007222"

# Uses over two years at two facilities; the item's place in the list says how often it is used. Every third names no procedure.
_USES = """
    INSERT INTO usage_events (id, facility, source, number, kind, state, location, item, lot, serial, quantity, procedure, content,
        used_at, at, changed_at)
    SELECT 'u' || n, CASE WHEN n % 4 = 0 THEN 'SGH' ELSE 'NGH' END, 'OR', n::text, 'use', 'posted', 'LOC-' || n % 200,
        'ITM-' || item, 'L' || item || '-' || n % 40, CASE WHEN item % 5 = 0 THEN 'SN' || lpad((n % 900000)::text, 6, '0') ELSE '' END,
        1, CASE WHEN n % 3 = 0 THEN '' ELSE md5((n / 4)::text) END, '{{}}', now() - n * interval '1 min', now(), now()
    FROM (SELECT n, floor(2000 * power(random(), 3))::int AS item FROM generate_series({first}, {last}) AS n) made
"""
_BALANCES = """
    INSERT INTO stock_balances (facility, location, item, lot, serial, on_hand, changed_at)
    SELECT facility, 'LOC-' || place, 'ITM-' || item, 'L' || item || '-' || lot, '', 5, now()
    FROM unnest(ARRAY['NGH', 'SGH']) AS facility, generate_series(0, 199) AS place, generate_series(0, 1999, 7) AS item,
        generate_series(0, 1) AS lot ON CONFLICT DO NOTHING
"""


def notices(round_: int) -> list[RecallNotice]:
    """Two lots of a seldom item by its barcode, a range of serials, and every lot of the item used most."""
    seldom = tuple(RecallScope(device=DEVICE, lot_from=f"L777-{lot}") for lot in (0, 1))
    serials = (RecallScope(item=SERIALS, serial_from="SN000100", serial_to="SN009999"),)
    told: dict[str, Any] = {"classification": "I", "product": "of the bench"}
    return [
        RecallNotice(number=f"lots and serials {round_}", scopes=seldom + serials, **told),
        RecallNotice(number=f"every lot {round_}", scopes=(RecallScope(item=OFTEN, everything=True),), **told),
    ]


async def measure(*, rounds: int, many: int = MANY, say: Callable[[str], None]) -> list[Recalled]:
    """Recall, some times over; each round is another notice of the same goods."""
    async with own_postgres() as (address, _):
        engine = open_engine(f"{address}/fascia", pool=5)
        await migrate.upgrade(engine)
        wiring = Wiring(Settings(home=Path("/nonexistent")), engine, cast(Any, None))
        await fill(wiring, engine, many)
        say(f"{many} uses are kept")
        found: dict[str, list[tuple[float, float, int, int]]] = {}
        for number in range(rounds):
            for notice in notices(number):
                what = notice.number.rpartition(" ")[0]
                found.setdefault(what, []).append(await _one(wiring, notice))
                say(f"{what}: {found[what][-1]}")
        await engine.dispose()
    at = time_now()
    return [
        Recalled(
            at=at, temporals_store="none", what=what, uses=many, tasks=took[-1][2], matches=took[-1][3],
            seconds=[one[0] for one in took], again=[one[1] for one in took],
        )
        for what, took in found.items()
    ]  # fmt: skip


async def _one(wiring: Wiring, notice: RecallNotice) -> tuple[float, float, int, int]:
    recalls, at = wiring.stock.recalls, datetime.now(UTC)
    act = Act(verb="recall load", about="", actor=Actor(id="bench", known_by="os_user"))
    began = time.perf_counter()
    await recalls.load([notice], act, at)
    standing = await recalls.match(notice.number, at)
    took = time.perf_counter() - began
    began = time.perf_counter()
    assert await recalls.wake(at) == []
    again = time.perf_counter() - began
    asked = text("SELECT count(*) FROM recall_matches WHERE recall = :recall")
    async with wiring.database.connect() as connection:
        matches = await connection.scalar(asked, {"recall": notice.number})
    return took, again, standing.open, int(matches or 0)


async def fill(wiring: Wiring, engine: AsyncEngine, many: int) -> None:
    """Two hospitals with what they used and hold."""
    for site in ("NGH", "SGH"):
        await wiring.register.load("facility", [Facility(code=site)], HOSPITAL, site)
        await wiring.register.load("item", [Item(code=SELDOM), Item(code=OFTEN), Item(code=SERIALS)], ERP, site)
        report = await wiring.register.load("item", [{"code": SELDOM, "devices": [DEVICE]}], HOSPITAL, site)
        assert report.loaded == 1, report
    for first in range(1, many, BATCH):
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL synchronous_commit = off"))
            await connection.execute(text(_USES.format(first=first, last=min(first + BATCH - 1, many))))
    async with engine.begin() as connection:
        await connection.execute(text(_BALANCES))
    async with engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("VACUUM ANALYZE usage_events, stock_balances"))
