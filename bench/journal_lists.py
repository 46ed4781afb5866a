"""Lists of a journal of five million messages, and what is next of a million that wait: ``python -m bench.journal_lists``.

The figures are in docs/adr/0014-journal-at-scale.md. Each list is asked some times, for its first page and for one further on.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.own_postgres import own_postgres
from canonical.messages import Move
from store import migrate
from store.database import open_engine
from store.journal import StoredJournal
from store.partitions import StoredPartitions, week_of
from store.queries import StoredQueries
from store.query_models import MessageQuery

DAYS = 400
FEW = 1000

# Few senders and kinds have most messages, some have hardly any; nearly all are routed, as in a hospital that works.
_FILL = """
    INSERT INTO messages (id, direction, door, partner, sender, kind, control_number, key, state, "case", hash, size, at,
        stream, priority, slot, packing, payload)
    SELECT id, CASE WHEN n % 100 = 7 THEN 'out' ELSE 'in' END, 'mllp', CASE WHEN n % 50 = 3 THEN 'P' || n % 9 ELSE '' END,
        sender, (ARRAY['ADT^A08', 'ADT^A01', 'ORU^R01', 'ORM^O01', 'SIU^S12', 'DFT^P03', 'RDS^O13', 'OMS^O05', 'MFN^M05'])[
            1 + floor(9 * power(random(), 3))::int] AS kind, n::text, 'hl7/' || sender || '/' || n,
        CASE WHEN n % 1000 = 1 THEN 'dead' WHEN n % 1000 = 2 THEN 'refused' WHEN n % 100 = 7 THEN 'acknowledged'
            WHEN n % 500000 = 9 THEN 'sent' ELSE 'routed' END,
        CASE WHEN n % 100 = 5 THEN 'procure_to_pay/NGH/WARD/' || n % 20000 ELSE '' END, repeat(md5(n::text), 2), 616,
        uuid_extract_timestamp(id::uuid), sender || '/' || floor(200000 * power(random(), 2))::int, 5, 0, 0,
        decode(repeat(md5(n::text), 20), 'hex')
    FROM (SELECT n, uuidv7(-(n * interval '400 days' / {many}))::text AS id,
        'S' || floor(20 * power(random(), 4))::int AS sender FROM generate_series({first}, {last}) AS n) made
"""
_WAITING = """
    INSERT INTO messages (id, direction, door, sender, kind, state, hash, size, at, stream, priority, slot, packing, payload)
    SELECT id, 'in', 'mllp', 'W' || n % 20, 'ADT^A08', 'received', repeat(md5(n::text), 2), 616,
        uuid_extract_timestamp(id::uuid), 'W' || n % 20 || '/' || n % 50000, CASE WHEN n % 1000 = 0 THEN 0 ELSE 5 END,
        n % 256, 0, decode(repeat(md5(n::text), 20), 'hex')
    FROM (SELECT n, uuidv7(-(n * interval '1 ms'))::text AS id FROM generate_series(1, {many}) AS n) made
"""


def say(line: str) -> None:
    print(line, flush=True)


async def fill(engine: AsyncEngine, many: int) -> None:
    """So many messages over the last 400 days."""
    partitions, now = StoredPartitions(engine), datetime.now(UTC)
    await partitions.make_ahead(week_of(now - timedelta(days=DAYS)).begins, DAYS // 7 + 1)
    for first in range(1, many, 500_000):
        last = min(first + 499_999, many)
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL synchronous_commit = off"))
            await connection.execute(text(_FILL.format(first=first, last=last, many=many)))
        say(f"{last} messages are there")
    await _analyze(engine)


async def _analyze(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("VACUUM ANALYZE messages"))


async def lists(engine: AsyncEngine) -> None:
    """Every list people ask for."""
    queries, now = StoredQueries(engine), datetime.now(UTC)
    month_ago = now - timedelta(days=30)
    async with engine.connect() as connection:
        some = (
            await connection.execute(text('SELECT stream, "case" FROM messages WHERE "case" <> \'\' LIMIT 1'))
        ).one()
    asked = {
        "all": MessageQuery(),
        "state dead": MessageQuery(state="dead"),
        "state sent (a few in all)": MessageQuery(state="sent"),
        "state routed": MessageQuery(state="routed"),
        "state received (none)": MessageQuery(state="received"),
        "kind, many": MessageQuery(kind="ADT^A08"),
        "kind, fewest": MessageQuery(kind="MFN^M05"),
        "kind, none": MessageQuery(kind="ADT^A60"),
        "sender, most": MessageQuery(sender="S0"),
        "sender, fewest": MessageQuery(sender="S19"),
        "partner": MessageQuery(partner="P3"),
        "stream": MessageQuery(stream=some.stream),
        "case": MessageQuery(case=some.case),
        "an hour a month ago": MessageQuery(since=month_ago, until=month_ago + timedelta(hours=1)),
        "until a month ago": MessageQuery(until=month_ago),
        "sender and kind": MessageQuery(sender="S19", kind="MFN^M05"),
        "sender, kind and state": MessageQuery(sender="S0", kind="ADT^A08", state="dead"),
        "sender and a kind it never sends": MessageQuery(sender="S19", kind="ADT^A60"),
        "state dead in a month": MessageQuery(state="dead", since=month_ago),
        "outbound acknowledged of a partner": MessageQuery(direction="out", state="acknowledged", partner="P7"),
        "door, none": MessageQuery(door="carrier pigeon", since=now - timedelta(days=1)),
    }
    for name, which in asked.items():
        first = await queries.messages(which)
        further = first.next
        for _ in range(3):
            further = (await queries.messages(which, after=further)).next if further else ""
        at_first = await timed(partial(queries.messages, which))
        at_further = await timed(partial(queries.messages, which, after=further)) if further else ""
        say(f"{name:36} {len(first.messages):3} rows   {at_first}   further on {at_further or '-'}")


async def timed(ask: Callable[[], Awaitable[object]], rounds: int = 7) -> str:
    """Median and longest, in milliseconds."""
    took = []
    for _ in range(rounds):
        at = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - at) * 1000)
    return f"{statistics.median(took):6.1f} ms (longest {max(took):6.1f})"


async def backlog(engine: AsyncEngine, many: int) -> None:
    """What is next of many that wait, and how fast it is routed; with one large stream parked."""
    journal = StoredJournal(engine)
    for more in (FEW, many - FEW):  # what is next must cost the same behind either
        async with engine.begin() as connection:
            await connection.execute(text(_WAITING.format(many=more)))
        await _analyze(engine)
        if more == FEW:
            say(f"{FEW} wait: next 500: {await timed(lambda: journal.next_to_route(0, 1, 500))}")
    say(f"{many} wait: next 500: {await timed(lambda: journal.next_to_route(0, 1, 500))}")
    say(f"{many} wait: next 500 of a shard of 8: {await timed(lambda: journal.next_to_route(3, 8, 500))}")
    at, routed = time.perf_counter(), 0
    for _ in range(40):
        found = await journal.next_to_route(0, 1, 500)
        await journal.mark_many([Move(message=one.id, state="routed") for one in found])
        routed += len(found)
    say(f"routed {routed / (time.perf_counter() - at):.0f}/s from the front of {many}")
    say(f"after that: next 500: {await timed(lambda: journal.next_to_route(0, 1, 500))}")
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE messages SET stream = 'W0/0' WHERE state = 'received' AND sender = 'W0'"))
    await journal.park("W0/0", "the first", "unknown code")
    say(f"a stream of {many // 20} parked: next 500: {await timed(lambda: journal.next_to_route(0, 1, 500))}")
    at = time.perf_counter()
    while await journal.set_aside():
        pass
    say(
        f"set aside in {time.perf_counter() - at:.1f} s: next 500: {await timed(lambda: journal.next_to_route(0, 1, 500))}"
    )
    say(f"list of parked streams: {await timed(journal.parked)}")
    at = time.perf_counter()
    await journal.unpark("W0/0")
    say(f"unparked in {time.perf_counter() - at:.1f} s")


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.journal_lists", description=__doc__)
    parser.add_argument("--many", type=int, default=5_000_000)
    parser.add_argument("--waiting", type=int, default=1_000_000)
    given = parser.parse_args()
    async with own_postgres("max_wal_size=4GB", "fsync=off") as (
        address,
        _,
    ):  # nothing here is written in the measured part
        engine = open_engine(f"{address}/fascia", pool=5)
        await migrate.upgrade(engine)
        at = time.monotonic()
        await fill(engine, given.many)
        say(f"filled in {time.monotonic() - at:.0f} s")
        await lists(engine)
        await backlog(engine, given.waiting)
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
