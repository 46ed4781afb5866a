"""Every code a supplier may answer with, by the table; no server needed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from canonical.cases import Attention
from canonical.purchasing import AcknowledgedLine, LineAcknowledgement, OrderAcknowledgement, OrderLine, PurchaseOrder
from tests import build
from workflows.acknowledgements import (
    BACK_ORDERED,
    GO_ON,
    LINE_ENDS,
    OTHER_ROUTE,
    TO_DECIDE,
    WAITS,
    Reading,
    end_line,
    take,
)
from workflows.order_state import LineProgress, OrderProgress

HOLD = datetime(2026, 12, 1, 12, tzinfo=UTC)
PACKS = {"ITM-1002": {"EA": 1, "BX": 10}}


def order(**fields: Any) -> OrderProgress:
    lines = tuple(
        OrderLine(
            id=str(number),
            number=number,
            requisition_line=str(number),
            item="ITM-1002",
            supplier_item=f"ALP-{number}",
            quantity=build.each("10", "BX"),
            unit_price=build.usd("120"),
        )
        for number in (1, 2)
    )
    placed = PurchaseOrder(
        facility="NGH",
        number="PO1",
        supplier="ALPINE",
        ship_to="OR-1",
        cost_centre="CC-4100",
        ordered_on=date(2026, 11, 20),
        lines=lines,
        **fields,
    )
    return OrderProgress(order=placed, lines=[LineProgress(line=line) for line in lines])


def said(code: str, *parts: LineAcknowledgement, number: int = 1, **fields: Any) -> AcknowledgedLine:
    return AcknowledgedLine(number=number, acknowledgements=parts or (LineAcknowledgement(code=code),), **fields)


def read(progress: OrderProgress, *lines: AcknowledgedLine, code: str = "AE") -> list[Attention]:
    answer = OrderAcknowledgement(supplier="ALPINE", order="PO1", code=code, lines=lines)
    return Reading(progress, HOLD, PACKS).read(answer)


@pytest.mark.parametrize("code", ["AC", "AD", "AE", "AK", "AT"])
def test_an_order_code_that_goes_on(code: str) -> None:
    progress = order()
    assert read(progress, said("IA"), said("IA", number=2), code=code) == []
    assert [line.state for line in progress.lines] == ["acknowledged", "acknowledged"] and progress.answered


@pytest.mark.parametrize("code", ["RD", "RF", "RJ"])
def test_an_order_code_that_ends_it(code: str) -> None:
    progress = order()
    assert read(progress, code=code) == []
    assert progress.rejected and not any(line.open for line in progress.lines)


def test_an_order_code_that_holds_it_until_the_next_answer() -> None:
    progress = order()
    assert read(progress, code="AH") == [] and progress.hold_until == HOLD
    read(progress, code="AT")
    assert progress.hold_until is None


@pytest.mark.parametrize("code", ["ZZ", "", "at", "AP", "NA"])
def test_an_order_code_nobody_knows_is_parked_and_accepts_nothing(code: str) -> None:
    progress = order()
    (parked,) = read(progress, said("IA"), code=code)
    assert (parked.kind, parked.document) == ("unknown-code", "order") and repr(code) in parked.reason
    assert not any(line.acknowledged for line in progress.lines)


@pytest.mark.parametrize(("code", "accepted"), [("AC", False), ("AD", True), ("AE", True), ("AK", True), ("AT", True)])
def test_a_line_left_out_is_accepted_only_where_the_code_says_so(code: str, accepted: bool) -> None:
    progress = order()
    parked = read(progress, said("IA"), code=code)
    assert progress.lines[1].acknowledged == accepted
    assert [a.kind for a in parked] == ([] if accepted else ["data-missing"])


@pytest.mark.parametrize("code", sorted(GO_ON))
def test_a_line_code_that_goes_on(code: str) -> None:
    progress = order()
    assert read(progress, said(code)) == [] and progress.lines[0].state == "acknowledged"


@pytest.mark.parametrize("code", sorted(TO_DECIDE))
def test_a_line_code_a_person_must_accept_parks_the_line_and_not_the_order(code: str) -> None:
    progress = order()
    (parked,) = read(progress, said(code), said("IA", number=2))
    assert (parked.line, parked.verbs) == ("1", ("accept", "refuse", "cancel")) and f"({code})" in parked.reason
    assert [line.acknowledged for line in progress.lines] == [False, True]


@pytest.mark.parametrize("code", sorted(WAITS))
def test_a_line_code_that_waits_until_a_date(code: str) -> None:
    progress = order()
    assert read(progress, said(code)) == []
    assert (progress.lines[0].waits_until, progress.lines[0].state) == (HOLD, WAITS[code])
    later = said(code, LineAcknowledgement(code=code, dated=date(2026, 12, 9)))
    read(progress, later)
    assert progress.lines[0].waits_until == datetime(2026, 12, 9, tzinfo=UTC)
    never = said(code, LineAcknowledgement(code=code, dated=date(9999, 12, 31)))
    read(progress, never)
    assert progress.lines[0].waits_until == HOLD + timedelta(days=366), (
        "a person is asked after a year, whatever it says"
    )
    read(progress, said("IA"))
    assert progress.lines[0].waits_until is None, "the next answer ends the wait"


@pytest.mark.parametrize("code", sorted(LINE_ENDS))
def test_a_line_code_that_ends_the_line(code: str) -> None:
    progress = order()
    assert read(progress, said(code)) == []
    assert progress.lines[0].ended == f"{LINE_ENDS[code]} by supplier ({code})"
    assert (progress.to_end, progress.lines[1].open) == (["1"], True)


@pytest.mark.parametrize("code", sorted(OTHER_ROUTE))
def test_a_line_code_that_names_another_route_parks_the_line_with_it(code: str) -> None:
    progress = order()
    (parked,) = read(progress, said(code))
    assert OTHER_ROUTE[code] in parked.reason and progress.lines[0].state == OTHER_ROUTE[code]


@pytest.mark.parametrize("code", ["ZZ", "", "ia", "R9", "IX"])
def test_a_line_code_nobody_knows_is_parked_and_accepts_nothing(code: str) -> None:
    progress = order()
    (parked,) = read(progress, said(code))
    assert parked.kind == "unknown-code" and not progress.lines[0].acknowledged


@pytest.mark.parametrize("code", ["DR", *sorted(BACK_ORDERED)])
def test_a_later_date_is_kept_and_checked_against_the_need(code: str) -> None:
    part = LineAcknowledgement(code=code, dated=date(2026, 12, 20))
    progress = order()
    assert read(progress, said(code, part)) == [] and progress.lines[0].expected == date(2026, 12, 20)
    needed = order(needed_by=date(2026, 12, 10))
    (parked,) = read(needed, said(code, part))
    assert "needed by 2026-12-10" in parked.reason
    in_time = order(needed_by=date(2026, 12, 20))
    assert read(in_time, said(code, part)) == []


def test_several_parts_of_a_line_each_count() -> None:
    progress = order()
    parts = (
        LineAcknowledgement(code="IB", quantity=build.each("4", "BX"), dated=date(2026, 12, 9)),
        LineAcknowledgement(code="IA", quantity=build.each("6", "BX")),
    )
    assert read(progress, said("", *parts)) == []
    assert (progress.lines[0].state, progress.lines[0].expected) == ("back-ordered", date(2026, 12, 9))


def test_a_part_refused_cuts_the_line_to_the_rest_once_however_often_it_is_said() -> None:
    progress = order()
    refused = LineAcknowledgement(code="IR", quantity=build.each("4", "BX"))
    line = said("", LineAcknowledgement(code="IA", quantity=build.each("6", "BX")), refused)
    for _ in range(3):
        assert read(progress, line) == []
    assert progress.lines[0].line.quantity == build.each("6", "BX") and not progress.lines[0].ended
    assert progress.to_amend == ["1"]


def test_every_part_refused_ends_the_line() -> None:
    progress = order()
    parts = [LineAcknowledgement(code="IR", quantity=build.each(count, "BX")) for count in ("4", "6")]
    read(progress, said("", *parts))
    assert progress.lines[0].ended


def test_price_and_quantity_changed_together_are_one_decision() -> None:
    progress = order()
    quantity = LineAcknowledgement(code="IQ", quantity=build.each("8", "BX"))
    line = said("", quantity, LineAcknowledgement(code="IP"), unit_price=build.usd("130"), price_unit="BX")
    (parked,) = read(progress, line)
    assert "8 instead of 10" in parked.reason and "130.00 USD instead of 120.00 USD" in parked.reason
    take(progress, progress.lines[0])
    taken = progress.lines[0].line
    assert (taken.unit_price, taken.quantity) == (build.usd("130"), build.each("8", "BX"))
    assert progress.to_amend == ["1"]
    assert read(progress, line) == [], "the same word again is no news"


def test_a_price_per_each_is_compared_with_a_price_per_box() -> None:
    progress = order()
    assert read(progress, said("IA", unit_price=build.usd("12"), price_unit="EA")) == []
    (parked,) = read(progress, said("IP", unit_price=build.usd("12.50"), price_unit="EA"))
    assert "125.00 USD instead of 120.00 USD" in parked.reason
    take(progress, progress.lines[0])
    assert progress.lines[0].line.unit_price == build.usd("125")


def test_an_acceptance_at_a_higher_price_is_a_price_change_whatever_it_calls_itself() -> None:
    progress = order()
    (parked,) = read(progress, said("IA", unit_price=build.usd("121")))
    assert "accepted, but at 121.00 USD" in parked.reason
    assert read(order(), said("IA", unit_price=build.usd("119"))) == []
    (parked,) = read(order(), said("IA", unit_price=build.usd("1"), price_unit="KG"))
    assert "not packed in" in parked.reason


def test_a_substitution_taken_changes_the_catalogue_number() -> None:
    progress = order()
    read(progress, said("IS", LineAcknowledgement(code="IS", supplier_item="ALP-9")))
    assert progress.lines[0].proposal is not None and progress.lines[0].proposal.supplier_item == "ALP-9"
    take(progress, progress.lines[0])
    assert progress.lines[0].line.supplier_item == "ALP-9"


def test_a_line_that_is_not_on_the_order_is_parked() -> None:
    (parked,) = read(order(), said("IA", number=9), said("IA", number=1))
    assert (parked.document, parked.kind) == ("855 line 9", "data-invalid")


def test_a_line_is_found_by_its_catalogue_number_alone() -> None:
    progress = order()
    line = AcknowledgedLine(supplier_item="ALP-2", acknowledgements=(LineAcknowledgement(code="IR"),))
    read(progress, line)
    assert progress.lines[1].ended and not progress.lines[0].ended


def test_an_answer_that_comes_after_the_goods_does_not_undo_them() -> None:
    progress = order()
    progress.lines[0].received, progress.lines[0].state = Decimal(10), "received"
    read(progress, said("IA"), code="AC")
    assert progress.lines[0].state == "received"


def test_a_line_we_end_is_told_to_the_supplier_and_one_he_ends_is_not() -> None:
    progress = order()
    end_line(progress, progress.lines[0], "ended by the buyer", tell_supplier=True)
    end_line(progress, progress.lines[1], "rejected", tell_supplier=False)
    assert progress.to_end == ["1", "860:1", "2"]


def ack(quantity: str, code: str = "IA") -> LineAcknowledgement:
    value, unit = quantity.split()
    return LineAcknowledgement(code=code, quantity=build.each(value, unit))


@pytest.mark.parametrize("code", [*sorted(GO_ON), "DR"])
@pytest.mark.parametrize(
    ("quantity", "taken"),
    [("1 BX", "1"), ("12 BX", "12"), ("9 EA", "0.9"), ("0 BX", ""), ("-2 BX", ""), ("10 CA", "")],
)
def test_an_acceptance_of_another_quantity_than_ordered_is_for_a_person(code: str, quantity: str, taken: str) -> None:
    progress = order()
    (parked,) = read(progress, said("", ack(quantity, code)), said("IA", number=2))
    line = progress.lines[0]
    assert (parked.line, parked.verbs) == ("1", ("accept", "refuse", "cancel"))
    assert parked.reason == f"line 1: accepted, but {quantity} instead of 10 BX" and not line.acknowledged
    assert (line.proposal.quantity if line.proposal else None) == (Decimal(taken) if taken else None)


@pytest.mark.parametrize(
    "parts",
    [
        (ack("10 BX"),),
        (ack("100 EA"),),
        (ack("6 BX"), ack("4 BX", "DR")),
        (ack("6 BX"), ack("4 BX", "IB")),
        (ack("6 BX"), LineAcknowledgement(code="IB")),
        (ack("6 BX"), ack("4 BX", "IR")),
    ],
)
def test_an_acceptance_of_what_was_ordered_in_whatever_parts_goes_on(parts: tuple[LineAcknowledgement, ...]) -> None:
    progress = order()
    assert read(progress, said("", *parts)) == [] and progress.lines[0].acknowledged


def test_more_than_was_ordered_beside_a_back_order_is_for_a_person() -> None:
    (parked,) = read(order(), said("", ack("11 BX"), ack("4 BX", "IB")))
    assert parked.line == "1" and "11 BX instead of 10 BX" in parked.reason


def test_the_quantity_of_the_line_itself_counts_where_its_acceptance_names_none() -> None:
    progress = order()
    (parked,) = read(progress, said("IA", quantity=build.each("7", "BX")))
    assert "7 BX instead of 10 BX" in parked.reason
    take(progress, progress.lines[0])
    assert progress.lines[0].line.quantity == build.each("7", "BX") and progress.to_amend == ["1"]


def test_a_run_of_before_goes_on_as_it_did() -> None:
    progress = order()
    answer = OrderAcknowledgement(supplier="ALPINE", order="PO1", code="AE", lines=(said("", ack("1 BX")),))
    assert Reading(progress, HOLD, PACKS, lambda: False).read(answer) == [] and progress.lines[0].acknowledged
