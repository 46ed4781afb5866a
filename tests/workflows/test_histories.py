"""Histories of cases as they were, replayed by the code as it is: a change that would stop a running case fails here.

One per ending of the story, the requisition's and its orders'. To record them again, where a change is meant (and
``workflow.patched`` does not spare it):

    FASCIA_RECORD_HISTORIES=1 python -m pytest tests/workflows/test_histories.py
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Replayer

from stack.supervisor import Stack
from tests import access_house
from tests.workflows import (
    access_stories,
    clinician_stories,
    location_stories,
    monitoring_stories,
    recall_stories,
    stories,
)
from tests.workflows.access_desk import Desk, workers_of
from tests.workflows.case import Case
from tests.workflows.clinician_house import CANARY, Clinician
from tests.workflows.conftest import REMEMBERED
from tests.workflows.monitoring_house import Monthly
from tests.workflows.place import Place
from tests.workflows.recall_house import Recall
from workers.temporal import sandbox
from workflows.registry import PROCESSES

HISTORIES = Path(__file__).parents[1] / "histories"
RECORDED = sorted(HISTORIES.glob("*.json"))
Driven = Case | Place | Recall | Monthly | Clinician | Desk
record = os.environ.get("FASCIA_RECORD_HISTORIES") == "1"


@pytest.mark.skipif(not record, reason="histories are recorded on purpose only")
@pytest.mark.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)])
@pytest.mark.parametrize("story", stories.STORIES, ids=lambda story: story.__name__)
async def test_a_story_is_recorded(case: Case, story: stories.Story) -> None:
    await story(case)
    cases = [case.id, *(order.case_id for order in case.placed())]
    for place, name in enumerate(cases):
        which = "requisition" if name.startswith("procure_to_pay") else f"order-{place or 1}"
        await _keep(f"{story.__name__}.{which}", case, name)


@pytest.mark.skipif(not record, reason="histories are recorded on purpose only")
@pytest.mark.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)])
@pytest.mark.parametrize("story", location_stories.STORIES, ids=lambda story: story.__name__)
async def test_a_locations_story_is_recorded(place: Place, story: location_stories.Story) -> None:
    await story(place)
    await _keep(f"{story.__name__}.location", place, place.id)


@pytest.mark.skipif(not record, reason="histories are recorded on purpose only")
@pytest.mark.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)])
@pytest.mark.parametrize("story", recall_stories.STORIES, ids=lambda story: story.__name__)
async def test_a_recalls_story_is_recorded(recall: Recall, story: recall_stories.Story) -> None:
    await story(recall)
    await _keep(f"{story.__name__}.recall", recall, recall.id)


@pytest.mark.skipif(not record, reason="histories are recorded on purpose only")
@pytest.mark.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)])
@pytest.mark.parametrize("story", clinician_stories.STORIES, ids=lambda story: story.__name__)
async def test_a_clinicians_story_is_recorded(clinician: Clinician, story: clinician_stories.Story) -> None:
    await story(clinician)
    await _keep(f"{story.__name__}.clinician", clinician, clinician.id)


@pytest.mark.skipif(not record, reason="histories are recorded on purpose only")
@pytest.mark.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)])
@pytest.mark.parametrize("story", monitoring_stories.STORIES, ids=lambda story: story.__name__)
async def test_a_month_of_monitoring_is_recorded(monthly: Monthly, story: monitoring_stories.Story) -> None:
    await _keep(f"{story.__name__}.monitoring", monthly, await story(monthly))


@pytest.mark.skipif(not record, reason="histories are recorded on purpose only")
@pytest.mark.parametrize("story", access_stories.STORIES, ids=lambda story: story.__name__)
async def test_a_story_of_access_is_recorded(desk: Desk, server: Stack, story: access_stories.Story) -> None:
    async with workers_of(desk, server):
        await story(desk)
    for process, which in (("clinician_access", "access"), ("clinician_revocation", "revocation")):
        with contextlib.suppress(RPCError):  # not every story has both
            await _keep(f"{story.__name__}.{which}", desk, f"{process}/{desk.person}")


async def _keep(story: str, case: Driven, name: str) -> None:
    HISTORIES.mkdir(exist_ok=True)
    runs = await _runs(case, name)
    for number, history in enumerate(runs, 1):
        which = f"{story}.run-{number}" if len(runs) > 1 else story
        text = json.dumps(_without_our_machine(history), indent=1, ensure_ascii=False)
        (HISTORIES / f"{which}.json").write_text(text + "\n", encoding="utf-8")


async def _runs(case: Driven, name: str) -> list[Any]:
    """The histories of a case's runs that went on one from the other, the first first."""
    histories: list[Any] = []
    run: str | None = None
    while True:
        handle = case.client.get_workflow_handle(name, run_id=run)
        history = json.loads((await handle.fetch_history()).to_json())
        _told_to_go_on(history["events"])
        histories.insert(0, history)
        run = history["events"][0]["workflowExecutionStartedEventAttributes"].get("continuedExecutionRunId")
        if not run:
            return histories


def _told_to_go_on(events: list[Any]) -> None:
    """What the server says of a history of thousands: its run goes on in a new one. A story says it itself, and early."""
    if "workflowExecutionContinuedAsNewEventAttributes" in events[-1]:
        started = [task for event in events if (task := event.get("workflowTaskStartedEventAttributes"))]
        started[-1]["suggestContinueAsNew"] = True


def _without_our_machine(what: Any) -> Any:
    """The same history without the names of the process and the places in the code it ran from."""
    if isinstance(what, dict):
        said = {"identity": "worker", "stackTrace": ""}
        return {key: said.get(key, _without_our_machine(value)) for key, value in what.items()}
    return [_without_our_machine(one) for one in what] if isinstance(what, list) else what


@pytest.mark.skipif(record, reason="being recorded")
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
async def test_a_recorded_case_replays(path: Path) -> None:
    recorded = json.loads(path.read_text(encoding="utf-8"))
    case = recorded["events"][0]["workflowExecutionStartedEventAttributes"]["workflowId"]
    history = WorkflowHistory.from_json(case, recorded)
    replayer = Replayer(
        workflows=[process.workflow for process in PROCESSES.values()],
        data_converter=pydantic_data_converter,
        workflow_runner=sandbox(),
    )
    await replayer.replay_workflow(history)


@pytest.mark.skipif(record, reason="being recorded")
def test_every_ending_of_the_story_is_recorded() -> None:
    recorded = {path.name.split(".")[0] for path in RECORDED}
    told = (*stories.STORIES, *location_stories.STORIES, *recall_stories.STORIES)
    told = (*told, *monitoring_stories.STORIES, *clinician_stories.STORIES, *access_stories.STORIES)
    assert recorded == {story.__name__ for story in told}


@pytest.mark.skipif(record, reason="being recorded")
def test_no_history_of_a_clinician_names_anybody() -> None:
    of_people = [path for path in RECORDED if path.name.split(".")[1] in ("clinician", "access", "revocation")]
    told = len(clinician_stories.STORIES) + len(access_stories.STORIES)
    assert len(of_people) > told, "the cases that became long have two"
    said = "".join(path.read_text(encoding="utf-8") for path in of_people)
    assert not [one for one in (CANARY, access_house.CANARY, "1234567893", "036-1", "AB1234563") if one in said]
