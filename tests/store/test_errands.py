"""Keys and badges are handed out and brought back by people, and are out until somebody says that they are back."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.manual import ManualTarget
from canonical.access import AccessTarget
from store.errands import StoredErrands
from store.ids import now
from store.people_tables import person_tasks
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
