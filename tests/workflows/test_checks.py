"""The first half of a requisition's way: claimed once, read, checked against the register, corrected by people."""

from __future__ import annotations

import json

import pytest
from temporalio.exceptions import ApplicationError

from canonical.base import content_hash
from canonical.cases import Correction, LineCorrection
from canonical.messages import NewMessage
from canonical.parties import CostCentre
from tests import build
from tests.workflows.case import Case
from workflows.corrections import corrected


async def test_a_small_order_at_par_on_contract_needs_nobody(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "3 BX")))
    order = await case.order()
    assert order.amount == build.usd("24")
    approved = next(e for e in case.cases.events.values() if e.type == "requisition.approved.v1" and e.case == case.id)
    assert approved.data["by"] == "policy" and "at par" in approved.data["why"]
    assert case.told()[:2] == ["requisition.received.v1", "requisition.approved.v1"]


async def test_an_unknown_item_is_corrected_by_a_buyer_and_goes_through(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-9999", "3 BX"), build.line("2", "ITM-1001", "1 BX")))
    parked = await case.parked("unknown-code", line="1")
    assert parked.path == "lines.1.item" and case.change().owner == "buyer"
    assert [line.state for line in case.change().lines] == ["needs attention", "checked"]
    kind, why = await case.refused("correct", "E-BUY", correction=build.correction(lines=(LineCorrection(line="7"),)))
    assert (kind, why) == ("Malformed", "lines: '7' is not a line of this requisition")
    await case.decide("correct", correction=build.correction(lines=(LineCorrection(line="1", item="ITM-1001"),)))
    order = await case.order()
    assert [line.item for line in order.lines] == ["ITM-1001", "ITM-1001"]


async def test_a_blocked_supplier_parks_the_line_and_a_person_cancels(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1004", "1 BX")))
    parked = await case.parked("business-rule", line="1")
    assert parked.reason == "supplier CORVUS is blocked"
    await case.decide("cancel", reason="bought elsewhere")
    status = await case.result()
    assert (status.business_state, status.state, status.lines[0].state) == ("cancelled", "failed", "cancelled")
    assert case.placed() == [] and case.told()[-1] == "requisition.refused.v1"


async def test_a_budget_that_is_exceeded_is_for_finance_to_accept(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-1001", "3 BX"), cost_centre="CC-POOR"))
    parked = await case.parked("business-rule")
    assert parked.reason == "budget exceeded: CC-POOR has 10.00 USD left, this needs 24.00 USD"
    assert case.change().owner == "finance"
    assert (await case.refused("accept", "E-BUY"))[0] == "NotAllowed"
    await case.decide("accept", by="E-FIN")
    await case.order()


async def test_an_accepted_overrun_is_asked_about_again_when_it_grows(case: Case) -> None:
    lines = (build.line("1", "ITM-1001", "3 BX"), build.line("2", "ITM-9999", "1 BX"))
    await case.start(build.requisition(*lines, cost_centre="CC-POOR"))
    await case.parked("business-rule")
    await case.decide("accept", by="E-FIN")
    await case.parked("unknown-code")
    assert [a.kind for a in case.change().attention] == ["unknown-code"]
    await case.decide("correct", correction=build.correction(lines=(LineCorrection(line="2", item="ITM-1001"),)))
    parked = await case.parked("business-rule")
    assert parked.reason.endswith("this needs 32.00 USD")


async def test_of_two_that_wait_for_approval_together_one_gets_the_last_money(case: Case) -> None:
    case.register.put(CostCentre(code="CC-LAST", facility=build.FACILITY, budget=build.usd("2000")))
    first, second = (build.requisition(cost_centre="CC-LAST") for _ in range(2))  # each needs 1,200
    for asked in (first, second):
        await case.start(asked)
        await case.until("pending approval")
    await case.decide("approve", by="E-MGR", case=first.case_id)
    await case.until("ordered", first.case_id)
    await case.decide("approve", by="E-MGR", case=second.case_id)
    parked = await case.parked("business-rule", second.case_id)
    assert parked.reason == "budget exceeded: CC-LAST has 800.00 USD left, this needs 1200.00 USD"
    assert case.change(second.case_id).owner == "finance"
    assert {"accept", "correct", "retry", "reject", "cancel"} == set(parked.verbs)
    assert len([o for o in case.register.commitments.values() if o[0] == "CC-LAST"]) == 1
    await case.decide("retry", by="E-FIN", case=second.case_id)
    assert (await case.parked("business-rule", second.case_id)).reason == parked.reason
    await case.decide("accept", by="E-FIN", case=second.case_id)
    await case.until("ordered", second.case_id)
    approvals = [e for e in case.cases.events.values() if e.type == "requisition.approved.v1"]
    assert len([e for e in approvals if e.case == second.case_id]) == 1  # accepted, not approved again


async def test_an_unknown_facility_is_a_case_that_needs_attention(case: Case) -> None:
    await case.start(build.requisition(facility="XXX"))
    parked = await case.parked("unknown-code")
    assert (parked.path, parked.reason) == ("facility", "facility XXX is not in the register")


async def test_more_money_than_can_be_counted_is_said_and_stops_nothing(case: Case) -> None:
    await case.start(
        build.requisition(build.line("1", "ITM-1001", "999999999 BX", unit_price=build.usd("999999999999")))
    )
    assert (await case.parked(line="1")).kind in ("business-rule", "data-invalid")


WRONG = {
    "facility": "",
    "source": 7,
    "number": "x" * 81,
    "department": None,
    "cost_centre": "a b",
    "requester": ["E-REQ"],
    "deliver_to": {},
    "needed_by": "tomorrow",
    "emergency": "yes",
    "note": "n" * 2001,
    "lines": [],
}


async def test_every_wrong_field_is_a_case_with_its_path_and_never_a_failing_task(case: Case) -> None:
    good = build.requisition()
    for field, value in WRONG.items():
        name = f"procure_to_pay/{build.FACILITY}/surgery-app/{build.unique('W')}"
        wrong = json.loads(good.model_dump_json()) | {field: value}
        await case.start_raw(name, json.dumps(wrong).encode())
        parked = await case.parked("data-invalid")
        assert parked.path.split(".")[0] == field, field
        assert case.change().facility == build.FACILITY and case.change().owner == "support"
    assert await case.failed_tasks(case.id) == 0


@pytest.mark.parametrize(
    ("data", "path"),
    [
        (b"not json", "document"),
        (b"", "document"),
        (b"[]", "document"),
        (b'{"lines": 1}', ""),
        (b"\xff\xfe", "document"),
        (b"\xef\xbb\xbf{}", "document"),
    ],
)
async def test_what_is_not_a_requisition_at_all_is_a_case_too(case: Case, data: bytes, path: str) -> None:
    await case.start_raw(f"procure_to_pay/{build.FACILITY}/surgery-app/{build.unique('W')}", data)
    parked = await case.parked("data-invalid")
    assert parked.path == path or not path
    assert {"correct", "cancel", "reject"} <= set(parked.verbs)
    await case.decide("cancel", reason="a test of somebody's")
    assert (await case.result()).business_state == "cancelled"


@pytest.mark.parametrize("count", [0, 2, 3])
async def test_too_few_or_too_many_arguments_are_a_case_too(case: Case, count: int) -> None:
    name = f"procure_to_pay/{build.FACILITY}/surgery-app/{build.unique('W')}"
    await case.start_with(name, [b'{"a": 1}', b"not json", b"{}"][:count])
    parked = await case.parked("data-invalid")
    assert f"{count} arguments" in parked.reason
    assert await case.failed_tasks(name) == 0


async def test_another_encoding_is_a_case_too(case: Case) -> None:
    await case.start_raw(
        f"procure_to_pay/{build.FACILITY}/surgery-app/{build.unique('W')}", b"x", encoding="binary/plain"
    )
    assert (await case.parked("data-invalid")).path == "encoding"


async def test_the_right_requisition_takes_the_place_of_a_malformed_start_of_its_number(case: Case) -> None:
    good = build.requisition(build.line("1", "ITM-1001", "1 BX"))
    await case.start_raw(good.case_id, b'{"facility": "NGH"}')
    await case.parked("data-invalid")
    await case.signal("look_again", {})  # nothing has come: it goes on waiting
    data = good.model_dump_json().encode()
    message = (await case.cases.journal.keep(NewMessage(door="rest", data=data, key=good.number))).message.id
    await case.cases.announce(good.case_id, content_hash(good), message)
    await case.signal("look_again", {})
    order = await case.order()
    assert order.requisition == good.case_id
    assert await case.failed_tasks(good.case_id) == 0
    await case.shows("superseded by what came under its number")
    states = {kept.id: kept.state for kept in case.cases.journal.messages.values()}
    assert states.pop(message) == "routed" and set(states.values()) == {"dead"}


async def test_an_unreadable_requisition_is_replaced_by_a_whole_one_and_goes_through(case: Case) -> None:
    good = build.requisition(build.line("1", "ITM-1001", "1 BX"))
    await case.start_raw(good.case_id, b"{}")
    await case.parked("data-invalid")
    other = build.requisition()
    kind, why = await case.refused("correct", correction=Correction(requisition=other))
    assert kind == "Malformed" and case.id in why
    assert (await case.refused("correct", correction=Correction(cost_centre="CC-4100")))[0] == "Malformed"
    await case.decide("correct", correction=Correction(requisition=good))
    await case.order()
    assert case.change().summary.startswith(f"requisition {good.number}")


async def test_a_start_under_a_wrong_name_needs_a_person(case: Case) -> None:
    good = build.requisition()
    await case.start_raw(f"my-own-name-{good.number}", good.model_dump_json().encode())
    parked = await case.parked()
    assert good.case_id in parked.reason and case.change().facility == build.FACILITY
    await case.decide("cancel", reason="wrong name")
    assert (await case.result()).business_state == "cancelled"


async def test_the_same_requisition_again_ends_at_once_and_names_the_first(case: Case) -> None:
    requisition = build.requisition(build.line("1", "ITM-1004", "1 BX"))
    await case.start(requisition)
    await case.parked()
    await case.decide("cancel", reason="no")
    await case.result()
    before = len(case.cases.changes)
    await case.start(requisition)
    status = await case.result()
    assert (status.business_state, status.next_action) == ("duplicate", f"see {requisition.case_id}")
    assert len(case.cases.changes) == before


async def test_other_content_under_the_same_number_is_a_conflict_for_a_person(case: Case) -> None:
    requisition = build.requisition(build.line("1", "ITM-1004", "1 BX"))
    await case.start(requisition)
    await case.parked()
    await case.decide("cancel", reason="no")
    await case.result()
    await case.start(requisition.changed(note="another"))
    assert (await case.result()).business_state == "conflict"
    assert [one.case for one in case.cases.unmatched.values()] == [requisition.case_id]


async def test_a_case_on_hold_goes_no_further_until_resumed(case: Case) -> None:
    await case.start(build.requisition(build.line("1", "ITM-9999", "1 BX")))
    await case.parked("unknown-code")
    await case.decide("hold", by="E-FIN")
    await case.until("on hold")
    await case.decide("correct", correction=build.correction(lines=(LineCorrection(line="1", item="ITM-1001"),)))
    await case.until("on hold")
    assert case.placed() == []
    assert (await case.refused("hold"))[0] == "NotOpen"
    await case.decide("resume", by="E-FIN")
    await case.order()
    assert (await case.refused("hold"))[0] == "NotOpen", "what is ordered is held order by order"


def test_a_correction_changes_what_it_names_and_nothing_else() -> None:
    before = build.requisition(
        build.line("1", "ITM-1001", "3 BX"), build.line("2", "ITM-1002", "1 BX", supplier="BOREAL")
    )
    change = build.correction(
        cost_centre="CC-4200",
        lines=(LineCorrection(line="1", quantity=build.each("4", "BX")), LineCorrection(line="2", item="ITM-1003")),
    )
    after = corrected(before, change, before.case_id)
    assert (after.cost_centre, after.number, after.requester) == ("CC-4200", before.number, before.requester)
    assert after.lines[0] == before.lines[0].changed(quantity=build.each("4", "BX"))
    assert (after.lines[1].item, after.lines[1].supplier) == ("ITM-1003", None), (
        "another item is sold by whoever sells it"
    )


def test_a_correction_that_removes_every_line_is_refused() -> None:
    before = build.requisition()
    with pytest.raises(ApplicationError, match="after the correction"):
        corrected(before, build.correction(lines=(LineCorrection(line="1", remove=True),)), before.case_id)


@pytest.mark.parametrize("change", [None, Correction(), Correction(cost_centre="CC-4200")])
def test_nothing_readable_is_not_corrected_in_part(change: Correction | None) -> None:
    with pytest.raises(ApplicationError):
        corrected(None, change, "procure_to_pay/NGH/surgery-app/1")
