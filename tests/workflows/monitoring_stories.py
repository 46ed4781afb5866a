"""Months of monitoring: recorded as histories that later code must still replay."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from canonical.errors import Unavailable
from tests.workflows.monitoring_house import Monthly

Story = Callable[[Monthly], Awaitable[str]]


async def a_month_over_everybody(monthly: Monthly) -> str:
    monthly.everybody(600)
    run = await monthly.start()
    assert (await monthly.ended(run)).asked == 600
    return run


async def a_month_whose_list_changed_in_the_middle(monthly: Monthly) -> str:
    everybody = monthly.everybody(1100)

    def replace(batch: int) -> None:
        everybody.edition = 2 if batch >= 2 else 1

    everybody.before_batch = replace
    run = await monthly.start()
    assert (await monthly.ended(run)).again == 1
    return run


async def a_month_whose_board_was_down(monthly: Monthly) -> str:
    monthly.everybody(3)
    monthly.board.failure = Unavailable("IDFPR did not answer", system="IDFPR")
    run = await monthly.start(skipping=True)
    await monthly.until(run, "licences", owed=3)
    monthly.board.failure = None
    await monthly.skip(run, timedelta(minutes=6))
    assert (await monthly.ended(run)).owed == 0
    return run


STORIES: tuple[Story, ...] = (
    a_month_over_everybody,
    a_month_whose_list_changed_in_the_middle,
    a_month_whose_board_was_down,
)
