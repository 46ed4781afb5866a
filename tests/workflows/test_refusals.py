"""What a case says to a word it does not take, and to one it takes; and that a refusal changes nothing for anybody else."""

from __future__ import annotations

import asyncio

from tests import build
from tests.workflows.case import PATIENCE, Case


async def pending(case: Case) -> int:
    await case.start(build.requisition())
    await case.until("pending approval")
    return case.change().revision


async def test_what_a_person_saw_stays_valid_while_others_are_refused(case: Case) -> None:
    seen = await pending(case)
    for _ in range(3):
        assert (await case.refused("approve", "E-REQ"))[0] == "NotAllowed"
    for junk in ("x", {"verb": "aprove"}, {"verb": "release"}, {"verb": "approve", "reason": "from the UI"}):
        await case.signal("decide", junk)
    await case.unreadable("approve needs a verified identity")
    async with asyncio.timeout(PATIENCE):
        while not any("who asks may not approve" in change.declined for change in case.cases.changes):
            await asyncio.sleep(0.02)
    assert (await case.decide("approve", by="E-MGR", revision=seen)).taken


async def test_a_refused_decision_is_not_listed_as_taken(case: Case) -> None:
    await pending(case)
    await case.refused("approve", "E-REQ")
    await case.decide("hold", by="E-FIN")
    changes = [change for change in case.cases.changes if change.case == case.id]
    assert "approve: who asks may not approve" in [change.declined for change in changes]
    assert "; ".join(change.decision for change in changes if change.decision) == "hold by E-FIN: on hold"


async def test_who_has_the_role_and_is_not_asked_hears_that(case: Case) -> None:
    case.register.put(
        build.employee("E-MGR", "manager", cost_centres=("CC-4100",)),
        build.employee("E-MGR2", "manager", cost_centres=("CC-9",)),
    )
    await pending(case)
    assert await case.refused("approve", "E-MGR2") == (
        "NotAllowed",
        "approve as manager is for those the approval rules name for cost centre CC-4100, not for every manager",
    )
    assert await case.refused("approve", "E-FIN") == ("NotAllowed", "approve is not for the roles finance")


async def test_an_answer_says_where_the_decision_leaves_the_case(case: Case) -> None:
    await pending(case)
    said = [await case.decide("hold", by="E-FIN"), await case.decide("resume", by="E-FIN")]
    await case.until("pending approval")
    said.append(await case.decide("approve", by="E-MGR"))
    assert [answer.business_state for answer in said] == ["on hold", "pending approval", "approved"]
    order = await case.order()
    said = [await case.decide(verb, case=order.case_id) for verb in ("hold", "resume", "cancel")]
    assert [answer.business_state for answer in said] == ["on hold", "sent to supplier", "cancelling"]


async def test_an_answer_to_a_level_of_several_says_that_more_are_asked(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1002", "50 BX")))
    await case.until("pending approval")
    assert (await case.decide("approve", by="E-MGR")).business_state == "pending approval"
    await case.owned_by("director")
    assert (await case.decide("reject", by="E-DIR", reason="not this year")).business_state == "refused"


async def test_an_answer_to_a_correction_or_an_end_is_not_the_state_it_was_given_in(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-9999", "1 BX")))
    await case.parked("unknown-code")
    correction = build.correction(cost_centre="CC-POOR")
    assert (await case.decide("correct", correction=correction)).business_state == "checking"
    await case.parked("unknown-code")
    assert (await case.decide("cancel", reason="not needed")).business_state == "cancelling"


async def test_a_case_of_a_facility_nobody_has_can_be_ended_by_support_of_another(case: Case) -> None:
    case.register.put(build.employee("E-SUP", "support"))
    await case.start(build.requisition(facility="NHG"))
    await case.parked()
    kind, why = await case.refused("cancel", "E-BUY", reason="a typing error")
    assert kind == "NotAllowed" and "not an active employee" in why
    kind, why = await case.refused("hold", "E-SUP")
    assert kind == "NotAllowed" and "may only cancel or correct it" in why
    await case.decide("cancel", by="E-SUP", reason="a typing error")
    assert (await case.result()).business_state == "cancelled"
