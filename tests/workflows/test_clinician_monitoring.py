"""The monthly run: everybody, in batches; a list that changes in the middle; a board that is down for days; its Schedule."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from canonical.errors import Rejected, Unavailable
from canonical.monitoring import ListsRefreshed, MonitoringStart
from tests.workflows.monitoring_house import Monthly
from workers.monitoring_schedule import MonitoringSchedule

pytestmark = pytest.mark.server


async def test_everybody_is_held_against_the_lists_and_every_licence_asked_about(monthly: Monthly) -> None:
    monthly.everybody(1200)
    ended = await monthly.run()
    assert (ended.phase, ended.held, ended.people, ended.asked, ended.owed) == ("done", 1200, 1200, 1200, 0)
    assert set(monthly.behind.held.values()) == {1}
    assert [run.phase for run in monthly.behind.runs] == ["lists", "exclusions", "licences", "done"]
    assert len({run.as_of for run in monthly.behind.runs}) == 1


async def test_a_list_replaced_in_the_middle_is_met_by_everybody_those_before_too(monthly: Monthly) -> None:
    everybody = monthly.everybody(2200)

    def replace(batch: int) -> None:
        everybody.edition = 2 if batch >= 3 else 1

    everybody.before_batch = replace
    ended = await monthly.run()
    assert (ended.again, ended.lists, ended.people) == (1, "LEIE:2", 2200)
    assert everybody.held == dict.fromkeys(everybody.people, 2)


async def test_a_list_that_does_not_come_whole_is_told_of_and_the_one_before_held_on_to(monthly: Monthly) -> None:
    monthly.everybody(10).fetch = ListsRefreshed(trouble="LEIE: it was cut off")
    ended = await monthly.run()
    assert (ended.phase, ended.held, ended.lists_trouble) == ("done", 10, "LEIE: it was cut off")


async def test_a_list_source_that_is_down_for_hours_does_not_keep_the_month_from_being_done(monthly: Monthly) -> None:
    monthly.everybody(10).fetch = Unavailable("LEIE did not answer", system="LEIE")
    run = await monthly.start(skipping=True)
    await monthly.until(run, "lists")
    await monthly.skip(run, timedelta(hours=3))
    ended = await monthly.ended(run)
    assert (ended.phase, ended.held) == ("done", 10)
    assert "held on to" in ended.lists_trouble


async def test_licences_whose_board_is_down_are_owed_and_asked_about_when_it_is_back(monthly: Monthly) -> None:
    everybody = monthly.everybody(120)
    monthly.board.failure = Unavailable("IDFPR did not answer", system="IDFPR")
    run = await monthly.start(skipping=True)
    owed = await monthly.until(run, "licences", owed=120)
    assert owed.trouble == "IDFPR did not answer" and everybody.answers == {}
    monthly.board.failure = None
    await monthly.skip(run, timedelta(minutes=6))
    ended = await monthly.ended(run)
    assert (ended.phase, ended.asked, ended.owed, ended.trouble) == ("done", 120, 0, "")
    assert ended.passes == 1


async def test_a_board_that_stays_down_ends_with_the_month_and_says_who_is_owed(monthly: Monthly) -> None:
    monthly.everybody(3)
    monthly.board.failure = Unavailable("IDFPR did not answer", system="IDFPR")
    run = await monthly.start(skipping=True)
    await monthly.until(run, "licences", owed=3)
    await monthly.skip(run, timedelta(days=26))
    ended = await monthly.ended(run)
    assert (ended.phase, ended.owed, ended.trouble) == ("done", 3, "IDFPR did not answer")


async def test_a_board_that_has_been_down_for_weeks_is_asked_on(monthly: Monthly) -> None:
    """The pauses double up to six hours; doubled without an end, after forty of them no duration held the next."""
    monthly.everybody(3)
    monthly.board.failure = Unavailable("IDFPR did not answer", system="IDFPR")
    run = await monthly.start(MonitoringStart(phase="licences", passes=60), skipping=True)
    await monthly.until(run, "licences", owed=3)
    await monthly.skip(run, timedelta(hours=7))
    await monthly.until(run, "licences", owed=3, passes=61)


async def test_a_run_that_continues_as_new_carries_on_where_it_was(monthly: Monthly) -> None:
    everybody = monthly.everybody(1200)
    start = MonitoringStart(phase="exclusions", after=everybody.people[499], lists="LEIE:1", people=500, held=500)
    ended = await monthly.ended(await monthly.start(start))
    assert (ended.people, ended.held) == (1200, 1200)
    assert everybody.people[0] not in everybody.held


async def test_what_is_no_start_is_refused_and_no_case_hangs(monthly: Monthly) -> None:
    with pytest.raises(Exception, match="failed"):
        await monthly.ended(await monthly.start({"phase": "lists", "who": "Mallory"}))


async def test_a_triggered_schedule_begins_one_run_and_no_second_beside_it(monthly: Monthly) -> None:
    everybody = monthly.everybody(3)
    monthly.board.failure = Unavailable("IDFPR did not answer", system="IDFPR")
    for _ in range(2):  # two processes see to the same schedule
        await MonitoringSchedule(monthly.client, "fascia").once()
    schedule = monthly.client.get_schedule_handle("clinician_monitoring")
    try:
        await MonitoringSchedule(monthly.client, "fascia").free()
        await MonitoringSchedule(monthly.client, "fascia").trigger()
        async with asyncio.timeout(120):
            while not [run for run in everybody.runs if run.phase == "licences"]:
                await asyncio.sleep(0.05)
            while not (await schedule.describe()).info.running_actions:  # the run may be heard of before its Schedule
                await asyncio.sleep(0.05)
        with pytest.raises(Rejected, match="under way: clinician_monitoring"):
            await MonitoringSchedule(monthly.client, "fascia").free()
        await MonitoringSchedule(monthly.client, "fascia").trigger()
        await asyncio.sleep(1)
        assert len({run.run for run in everybody.runs}) == 1
        assert everybody.runs[0].run.startswith("clinician_monitoring")
        described = await schedule.describe()
        assert described.info.num_actions == 1
        await monthly.client.get_workflow_handle(everybody.runs[0].run).terminate("the test is over")
        await MonitoringSchedule(monthly.client, "fascia").free()  # the run itself is asked, not the Schedule alone
    finally:
        await schedule.delete()
    with pytest.raises(Rejected, match="no Schedule clinician_monitoring"):
        await MonitoringSchedule(monthly.client, "fascia").free()
