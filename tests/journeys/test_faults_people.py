"""What people and their systems get wrong: requisitions nobody can read, and decisions that are not theirs to give."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowExecutionStatus, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from canonical.base import case_id
from demo.stage import FACILITY
from demo.story_doors import Case
from demo.story_scene import BUYER, LABORATORY, PHARMACY, SURGERY, Requisition
from gateway.problems import json_path
from tests.journeys.conftest import Hospital
from tests.journeys.sheets import AT_PAR, TO_APPROVE, WRONGS, Wrong, case_of, right, sheet
from tests.journeys.terminal import fascia, with_key
from tests.journeys.together import side_by_side, under_way
from tests.journeys.uses import until

pytestmark = pytest.mark.timeout(1500)  # the first of them starts the hospital

__all__ = ["under_way"]  # a fixture: it is asked for by name

AT_ONCE = 12
# Each is a case of its own, and takes its second; that a path is told of every one is shown at the door, above.
SOME_AND_EVERY = [
    pytest.param(WRONGS[::6], id="some"),
    pytest.param(WRONGS, id="every", marks=pytest.mark.prove),
]
SENDER, REQUESTER = LABORATORY.sender, LABORATORY.requester
Answer = httpx.Response


async def sent(hospital: Hospital, data: bytes, key: str) -> Answer:
    """The laboratory's system posts these bytes."""
    headers = {"Authorization": f"Bearer {hospital.stage.keys[SENDER]}", "Idempotency-Key": key}
    url = f"{hospital.stage.api_url}/v1/requisitions"
    headers["Content-Type"] = "application/json"
    return await hospital.doors.http.post(url, content=data, headers=headers)


# -- a requisition that cannot be read, over REST -----------------------------------------------------------------------


@pytest.mark.parametrize("wrong", WRONGS, ids=str)
async def test_a_malformed_requisition_is_refused_at_once_with_its_path(hospital: Hospital, wrong: Wrong) -> None:
    number = f"W-{uuid.uuid4().hex[:12]}"
    answer = await sent(hospital, wrong.data(number), key=number)
    assert answer.status_code == (400 if wrong.no_json else 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "data-invalid"
    assert problem["errors"][0]["path"] == json_path(wrong.path), problem
    assert problem["detail"] and problem["trace"]

    again = await sent(hospital, wrong.data(number), key=number)
    assert (again.status_code, again.json()["errors"]) == (answer.status_code, problem["errors"])
    assert await hospital.doors.look(SENDER, f"/v1/requisitions/{SENDER}/{number}") is None


async def test_what_was_refused_at_the_door_is_kept_listed_with_its_reason_and_never_tried_again(
    hospital: Hospital,
) -> None:
    run = uuid.uuid4().hex[:8]
    before = await hospital.outside.all_orders()
    answers = {wrong.name: await sent(hospital, wrong.data(f"K-{run}"), key=f"{run} {wrong}") for wrong in WRONGS}
    asked = ("--state", "refused", "--kind", "requisition", "--partner", SENDER, "--limit", "1000", "--json")
    listed = (await fascia(hospital, "journal", "list", *asked)).json["items"]
    by_trace = {row["trace"]: row for row in listed}
    for wrong in WRONGS:
        problem = answers[wrong.name].json()
        kept = by_trace[problem["trace"]]
        assert wrong.path in kept["reason"], kept
        assert (kept["size"], kept["case"]) == (len(wrong.data(f"K-{run}")), "")

    for wrong in (WRONGS[0], next(wrong for wrong in WRONGS if wrong.name == "no JSON: no text")):
        kept = by_trace[answers[wrong.name].json()["trace"]]
        shown = (await fascia(hospital, "journal", "show", kept["id"], "--json")).json
        assert [entry["state"] for entry in shown["history"]] == ["refused"]
        data = shown["data"]
        came = base64.b64decode(data) if shown["encoding"] == "base64" else data.encode()
        assert came == wrong.data(f"K-{run}")
    assert await hospital.outside.all_orders() == before


# -- a requisition that cannot be read, started with the Temporal client -----------------------------------------------


async def started(hospital: Hospital, case: str, *arguments: RawValue) -> WorkflowHandle[Any, Any]:
    """Somebody's system starts a case with these arguments, whatever they are."""
    temporal = hospital.doors.temporal
    found: WorkflowHandle[Any, Any] = await temporal.start_workflow(
        "ProcureToPay", args=list(arguments), id=case, task_queue="fascia"
    )
    return found


def raw(data: bytes, encoding: str = "json/plain") -> RawValue:
    return RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data))


async def no_task_failed(handle: WorkflowHandle[Any, Any]) -> None:
    """The process itself never stumbled over what it was given; a busy machine that is late with a step is no stumble."""
    async for event in handle.fetch_history_events():
        assert event.event_type != EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED, event


async def ended(handle: WorkflowHandle[Any, Any]) -> WorkflowExecutionStatus | None:
    """How a run ended, once it has: what its case shows last is recorded a moment before."""

    async def status() -> tuple[WorkflowExecutionStatus | None] | None:
        found = (await handle.describe()).status
        return None if found is WorkflowExecutionStatus.RUNNING else (found,)

    return (await until(status, lambda: f"the end of {handle.id}"))[0]


async def waits_for_a_person(asked: Case, path: str) -> None:
    """The case needs attention, says why and where, and what a person may do."""
    view = await asked.until("needs attention", owner="support")
    (parked,) = view["status"]["attention"]
    assert parked["path"] == path, parked
    assert parked["reason"] and {"correct", "cancel"} <= set(parked["verbs"])


async def cancelled_by_a_buyer(asked: Case) -> None:
    await asked.decide(BUYER, "cancel", "sent again by the department")
    await asked.until("cancelled")


@pytest.mark.parametrize("wrongs", SOME_AND_EVERY)
async def test_a_malformed_requisition_started_in_temporal_waits_for_a_person_and_fails_no_task(
    hospital: Hospital, wrongs: Sequence[Wrong]
) -> None:
    run, before = uuid.uuid4().hex[:8], await hospital.outside.all_orders()
    slots = asyncio.Semaphore(AT_ONCE)

    async def tried(number: str, wrong: Wrong) -> None:
        async with slots:
            asked = case_of(hospital, LABORATORY, number)
            handle = await started(hospital, asked.name, raw(wrong.data(number)))
            await waits_for_a_person(asked, wrong.path or "document")
            await cancelled_by_a_buyer(asked)
            assert await ended(handle) is WorkflowExecutionStatus.COMPLETED
            await no_task_failed(handle)

    await asyncio.gather(*(tried(f"M-{run}-{at}", wrong) for at, wrong in enumerate(wrongs)))
    assert await hospital.outside.all_orders() == before


@side_by_side
async def test_a_start_under_a_wrong_name_or_with_none_or_two_arguments_waits_for_a_person(hospital: Hospital) -> None:
    run = uuid.uuid4().hex[:8]
    good = raw(json.dumps(right(f"N-{run}")).encode())
    odd = {
        f"N-{run}-wrong-name": ((good,), "number"),
        f"N-{run}-no-argument": ((), "encoding"),
        f"N-{run}-two-arguments": ((good, good), "encoding"),
        f"N-{run}-no-plain-json": ((raw(b"\x00\x01", "binary/plain"),), "encoding"),
        f"N-{run}-null": ((raw(b"", "binary/null"),), "encoding"),
    }

    async def tried(number: str, arguments: tuple[RawValue, ...], path: str) -> None:
        asked = case_of(hospital, LABORATORY, number)
        handle = await started(hospital, asked.name, *arguments)
        await waits_for_a_person(asked, path)
        await cancelled_by_a_buyer(asked)
        await no_task_failed(handle)

    async def under_no_name_of_ours() -> None:
        handle = await started(hospital, f"lab order {run}", good)

        async def parked() -> dict[str, Any] | None:
            said = await fascia(hospital, "case", "show", f"lab order {run}", "--json")
            return said.json if said.code == 0 and said.json["business_state"] == "needs attention" else None

        shown = await until(parked, lambda: f"lab order {run} with a person")
        assert case_id("procure_to_pay", FACILITY, SENDER, f"N-{run}") in shown["attention"][0]["reason"]
        await handle.cancel()
        await ended(handle)
        await no_task_failed(handle)

    await asyncio.gather(under_no_name_of_ours(), *(tried(number, *how) for number, how in odd.items()))
    for number in odd:  # by name: other tests order meanwhile
        assert await case_of(hospital, LABORATORY, number).orders() == []
    # None of them took the number away from whoever has it right.
    asked = case_of(hospital, LABORATORY, f"N-{run}")
    await started(hospital, asked.name, good)
    await asked.until("pending approval")
    await asked.decide(LABORATORY.manager, "reject", "only a test of the paper")
    await asked.until("refused")


@side_by_side
async def test_a_malformed_requisition_corrected_by_a_buyer_goes_its_way_once(hospital: Hospital) -> None:
    wrongs = [wrong for wrong in WRONGS if wrong.name in ("lines missing", "no JSON: cut off", "one line id twice")]
    assert len(wrongs) == 3

    async def corrected(wrong: Wrong) -> None:
        number = f"C-{uuid.uuid4().hex[:12]}"
        asked = case_of(hospital, PHARMACY, number)
        handle = await started(hospital, asked.name, raw(wrong.data(number)))
        await asked.until("needs attention")
        half = await hospital.doors.decide(BUYER, asked.name, {"verb": "correct", "correction": {"lines": []}})
        assert half.status_code == 422 and "whole requisition" in half.json()["detail"]
        another = {"requisition": sheet(f"{number}-2", PHARMACY, AT_PAR)}
        strange = await hospital.doors.decide(BUYER, asked.name, {"verb": "correct", "correction": another})
        assert strange.status_code == 422 and asked.name in strange.json()["detail"]
        whole = {"requisition": sheet(number, PHARMACY, AT_PAR)}
        await asked.decide(BUYER, "correct", "as on the paper", correction=whole)
        (order,) = await asked.ordered()
        await order.delivered_and_paid()
        await asked.until("closed")
        await no_task_failed(handle)
        await hospital.everything_once(asked.scene)
        late = {"verb": "cancel", "reason": "not needed any more"}
        await refused(hospital, BUYER, asked, 409, "not-open", **late)

    await asyncio.gather(*(corrected(wrong) for wrong in wrongs))


# -- decisions that are not theirs to give ------------------------------------------------------------------------------


async def refused(hospital: Hospital, who: str, asked: Requisition, status: int, code: str, **decision: Any) -> str:
    """A decision that must be refused; the reason its giver hears."""
    answer = await hospital.doors.decide(who, asked.name, decision)
    assert answer.status_code == status, (who, decision, answer.text)
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == code, problem
    return str(problem["detail"])


async def noted(hospital: Hospital, asked: Requisition, reason: str) -> None:
    """The case shows that somebody tried, and why it was not taken."""
    async with asyncio.timeout(400):
        while True:
            answer = await hospital.doors.ask(SENDER, "GET", f"/v1/cases/{asked.name}/decisions")
            if any(reason in row["what"] for row in answer.json()):
                return
            await asyncio.sleep(0.3)


async def waiting(hospital: Hospital, name: str) -> Requisition:
    """A requisition of the laboratory that waits for its manager."""
    number = f"{name}-{uuid.uuid4().hex[:10]}"
    asked = case_of(hospital, LABORATORY, number)
    await hospital.doors.post_requisition(SENDER, sheet(number, LABORATORY, TO_APPROVE), key=number)
    await asked.until("pending approval", owner="manager")
    return asked


@side_by_side
async def test_only_who_may_decides_on_what_they_have_seen_with_a_reason_and_once(hospital: Hospital) -> None:
    hospital = await with_key(hospital, REQUESTER, "--person", REQUESTER, "--per-minute", "6000")
    asked = await waiting(hospital, "D")
    seen = (await asked.until("pending approval"))["status"]["revision"]

    for who, why in ((SURGERY.manager, "for those the approval rules name"), (BUYER, "not for the roles")):
        assert why in await refused(hospital, who, asked, 403, "not-allowed", verb="approve")
    said = await refused(hospital, REQUESTER, asked, 403, "not-allowed", verb="approve")
    assert "who asks may not approve" in said
    said = await refused(hospital, SENDER, asked, 403, "not-allowed", verb="approve")
    assert "belongs to no person" in said

    manager = LABORATORY.manager
    now = (await asked.until("pending approval"))["status"]["revision"]
    old = {"verb": "approve", "revision": now - 1}
    assert "has changed since" in await refused(hospital, manager, asked, 409, "changed", **old)
    assert "needs a reason" in await refused(hospital, manager, asked, 422, "data-invalid", verb="reject")
    assert "is not a decision" in await refused(hospital, manager, asked, 422, "data-invalid", verb="bless")
    assert "is not open now" in await refused(hospital, manager, asked, 409, "not-open", verb="release")
    misspelt = {"verb": "approve", "reson": "they need it"}
    assert "reson" in await refused(hospital, manager, asked, 422, "data-invalid", **misspelt)
    view = await asked.until("pending approval")
    assert await asked.orders() == [] and view["status"]["revision"] >= seen

    path, key = f"/v1/cases/{asked.name}/decisions", uuid.uuid4().hex
    twice = await asyncio.gather(
        *(hospital.doors.ask(manager, "POST", path, {"verb": "approve"}, key=key) for _ in range(4))
    )
    assert {answer.status_code for answer in twice} == {200}, [answer.text for answer in twice]
    assert len({answer.text for answer in twice}) == 1
    other = await hospital.doors.ask(manager, "POST", path, {"verb": "reject", "reason": "no"}, key=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    (order,) = await asked.ordered()
    await order.delivered_and_paid()
    await asked.until("closed")
    await hospital.everything_once(asked.scene)


@side_by_side
async def test_a_decision_without_our_seal_counts_as_nobody_s_and_what_does_not_fit_stays_on_the_case(
    hospital: Hospital,
) -> None:
    asked, another = await asyncio.gather(waiting(hospital, "S"), waiting(hospital, "T"))
    handle = hospital.doors.temporal.get_workflow_handle(asked.name)
    forged = {"verb": "approve", "actor": {"id": LABORATORY.manager, "known_by": "api_key"}, "seal": "0" * 64}

    # By signal, as the Temporal UI sends it: mistyped, of another shape, without and with two arguments, forged.
    await handle.signal("decide", {"verb": 7})
    await noted(hospital, asked, "verb: Input should be a valid string")
    await handle.signal("decide", {"verb": "approve", "because": "they need it"})
    await noted(hospital, asked, "because: Extra inputs are not permitted")
    await handle.signal("decide", "approve")
    await noted(hospital, asked, "Input should be an object")
    await handle.signal("decide", args=[{"verb": "approve"}, {"verb": "approve"}])
    await handle.signal("decide")
    await handle.signal("decide", {"verb": "reject"})
    await noted(hospital, asked, "reject needs a reason")
    await handle.signal("decide", forged)
    await noted(hospital, asked, "approve needs a verified identity")

    # By update, as any program with Temporal's own client may.
    assert "verified identity" in await update_refused(handle, forged)
    assert "verified identity" in await update_refused(handle, {"verb": "cancel", "reason": "let it be"})
    assert "valid string" in await update_refused(handle, {"verb": None})
    view = await asked.until("pending approval")
    assert await asked.orders() == [] and not view["status"]["closed"]

    # The policy lets anybody stop and go on; the case says that it does not know who it was.
    held = await handle.execute_update("decide", {"verb": "hold", "reason": "wait for the price"})
    assert held["taken"] and "identity not verified" in held["message"]
    await asked.until("on hold")
    assert "not open now" in await refused(hospital, LABORATORY.manager, asked, 409, "not-open", verb="approve")
    await handle.signal("decide", {"verb": "resume"})
    await asked.until("pending approval")

    async def both_listed() -> list[dict[str, Any]] | None:
        rows = (await hospital.doors.ask(SENDER, "GET", f"/v1/cases/{asked.name}/decisions")).json()
        found = [row for row in rows if row["what"] in ("hold", "resume")]
        return found if len(found) >= 2 else None

    by_tools = await until(both_listed, lambda: f"the two words to {asked.name}")
    assert [(row["known_by"], row["verified"]) for row in by_tools] == [("temporal", False)] * 2

    # A seal is for one case: what a manager gave here opens nothing there.
    await asked.decide(LABORATORY.manager, "approve", "the night shift needs it")
    given = await given_by(handle, "approve")
    assert given["seal"] and given["actor"]["id"] == LABORATORY.manager
    elsewhere = hospital.doors.temporal.get_workflow_handle(another.name)
    assert "verified identity" in await update_refused(elsewhere, given)
    assert await another.orders() == []
    await no_task_failed(handle)

    await another.decide(LABORATORY.manager, "reject", "enough of them in the store")
    await another.until("refused")
    late = await refused(hospital, LABORATORY.manager, another, 409, "not-open", verb="approve")
    assert "not open" in late
    (order,) = await asked.ordered()
    await order.shipped()
    await hospital.everything_once(asked.scene)


async def update_refused(handle: WorkflowHandle[Any, Any], decision: Any) -> str:
    """A decision by update that must be refused; the reason."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await handle.execute_update("decide", decision)
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause.message


async def given_by(handle: WorkflowHandle[Any, Any], verb: str) -> dict[str, Any]:
    """A decision our door gave, as everybody who may look into Temporal can read it."""
    async for event in handle.fetch_history_events():
        update = event.workflow_execution_update_accepted_event_attributes
        if update.accepted_request.input.name == "decide":
            found: dict[str, Any] = json.loads(update.accepted_request.input.args.payloads[0].data)
            if found["verb"] == verb and found.get("seal", "").strip("0"):
                return found
    raise AssertionError(f"no {verb} in the history")
