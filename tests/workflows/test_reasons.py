"""What people write in a reason stays in our own store: nobody vouches for it, and it may name a patient."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from canonical.cases import Answer, Decision
from gateway.intake import Intake
from gateway.lookups import Caller
from gateway.rest import Doors, make_app
from tests import build
from tests.gateway.fakes import FakeEngine, FakeKeys, FakeLookups, FakeQuotas, FakeUnmatched
from tests.workflows.case import Case

CANARY = "Zebulon Quackenbush"


class RealEngine(FakeEngine):
    """Decisions reach the case as our engine gives them."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self._case = case

    async def decide(self, case: str, decision: Decision) -> Answer:
        return await self._case.give(decision, case, seal=False)


@pytest.fixture
async def door(case: Case) -> AsyncIterator[httpx.AsyncClient]:
    """The REST door before the case's own store and a real engine; a key is named like its person."""
    people = {
        person: Caller(key=f"key-{person}", sender=person, facility=build.FACILITY, person=person, per_minute=1000)
        for person in ("E-MGR", "E-BUY", "E-FIN")
    }
    engine = RealEngine(case)
    doors = Doors(
        intake=Intake(case.cases.journal, case.cases, engine),
        cases=case.cases,
        engine=engine,
        keys=FakeKeys(**people),
        quotas=FakeQuotas(),
        lookups=FakeLookups(case.cases),
        unmatched=FakeUnmatched(case.cases),
        seal_key=build.SEAL_KEY,
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(make_app(doors)), base_url="http://door") as client:
        yield client


async def say(
    door: httpx.AsyncClient, case: str, by: str, verb: str, reason: str = f"{CANARY} no longer needs it"
) -> None:
    headers = {"Authorization": f"Bearer {by}", "Idempotency-Key": build.unique("K")}
    answer = await door.post(f"/v1/cases/{case}/decisions", json={"verb": verb, "reason": reason}, headers=headers)
    assert answer.status_code == 200, answer.text


async def test_a_reason_given_at_a_door_is_in_no_history_detail_or_event(case: Case, door: httpx.AsyncClient) -> None:
    order = await case.approved_order()
    await say(door, order.case_id, "E-BUY", "hold")
    await say(door, order.case_id, "E-BUY", "resume")
    await say(door, case.id, "E-BUY", "cancel")
    await case.until("cancelling, waiting for the supplier", order.case_id)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True))
    assert (await case.result()).next_action == "cancelled: reason in the case"
    assert len(case.cases.reasons) == 3
    for name in (case.id, order.case_id):
        assert await found_in(case, name) == []
    assert any("cancelled: reason in the case" in text for text in await _details(case, case.id))
    assert CANARY not in "".join(event.model_dump_json() for event in case.cases.events.values())
    assert CANARY not in "".join(change.model_dump_json() for change in case.cases.changes)


async def test_a_rejection_says_that_the_reason_is_in_the_case(case: Case, door: httpx.AsyncClient) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")
    await say(door, case.id, "E-MGR", "reject")
    assert (await case.result()).next_action == "rejected: reason in the case"
    assert await found_in(case, case.id) == []
    (refused,) = [e for e in case.cases.events.values() if e.type == "requisition.refused.v1" and e.case == case.id]
    assert refused.data["reason"] == "rejected: reason in the case"


async def test_a_reason_typed_into_temporals_own_tools_stays_where_it_was_typed(case: Case) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.decide("reject", by="E-MGR", reason=f"{CANARY} is discharged")
    await case.result()
    assert await found_in(case, case.id) == ["workflowExecutionUpdateAcceptedEventAttributes"]


async def test_a_name_typed_as_a_verb_is_not_repeated(case: Case) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")
    await case.signal("decide", Decision(verb=CANARY))
    await case.unreadable("that is not a decision")
    await case.decide("cancel", reason="x")
    await case.result()
    assert await found_in(case, case.id) == ["workflowExecutionSignaledEventAttributes"]


async def found_in(case: Case, name: str) -> list[str]:
    """The kinds of events of a case, and the details it shows, that hold the name."""
    history = json.loads((await case.client.get_workflow_handle(name).fetch_history()).to_json())
    places = []
    for event in history["events"]:
        kind = next(key for key in event if key.endswith("Attributes"))
        if any(CANARY in text for text in _texts(event)):
            places.append(kind)
    return places + [text for text in await _details(case, name) if CANARY in text]


async def _details(case: Case, name: str) -> list[str]:
    """What the Temporal UI shows of a case: its current details, its state by query, its search attributes."""
    handle = case.client.get_workflow_handle(name)
    shown = await handle.query("__temporal_workflow_metadata")
    described = await handle.describe()
    return [str(shown), str(await handle.query("status")), str(described.typed_search_attributes)]


def _texts(what: Any) -> Iterator[str]:
    """Every text in a history, payloads decoded."""
    if isinstance(what, dict):
        for key, value in what.items():
            if key == "data" and isinstance(value, str):
                yield base64.b64decode(value).decode("utf-8", "replace")
            yield from _texts(value)
    elif isinstance(what, list):
        for one in what:
            yield from _texts(one)
    elif isinstance(what, str):
        yield what
