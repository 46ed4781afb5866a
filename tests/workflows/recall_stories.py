"""Lives of a recall, from its notice to its end: recorded as histories that later code must still replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from temporalio import workflow

from canonical.recall import RecallScope
from tests.workflows.recall_house import Recall

Story = Callable[[Recall], Awaitable[None]]


async def a_recall_answered_and_closed(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3), ("procedure", "p-1", 1))
    await recall.until("2 of 2 tasks open")
    await recall.give("answer", task="t1", outcome="quarantined", found=3)
    await recall.give("answer", task="t2", outcome="clinician-informed")
    await recall.until("answered")
    await recall.give("close")
    assert (await recall.ended()).closed


async def a_recall_nobody_answers_in_time(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3), classification="I", skipping=True)
    await recall.until("1 of 1 tasks open")
    await recall.skip(timedelta(hours=13))
    await recall.attends("tasks", reminded=1)
    await recall.skip(timedelta(hours=12))
    await recall.until("1 of 1 tasks open, 1 overdue")
    await recall.attends("tasks", reminded=2)
    await recall.refused("close")
    await recall.give("answer", task="t1", outcome="none-found")
    await recall.until("answered")


async def a_recall_to_be_read_and_lifted(recall: Recall) -> None:
    await recall.opened(scopes=(RecallScope(lot_from="A1"),), uncertain=("no product",))
    await recall.until("scope")
    await recall.give("scope", scopes=[RecallScope(item="ITM-9001", lot_from="A1").model_dump()])
    await recall.until("1 of 1 tasks open")
    await recall.give("answer", task="t1", outcome="returned", found=1)
    await recall.give("lift")
    assert (await recall.ended()).closed


async def a_recall_open_for_long(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3), ("location", "OR-2", 1), classification="III", skipping=True)
    await recall.until("2 of 2 tasks open")
    await recall.skip(timedelta(hours=90))
    await recall.attends("tasks", reminded=1)
    first = recall.change()
    assert first is not None
    with pytest.MonkeyPatch.context() as patched:
        too_long = "is_continue_as_new_suggested"
        patched.setattr(workflow.Info, too_long, lambda info: info.get_current_history_length() > 25)
        await recall.give("answer", task="t1", outcome="none-found")
        second = await recall.run_after(first)
    kept = [(one.document, one.reminded, one.since) for one in first.attention]
    assert [(one.document, one.reminded, one.since) for one in second.attention] == kept
    await recall.give("answer", task="t2", outcome="none-found")
    await recall.until("answered")


STORIES: tuple[Story, ...] = (
    a_recall_answered_and_closed,
    a_recall_nobody_answers_in_time,
    a_recall_to_be_read_and_lifted,
    a_recall_open_for_long,
)
