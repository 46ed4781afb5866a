"""A person's word to a case: by update or signal, once, by who they are, on what they have seen."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from canonical.base import Money
from canonical.cases import VERBS, Actor, Answer, Decision
from canonical.steps import OrderNumbers, OrdersRequest
from tests import build
from tests.workflows.case import SOON, Case


async def pending(case: Case) -> None:
    await case.start(build.requisition())
    await case.until("pending approval")


async def test_a_decision_on_an_older_revision_is_refused(case: Case) -> None:
    await pending(case)
    seen = case.change().revision
    kind, why = await case.refused("approve", "E-MGR", revision=seen - 1)
    assert kind == "Changed" and f"now at {seen}" in why
    await case.decide("hold", by="E-FIN", revision=seen)
    assert (await case.refused("resume", "E-FIN", revision=seen))[0] == "Changed"


async def test_a_decision_is_kept_before_it_is_answered(case: Case) -> None:
    await pending(case)
    answer = await case.decide("hold", by="E-FIN")
    kept = [change.decision for change in case.cases.changes if change.revision == answer.revision]
    assert kept == ["hold by E-FIN: on hold"]


@pytest.mark.parametrize("verb", ["reject", "cancel", "hold"])
async def test_a_word_against_something_needs_a_reason(case: Case, verb: str) -> None:
    await pending(case)
    assert (await case.refused(verb, "E-MGR", reason="  "))[0] == "Malformed"


async def test_only_open_verbs_are_taken(case: Case) -> None:
    await pending(case)
    for verb in ("release", "pay_short", "resend", "short_close", "resume", "accept"):
        assert (await case.refused(verb, "E-BUY"))[0] == "NotOpen", verb
    assert (await case.refused("applaud", "E-BUY"))[0] == "Malformed"


async def test_the_same_decision_again_gets_the_same_answer_and_is_one(case: Case) -> None:
    await pending(case)
    decision = build.decision("hold", "E-FIN")
    first = await case.give(decision)
    await case.signal("decide", decision.sealed(case.id, build.SEAL_KEY))
    sealed = decision.sealed(case.id, build.SEAL_KEY)
    handle = case.client.get_workflow_handle(case.id)
    again = await handle.execute_update("decide", sealed, id=build.unique("other"))
    assert again["revision"] == first.revision
    await case.until("on hold")
    assert case.cases.unreadable == []


async def test_of_two_decisions_at_once_one_is_taken(case: Case) -> None:
    await pending(case)
    given = (case.decide("approve", by="E-MGR"), case.decide("reject", by="E-MGR"))
    answers = await asyncio.gather(*given, return_exceptions=True)
    assert sorted(isinstance(one, Answer) for one in answers) == [False, True], answers
    (taken,) = (one for one in answers if isinstance(one, Answer))
    await case.until("refused" if taken.message == "rejected" else "ordered")


@pytest.mark.parametrize(
    "change",
    [
        {"verb": "reject"},
        {"line": "1"},
        {"document": "INV-1"},
        {"id": "another"},
        {"actor": Actor(id="E-DIR", known_by="api_key")},
        {"actor": Actor(id="E-MGR", known_by="console")},
        {"revision": None},
        {"correction": build.correction(cost_centre="CC-4200")},
        {"seal": "0" * 64},
        {"seal": ""},
    ],
)
async def test_a_seal_holds_for_exactly_what_was_sealed(case: Case, change: dict[str, object]) -> None:
    await pending(case)
    sealed = build.decision("approve", "E-MGR", revision=case.change().revision).sealed(case.id, build.SEAL_KEY)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await case.give(sealed.model_copy(update=change), seal=False)
    cause = refused.value.cause
    assert isinstance(cause, ApplicationError) and cause.type == "NotAllowed", cause
    assert "verified identity" in cause.message
    assert case.state() == "pending approval"


async def test_a_seal_of_another_case_is_none(case: Case) -> None:
    await pending(case)
    with pytest.raises(WorkflowUpdateFailedError):
        await case.give(build.decision("approve", "E-MGR").sealed(f"{case.id}0", build.SEAL_KEY), seal=False)


async def test_temporals_own_tools_may_only_what_the_policy_says(case: Case) -> None:
    await pending(case)
    by_hand = {"reason": "from the UI", "id": build.unique("S"), "actor": {"id": "E-MGR", "known_by": "temporal"}}
    await case.signal("decide", {"verb": "approve"} | by_hand)
    await case.unreadable("approve needs a verified identity")
    assert case.state() == "pending approval"
    await case.signal("decide", {"verb": "hold", "reason": "wait"})
    await case.until("on hold")
    assert "hold by temporal (identity not verified)" in "; ".join(change.decision for change in case.cases.changes)


@pytest.mark.parametrize("policy", [{"unverified_verbs": ("approve", "hold")}])
async def test_where_the_policy_allows_it_the_temporal_ui_approves_marked_as_not_verified(case: Case) -> None:
    await pending(case)
    await case.signal("decide", {"verb": "approve", "actor": {"id": "E-MGR", "known_by": "api_key"}})
    await case.order()
    decisions = "; ".join(change.decision for change in case.cases.changes if change.case == case.id)
    assert "approve by" in decisions and "identity not verified" in decisions and "E-MGR" not in decisions


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        ({"verb": "aprove"}, "that is not a decision"),
        ({"verb": "approve", "colour": "green"}, "colour:"),
        ({"verb": 3}, "verb:"),
        ("approve", "decision:"),
        ({}, "verb:"),
        ({"verb": "reject"}, "reject needs a reason"),
        ({"verb": "release"}, "release is not open now"),
        ({"verb": "approve", "revision": 1}, "the case has changed"),
    ],
)
async def test_a_mistyped_signal_is_kept_with_its_reason(case: Case, sent: object, reason: str) -> None:
    await pending(case)
    await case.decide("hold", by="E-FIN")
    await case.decide("resume", by="E-FIN")
    await case.signal("decide", sent)
    await case.unreadable(reason)
    await case.until("pending approval")
    assert not any(change.declined for change in case.cases.changes), "it is listed once, as it came"
    verb = sent.get("verb") if isinstance(sent, dict) else None
    read = [why for name, why in case.cases.refused if name == case.id]
    told = f"{verb}: {reason}" if verb in VERBS else reason
    assert not read or read[0].startswith(told)


async def test_a_decision_with_two_verbs_is_none_by_signal_and_by_update(case: Case) -> None:
    await pending(case)
    data = b'{"verb": "reject", "reason": "x", "verb": "approve"}'
    sent = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
    handle = case.client.get_workflow_handle(case.id)
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update("decide", sent)
    assert "verb: this name is given twice" in str(refused.value.cause)
    await case.signal("decide", sent)
    await case.unreadable("verb: this name is given twice")
    await case.until("pending approval")


@pytest.mark.parametrize("count", [0, 2])
async def test_a_signal_with_no_argument_or_two_is_kept_and_fails_no_task(case: Case, count: int) -> None:
    await pending(case)
    await case.signal("decide", *[Decision(verb="hold", reason="x")] * count)
    await case.unreadable("decision:")
    assert await case.failed_tasks(case.id) == 0


async def test_no_person_is_shown_in_the_temporal_ui(case: Case) -> None:
    order = await case.approved_order()
    await case.deliver(order)
    await case.result()
    for name in (case.id, order.case_id):
        history = await case.client.get_workflow_handle(name).fetch_history()
        for event in history.events:
            assert b"E-MGR" not in event.user_metadata.SerializeToString()
            for fields in (
                event.upsert_workflow_search_attributes_event_attributes.search_attributes,
                event.workflow_execution_started_event_attributes.search_attributes,
            ):
                assert b"E-MGR" not in fields.SerializeToString() and b"E-REQ" not in fields.SerializeToString()
    told = [event.data for event in case.cases.events.values()]
    assert told and not any("E-" in value for data in told for value in data.values())
    for change in case.cases.changes:
        assert "E-" not in change.summary + change.next_action + change.owner + change.business_state


async def test_every_step_and_timer_says_what_it_is(case: Case) -> None:
    order = await case.approved_order()
    await case.deliver(order)
    await case.result()
    for name in (case.id, order.case_id):
        history = await case.client.get_workflow_handle(name).fetch_history()
        for event in history.events:
            if event.HasField("activity_task_scheduled_event_attributes") or event.HasField(
                "timer_started_event_attributes"
            ):
                assert event.user_metadata.summary.data, event
        started = history.events[0]
        if name == order.case_id:
            assert order.number in started.user_metadata.summary.data.decode()


async def test_a_hold_while_the_orders_are_being_made_keeps_them_from_leaving(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    case.task_timeout = SOON
    await pending(case)
    numbered, begun, goes_on = case.cases.order_numbers, asyncio.Event(), asyncio.Event()

    async def slowly(request: OrdersRequest, groups: Mapping[str, Money], contents: Mapping[str, str]) -> OrderNumbers:
        begun.set()
        await goes_on.wait()
        return await numbered(request, groups, contents)

    monkeypatch.setattr(case.cases, "order_numbers", slowly)
    await case.decide("approve", by="E-MGR")
    async with asyncio.timeout(120):
        await begun.wait()
    holding = asyncio.create_task(case.decide("hold", by="E-FIN"))
    await case.asked("hold")
    goes_on.set()
    assert (await holding).taken
    await case.until("on hold")
    assert case.placed() == [] and not any(name.startswith("purchase_order") for name in case.cases.claims)
    await case.decide("resume", by="E-FIN")
    await case.order()


async def test_a_hold_after_the_orders_have_left_says_which_cases_to_hold(case: Case) -> None:
    order = await case.approved_order()
    kind, why = await case.refused("hold", "E-FIN")
    assert kind == "NotOpen" and f"hold {order.case_id}" in why
    assert (await case.decide("hold", by="E-FIN", case=order.case_id)).taken
