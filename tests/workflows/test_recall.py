"""The case of a recall: its tasks and their clock, what people say, and that nothing ends it but a person."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from canonical.cases import Actor
from canonical.recall import RecallScope, RecallWord
from tests import build
from tests.decoded import decoded
from tests.workflows import recall_stories
from tests.workflows.conftest import REMEMBERED
from tests.workflows.recall_house import Recall

pytestmark = pytest.mark.server


async def test_a_recall_waits_until_each_place_has_answered_and_a_person_closes_it(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3), ("procedure", "p-1", 1))
    shown = await recall.until("2 of 2 tasks open")
    assert (shown.facility, shown.owner, shown.process) == ("all", "materials management", "recall")
    answer = await recall.give("answer", task="t1", outcome="quarantined", found=3)
    assert (answer.taken, answer.message) == (True, "quarantined")
    await recall.until("1 of 2 tasks open")
    assert (await recall.refused("close"))[0] == "NotOpen"
    await recall.give("answer", task="t2", outcome="clinician-informed")
    assert (await recall.until("answered")).attention == ()
    await recall.give("close")
    status = await recall.ended()
    assert status.closed and status.business_state == "closed"
    told = [event.type for event in recall.cases.events.values()]
    assert told == ["recall.opened.v1", "recall.answered.v1", "recall.closed.v1"]
    task = recall.recalls.held[recall.number].tasks["t1"]
    assert (task.answered_by, task.found) == ("E-MAT", 3)


async def test_the_same_answer_twice_is_one_and_another_to_the_same_task_is_refused(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3))
    await recall.until("1 of 1 tasks open")
    said: dict[str, Any] = {"task": "t1", "outcome": "returned", "found": 3}
    first, again = [await recall.give("answer", id="W-1" + recall.number, **said) for _ in range(2)]
    assert first == again
    assert await recall.refused("answer", **said) == ("NotOpen", "task t1 was answered: returned")


async def test_only_who_answers_for_stock_may_say_what_became_of_it(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3))
    await recall.until("1 of 1 tasks open")
    said: dict[str, Any] = {"task": "t1", "outcome": "returned", "found": 3}
    kind, why = await recall.refused("answer", by="E-BUY", **said)
    assert (kind, why) == ("NotAllowed", "answer is for the roles admin, materials, not for buyer")
    assert (await recall.refused("answer", by="E-NOBODY", **said))[0] == "NotAllowed"
    assert (await recall.refused("answer", signed=False, **said))[0] == "NotAllowed"
    assert recall.recalls.held[recall.number].tasks["t1"].state == "open"


async def test_a_seal_is_of_the_whole_answer(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3))
    await recall.until("1 of 1 tasks open")
    actor = Actor(id="E-MAT", known_by="console")
    word = RecallWord(verb="answer", task="t1", outcome="returned", found=3, id="W-9" + recall.number, actor=actor)
    forged = word.sealed(recall.number, build.SEAL_KEY).changed(found=1)
    fields = forged.model_dump(exclude={"verb"}) | {"reason": ""}
    assert (await recall.refused("answer", signed=False, **fields))[0] == "NotAllowed"


async def test_what_does_not_read_is_refused_with_its_place(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3))
    await recall.until("1 of 1 tasks open")
    assert await recall.refused("answer", task="t1", outcome="eaten") == (
        "Malformed",
        "eaten is no answer of a location",
    )
    assert (await recall.refused("answer", task="t7", outcome="returned", found=1))[1].endswith("has no task t7")


async def test_the_clock_of_its_class_runs_day_and_night_and_reminds_and_escalates(recall: Recall) -> None:
    await recall.opened(("location", "OR-1", 3), classification="I", skipping=True)
    shown = await recall.until("1 of 1 tasks open")
    assert shown.due is not None
    await recall.skip(timedelta(hours=13))
    assert await recall.attends("tasks", reminded=1) == "1 tasks wait for an answer"
    (reminder,) = await recall.told("recall.attention_overdue.v1", 1)
    assert (reminder["what"], reminder["document"], reminder["overdue"]) == ("remind", "tasks", "0")
    await recall.skip(timedelta(hours=12))
    await recall.until("1 of 1 tasks open, 1 overdue")
    assert await recall.attends("tasks", reminded=2) == "1 tasks wait for an answer, 1 of them overdue"
    assert [one["what"] for one in await recall.told("recall.attention_overdue.v1", 2)] == ["remind", "escalate"]
    await recall.give("answer", task="t1", outcome="none-found")
    assert (await recall.until("answered")).attention == ()


async def test_a_late_use_wakes_the_case_also_once_it_is_closed(recall: Recall) -> None:
    await recall.opened()
    await recall.until("answered")
    await recall.give("close")
    assert (await recall.ended()).closed
    recall.recalls.held[recall.number].places.append(("procedure", "p-late", 1))
    await recall.wake()
    assert not (await recall.until("1 of 1 tasks open")).closed


async def test_a_notice_that_leaves_something_open_waits_for_a_person_and_is_looked_for_then(recall: Recall) -> None:
    await recall.opened(scopes=(RecallScope(lot_from="A1"),), uncertain=("no product",))
    await recall.until("scope")
    assert await recall.attends("scope") == "parts of the notice are for a person to read"
    scope = RecallScope(item="ITM-9001", lot_from="A1").model_dump()
    await recall.give("scope", scopes=[scope])
    await recall.until("1 of 1 tasks open")


async def test_the_fda_terminating_it_asks_a_person_who_may_lift_the_block(recall: Recall) -> None:
    await recall.opened(status="terminated")
    assert "terminated" in await recall.attends("status")
    assert recall.recalls.held[recall.number].blocked
    await recall.give("lift")
    assert (await recall.ended()).closed and not recall.recalls.held[recall.number].blocked
    (told,) = await recall.told("recall.closed.v1", 1)
    assert told["blocked"] == "false"


async def test_a_word_reaches_a_closed_recall_by_beginning_its_case(recall: Recall) -> None:
    await recall.opened()
    await recall.until("answered")
    await recall.give("close")
    await recall.ended()
    assert recall.recalls.held[recall.number].blocked
    await recall.give("lift")
    assert (await recall.ended()).closed and not recall.recalls.held[recall.number].blocked


async def test_thousands_of_tasks_stay_out_of_the_history(recall: Recall) -> None:
    await recall.opened(*(("procedure", f"canary-{place}", 1) for place in range(3000)))
    await recall.until("3000 of 3000 tasks open")
    history = decoded(await recall.client.get_workflow_handle(recall.id).fetch_history())
    assert "canary" not in history and len(history) < 60_000


@pytest.mark.parametrize(
    "cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)]
)  # when it is long changes meanwhile
async def test_a_run_that_became_long_goes_on_in_a_new_one_with_its_reminders(recall: Recall) -> None:
    await recall_stories.a_recall_open_for_long(recall)


async def test_a_number_nobody_keeps_ends_at_once(recall: Recall) -> None:
    await recall.wake()
    status = await recall.ended()
    assert not status.closed and recall.change() is None
