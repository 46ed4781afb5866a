"""What we write is read by a supplier's own program, and what it writes by our feeds: two codecs that share no line."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from adapters.supplier.x12_sftp import X12SftpSupplier
from canonical.base import Quantity
from canonical.invoicing import Invoice, Remittance
from canonical.parties import Partner
from canonical.purchasing import FunctionalAcknowledgement, OrderAcknowledgement, PurchaseOrder, ShipNotice
from demo.partner_desk import Desk
from demo.partner_mailbox import Mailbox
from demo.partner_script import Behaviour, Trader
from demo.partner_state import state_file
from formats.x12 import Envelope, acknowledge, check, read
from gateway.registry import Noun, read_x12
from tests.adapters.supplier.documents import change, order, remittance
from tests.fakes.store import FakeJournal, FakeNumbering
from tests.fakes.supplier import FakeMailbox


class Trade:
    """Us and the supplier's desk, with its clock in our hand."""

    def __init__(self, home: Path, marks: list[str]) -> None:
        self.now = 1000.0
        element, segment, component = marks
        self.partner = Partner(
            code="ALPINE",
            id="ALPINEMED",
            our_id="FASCIANGH",
            element_separator=element,
            segment_terminator=segment,
            component_separator=component,
        )
        trader = Trader(
            id="ALPINEMED",
            customer="FASCIANGH",
            marks=marks,
            terms=["2", "10", "30"],
            freight=Decimal("12.50"),
            items={"ALP-1001": Behaviour(answer="IB", share=Decimal("0.5"), rest_after=8)},
        )
        self.box, self.ours = Mailbox(home, "ALPINE"), FakeMailbox()
        self.desk = Desk(trader, self.box, state_file(home, "ALPINE"), lambda: self.now)
        self.channel = X12SftpSupplier(FakeNumbering(), FakeJournal(), lambda _: self.ours)
        self._seen: set[str] = set()
        self._answers = 0

    def hand_over(self) -> None:
        """What we put is in the supplier's folder."""
        for name, data in self.ours.put_files.items():
            (self.box.root / "inbound" / name).write_bytes(data)
        self.ours.put_files.clear()

    def hear(self, seconds: float = 40) -> list[Noun]:
        """Let the desk work; everything new it says, read and answered by us."""
        end = self.now + seconds
        while self.now < end:
            self.desk.turn()
            self.now += 0.5
        said: list[Noun] = []
        for path in sorted((self.box.root / "outbound").glob("*.x12"), key=lambda path: path.stat().st_mtime_ns):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            for interchange in read(path.read_bytes()):
                report = check(interchange, versions=("004010",))
                assert report.refused == [], path.name
                for _, document in report.accepted:
                    said += read_x12(interchange, document, self.partner)
                self._answers += 1
                envelope = Envelope.to_partner(self.partner, 900 + self._answers, datetime(2026, 11, 2, tzinfo=UTC))
                answer = acknowledge(report, envelope)
                if answer:
                    (self.box.root / "inbound" / f"997_{900 + self._answers}.x12").write_bytes(answer)
        self.desk.turn()
        return said


@pytest.fixture(params=[["*", "~", ">"], ["|", "^", ":"]], ids=["usual", "other"])
def trade(tmp_path: Path, request: pytest.FixtureRequest) -> Trade:
    return Trade(tmp_path, request.param)


async def test_an_order_is_understood_answered_shipped_and_billed(trade: Trade) -> None:
    sent = await trade.channel.send_order(order(), trade.partner)
    trade.hand_over()
    said = trade.hear()
    functional = [one for one in said if isinstance(one, FunctionalAcknowledgement)]
    assert [(one.control_number, one.code, one.functional_id) for one in functional] == [(sent.group, "A", "PO")]
    (answer,) = [one for one in said if isinstance(one, OrderAcknowledgement)]
    assert (answer.order, answer.code) == ("PO-20001", "AC")
    assert [[ack.code for ack in line.acknowledgements] for line in answer.lines] == [["IA", "IB"], ["IA"]]
    notices = [one for one in said if isinstance(one, ShipNotice)]
    shipped = [line.quantity for notice in notices for line in notice.lines if line.number == 1]
    assert shipped == [Quantity(value=Decimal(2), unit="BX")] * 2
    bills = [one for one in said if isinstance(one, Invoice)]
    billed = sum((line.quantity.value for bill in bills for line in bill.lines if line.number == 1), Decimal(0))
    assert billed == 4
    for bill in bills:
        goods = sum((line.quantity.value * line.unit_price.amount for line in bill.lines), Decimal(0))
        freight = bill.freight.amount if bill.freight else Decimal(0)
        assert bill.total.amount == (goods + freight).quantize(Decimal("0.01"))
        assert (bill.order, bill.discount_percent, bill.discount_days, bill.net_days) == (
            "PO-20001",
            Decimal(2),
            10,
            30,
        )
    heard = [(one.group, one.code) for one in trade.desk.memory.said if one.kind == "997"]
    assert {code for _, code in heard} == {"A"}
    assert {group for group, _ in heard} == {"PR", "SH", "IN"}


async def test_a_change_and_a_cancellation_are_answered(trade: Trade) -> None:
    await trade.channel.send_order(order(), trade.partner)
    trade.hand_over()
    trade.hear(2)
    await trade.channel.send_change(change(1), trade.partner)
    trade.hand_over()
    answers = [one for one in trade.hear(3) if isinstance(one, OrderAcknowledgement) and one.to_change]
    assert [(one.change_sequence, one.code, len(one.lines)) for one in answers] == [("1", "AT", 2)]
    await trade.channel.send_change(change(2, cancel=True), trade.partner)
    trade.hand_over()
    answers = [one for one in trade.hear(3) if isinstance(one, OrderAcknowledgement) and one.to_change]
    assert [one.change_sequence for one in answers] == ["2"]
    assert trade.desk.memory.orders["PO-20001"].cancelled


async def test_a_remittance_tells_the_supplier_which_bill_is_paid(trade: Trade) -> None:
    await trade.channel.send_order(order(), trade.partner)
    trade.hand_over()
    bill = next(one for one in trade.hear() if isinstance(one, Invoice))
    told: Remittance = remittance(bill.number)
    await trade.channel.send_remittance(told, trade.partner)
    trade.hand_over()
    (functional,) = [one for one in trade.hear(3) if isinstance(one, FunctionalAcknowledgement)]
    assert (functional.functional_id, functional.code) == ("RA", "A")
    (paid,) = trade.desk.memory.remitted
    assert (paid.invoice, paid.amount, paid.known) == (bill.number, told.payment.amount.amount, True)


async def test_the_same_order_sent_again_stays_one_order_at_the_supplier(trade: Trade) -> None:
    about: PurchaseOrder = order()
    await trade.channel.send_order(about, trade.partner)
    await trade.channel.send_order(about, trade.partner)
    await trade.channel.send_order(about, trade.partner, attempt=2)
    trade.hand_over()
    said = trade.hear()
    assert len([one for one in said if isinstance(one, OrderAcknowledgement)]) == 1
    assert list(trade.desk.memory.orders) == ["PO-20001"]
