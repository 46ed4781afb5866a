"""The monthly look at 10,000 people: an exclusion list of 83,000 rows replaced, everybody held against it, every licence asked about.

The steps are those of the monthly run, one batch after the other as it takes them; Temporal's part (some hundred events) is not in it.
The board is a server of ours (:mod:`demo.registries`), asked as fast as its row allows, which here is faster than any board would.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import psutil  # type: ignore[import-untyped]
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from activities.monitoring import MonitoringActivities
from bench.cpu import of_process
from bench.figures import Month
from bench.own_postgres import free_port, own_postgres
from bench.stand import time_now
from canonical.credentials import Evidence, VerificationSource
from canonical.exclusions import Listed
from canonical.monitoring import MonitoringBatch
from store import migrate
from store.authority import HOSPITAL
from store.clinician_register import StoredClinicianRegister
from store.database import open_engine, transaction
from store.exclusions import StoredExclusions
from store.monitoring import StoredMonitoring
from store.register import StoredRegister
from store.source_states import StoredSourceStates
from store.verifications import Answered, keep_many_in
from workers.exclusion_lists import ListFetcher
from workers.verifiers import Sources

MANY, LISTED = 10_000, 83_000
PER_SECOND = 1000.0
_PEOPLE = """
    INSERT INTO people (person, content, at, changed_at) SELECT 'person-' || lpad(n::text, 6, '0'), json_build_object(
        'name', json_build_object('family', 'Family' || n % 4000, 'given', 'Given' || n), 'birth_date', '1980-02-29',
        'licences', json_build_array(json_build_object('state', 'IL', 'number', 'L-' || n)))::jsonb, now(), now()
    FROM generate_series(1, {many}) AS n
"""
_APPOINTED = """
    INSERT INTO appointments (facility, person, state, position, offered_at, changed_at)
    SELECT 'NGH', person, 'working', '{"role": "physician"}', now(), now() FROM people
"""


async def measure(*, rounds: int, many: int = MANY, say: Callable[[str], None]) -> list[Month]:
    """Each round is another month: another edition of the list, every licence asked about again."""
    with tempfile.TemporaryDirectory(prefix="fascia-bench-") as home:
        async with own_postgres() as (address, postmaster), _board(Path(home), many) as url:
            engine = open_engine(f"{address}/fascia", pool=10)
            await migrate.upgrade(engine)
            await _fill(engine, many, url)
            taken = [await _month(engine, number, postmaster) for number in range(rounds)]
            await engine.dispose()
    for one in taken:
        say(f"monthly: {one}")
    names = ("load", "hold", "ask", "cpu_ours", "cpu_database")
    spread = {name: [one[name] for one in taken] for name in names}
    calls = {source: int(taken[-1][source]) for source in ("IDFPR",)}
    return [
        Month(
            at=time_now(),
            temporals_store="none",
            people=many,
            listed=LISTED,
            calls=calls,
            **spread,
        )
    ]


async def _month(engine: AsyncEngine, number: int, postmaster: int) -> dict[str, float]:
    as_of, calls = datetime.now(UTC), Counter[str]()

    async def count(_: httpx.Request) -> None:
        calls["IDFPR"] += 1

    lists, register = StoredExclusions(engine), StoredClinicianRegister(engine)
    sources = Sources(Path("/nonexistent"), StoredSourceStates(engine), lists, [count])
    fetcher = ListFetcher(register, sources, lists)
    steps = MonitoringActivities(StoredMonitoring(engine), register, sources.verifier_for, fetcher)
    own, stored = of_process(os.getpid()), _tree(postmaster)
    began = time.perf_counter()
    await lists.replace("LEIE", _edition(number), f"edition {number}", "bench", as_of)
    loaded = time.perf_counter()
    after = ""
    while True:
        held = await steps.hold_batch(MonitoringBatch(as_of=as_of, after=after, many=500))
        if not (after := held.after):
            break
    matched = time.perf_counter()
    while True:
        asked = await steps.ask_batch(MonitoringBatch(as_of=as_of, after=after, many=50))
        assert not asked.owed, asked
        if not (after := asked.after):
            break
    done = time.perf_counter()
    await sources.close()
    spent = {"cpu_ours": of_process(os.getpid()) - own, "cpu_database": _tree(postmaster) - stored}
    return spent | {"load": loaded - began, "hold": matched - loaded, "ask": done - matched, **calls}


def _edition(number: int) -> list[Listed]:
    """A month's list; some of its names are of ours, with another birth date."""
    born = date(1975, 1, 1)
    return [
        Listed(row=at, family=f"family{at % 9000}", given=f"given{at}", birth_date=born, excluded_on=born)
        for at in range(number, LISTED + number)
    ]


async def _fill(engine: AsyncEngine, many: int, url: str) -> None:
    """People with a licence that was verified a month ago, and the sources that are asked."""
    rows = [
        VerificationSource(code="LEIE", kind="exclusion", adapter="leie"),
        VerificationSource(code="IDFPR", kind="licence", adapter="licence_board", url=url, per_second=PER_SECOND),
    ]
    report = await StoredRegister(engine).load("verification_source", rows, HOSPITAL, "")
    assert report.loaded == len(rows), report
    async with engine.begin() as connection:
        await connection.execute(text(_PEOPLE.format(many=many)))
        await connection.execute(text(_APPOINTED))
    before = datetime.now(UTC) - timedelta(days=31)
    evidence = Evidence(state="confirmed", finding="active", source="IDFPR", verified_on=before.date())
    for first in range(1, many + 1, 1000):
        people = range(first, min(first + 1000, many + 1))
        answered = [Answered(person=f"person-{n:06d}", kind="licence", subject="IL", evidence=evidence) for n in people]
        async with transaction(engine) as connection:
            await keep_many_in(connection, answered, before)


@asynccontextmanager
async def _board(home: Path, many: int) -> AsyncIterator[str]:
    """A licence board in a process of its own; its address."""
    held = {"status": "Active", "profession": "Physician", "expires": "2030-07-31", "discipline": []}
    books = {
        f"IL/L-{n}": held
        | {"state": "IL", "number": f"L-{n}", "name": {"family": f"Family{n % 4000}", "given": f"Given{n}"}}
        for n in range(1, many + 1)
    }
    (home / "registries").mkdir()
    (home / "registries" / "licences.json").write_text(json.dumps(books), encoding="utf-8")
    port = free_port()
    serve = ("-m", "demo.registries", "serve", "--home", str(home), "--port", str(port))
    process = await asyncio.create_subprocess_exec(sys.executable, *serve)
    try:
        url = f"http://127.0.0.1:{port}/licences"
        async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(20):
            while True:
                try:
                    if (await client.get(f"{url}/IL/L-1")).is_success:
                        break
                except httpx.TransportError:
                    pass
                await asyncio.sleep(0.1)
        yield url
    finally:
        process.terminate()
        await process.wait()


def _tree(pid: int) -> float:
    """A server's own time, its sessions' and that of those that ended."""
    times = psutil.Process(pid).cpu_times()
    return of_process(pid, alone=False) + float(times.children_user + times.children_system)
