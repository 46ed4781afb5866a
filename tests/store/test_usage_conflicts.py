"""A use in conflict stands in two lists: deciding it in one settles it in the other."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from canonical.ports import Unmatched
from store.acts import Act
from store.unmatched import StoredUnmatched
from store.usage_conflicts import StoredConflicts
from tests.store.usage_rows_house import AT, conflict, use

WORD = Act(verb="usage conflicts dismiss", about="", actor=Actor(id="E-1", known_by="os_user"), reason="seen to")


async def listed(engine: AsyncEngine, number: str, message: str) -> str:
    reason = f"use {number}/1 of ORSYS is known with other content"
    about = {"id": f"usage-{message}", "kind": "usage", "facility": "NGH", "number": number, "message": message}
    row = Unmatched.model_validate(about | {"reason": reason, "at": AT})
    await StoredUnmatched(engine).put_unmatched(row)
    return row.id


async def both(engine: AsyncEngine) -> tuple[int, int]:
    """How many are open: in the list of conflicts, and in that of unmatched documents."""
    return len(await StoredConflicts(engine).list()), len(await StoredUnmatched(engine).unmatched())


async def test_dismissing_the_conflict_sets_its_listed_messages_aside(engine: AsyncEngine) -> None:
    one = await conflict(engine, await use(engine, "T-1"), item="ITM-2")
    other = await conflict(engine, await use(engine, "T-10"), item="ITM-2")
    for number, message in (("T-1", "M-1"), ("T-1", "M-2"), ("T-10", "M-3")):
        await listed(engine, number, message)
    await StoredConflicts(engine).dismiss(one, WORD)
    (left,) = await StoredUnmatched(engine).unmatched()
    assert left.number == "T-10" and await both(engine) == (1, 1)
    await StoredConflicts(engine).dismiss(other, WORD)
    assert await both(engine) == (0, 0)


async def test_setting_the_listed_message_aside_dismisses_its_conflict(engine: AsyncEngine) -> None:
    await conflict(engine, await use(engine, "T-1"), item="ITM-2")
    await conflict(engine, await use(engine, "T-10"), item="ITM-2")
    first, second = await listed(engine, "T-1", "M-1"), await listed(engine, "T-1", "M-2")
    await StoredUnmatched(engine).set_aside(first, by="E-1", why="seen to")
    assert await both(engine) == (2, 1), "another message of it still waits for a person"
    await StoredUnmatched(engine).set_aside(second, by="E-1", why="seen to")
    (left,) = await StoredConflicts(engine).list()
    assert left.number == "T-10"
