"""A recall finds whatever holds or used what is recalled, blocks it from the commit that kept the notice, and waits for answers."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor, CaseChange, State
from canonical.errors import Rejected
from canonical.recall import RecallScope, RecallWord
from canonical.usage import UsagePolicy
from store.database import transaction
from store.recall_tables import recall_matches
from store.usage_tables import recall_blocks
from tests.store.build import put
from tests.store.recall_house import DEVICE, NOON, STENT, RecallHouse, lots, notice


@pytest.fixture
async def house(engine: AsyncEngine) -> RecallHouse:
    house = RecallHouse(engine)
    await house.open()
    return house


async def blocks(house: RecallHouse) -> list[tuple[str, str, str, str, bool]]:
    table = recall_blocks.c
    async with transaction(house.engine) as connection:
        rows = await connection.execute(select(table.facility, table.item, table.lot_from, table.lot_to, table.active))
        return sorted((row.facility, row.item, row.lot_from, row.lot_to, row.active) for row in rows)


# ---- what it finds ---------------------------------------------------------------------------------------------------------


async def test_each_location_that_holds_a_recalled_lot_and_each_procedure_that_used_it_gets_a_task(
    house: RecallHouse,
) -> None:
    await house.holds(3, "A1")
    await house.holds(2, "A1", location="STORE")
    await house.holds(9, "B7", location="ICU")
    await house.used("A1", procedure="p-1")
    await house.used("A1", procedure="p-1")
    await house.used("A2", procedure="p-2", location="OR-2")
    await house.used("B7", procedure="p-3")
    number = await house.opened(*lots("A1", "A2"))
    assert await house.places(number) == {
        ("location", "OR-1"), ("location", "STORE"), ("procedure", "p-1"), ("procedure", "p-2"),
    }  # fmt: skip
    tasks = {one.procedure or one.location: one for one in await house.recalls.tasks(number, state="open", limit=10)}
    assert (tasks["OR-1"].expected, tasks["STORE"].expected, tasks["p-1"].expected) == (3, 2, 2)


async def test_a_range_means_the_codes_of_its_length_between_its_ends_and_no_others(house: RecallHouse) -> None:
    for place, serial in enumerate(("SN0099", "SN0100", "sn0110", "SN0120", "SN0121", "SN01105", "SN011")):
        await house.used(serial=serial, procedure=f"p-{place}")
    number = await house.opened(*lots("", serial_from="SN0100", serial_to="SN0120"))
    assert await house.places(number) == {("procedure", "p-1"), ("procedure", "p-2"), ("procedure", "p-3")}


async def test_everything_of_an_item_is_found_at_the_facility_the_notice_concerns(house: RecallHouse) -> None:
    scope = RecallScope(item="ITM-9001", everything=True)
    await house.used("A1", procedure="p-here")
    await house.used("A1", procedure="p-there", facility="SGH")
    await house.holds(1, location="OR-9", facility="SGH")
    number = await house.opened(scope, facilities=("SGH",))
    assert await house.places(number) == {("procedure", "p-there"), ("location", "OR-9")}
    assert await house.places(await house.opened(scope, number="Z-2")) == {
        ("procedure", "p-here"), ("procedure", "p-there"), ("location", "OR-9"),
    }  # fmt: skip


async def test_a_use_that_was_taken_back_or_dismissed_harmed_nobody(house: RecallHouse) -> None:
    await house.used("A1", procedure="p-1", state="voided")
    await house.used("A1", procedure="p-2", voided_by="use-9")
    await house.used("A1", procedure="p-3", state="dismissed")
    await house.used("A1", procedure="p-4", kind="void", voids="use-9")
    for state in ("waiting", "review", "parked"):
        await house.used("A1", procedure=f"p-{state}", state=state)
    number = await house.opened(*lots("A1"))
    assert await house.places(number) == {("procedure", f"p-{state}") for state in ("waiting", "review", "parked")}


async def test_a_use_of_an_item_nobody_knows_yet_is_found_by_its_barcode(house: RecallHouse) -> None:
    content = {"device": {"agency": "GS1", "device": DEVICE, "lot": "A1"}}
    await house.used("A1", item="", state="parked", procedure="p-1", content=content)
    await house.used("A2", item="", state="parked", procedure="p-2", content=content)
    assert await house.places(await house.opened(*lots("A1"))) == {("procedure", "p-1")}


async def test_uses_without_a_procedure_are_one_task_of_their_location(house: RecallHouse) -> None:
    for _ in range(4):
        await house.used("A1")
    await house.used("A1", location="ICU")
    assert await house.places(await house.opened(*lots("A1"))) == {("use", "OR-1"), ("use", "ICU")}


async def test_a_location_whose_lot_our_books_do_not_know_looks_and_such_uses_are_counted(house: RecallHouse) -> None:
    await house.holds(3)
    await house.used("")
    number = await house.opened(*lots("A1"))
    assert await house.places(number) == {("location", "OR-1")}
    view = await house.recalls.view(number, NOON)
    assert view is not None and view.unknown_lots == 1
    async with transaction(house.engine) as connection:
        assert await connection.scalar(select(recall_matches.c.certain)) is False


# ---- when it blocks --------------------------------------------------------------------------------------------------------


async def test_a_notice_blocks_from_the_commit_that_keeps_it_before_its_case_has_begun(house: RecallHouse) -> None:
    (loaded,) = await house.load(notice(*lots("A1", "A2")))
    assert (loaded.outcome, loaded.blocks) == ("new", 2)
    assert await blocks(house) == [("NGH", "ITM-9001", "A1", "A1", True), ("NGH", "ITM-9001", "A2", "A2", True)]
    assert await house.recalls.wake(NOON) == ["Z-1234-2026"]


async def test_a_dry_run_says_what_it_would_meet_and_keeps_nothing(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    await house.used("A1", procedure="p-1")
    (seen,) = await house.load(notice(*lots("A1")), dry_run=True)
    assert (seen.locations, seen.units, seen.procedures, seen.blocks) == (1, 3, 1, 1)
    assert await blocks(house) == [] and await house.recalls.rows(everything=True, at=NOON, limit=9) == []


async def test_the_same_notice_again_changes_nothing_and_one_that_says_more_widens_its_recall(
    house: RecallHouse,
) -> None:
    await house.holds(3, "A1")
    await house.holds(4, "A2")
    number = await house.opened(*lots("A1"))
    (same,) = await house.load(notice(*lots("A1")))
    assert same.outcome == "same" and await house.recalls.wake(NOON) == []
    (more,) = await house.load(notice(*lots("A2")))
    assert (more.outcome, more.blocks) == ("changed", 1)
    assert [lot for _, _, lot, _, _ in await blocks(house)] == ["A1", "A2"]
    assert (await house.recalls.match(number, NOON)).added == 0  # the location's open task has it now
    (task,) = await house.recalls.tasks(number, state="open", limit=9)
    assert task.expected == 7


async def test_a_product_the_register_comes_to_know_later_is_blocked_then(house: RecallHouse) -> None:
    other = "00643169007239"
    await house.opened(RecallScope(device=other, lot_from="A1"))
    assert await blocks(house) == [] and await house.recalls.wake(NOON) == []
    await put(house.engine, "item", "SGH", "ITM-7", STENT.changed(code="ITM-7", devices=(other,)))
    assert await house.recalls.wake(NOON) == ["Z-1234-2026"]
    await house.recalls.match("Z-1234-2026", NOON)
    assert await blocks(house) == [("SGH", "ITM-7", "A1", "A1", True)]


async def test_what_was_terminated_before_it_was_loaded_is_kept_and_blocks_nothing(house: RecallHouse) -> None:
    (loaded,) = await house.load(notice(*lots("A1"), status="terminated"))
    assert (loaded.state, await blocks(house), await house.recalls.wake(NOON)) == ("closed", [], [])


# ---- what comes later ------------------------------------------------------------------------------------------------------


async def test_a_late_use_and_new_stock_of_a_recalled_lot_open_tasks_also_where_all_were_answered(
    house: RecallHouse,
) -> None:
    await house.holds(3, "A1")
    number = await house.opened(*lots("A1"))
    (task,) = await house.recalls.tasks(number, state="open", limit=9)
    await house.says(number, "answer", task=task.id, outcome="quarantined", found=3)
    assert (await house.recalls.standing(number, NOON)).state == "answered"
    assert await house.recalls.wake(NOON) == []
    await house.used("A1", procedure="p-late")
    await house.now_holds(5)
    assert await house.recalls.wake(NOON) == [number]
    assert (await house.recalls.match(number, NOON)).added == 2
    found = await house.recalls.tasks(number, state="open", limit=9)
    assert {(one.kind, one.expected) for one in found} == {("procedure", 1), ("location", 5)}
    assert await house.recalls.wake(NOON) == []


async def test_stock_that_went_and_came_back_is_found_again(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    number = await house.opened(*lots("A1"))
    (task,) = await house.recalls.tasks(number, state="open", limit=9)
    await house.says(number, "answer", task=task.id, outcome="returned", found=3)
    await house.now_holds(0)
    await house.recalls.match(number, NOON)
    await house.now_holds(2)
    assert await house.recalls.wake(NOON) == [number]
    assert (await house.recalls.match(number, NOON)).added == 1


async def test_a_recall_that_was_closed_is_open_again_for_what_it_still_blocks(house: RecallHouse) -> None:
    number = await house.opened(*lots("A1"))
    assert (await house.says(number, "close", reason="none here")).startswith("closed")
    assert (await house.recalls.standing(number, NOON)).state == "closed"
    await house.used("A1", procedure="p-1")
    assert await house.recalls.wake(NOON) == [number]
    assert (await house.recalls.match(number, NOON)).state == "open"


# ---- clocks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("level", "hours"), [("I", 24), ("II", 72), ("III", 168), ("", 24)])
async def test_the_class_sets_the_clock_of_each_task(house: RecallHouse, level: str, hours: int) -> None:
    await house.holds(3, "A1")
    number = await house.opened(*lots("A1"), classification=level)
    (task,) = await house.recalls.tasks(number, state="open", limit=9)
    assert task.due == NOON + timedelta(hours=hours)
    before = await house.recalls.standing(number, task.due - timedelta(minutes=1))
    after = await house.recalls.standing(number, task.due)
    assert (before.overdue, before.next_at, after.overdue, after.next_at) == (0, task.due, 1, None)


async def test_a_facility_may_set_its_own_clock(house: RecallHouse) -> None:
    await put(house.engine, "usage_policy", "NGH", "NGH", UsagePolicy(facility="NGH", recall_hours={"I": 4}))
    await house.holds(3, "A1")
    await house.holds(3, "A1", facility="SGH", item="ITM-9001")
    number = await house.opened(RecallScope(item="ITM-9001", lot_from="A1"))
    due = {one.facility: one.due for one in await house.recalls.tasks(number, state="open", limit=9)}
    assert due == {"NGH": NOON + timedelta(hours=4), "SGH": NOON + timedelta(hours=24)}


# ---- people's words --------------------------------------------------------------------------------------------------------


async def test_an_answer_is_taken_once_under_its_id_and_another_is_refused(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    number = await house.opened(*lots("A1"))
    (task,) = await house.recalls.tasks(number, state="open", limit=9)
    word = RecallWord(verb="answer", task=task.id, outcome="quarantined", found=3, id="w-1")
    first = await house.recalls.take(number, word, "E-MAT", NOON)
    again = await house.recalls.take(number, word, "E-MAT", NOON + timedelta(hours=1))
    assert first.message == again.message == "quarantined (3)"
    with pytest.raises(Rejected, match="other content"):
        await house.recalls.take(number, word.changed(found=2), "E-MAT", NOON)
    with pytest.raises(Rejected, match="was answered: quarantined"):
        await house.recalls.take(number, word.changed(id="w-2"), "E-MAT", NOON)
    (answered,) = await house.recalls.tasks(number, state="answered", limit=9)
    assert (answered.answered_by, answered.found, answered.answered_at) == ("E-MAT", 3, NOON)


async def test_an_answer_that_does_not_fit_its_task_is_refused_with_the_reason(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    await house.used("A1", procedure="p-1")
    number = await house.opened(*lots("A1"))
    tasks = {str(one.kind): one.id for one in await house.recalls.tasks(number, state="open", limit=9)}
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("location", {"outcome": "clinician-informed"}, "no answer of a location"),
        ("procedure", {"outcome": "quarantined", "found": 3}, "no answer of a procedure"),
        ("location", {"outcome": "quarantined"}, "how many"),
        ("location", {"outcome": "none-found"}, "0 found where the books have 3: say why"),
        ("location", {"outcome": "none-found", "found": 2}, "which of them"),
    ]
    for kind, said, why in wrong:
        with pytest.raises(Rejected, match=why):
            await house.says(number, "answer", task=tasks[kind], **said)
    with pytest.raises(Rejected, match="has no task nonsense"):
        await house.says(number, "answer", task="nonsense", outcome="returned")
    assert await house.says(number, "answer", task=tasks["location"], outcome="none-found", reason="used up")
    assert await house.says(number, "answer", task=tasks["procedure"], outcome="not-implanted")
    assert (await house.recalls.standing(number, NOON)).state == "answered"


async def test_a_recall_is_not_closed_while_tasks_wait_and_closing_keeps_the_block(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    number = await house.opened(*lots("A1"))
    with pytest.raises(Rejected, match="not answered yet"):
        await house.says(number, "close", reason="done")
    (task,) = await house.recalls.tasks(number, state="open", limit=9)
    await house.says(number, "answer", task=task.id, outcome="returned", found=3)
    await house.says(number, "close", reason="done")
    assert [active for *_, active in await blocks(house)] == [True]


async def test_lifting_ends_the_block_and_whatever_waits(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    number = await house.opened(*lots("A1"))
    await house.says(number, "lift", reason="terminated by the FDA")
    assert [active for *_, active in await blocks(house)] == [False]
    standing = await house.recalls.standing(number, NOON)
    assert (standing.state, standing.blocked, standing.open) == ("closed", False, 0)
    await house.used("A1", procedure="p-1")
    assert await house.recalls.wake(NOON) == []  # it means nothing any more
    (same,) = await house.load(notice(*lots("A1")))
    assert same.outcome == "same" and [active for *_, active in await blocks(house)] == [False]


async def test_what_a_notice_leaves_open_waits_for_a_person_who_says_what_it_means(house: RecallHouse) -> None:
    await house.holds(3, "A1")
    told = notice(RecallScope(lot_from="A1"), uncertain=("the notice names no product",))
    await house.load(told)
    assert (await house.recalls.match(told.number, NOON)).state == "scope" and await blocks(house) == []
    with pytest.raises(Rejected, match="not certain yet"):
        await house.says(told.number, "scope", scopes=[{"item": "ITM-9001"}], reason="by the letter")
    scope = {"item": "ITM-9001", "lot_from": "A1"}
    assert await house.says(told.number, "scope", scopes=[scope], reason="by the letter") == "1 scopes added, 1 blocked"
    assert await blocks(house) == [("", "ITM-9001", "A1", "A1", True)]
    standing = await house.recalls.match(told.number, NOON)
    assert (standing.state, standing.open, standing.uncertain) == ("open", 1, False)


async def test_a_status_the_fda_changes_is_shown_and_lifts_nothing_by_itself(house: RecallHouse) -> None:
    number = await house.opened(*lots("A1"))
    await house.load(notice(*lots("A1"), status="terminated"))
    standing = await house.recalls.match(number, NOON)
    assert standing.terminated and standing.blocked and [active for *_, active in await blocks(house)] == [True]


async def test_of_two_matches_at_once_each_place_gets_one_task(house: RecallHouse) -> None:
    for place in range(20):
        await house.used("A1", procedure=f"p-{place}")
    await house.load(notice(*lots("A1")))
    await asyncio.gather(*(house.recalls.match("Z-1234-2026", NOON) for _ in range(4)))
    assert len(await house.recalls.tasks("Z-1234-2026", state="", limit=99)) == 20
    async with transaction(house.engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(recall_matches)) == 20


async def test_a_case_whose_run_was_stopped_outside_is_woken(house: RecallHouse) -> None:
    number = await house.opened(*lots("A1"))
    case = {"case": "recall/Z-1234-2026", "process": "recall", "facility": "all", "run": "r-1", "revision": 1}
    change = CaseChange.model_validate(case | {"state": State.SUBMITTED, "business_state": "open", "changed_at": NOON})
    await house.record(change)
    assert await house.recalls.wake(NOON) == []
    await house.cases.mark_stopped(change.case, "stopped outside", owner="support", next_action="")
    assert await house.recalls.wake(NOON) == [number]


async def test_a_word_of_the_whole_recall_is_checked_where_its_giver_answers_for_stock(house: RecallHouse) -> None:
    await house.holds(3, "A1", facility="SGH", item="ITM-9001")
    number = await house.opened(RecallScope(item="ITM-9001", lot_from="A1"))
    (task,) = await house.recalls.tasks(number, state="", limit=9)
    actor = Actor(id="mito", known_by="os_user")
    close = RecallWord(verb="close", reason="done", id="w", actor=actor)
    assert await house.recalls.facility_of(number, close, NOON) == "NGH"
    answer = RecallWord(verb="answer", task=task.id, outcome="returned", found=3, id="v", actor=actor)
    assert await house.recalls.facility_of(number, answer, NOON) == "SGH"
