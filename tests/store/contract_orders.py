"""What our store promises of orders: which may begin, their numbers, budgets and invoices; one suite for it and for its fake."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from canonical.base import Money
from canonical.invoicing import Invoice
from canonical.parties import CostCentre
from canonical.steps import BudgetMove, InvoiceCheck, OpenOrder, OrdersRequest, UnreadOrder
from tests.store.build import NOW, change, invoice, numbered, opened, order, requisition, start
from tests.store.contract_journal import Stores


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount))


def amounts(**groups: str) -> tuple[dict[str, Money], dict[str, str]]:
    """What groups of lines come to, and the hash of the order of each."""
    return {group: usd(amount) for group, amount in groups.items()}, {group: f"hash of {group}" for group in groups}


def _split(number: str) -> OrdersRequest:
    asked = requisition(number)
    return OrdersRequest(case=asked.case_id, requisition=asked, lines=(), currency="USD", dated=NOW.date())


class OrderContract:
    async def test_an_order_is_claimed_once_and_its_budget_committed(self, stores: Stores) -> None:
        await numbered(stores.cases, order())
        ask = OpenOrder(order=order(), run="run-1", as_of=NOW)
        assert (await stores.cases.open_order(ask)).outcome == "claimed"
        assert (await stores.cases.open_order(ask)).outcome == "claimed"
        assert await stores.committed("NGH", "CC-4100") == Money(amount=Decimal("62.50"))
        other = ask.model_copy(update={"run": "run-2"})
        assert (await stores.cases.open_order(other)).outcome == "duplicate"
        changed = other.model_copy(update={"order": order(ship_to="OR-2")})
        assert (await stores.cases.open_order(changed)).outcome == "conflict"

    async def test_a_budget_moves_to_the_latest_word(self, stores: Stores) -> None:
        await opened(stores.cases, order())
        for minutes, amount in ((5, "10"), (3, "40")):
            await stores.cases.move_budget(
                BudgetMove(
                    facility="NGH",
                    cost_centre="CC-4100",
                    order="PO000001",
                    committed=Money(amount=Decimal(amount)),
                    as_of=NOW + timedelta(minutes=minutes),
                )
            )
        await stores.cases.open_order(OpenOrder(order=order(), run="run-1", as_of=NOW + timedelta(hours=1)))
        assert await stores.committed("NGH", "CC-4100") == Money(amount=Decimal(10))
        assert await stores.committed("NGH", "CC-4200") is None

    async def test_a_resumed_order_goes_on(self, stores: Stores) -> None:
        ask = OpenOrder(order=order(), run="run-1", as_of=NOW)
        await opened(stores.cases, order())
        await stores.cases.record(change(order().case_id, 4, process="purchase_order", carried="so far"))
        assert await stores.cases.raise_generation(order().case_id) == 2
        found = await stores.cases.open_order(ask.model_copy(update={"run": "run-2"}))
        assert (found.outcome, found.generation, found.revision, found.carried) == ("resumed", 2, 4, "so far")

    @pytest.mark.parametrize(
        ("how", "why"),
        [
            ({"number": "PO000009"}, "number PO000009 was not given to procure_to_pay/NGH/surgery/R-1"),
            ({"requisition": ""}, "number PO000001 was not given to an order without a requisition"),
            ({"requisition": requisition("R-2").case_id}, "was not given to procure_to_pay/NGH/surgery/R-2"),
            ({"facility": "OTHER"}, "number PO000001 was not given to procure_to_pay/NGH/surgery/R-1"),
            ({"supplier": "BOREAL"}, "PO000001 is not the order that procure_to_pay/NGH/surgery/R-1 made"),
            ({"ship_to": "A\u0142"}, "PO000001 is not the order that procure_to_pay/NGH/surgery/R-1 made"),
        ],
        ids=["another number", "no requisition", "another requisition", "another facility", "supplier", "place"],
    )
    async def test_an_order_no_requisition_made_begins_nothing(
        self, stores: Stores, how: dict[str, str], why: str
    ) -> None:
        await numbered(stores.cases, order())
        await stores.cases.claim(start(requisition("R-2")))
        forged = order().model_copy(update=how)
        ask = OpenOrder(order=forged, run="run-9", as_of=NOW, case=forged.case_id, goes_on=True)
        for _ in range(2):
            found = await stores.cases.open_order(ask)
            assert (found.outcome, found.generation, found.carried) == ("conflict", 1, "") and why in found.reason
        (listed,) = await stores.extra["unmatched"]()
        assert (listed.kind, listed.order, listed.case) == ("order", forged.number, forged.case_id)
        assert why in listed.reason and "nothing was ordered: dismiss it" in listed.reason
        assert await stores.committed("NGH", "CC-4100") == order().amount, "what its requisition reserved"
        assert await stores.cases.order_case(forged.number) is None
        assert (await stores.cases.open_order(OpenOrder(order=order(), run="run-1", as_of=NOW))).outcome == "claimed"

    async def test_a_start_that_cannot_be_read_is_kept_and_listed_once_and_takes_nobodys_place(
        self, stores: Stores
    ) -> None:
        await numbered(stores.cases, order())
        name, sent = order().case_id, b'{"order": \xff\x00}'
        forged = UnreadOrder(case=name, run="run-9", data=sent, reason="order.number\x00: wrong", as_of=NOW)
        for _ in range(2):
            await stores.cases.keep_unread_order(forged)
        (listed,) = await stores.extra["unmatched"]()
        assert (listed.kind, listed.order, listed.facility, listed.case) == ("order", "PO000001", "NGH", name)
        assert listed.reason.startswith("order.number") and "dismiss it" in listed.reason
        kept = await stores.journal.read(listed.message)
        assert kept is not None and (kept.data, kept.state, kept.case) == (sent, "dead", "")
        assert await stores.cases.order_case("PO000001") is None
        assert (await stores.cases.open_order(OpenOrder(order=order(), run="run-1", as_of=NOW))).outcome == "claimed"

    async def test_an_order_under_another_cases_name_begins_nothing(self, stores: Stores) -> None:
        await numbered(stores.cases, order())
        ask = OpenOrder(order=order(), run="run-9", as_of=NOW, case="mine")
        found = await stores.cases.open_order(ask)
        assert found.outcome == "conflict"
        assert found.reason == f"started as mine, but this order's case is {order().case_id}"
        right = ask.model_copy(update={"case": order().case_id})
        assert (await stores.cases.open_order(right)).outcome == "claimed"

    async def test_an_order_of_a_requisition_nobody_claimed_or_that_ended_begins_nothing(self, stores: Stores) -> None:
        ask = OpenOrder(order=order(), run="run-1", as_of=NOW)
        await numbered(stores.cases, order(), claimed=False)
        assert (await stores.cases.open_order(ask)).reason == f"{requisition().case_id} was not claimed"
        await stores.cases.claim(start(requisition()))
        await stores.cases.record(change(requisition().case_id, 1, business_state="refused", closed=True))
        assert (await stores.cases.open_order(ask)).reason == f"{requisition().case_id} is closed"
        await stores.cases.record(change(requisition().case_id, 2, business_state="cancelling"))
        assert (await stores.cases.open_order(ask)).outcome == "claimed", "it is begun, and then taken back"

    async def test_an_order_made_again_is_the_one_that_may_begin(self, stores: Stores) -> None:
        """The step that makes orders may be taken again on another day, when its worker died before it was heard."""
        today = order().model_copy(update={"ordered_on": NOW.date() + timedelta(days=1)})
        await numbered(stores.cases, order())
        await numbered(stores.cases, today)
        ask = OpenOrder(order=order(), run="run-1", as_of=NOW)
        assert (await stores.cases.open_order(ask)).outcome == "conflict"
        assert (await stores.cases.open_order(ask.model_copy(update={"order": today}))).outcome == "claimed"

    async def test_a_number_given_before_contents_were_kept_is_for_the_amount_reserved(self, stores: Stores) -> None:
        await numbered(stores.cases, order(), content="")
        line = order().lines[0]
        dearer = line.model_copy(update={"unit_price": usd("13")})
        ask = OpenOrder(order=order(lines=[dearer]), run="run-1", as_of=NOW)
        assert (await stores.cases.open_order(ask)).outcome == "conflict"
        assert (await opened(stores.cases, order(), content="")).outcome == "claimed"

    async def test_a_run_that_says_it_goes_on_hears_what_was_kept_of_it_and_nothing_else(self, stores: Stores) -> None:
        case = order().case_id
        assert (await opened(stores.cases, order(), goes_on=True)).carried == ""
        await stores.cases.record(change(case, 4, process="purchase_order", carried="so far"))
        ask = OpenOrder(order=order(), run="run-1", as_of=NOW, goes_on=True)
        found = await stores.cases.open_order(ask)
        assert (found.outcome, found.revision, found.carried) == ("claimed", 4, "so far")
        begun_again = await stores.cases.open_order(ask.model_copy(update={"goes_on": False}))
        assert (begun_again.outcome, begun_again.revision, begun_again.carried) == ("claimed", 0, "")
        other = await stores.cases.open_order(ask.model_copy(update={"run": "run-2"}))
        assert (other.outcome, other.carried) == ("duplicate", "")

    async def test_order_numbers_stay_with_their_group(self, stores: Stores) -> None:
        one, two = requisition("R-1"), requisition("R-2")
        ask = [
            OrdersRequest(case=r.case_id, requisition=r, lines=(), currency="USD", dated=NOW.date()) for r in (one, two)
        ]

        async def numbers(of: int, *groups: str) -> list[str]:
            return list((await stores.cases.order_numbers(ask[of], *amounts(**dict.fromkeys(groups, "1")))).numbers)

        assert await numbers(0, "a", "b") == ["PO000001", "PO000002"]
        assert await numbers(1, "a") == ["PO000003"]
        assert await numbers(0, "b", "c", "a") == ["PO000002", "PO000004", "PO000001"]

    async def test_the_last_money_of_a_budget_is_given_once(self, stores: Stores) -> None:
        await stores.budget(CostCentre(code="CC-4100", facility="NGH", budget=usd("100"), actual=usd("20")))
        one, two, three = (_split(number) for number in ("R-1", "R-2", "R-3"))
        assert (await stores.cases.order_numbers(one, *amounts(a="30", b="20"))).numbers
        refused = await stores.cases.order_numbers(two, *amounts(a="50"))
        assert (refused.numbers, refused.budget_left) == ((), usd("30"))
        assert await stores.committed("NGH", "CC-4100") == usd("50")
        again = await stores.cases.order_numbers(one, *amounts(a="30", b="20"))
        assert again.budget_left is None and await stores.committed("NGH", "CC-4100") == usd("50")
        accepted = two.model_copy(update={"above_budget": True})
        assert (await stores.cases.order_numbers(accepted, *amounts(a="50"))).numbers == ("PO000003",)
        assert await stores.committed("NGH", "CC-4100") == usd("100")
        assert (await stores.cases.order_numbers(three, *amounts(a="1"))).budget_left == usd("-20")

    async def test_a_requisition_does_not_meet_its_own_orders_when_it_is_checked_again(self, stores: Stores) -> None:
        await stores.budget(CostCentre(code="CC-4100", facility="NGH", budget=usd("100")))
        ask = _split("R-1")
        await stores.cases.order_numbers(ask, *amounts(a="50"))
        assert await stores.committed("NGH", "CC-4100", ask.case) in (None, usd("0"))
        assert await stores.committed("NGH", "CC-4100", "another") == usd("50")

    async def test_a_requisition_that_ends_without_orders_frees_its_budget(self, stores: Stores) -> None:
        """Its orders were numbered in a step nobody heard of, and then it was cancelled; nothing of it is left in another's way."""
        await stores.budget(CostCentre(code="CC-4100", facility="NGH", budget=usd("100")))
        one, two = _split("R-1"), _split("R-2")
        given = await stores.cases.order_numbers(one, *amounts(a="50", b="30"))
        await stores.cases.record(change(one.case, 1, business_state="ordering"))
        assert await stores.committed("NGH", "CC-4100") == usd("80"), "while it is open"
        await stores.cases.record(change(one.case, 2, business_state="cancelled", closed=True))
        assert await stores.committed("NGH", "CC-4100") == usd("0")
        assert (await stores.cases.order_numbers(two, *amounts(a="90"))).numbers
        again = await stores.cases.order_numbers(one, *amounts(a="50", b="30"))
        assert (again.numbers, again.budget_left) == ((), usd("10")), "it comes back, and the money is another's"
        accepted = one.model_copy(update={"above_budget": True})
        assert await stores.cases.order_numbers(accepted, *amounts(a="50", b="30")) == given
        assert await stores.committed("NGH", "CC-4100") == usd("170")

    async def test_what_an_order_that_has_begun_promises_stays(self, stores: Stores) -> None:
        case = requisition().case_id
        await opened(stores.cases, order())
        await stores.cases.record(change(case, 1, business_state="cancelled", closed=True))
        await stores.cases.order_numbers(_split("R-1"), *amounts(other="7"))
        assert await stores.committed("NGH", "CC-4100") == order().amount + usd("7")

    async def test_a_requisition_corrected_after_it_was_numbered_asks_its_budget_again(self, stores: Stores) -> None:
        await stores.budget(CostCentre(code="CC-4100", facility="NGH", budget=usd("100")))
        one, two = _split("R-1"), _split("R-2")
        given = await stores.cases.order_numbers(one, *amounts(a="50"))
        await stores.cases.order_numbers(two, *amounts(a="30"))
        refused = await stores.cases.order_numbers(one, *amounts(a="80"))
        assert (refused.numbers, refused.budget_left) == ((), usd("70"))
        assert await stores.cases.order_numbers(one, *amounts(a="60")) == given, "the same number"
        assert await stores.committed("NGH", "CC-4100") == usd("90")
        await stores.cases.order_numbers(one, *amounts(b="20"))
        assert await stores.committed("NGH", "CC-4100") == usd("50"), "what is not bought any more is free"

    async def test_a_reply_finds_its_order_as_the_supplier_writes_it(self, stores: Stores) -> None:
        await opened(stores.cases, order())
        find = stores.cases.order_case
        assert await find("po-000001 ", "ALPINE") == order().case_id
        assert await find("PO000001") == order().case_id
        assert await find("PO000001", "BOREAL") is None
        assert await find("PO999999") is None
        assert await find("") is None

    async def test_an_invoice_is_a_duplicate_by_number_date_and_total(self, stores: Stores) -> None:
        async def seen(what: Invoice, case: str, message: str) -> tuple[bool, str]:
            found = await stores.cases.check_invoice(InvoiceCheck(case=case, invoice=what, message=message))
            assert bool(found.reason) == bool(found.first_case)
            return found.duplicate, found.first_case

        assert await seen(invoice(), "a", "m1") == (False, "")
        assert await seen(invoice(), "a", "m1") == (False, "")
        assert await seen(invoice(), "a", "m2") == (True, "a")
        assert await seen(invoice(), "b", "m3") == (True, "a")
        assert await seen(invoice(total="62.51"), "a", "m4") == (False, "a")
        assert await seen(invoice("INV-2"), "b", "m5") == (False, "")
