"""Goods a supplier said it will ship: they have a time to come in, whether or not a ship notice tells of them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from canonical.purchasing import AcknowledgedLine, LineAcknowledgement, PurchaseOrder
from tests import build
from tests.workflows.case import Case

DAY = timedelta(days=1)


def on(order: PurchaseOrder, dated: date | None, code: str = "IA", *, line: int = 0) -> AcknowledgedLine:
    part = LineAcknowledgement(code=code, dated=dated)
    return AcknowledgedLine(number=order.lines[line].number, acknowledgements=(part,))


def promise(order: PurchaseOrder, dated: date | None, code: str = "IA") -> Any:
    return build.answer(order, lines=(on(order, dated, code),))


def in_days(count: int) -> date:
    return (datetime.now(UTC) + count * DAY).date()


@pytest.mark.parametrize(
    ("code", "dated", "state"),
    [
        ("IA", None, "acknowledged"),
        ("IA", date(2024, 1, 1), "acknowledged"),
        ("DR", date(2024, 1, 1), "acknowledged"),
        ("IB", None, "back-ordered"),
    ],
)
async def test_goods_that_never_ship_are_asked_about(case: Case, code: str, dated: date | None, state: str) -> None:
    order = await case.approved_order(skipping=True)
    await case.say(order, acknowledgement=promise(order, dated, code))
    await case.until(state, order.case_id)
    assert case.change(order.case_id).due is not None
    await case.skip(15 * DAY, order.case_id)
    parked = await case.parked("timeout", order.case_id)
    said = f" (promised for {dated})" if dated else ""
    assert parked.document == "goods" and parked.reason == f"overdue: the supplier delivers line 1{said}"
    await case.decide("retry", case=order.case_id, document="goods")
    await case.until(state, order.case_id)
    await case.deliver(order)
    assert (await case.result()).business_state == "closed"


@pytest.mark.parametrize("dated", [date(9999, 12, 31), date(2999, 1, 1)])
async def test_goods_promised_for_a_day_nobody_lives_to_see_are_asked_about_after_a_year(
    case: Case, dated: date
) -> None:
    order = await case.approved_order(skipping=True)
    await case.say(order, acknowledgement=promise(order, dated))
    await case.until("acknowledged", order.case_id)
    await case.skip(370 * DAY, order.case_id)
    assert not case.change(order.case_id).attention
    await case.skip(15 * DAY, order.case_id)
    assert (await case.parked("timeout", order.case_id)).document == "goods"


async def test_goods_promised_for_later_are_asked_about_later_and_a_new_promise_moves_the_time(case: Case) -> None:
    order = await case.approved_order(skipping=True)
    sooner, later = in_days(30), in_days(90)  # of one day, though midnight may pass meanwhile
    await case.say(order, acknowledgement=promise(order, sooner))
    await case.until("acknowledged", order.case_id)
    first = case.change(order.case_id).due
    await case.skip(40 * DAY, order.case_id)
    assert not case.change(order.case_id).attention
    await case.skip(10 * DAY, order.case_id)
    assert (await case.parked("timeout", order.case_id)).document == "goods"
    await case.say(order, acknowledgement=promise(order, later))
    await case.until("acknowledged", order.case_id)
    again = case.change(order.case_id).due
    assert first and again and again - first == 60 * DAY and not case.change(order.case_id).attention


async def test_the_rest_of_what_was_partly_received_is_asked_about(case: Case) -> None:
    order = await case.approved_order(skipping=True)
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)
    await case.skip(15 * DAY, order.case_id)
    assert (await case.parked("timeout", order.case_id, document="goods")).verbs == ("retry", "cancel")
    await case.say(order, receipt=build.receipt(order, "6"))
    await case.until("received", order.case_id)
    assert not case.change(order.case_id).attention


async def test_a_line_that_ends_is_not_waited_for(case: Case) -> None:
    order = await case.approved_order(skipping=True)
    await case.say(order, acknowledgement=build.answer(order))
    await case.say(order, receipt=build.receipt(order, "4"))
    await case.until("partly received", order.case_id)
    await case.decide("short_close", case=order.case_id)
    await case.documents(order, "860", 1)
    await case.say(order, acknowledgement=build.answer(order, "AT", to_change=True, change_sequence="2"))
    await case.until("received", order.case_id)
    await case.skip(15 * DAY, order.case_id)
    assert not [one for one in case.change(order.case_id).attention if one.document == "goods"]
