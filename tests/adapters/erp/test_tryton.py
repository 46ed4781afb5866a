"""The Tryton adapter against a real Tryton: the suite, and what only a real server can show: lost and late answers."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial

import httpx
import pytest

from adapters.erp.tryton.erp import TrytonErp
from canonical.errors import Rejected, Unavailable
from canonical.ports import Erp
from canonical.purchasing import GoodsReturn, ReceivedLine
from demo.erp_acts import ErpPeople
from tests.adapters.erp.build import DAY, FACILITY, a_change, a_payment, a_posting, an_order, line_change, posted_line
from tests.adapters.erp.conftest import RunningErp
from tests.adapters.erp.contract import ErpContract
from tests.adapters.erp.contract_common import People, states, until_answered
from tests.adapters.erp.lines import Connect, UnreliableLine
from tests.build import each

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]

# A request that arrives while we ask again already is the harder case; test_no_document_is_doubled_* has both in `make test` too.
HARDER = [
    pytest.param(None, id="answer lost", marks=pytest.mark.prove),
    pytest.param(0.1, id="committed after our time-out"),
]


# What is owed less a memo and a discount in both; each by itself, which the fake shows in `make test`, in Tryton by `make prove`.
NETTED = [
    pytest.param("8.40", "0", marks=pytest.mark.prove),
    pytest.param("0", "2.00", marks=pytest.mark.prove),
    pytest.param("8.40", "2.00"),
]


class TestTrytonErp(ErpContract):
    @pytest.mark.parametrize(("memo", "discount"), NETTED)
    async def test_an_invoice_paid_net_is_taken_back_whole_once_the_bank_has_refused(
        self, erp: Erp, people: People, memo: str, discount: str
    ) -> None:
        await super().test_an_invoice_paid_net_is_taken_back_whole_once_the_bank_has_refused(
            erp, people, memo, discount
        )

    @pytest.fixture
    def erp(self, signed_in: TrytonErp) -> TrytonErp:
        return signed_in

    @pytest.fixture
    def people(self, running_erp: RunningErp) -> ErpPeople:
        return running_erp.people


@pytest.mark.parametrize("late", [None, 0.1], ids=["answer lost", "committed after our time-out"])
async def test_no_document_is_doubled_when_every_change_loses_its_answer(
    running_erp: RunningErp, over: Connect, late: float | None
) -> None:
    people, line, order = running_erp.people, UnreliableLine(late), an_order()
    erp = over(line, running_erp.access)
    await until_answered(lambda: erp.create_purchase_order(order))
    change = a_change(order, line_change(order, "1.a", "12", "8.60"))
    await until_answered(lambda: erp.change_purchase_order(change))
    await line.quiet()
    people.receive(order.number)
    short = a_posting(order, posted_line(order, "1.a", "12", "11"), posted_line(order, "2"), memo="8.40")
    await until_answered(lambda: erp.post_invoice(short))
    await until_answered(lambda: erp.pay_invoice(a_payment(short, discount="2.00")))
    back = (ReceivedLine(line="2", item="ITM-1005", quantity=each("1", "BX")),)
    goods = GoodsReturn(order=order, lines=back, returned_on=DAY)
    await until_answered(lambda: erp.return_goods(goods))
    await line.quiet()
    assert people.bank_confirms(order.number) == 1

    held = people.documents(order.number)
    assert held.counts() == {
        "purchases": 1,
        "receipts": 1,
        "returns": 1,
        "invoices": 1,
        "credit_notes": 3,  # debit memo, discount, and the draft for what went back
        "payments": 1,
    }
    assert held.received == {"ITM-1001": 12, "ITM-1005": 4}
    assert [one.state for one in held.invoices] == ["paid"]
    assert "model.purchase.purchase.create" in line.lost


@pytest.mark.parametrize("late", HARDER)
async def test_an_order_is_taken_back_whole_when_every_change_loses_its_answer(
    running_erp: RunningErp, over: Connect, late: float | None
) -> None:
    line, order = UnreliableLine(late), an_order()
    erp = over(line, running_erp.access)
    await until_answered(lambda: erp.create_purchase_order(order))
    posting = a_posting(order)
    await until_answered(lambda: erp.post_invoice(posting))
    await until_answered(lambda: erp.cancel_invoice(posting))
    await until_answered(lambda: erp.cancel_purchase_order(a_change(order, cancel=True)))
    await line.quiet()
    found = await erp.purchase_order(FACILITY, order.number)
    assert states(found.invoices) == [("erp_invoice", "cancelled")]
    assert running_erp.people.orders()[order.number] == 1
    assert running_erp.people.documents(order.number).ordered == {"ITM-1001": 0, "ITM-1005": 0}


@pytest.mark.parametrize("late", HARDER)
async def test_an_invoice_netted_is_paid_whole_or_taken_back_when_every_change_loses_its_answer(
    running_erp: RunningErp, over: Connect, late: float | None
) -> None:
    people, line, orders = running_erp.people, UnreliableLine(late), (an_order(), an_order())
    erp, short = over(line, running_erp.access), {}
    for order in orders:
        await until_answered(partial(erp.create_purchase_order, order))
        short[order.number] = a_posting(order, posted_line(order, "1.a", "10", "9"), memo="8.40")
        await until_answered(partial(erp.post_invoice, short[order.number]))
        await until_answered(partial(erp.pay_invoice, a_payment(short[order.number], discount="2.00")))
        await line.quiet()
        assert people.bank_refuses(order.number) == 1
    paid, back = (short[order.number] for order in orders)
    await until_answered(lambda: erp.pay_invoice(a_payment(paid, attempt=2)))
    await until_answered(lambda: erp.cancel_invoice(back))
    await line.quiet()
    assert people.bank_confirms(orders[0].number) == 1
    found = [states((await erp.purchase_order(FACILITY, order.number)).invoices) for order in orders]
    assert found[0] == [("erp_credit_note", "cancelled"), ("erp_debit_memo", "paid"), ("erp_invoice", "paid")]
    assert found[1] == [(kind, "cancelled") for kind in ("erp_credit_note", "erp_debit_memo", "erp_invoice")]
    assert "wizard.account.move.cancel.execute" in line.lost


async def test_a_create_held_up_until_after_the_cancellation_makes_no_order(
    running_erp: RunningErp, over: Connect
) -> None:
    line, order = UnreliableLine(late=1.5), an_order()
    slow, quick = over(line, running_erp.access), over(httpx.AsyncHTTPTransport(), running_erp.access)
    with pytest.raises(Unavailable):
        await slow.create_purchase_order(order)
    await quick.cancel_purchase_order(a_change(order, cancel=True))
    await line.quiet()
    (held,) = running_erp.people.documents(order.number).purchases
    assert held.state == "cancelled"


async def test_a_dropped_session_is_opened_again_and_a_wrong_password_is_tried_once(
    running_erp: RunningErp, over: Connect
) -> None:
    asked: list[str] = []

    async def note(request: httpx.Request) -> None:
        asked.append(json.loads(request.content)["method"])

    erp = over(httpx.AsyncHTTPTransport(), running_erp.access)
    erp._client.event_hooks["request"] = [note]
    await erp.purchase_order(FACILITY, "PO-NEVER")
    await erp._records.rpc._post("common.db.logout", [], erp._records.rpc._ticket)
    await erp.purchase_order(FACILITY, "PO-NEVER")
    assert asked.count("common.db.login") == 2

    stranger = over(httpx.AsyncHTTPTransport(), replace(running_erp.access, password="not this one"))
    with pytest.raises(Rejected, match=r"password|credentials") as refused:
        await stranger.purchase_order(FACILITY, "PO-NEVER")
    assert running_erp.access.password not in str(refused.value)
    assert "not this one" not in repr(running_erp.access)


async def test_an_erp_that_is_down_is_unavailable_and_not_a_refusal(running_erp: RunningErp, over: Connect) -> None:
    erp = over(httpx.AsyncHTTPTransport(), replace(running_erp.access, url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        await erp.create_purchase_order(an_order())


async def test_the_platform_may_do_its_own_work_in_the_erp_and_no_more(signed_in: TrytonErp) -> None:
    rpc = signed_in._records.rpc
    (account,) = await rpc.search("bank.account.number", [["account.owners.code", "=", "ALPINE"]], ["number"])
    with pytest.raises(Rejected):
        await rpc.write("bank.account.number", [account["id"]], {"number": "mine"})
    (item,) = await rpc.search("product.product", [["code", "=", "ITM-1001"]], ["template"])
    with pytest.raises(Rejected):
        await rpc.write("product.template", [item["template"]], {"purchasable": False})
    with pytest.raises(Rejected):
        await rpc.create("res.user", {"name": "x", "login": "x"})


async def test_the_erp_keeps_a_new_bank_account_from_nobody(running_erp: RunningErp, signed_in: TrytonErp) -> None:
    async def print_of(code: str) -> str:
        return {one.code: one.bank_fingerprint for one in (await signed_in.master_data(FACILITY)).suppliers}[code]

    before = await print_of("BOREAL")
    running_erp.people.change_bank_account("BOREAL", "BOR-999999999")
    assert await print_of("BOREAL") not in ("", before)
