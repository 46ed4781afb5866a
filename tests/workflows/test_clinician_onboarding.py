"""A clinician's case: what sources and people say moves it, its clocks run by themselves, and nobody's name is in its history."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from canonical.errors import Rejected, Unavailable
from tests.store.case_house import SCOPE
from tests.workflows import clinician_stories
from tests.workflows.clinician_house import CANARY, Clinician
from tests.workflows.conftest import REMEMBERED

pytestmark = pytest.mark.server


async def test_from_hire_to_active_each_side_moves_by_itself_and_every_step_is_told(clinician: Clinician) -> None:
    for code, kind in (("scim", "identity"), ("erp", "erp"), ("plan", "scheduling")):
        clinician.system(code, kind)
    name = await clinician.ready()
    assert sorted(clinician.sources.asked) == ["dea", "exclusion", "licence", "npi"]
    assert (await clinician.say("approve", "E-C1", privilege=name)).message == "one of two said yes"
    await clinician.say("approve", "E-C2", privilege=name)
    await clinician.until("privileged")
    await clinician.stands_there("confirmed")
    shown = await clinician.until("active")
    assert (shown.process, shown.facility) == ("clinician_onboarding", "NGH")
    assert [line.line for line in shown.lines] == [
        "identity", "verification", "privileges", "access", "payroll", "scheduling"
    ]  # fmt: skip
    (opened,) = clinician.told("onboarding.opened.v1")
    assert (opened["person"], opened["role"], opened["department"]) == (clinician.person, "surgeon", "surgery")
    headlines = [one["headline"] for one in clinician.told("onboarding.changed.v1")]
    assert headlines[-3:] == ["committee pending", "privileged", "active"]


async def test_no_name_is_in_its_history_its_read_model_or_what_others_are_told(clinician: Clinician) -> None:
    clinician.sources.says["dea"] = Rejected("no such class", code="rejected", system="dea")
    await clinician.hired()
    await clinician.attends("verify/dea:IL")
    await clinician.refused("verify", check="board", outcome="confirmed", reference="x")
    await clinician.hr("update", record={"name": {"family": CANARY, "given": "Ada"}})
    for said in (await clinician.history(), repr(clinician.cases.changes), repr(clinician.cases.events)):
        assert CANARY not in said and "1234567893" not in said and "036-1" not in said


async def test_the_committee_is_two_who_did_not_ask_and_neither_is_the_applicant(clinician: Clinician) -> None:
    name = await clinician.ready()
    assert (await clinician.refused("approve", "E-MSO", privilege=name))[0] == "NotAllowed"
    await clinician.say("approve", "E-C1", privilege=name)
    assert await clinician.refused("approve", "E-C1", privilege=name) == (
        "NotAllowed", "the second yes is another person's"
    )  # fmt: skip
    assert (await clinician.refused("approve", "E-C2", signed=False, privilege=name))[0] == "NotAllowed"
    assert (await clinician.refused("approve", "E-NOBODY", privilege=name))[0] == "NotAllowed"
    assert clinician.filed.privileges[name].state == "seconded"


async def test_the_same_word_twice_is_one(clinician: Clinician) -> None:
    await clinician.hired()
    said: dict[str, Any] = {"id": "W-1" + clinician.person, "scope": SCOPE}
    first, again = [await clinician.say("request", **said) for _ in range(2)]
    assert first == again and len(clinician.filed.privileges) == 1


async def test_what_is_not_there_is_refused_as_not_found(clinician: Clinician) -> None:
    await clinician.hired()
    board: dict[str, Any] = {"check": "board", "outcome": "confirmed", "reference": "r"}
    assert (await clinician.refused("done", task="none"))[0] == "NotFound"
    assert (await clinician.refused("reject", "E-C1", privilege="none"))[0] == "NotFound"
    assert (await clinician.refused("verify", **board))[0] == "NotFound"


async def test_a_source_that_is_away_holds_up_nobodys_word_and_is_asked_until_it_answers(clinician: Clinician) -> None:
    clinician.sources.says["licence"] = Unavailable("away", system="licence")
    await clinician.hired()
    await clinician.asked("licence", 2)
    await clinician.say("verify", check="education", outcome="confirmed", reference="diploma", reason="")
    await clinician.side("verification", "4 of 6 verified")
    clinician.sources.says.clear()
    await clinician.side("verification", "5 of 6 verified")


async def test_a_check_whose_worker_dies_is_begun_again_after_a_minute_of_silence(clinician: Clinician) -> None:
    await clinician.hired()
    await clinician.asked("licence", 1)
    begun = [
        event.activity_task_scheduled_event_attributes
        async for event in clinician.client.get_workflow_handle(clinician.id).fetch_history_events()
        if event.activity_task_scheduled_event_attributes.activity_type.name == "verify"
    ]
    assert {one.heartbeat_timeout.ToTimedelta() for one in begun} == {timedelta(minutes=1)}


async def test_a_check_that_was_refused_is_asked_again_by_itself_once_its_source_is_mended(
    clinician: Clinician,
) -> None:
    """Its row named an adapter nobody speaks, say: the case would wait for a licence for ever."""
    clinician.sources.says["licence"] = Rejected("nobody speaks that", code="configuration", system="licence")
    await clinician.hired(skipping=True)
    await clinician.attends("verify/licence:IL")
    clinician.sources.says.clear()
    await clinician.skip(timedelta(hours=2))
    await clinician.side("verification", "4 of 6 verified")


async def test_a_hard_stop_stops_and_takes_back_and_is_a_persons_to_see(clinician: Clinician) -> None:
    clinician.sources.says["exclusion"] = {"state": "refuted", "finding": "npi-match"}
    await clinician.hired()
    await clinician.until("suspended")
    assert "exclusion: refuted" in await clinician.attends("stopped")
    told = clinician.told("onboarding.changed.v1") or clinician.told("onboarding.opened.v1")
    assert (told[-1]["stopped"], told[-1]["taken_back"]) == ("exclusion=refuted", "true")


async def test_a_cost_centre_that_does_not_exist_yet_is_payrolls_and_the_case_goes_on(clinician: Clinician) -> None:
    clinician.system("erp", "erp")
    await clinician.privileged()
    await clinician.stands_there("waiting", reason="cost-centre-missing")
    assert await clinician.side("payroll", "waiting: erp: cost-centre-missing") == "payroll"
    assert await clinician.attends("payroll") == "payroll: erp: cost-centre-missing"
    await clinician.stands_there("confirmed")
    await clinician.until("active")


async def test_an_offer_begins_and_an_employment_ends_on_its_day(clinician: Clinician) -> None:
    start = clinician.begun.date() + timedelta(days=5)
    await clinician.hired(skipping=True, effective=start)
    await clinician.until("in verification")
    await clinician.hr("terminate", effective=start + timedelta(days=5))
    await clinician.skip(timedelta(days=6))
    await clinician.until("in verification")
    await clinician.skip(timedelta(days=6))
    await clinician.until("terminated")
    assert (await clinician.ended()).closed


async def test_temporary_privileges_end_by_themselves_after_120_days(clinician: Clinician) -> None:
    await clinician_stories.a_clinician_with_temporary_privileges_that_end(clinician)


async def test_a_lapsed_licence_suspends_the_same_day_and_a_renewed_one_brings_back(clinician: Clinician) -> None:
    await clinician_stories.a_clinician_whose_licence_lapses(clinician)


async def test_privileges_are_asked_for_anew_90_days_before_three_years_and_then_end(clinician: Clinician) -> None:
    await clinician.privileged(skipping=True)
    await clinician.until("active")
    await clinician.skip(timedelta(days=3 * 365 - 91))
    assert "re-privilege" not in {one.kind for one in clinician.filed.tasks.values()}
    await clinician.skip(timedelta(days=3))
    await clinician.owes("re-privilege")
    await clinician.skip(timedelta(days=91))
    await clinician.until("in verification")
    assert [one.state for one in clinician.filed.privileges.values()] == ["ended"]


async def test_an_applicant_nobody_told_is_reminded_of(clinician: Clinician) -> None:
    name = await clinician.privileged(skipping=True)
    await clinician.until("active")
    await clinician.skip(timedelta(days=31))
    assert "1 of them overdue" in await clinician.attends("tasks", reminded=2)
    assert {one["what"] for one in clinician.told("onboarding.attention_overdue.v1")} == {"remind", "escalate"}
    answer = await clinician.say("noticed", privilege=name, reason="")
    assert answer.message == "the applicant has been told after its time"


async def test_what_was_given_is_taken_back_when_the_offer_is_withdrawn(clinician: Clinician) -> None:
    await clinician_stories.an_offer_withdrawn_before_the_committee(clinician)


async def test_who_is_rehired_has_the_same_case_again(clinician: Clinician) -> None:
    await clinician_stories.a_clinician_hired_privileged_and_gone(clinician)
    await clinician.hr("hire", effective=clinician.begun.date() + timedelta(days=1))
    await clinician.until("committee pending")
    assert clinician.told("onboarding.closed.v1")


@pytest.mark.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM)])
async def test_a_run_that_became_long_goes_on_in_a_new_one_with_its_reminders(clinician: Clinician) -> None:
    await clinician_stories.a_clinician_whose_case_becomes_long(clinician)


async def test_whom_nobody_knows_has_no_case(clinician: Clinician) -> None:
    await clinician.wake()
    assert not (await clinician.ended()).closed and clinician.change() is None
