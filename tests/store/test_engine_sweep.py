"""The engine sweep on a store of thousands of cases: what it asks of Temporal is little, what stands still is shown all the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.steps import OrderEnded
from store.cases import StoredCases
from store.marks import StoredMarks
from tests.store.build import SEAL_KEY, requisition, start
from workers.loops.engine_runs import Page
from workers.loops.engine_sweep import BATCH, OPEN_BATCHES, EngineSweep

OPEN = 12_000


class ListsOfTemporal:
    """Temporal as its lists have it: everything runs but what is said here."""

    def __init__(self, *, ended: Sequence[str], failing: Sequence[str], deleted: Sequence[str]) -> None:
        self.ended, self.failed, self.deleted = ended, failing, deleted
        self.asked: list[str] = []

    async def look(self, cases: Sequence[str]) -> Mapping[str, bool]:
        self.asked += cases
        return {case: case in self.failed for case in cases if case not in (*self.ended, *self.deleted)}

    async def failing(self, after: bytes, limit: int) -> Page:
        return Page(self.failed)

    async def ended_otherwise(self, since: datetime, until: datetime, after: bytes, limit: int) -> Page:
        return Page(self.ended)

    async def status(self, case: str, run: str = "") -> str:
        if case in self.deleted:
            return "missing"
        return "terminated" if case in self.ended else "running"

    async def tell_ended(self, parent: str, ended: OrderEnded) -> bool:
        return True


async def test_of_many_open_cases_a_round_asks_for_five_thousand_and_the_rounds_go_through_all(
    engine: AsyncEngine,
) -> None:
    rows = """
        INSERT INTO cases ("case", run, closed, opened_at, changed_at)
        SELECT 'c-' || lpad(n::text, 5, '0'), 'run-1', n > :open, now(), now() - interval '1 hour'
        FROM generate_series(1, :all) n
    """
    async with engine.begin() as connection:
        await connection.execute(text(rows), {"open": OPEN, "all": 3 * OPEN})
    cases, silent = StoredCases(engine, SEAL_KEY), requisition()
    await cases.claim(start(silent, as_of=datetime.now(UTC)))  # and never a word
    lists = ListsOfTemporal(ended=["c-09500", "c-20000"], failing=["c-09600"], deleted=["c-11999", silent.case_id])
    now = datetime.now(UTC) + timedelta(minutes=5)
    sweep = EngineSweep(cases, lists, StoredMarks(engine), clock=lambda: now)

    async def shown() -> dict[str, str]:
        return {one.case: one.stopped for one in await cases.stopped_page("", 10)}

    await sweep.once()
    at_once = {silent.case_id: "stopped outside", "c-09500": "stopped outside", "c-09600": "engine fault"}
    assert await shown() == at_once
    assert len(lists.asked) <= BATCH * OPEN_BATCHES + len(at_once) + 1
    for _ in range(OPEN // (BATCH * OPEN_BATCHES)):
        await sweep.once()
    assert await shown() == {**at_once, "c-11999": "stopped outside"}
    assert {f"c-{number:05}" for number in range(1, OPEN + 1)} <= set(lists.asked)
    assert not [case for case in lists.asked if case.startswith("c-") and case > f"c-{OPEN:05}"], (
        "closed ones cost nothing"
    )
