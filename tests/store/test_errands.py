"""Keys and badges are handed out and brought back by people, and are out until somebody says that they are back."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.manual import ManualTarget
from canonical.access import AccessTarget
from store.errands import StoredErrands
from store.ids import now
from store.people_tables import person_tasks, person_trace
from tests.adapters.contract_targets import TargetContract, nobody_any_more, somebody

BADGE = AccessTarget(code="BADGE", kind="manual", adapter="manual")


async def said(engine: AsyncEngine) -> None:
    """Whoever had a task has done it."""
    async with engine.begin() as connection:
        await connection.execute(
            update(person_tasks).where(person_tasks.c.state == "open").values(state="done", done_at=now())
        )


class TestManual(TargetContract):
    """A badge: it says nothing of departments and names."""

    tells_all = False

    @pytest.fixture
    def system(self, engine: AsyncEngine) -> ManualTarget:
        self.engine = engine
        return ManualTarget(BADGE, StoredErrands(engine))

    async def arrived(self) -> None:
        await said(self.engine)


async def test_somebody_has_the_badge_until_it_was_brought_back(engine: AsyncEngine) -> None:
    system, wanted = ManualTarget(BADGE, StoredErrands(engine)), somebody()
    assert not (await system.write(wanted)).as_wanted  # nobody has handed it out yet
    await said(engine)
    gone = nobody_any_more(wanted)
    for _ in range(3):
        seen = await system.write(gone)
        assert (seen.active, seen.as_wanted) == (True, False)
    await said(engine)
    seen = await system.look(gone)
    assert (seen.active, seen.as_wanted) == (False, True)
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(person_tasks)) == 2


async def test_a_later_errand_replaces_the_one_that_is_still_open_which_is_kept(engine: AsyncEngine) -> None:
    """An offer was withdrawn before the badge was handed out, then it stands again: one task waits at each time."""
    system, wanted = ManualTarget(BADGE, StoredErrands(engine)), somebody()
    gone, opened = nobody_any_more(wanted), list[list[str]]()
    task = person_tasks.c
    for wish in (wanted, gone, gone, wanted):
        await system.write(wish)
        async with engine.connect() as connection:
            opened.append(list(await connection.scalars(select(task.kind).where(task.state == "open"))))
    assert opened == [["hand-out"], ["bring-back"], ["bring-back"], ["hand-out"]]
    async with engine.connect() as connection:
        kept = (await connection.execute(select(task.kind, task.state, task.outcome, task.done_by))).all()
        trace = select(person_trace.c.did, person_trace.c.what).where(person_trace.c.did == "replaced")
        told = (await connection.execute(trace.order_by(person_trace.c.link))).all()
    assert sorted(map(tuple, kept)) == [
        ("bring-back", "done", "replaced: hand-out", "fascia"),
        ("hand-out", "done", "replaced: bring-back", "fascia"),
        ("hand-out", "open", "", ""),
    ]
    assert [tuple(row) for row in told] == [("replaced", "hand-out BADGE"), ("replaced", "bring-back BADGE")]
    assert (await system.look(gone)).active  # whether it was handed out meanwhile nobody has said
