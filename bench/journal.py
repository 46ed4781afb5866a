"""What keeping, moving and finding messages costs: ``python -m bench.journal`` (docs/adr/0014-journal-at-scale.md has figures).

Keeping is compared with one fdatasync per message to a file, in the same run and on the same disk, round by round.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.cpu import of_postgres, of_process
from bench.own_postgres import own_postgres
from canonical.messages import Move, NewMessage
from cli.synthetic.traffic import Plan
from gateway.keeping import Line
from store import migrate
from store.database import open_engine
from store.journal import StoredJournal
from store.packing import pack, unpack

KEEPERS = (1, 20, 200)
FOR_EVER, DISTINCT = 2**40, 5000
_letters = Plan(kinds=("no-case",), many=FOR_EVER, distinct=DISTINCT).letters()


def say(line: str) -> None:
    print(line, flush=True)


def new() -> NewMessage:
    """A message as the MLLP door brings it."""
    letter = next(_letters)
    sender = f"WARD{letter.number % 20}"
    return NewMessage(
        door="mllp",
        data=letter.data,
        sender=sender,
        kind=letter.kind,
        control_number=letter.control,
        key=f"hl7/{sender}/{letter.control}",
        stream=f"{sender}/{letter.number % 5000}",
        remember=timedelta(days=7),
    )


def traffic(many: int) -> list[bytes]:
    """So many messages, no two alike."""
    return [letter.data for letter in Plan(kinds=("no-case",), many=many).letters()]


async def keepers(many: int, seconds: float, keep: Callable[[NewMessage], Awaitable[object]]) -> int:
    """So many who bring one message after the other; gives how many were kept."""
    ends, done = time.monotonic() + seconds, 0

    async def one() -> None:
        nonlocal done
        while time.monotonic() < ends:
            await keep(new())
            done += 1

    await asyncio.gather(*(one() for _ in range(many)))
    return done


def fdatasyncs(folder: Path, seconds: float) -> float:
    """Messages a second written to a file with one fdatasync each."""
    ends, done = time.monotonic() + seconds, 0
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        while time.monotonic() < ends:
            os.write(file.fileno(), new().data)
            os.fdatasync(file.fileno())
            done += 1
    return done / seconds


async def measured(name: str, postmaster: int, work: Callable[[], Awaitable[int]]) -> float:
    """Do it, and say what it cost; gives how many a second."""
    ours, theirs, at = of_process(os.getpid()), sum(of_postgres(postmaster, {}).values()), time.monotonic()
    done = await work()
    took = time.monotonic() - at
    us = (of_process(os.getpid()) - ours) / done * 1e6
    postgres = (sum(of_postgres(postmaster, {}).values()) - theirs) / done * 1e6
    say(f"{name:42} {done / took:8.0f}/s   ours {us:5.0f} us   PostgreSQL {postgres:5.0f} us   of {done}")
    return done / took


async def rates(engine: AsyncEngine, postmaster: int, seconds: float, rounds: int) -> None:
    journal = StoredJournal(engine)
    line = Line(journal)

    async def in_line(message: NewMessage) -> None:
        await line.kept(line.join([message]))

    folder = Path(tempfile.gettempdir())
    await keepers(20, 1, in_line)  # plans and connections are there
    ratios: dict[int, list[float]] = {many: [] for many in KEEPERS}
    for _ in range(rounds):
        for many in KEEPERS:
            sync = fdatasyncs(folder, seconds / 2)
            say(f"{'one fdatasync per message to a file':42} {sync:8.0f}/s")
            await measured(f"one by one, {many} keepers", postmaster, partial(keepers, many, seconds, journal.keep))
            found = await measured(
                f"group commit, {many} keepers", postmaster, partial(keepers, many, seconds, in_line)
            )
            ratios[many].append(found / sync)
    for many, found_ratios in ratios.items():
        say(f"group commit to fdatasync, {many} keepers: {statistics.median(found_ratios):.2f} (median of {rounds})")
    await measured("router: fetched and routed, 500 at once", postmaster, partial(_route, journal, seconds))


async def _route(journal: StoredJournal, seconds: float) -> int:
    ends, done = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        found = await journal.next_to_route(0, 1, 500)
        if not found:
            break
        await journal.mark_many([Move(message=one.id, state="routed", case="") for one in found])
        done += len(found)
    return done


def packing() -> None:
    """What packing gains and costs."""
    data = traffic(5000)
    at = time.process_time()
    packed = [pack(one) for one in data]
    took = (time.process_time() - at) / len(data) * 1e6
    at = time.process_time()
    back = [unpack(*one) for one in packed]
    away = (time.process_time() - at) / len(data) * 1e6
    assert back == data
    before, after = sum(map(len, data)), sum(len(one[1]) for one in packed)
    say(
        f"packing: {before / len(data):.0f} bytes to {after / len(data):.0f}, ratio {before / after:.2f}, "
        f"{took:.1f} us to pack, {away:.1f} us to unpack"
    )


def making() -> None:
    """What the measurement itself costs: making a message, which is in "ours" below."""
    for _ in range(DISTINCT):  # the first are made whole, the rest are these under other numbers
        new()
    at = time.process_time()
    for _ in range(5000):
        new()
    say(f"making a message: {(time.process_time() - at) / 5000 * 1e6:.0f} us, to be taken off what is ours")


async def sizes(engine: AsyncEngine) -> None:
    """Bytes on disk for each message, by what holds them."""
    asked = text("""
        SELECT coalesce(p.inhparent::regclass::text, c.relname) AS what,
            sum(pg_table_size(c.oid)) AS rows, sum(pg_indexes_size(c.oid)) AS indexes
        FROM pg_class c LEFT JOIN pg_inherits p ON p.inhrelid = c.oid
        WHERE c.relkind = 'r' AND (c.relname LIKE 'messages\\_%' OR c.relname LIKE 'message\\_%') GROUP BY 1 ORDER BY 1""")
    async with engine.connect() as connection:
        many = int(await connection.scalar(text("SELECT count(*) FROM messages")) or 1)
        for row in await connection.execute(asked):
            say(
                f"{row.what:20} {row.rows / many:6.0f} bytes of rows and {row.indexes / many:6.0f} of indexes per message"
            )


async def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.journal", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    packing()
    await asyncio.to_thread(making)
    say(f"load before: {' '.join(f'{value:.1f}' for value in os.getloadavg())}")
    async with own_postgres() as (address, postmaster):
        engine = open_engine(f"{address}/fascia", pool=10)
        await migrate.upgrade(engine)
        await rates(engine, postmaster, given.seconds, given.rounds)
        await sizes(engine)
        await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
    sys.stdout.flush()
