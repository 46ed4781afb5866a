"""What is parked and nobody answers is reminded of, in business time, once for each time; then the level above has it."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from canonical.calendar import BusinessCalendar, OpenHours
from canonical.cases import Attention, BusinessEvent
from canonical.purchasing import PurchaseOrder
from tests import build
from tests.workflows.beginnings import succeeded
from tests.workflows.case import Case
from workflows.case import CaseWorkflow
from workflows.registry import PROCESSES, Process
from workflows.reminders import Reminded, as_before, next_reminder, reminded

DAY = timedelta(days=1)
FRIDAY = datetime(2026, 11, 20, 15, tzinfo=UTC)
OFFICE = BusinessCalendar(hours=tuple(OpenHours(weekday=day, opens=time(8), closes=time(16)) for day in range(5)))


def parked(since: datetime = FRIDAY, **fields: object) -> Attention:
    what = {"kind": "timeout", "reason": "overdue", "document": "855", "since": since} | fields
    return Attention.model_validate(what)


def test_a_reminder_is_due_in_business_time() -> None:
    assert next_reminder([parked()], OFFICE, timedelta(hours=8)) == datetime(2026, 11, 23, 15, tzinfo=UTC)
    assert next_reminder([], OFFICE, timedelta(hours=8)) is None
    soonest = next_reminder([parked(reminded=1), parked(FRIDAY + DAY)], BusinessCalendar(), DAY)
    assert soonest == FRIDAY + 2 * DAY


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_every_case_that_parks_something_knows_its_clock_and_how_it_is_told(process: Process) -> None:
    """One that does not would stand still with the first thing it parks. A location parks nothing: its uses are parked."""
    if issubclass(process.workflow, CaseWorkflow) and process.name != "consumption_to_replenishment":
        for asked in ("_calendar", "_tell_overdue", "_giving_up", "_give_up", "_carried"):
            answer = getattr(process.workflow, asked)
            assert answer not in (getattr(Reminded, asked, None), getattr(CaseWorkflow, asked)), f"no {asked}"


def test_reminders_nobody_was_there_to_give_are_counted_and_told_once() -> None:
    assert reminded(parked(), FRIDAY + DAY / 2, BusinessCalendar(), DAY).reminded == 0
    assert reminded(parked(), FRIDAY + 3 * DAY, BusinessCalendar(), DAY).reminded == 3


def test_what_is_parked_again_keeps_its_time_once_and_another_thing_has_its_own() -> None:
    before = [parked(reminded=2)]
    now = FRIDAY + 4 * DAY
    assert as_before(parked(now, document="997"), before).since == now
    again = as_before(parked(now, reason="in other words"), before)
    assert (again.since, again.reminded, again.reason) == (FRIDAY, 2, "in other words")
    assert as_before(parked(now), before).since == now


async def silent(case: Case) -> PurchaseOrder:
    """An order with something parked that nobody answers."""
    order = await case.approved_order()
    await case.say(order, acknowledgement=build.answer(order, "AC", "Q7"))
    await case.parked("unknown-code", order.case_id)
    return order


def overdue(case: Case, name: str) -> list[BusinessEvent]:
    """The reminders of a case, each time it was told."""
    told = [event for change in case.cases.changes if change.case == name for event in change.events]
    return [event for event in told if event.type.endswith("attention_overdue.v1")]


@pytest.mark.parametrize("policy", [{"attention_escalate_to": "supply_chain_director"}])
async def test_a_parked_line_is_reminded_of_then_escalated_until_somebody_answers(case: Case) -> None:
    order = await silent(case)
    assert case.change(order.case_id).owner == "buyer"
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    await case.told_of("order.attention_overdue.v1", what="remind")
    assert case.change(order.case_id).owner == "buyer"
    await case.skip(DAY, order.case_id)
    await case.told_of("order.attention_overdue.v1", what="escalate")
    shown = case.change(order.case_id)
    assert (shown.owner, shown.attention[0].reminded) == ("supply_chain_director", 2)
    told = overdue(case, order.case_id)
    assert [event.data["owner"] for event in told] == ["buyer", "supply_chain_director"]
    assert (told[0].data["line"], told[0].data["kind"]) == ("1", "unknown-code")
    assert len({event.key for event in told}) == 2
    await case.decide("accept", case=order.case_id, reason="meant IA, by phone")
    await case.until("acknowledged", order.case_id)
    await case.skip(2 * DAY, order.case_id)
    assert case.change(order.case_id).owner == "supplier" and len(overdue(case, order.case_id)) == 2


async def test_where_nobody_is_named_it_stays_with_its_owner_and_is_reminded_of_again(case: Case) -> None:
    order = await silent(case)
    await case.skip(3 * DAY + timedelta(minutes=1), order.case_id)
    await case.told_of("order.attention_overdue.v1", what="escalate")
    assert case.change(order.case_id).owner == "buyer"


async def test_a_case_on_hold_is_not_reminded_of(case: Case) -> None:
    order = await silent(case)
    await case.decide("hold", by="E-FIN", case=order.case_id)
    await case.skip(3 * DAY, order.case_id)
    assert overdue(case, order.case_id) == []
    await case.decide("resume", by="E-FIN", case=order.case_id)
    await case.told_of("order.attention_overdue.v1", what="escalate")


async def test_a_step_that_waits_for_a_person_is_reminded_of(case: Case) -> None:
    order = await case.approved_order()
    case.outside.refuse["860"] = "the mailbox is closed"
    await case.decide("cancel", case=order.case_id)
    await case.parked("partner-rejected", order.case_id, document="860")
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    await case.told_of("order.attention_overdue.v1", what="remind", document="860 1")


async def test_a_requisition_that_needs_a_person_is_reminded_of(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-9999", "1 BX")))
    await case.parked("unknown-code")
    await case.skip(DAY + timedelta(minutes=1))
    await case.told_of("requisition.attention_overdue.v1", what="remind", line="1")
    assert case.change().attention[0].reminded == 1


async def test_a_requisition_nobody_can_read_is_reminded_of_too(case: Case) -> None:
    await case.start_raw(f"procure_to_pay/{build.FACILITY}/surgery-app/{build.unique('W')}", b"{}")
    await case.parked("data-invalid")
    await case.skip(DAY + timedelta(minutes=1))
    await case.told_of("requisition.attention_overdue.v1", what="remind", document="requisition")


async def test_a_successor_counts_on_and_reminds_of_nothing_twice(case: Case) -> None:
    order = await silent(case)
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    await case.told_of("order.attention_overdue.v1", what="remind")
    since = case.change(order.case_id).attention[0].since
    await succeeded(case, order)
    await case.generation(order, 2)
    await case.skip(DAY + timedelta(minutes=1), order.case_id)
    (still,) = case.change(order.case_id).attention
    assert (still.since, still.reminded, len(overdue(case, order.case_id))) == (since, 1, 1)


async def test_a_step_a_successor_finds_refused_again_keeps_its_time(case: Case) -> None:
    case.outside.refuse["850"] = "the mailbox is closed"
    await case.start(build.requisition(build.line("1", "ITM-1001", "1 BX")))
    (order,) = await case.orders()
    first = await case.parked("partner-rejected", order.case_id, document="850")
    await succeeded(case, order)
    assert (await case.parked_by(order, 2)).since == first.since
