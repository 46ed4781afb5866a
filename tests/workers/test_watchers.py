"""What lies in mailboxes and what changes in the ERP comes in, once, also when a partner, our store or Temporal is away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from canonical.base import content_hash
from canonical.erp_steps import CostCentreActual, ErpChanges
from canonical.errors import Unavailable
from canonical.invoicing import Payment
from canonical.messages import NewMessage
from canonical.parties import CostCentre, Partner, Supplier
from canonical.ports import MasterData
from canonical.purchasing import Receipt
from canonical.steps import SupplierDocument
from gateway.files import FilesDoor
from gateway.intake import ERP_DOCUMENT, Intake
from tests import build
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases, FakeNumbering
from tests.fakes.supplier import FakeMailbox
from tests.formats.x12_files import sample
from tests.gateway.fakes import ORDER, ORDER_CASE, FakeEngine, NotingJournal
from workers.loops.erp_watcher import OVERLAP, ErpWatcher
from workers.loops.mailbox_poller import AGAIN, LARGEST, SETTLES, MailboxPoller
from workers.loops.register_refresh import RegisterRefresh, periods

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


class House:
    """Our own store in memory, an engine, two partners with mailboxes, an ERP that says what it is told to."""

    def __init__(self) -> None:
        self.journal = NotingJournal()
        self.engine = FakeEngine()
        self.engine.open.add(ORDER_CASE)
        numbering = FakeNumbering()
        self.cases = FakeCases(self.journal, numbering=numbering)
        self.cases.orders[ORDER_CASE] = (ORDER.replace("-", ""), "ALPINE")
        self.intake = Intake(self.journal, self.cases, self.engine)
        self.rows = [
            Partner(code="ALPINE", supplier="ALPINE", id="ALPINEMED", our_id="FASCIANGH", mailbox_host="127.0.0.1"),
            Partner(code="BOREAL", supplier="BOREAL", id="BOREALSURG", our_id="FASCIANGH", mailbox_host="127.0.0.1"),
        ]
        self.mailboxes = {row.code: FakeMailbox() for row in self.rows}
        self.now = NOW
        self.door = FilesDoor(self.intake, self.journal, numbering, FakeRegister(*self.rows), self.mailbox_for)
        self.poller = MailboxPoller(self, self.mailbox_for, self.door, clock=lambda: self.now)
        self.changes_ = ErpChanges(until=NOW)
        self.asked: list[datetime] = []
        self.marks: dict[str, datetime] = {}
        self.watcher = ErpWatcher("NGH", self, self.journal, self.intake, self, clock=lambda: NOW)  # type: ignore[arg-type]

    def mailbox_for(self, partner: Partner) -> FakeMailbox:
        return self.mailboxes[partner.code]

    async def partners(self) -> Sequence[Partner]:
        return self.rows

    async def changes(self, facility: str, since: datetime) -> ErpChanges:
        self.asked.append(since)
        return self.changes_

    async def mark(self, name: str) -> datetime | None:
        return self.marks.get(name)

    async def set_mark(self, name: str, at: datetime) -> None:
        self.marks[name] = at

    @property
    def messages(self) -> list[str]:
        return [one.state for one in self.journal.messages.values() if one.direction == "in"]


def received(key: str = "r-1", quantity: str = "5", **fields: object) -> Receipt:
    order = {"facility": "NGH", "order": ORDER, "key": key, "received_at": NOW}
    line = {"line": "1", "item": "ITM-1", "quantity": build.each(quantity)}
    return Receipt.model_validate({**order, "lines": (line,), **fields})


def paid(state: str, **fields: object) -> Payment:
    about = {"facility": "NGH", "order": ORDER, "key": f"{ORDER_CASE}/payment/INV-1", "amount": build.usd("10")}
    return Payment.model_validate({**about, "state": state, "changed_at": NOW, **fields})


# ---- mailboxes ------------------------------------------------------------------------------------------------------


async def test_a_file_is_taken_in_and_moved_out_of_the_way_only_when_it_is_kept() -> None:
    house = House()
    box = house.mailboxes["ALPINE"]
    box.waiting["a.x12"] = sample("855_partly_backordered")
    house.journal.away = True
    await house.poller.once()
    assert (list(box.waiting), box.taken) == (["a.x12"], {})
    house.journal.away = False
    await house.poller.once()
    assert (box.waiting, list(box.taken)) == ({}, ["a.x12"])
    assert house.messages == ["routed"]
    assert len(box.put_files) == 1


async def test_a_file_that_is_still_on_its_way_is_waited_for_and_one_that_stays_cut_is_listed() -> None:
    house, whole = House(), sample("855_partly_backordered")
    box = house.mailboxes["ALPINE"]
    for size in (100, 200, len(whole)):
        box.waiting["a.x12"] = whole[:size]
        await house.poller.once()
        house.now += SETTLES / 2
    assert (house.messages, list(box.taken)) == (["routed"], ["a.x12"])
    box.waiting["b.x12"] = sample("810_freight_and_tax")[:200]
    await house.poller.once()
    assert house.messages == ["routed"] and list(box.waiting) == ["b.x12"]
    house.now += SETTLES
    await house.poller.once()
    assert house.messages == ["routed", "refused"] and not box.waiting


async def test_a_partner_who_is_away_keeps_no_other_waiting() -> None:
    house = House()
    house.mailboxes["BOREAL"].away = True
    house.mailboxes["ALPINE"].waiting["a.x12"] = sample("855_partly_backordered")
    await house.poller.once()
    assert house.messages == ["routed"]


async def test_a_mailbox_that_was_away_is_read_when_it_is_back() -> None:
    house = House()
    box = house.mailboxes["ALPINE"]
    box.waiting["a.x12"] = sample("855_partly_backordered")
    box.away = True
    await house.poller.once()
    box.away = False
    await house.poller.once()
    assert house.messages == ["routed"]


async def test_a_partner_switched_off_is_not_looked_at() -> None:
    house = House()
    house.rows = [house.rows[0].changed(active=False)]
    house.mailboxes["ALPINE"].waiting["a.x12"] = sample("855_partly_backordered")
    await house.poller.once()
    assert house.messages == []


async def test_a_file_too_large_is_left_where_it_is_and_listed_and_the_others_are_read() -> None:
    house = House()
    box = house.mailboxes["ALPINE"]
    box.waiting["a-huge.x12"] = b" " * (LARGEST + 1)
    box.waiting["b.x12"] = sample("855_partly_backordered")
    await house.poller.once()
    await house.poller.once()
    assert list(box.waiting) == ["a-huge.x12"]
    assert sorted(house.messages) == ["dead", "routed"], "the large one is listed once"


async def test_a_file_that_cannot_be_read_or_moved_is_listed_and_keeps_no_other_waiting() -> None:
    house = House()
    box = house.mailboxes["ALPINE"]
    box.waiting |= {"a.x12": b"?", "b.x12": sample("855_partly_backordered"), "c.x12": sample("810_freight_and_tax")}
    box.unreadable.add("a.x12")
    box.unmovable.add("b.x12")
    for _ in range(3):
        await house.poller.once()
    assert list(box.taken) == ["c.x12"], "what comes after them is read"
    listed = [(row.kind, house.journal.messages[row.message].data) for row in house.cases.unmatched.values()]
    assert sorted(listed) == [("mailbox_file", b"a.x12 (1 bytes)"), ("mailbox_file", b"b.x12 (494 bytes)")]
    assert box.puts.count(box.puts[0]) == 1, "an answer is not put again each time the file is looked at"


async def test_a_file_that_was_left_is_tried_again_later_and_is_not_taken_for_another() -> None:
    house = House()
    box = house.mailboxes["ALPINE"]
    box.waiting["b.x12"] = sample("855_partly_backordered")
    box.unmovable.add("b.x12")
    await house.poller.once()
    box.unmovable.clear()
    await house.poller.once()
    assert list(box.waiting) == ["b.x12"], "not every two seconds"
    house.now += AGAIN
    await house.poller.once()
    assert (box.waiting, list(box.taken), len(box.puts)) == ({}, ["b.x12"], 1)


async def test_a_file_at_whose_turn_something_is_always_away_does_not_starve_the_others() -> None:
    house = House()
    box = house.mailboxes["ALPINE"]
    box.waiting |= {"a.x12": sample("855_partly_backordered"), "b.x12": sample("810_freight_and_tax")}

    accept = house.door.accept

    async def away_for_a(partner: Partner, name: str, data: bytes, trace: str = "") -> None:
        if name == "a.x12":
            raise Unavailable("its answer is not in the journal", system="store")
        await accept(partner, name, data, trace)

    house.door.accept = away_for_a  # type: ignore[method-assign]
    await house.poller.once()
    await house.poller.once()
    assert list(box.taken) == ["b.x12"] and list(box.waiting) == ["a.x12"]
    assert not house.cases.unmatched, "it waits; nobody need look"


# ---- the ERP --------------------------------------------------------------------------------------------------------


async def test_a_receipt_becomes_one_signal_however_often_the_erp_reports_it() -> None:
    house = House()
    house.changes_ = ErpChanges(receipts=(received(),), until=NOW)
    await house.watcher.once()
    await house.watcher.once()
    fresh = ErpWatcher("NGH", house, house.journal, house.intake, house)  # type: ignore[arg-type]
    await fresh.once()
    ((case, document),) = house.engine.delivered
    assert case == ORDER_CASE
    assert document.receipt is not None
    (message,) = house.journal.messages.values()
    assert (message.kind, message.state, message.case) == (ERP_DOCUMENT, "routed", ORDER_CASE)
    assert document.message == message.id


async def test_a_receipt_that_changed_is_another_signal() -> None:
    house = House()
    house.changes_ = ErpChanges(receipts=(received(),), until=NOW)
    await house.watcher.once()
    house.changes_ = ErpChanges(receipts=(received(cancelled=True),), until=NOW)
    await house.watcher.once()
    assert [one.receipt.cancelled for _, one in house.engine.delivered if one.receipt] == [False, True]
    assert len({one.key for _, one in house.engine.delivered}) == 2


async def test_a_receipt_taken_back_and_done_again_is_told_again_once() -> None:
    house = House()
    told = [(received(cancelled=gone)) for gone in (False, True, True, False, False, True, False)]
    for receipt in told:
        house.changes_ = ErpChanges(receipts=(receipt,), until=NOW)
        await house.watcher.once()
        await ErpWatcher("NGH", house, house.journal, house.intake, house).once()  # type: ignore[arg-type]
    seen = [(one.receipt.revision, one.receipt.cancelled) for _, one in house.engine.delivered if one.receipt]
    assert seen == [(0, False), (1, True), (2, False), (3, True), (4, False)]
    assert len({one.key for _, one in house.engine.delivered}) == len(seen)


async def test_two_processes_that_watch_by_turns_number_a_receipt_alike() -> None:
    house = House()
    other = ErpWatcher("NGH", house, house.journal, house.intake, house)  # type: ignore[arg-type]
    turns = ((house.watcher, False), (other, True), (house.watcher, False), (other, False), (other, True))
    for watcher, gone in turns:
        house.changes_ = ErpChanges(receipts=(received(cancelled=gone),), until=NOW)
        await watcher.once()
    seen = [(one.receipt.revision, one.receipt.cancelled) for _, one in house.engine.delivered if one.receipt]
    assert seen == [(0, False), (1, True), (2, False), (3, True)]


async def test_a_receipt_told_before_receipts_had_revisions_is_numbered_from_there() -> None:
    house = House()
    for receipt in (received(), received(cancelled=True)):  # as a watcher of before kept them
        document = SupplierDocument(key=f"receipt/r-1/{content_hash(receipt)[:16]}", receipt=receipt)
        data, key = document.model_dump_json(exclude_defaults=True).encode(), f"erp/NGH/{document.key}"
        await house.journal.keep(NewMessage(door="erp", data=data, kind=ERP_DOCUMENT, key=key, sender=f"NGH/{ORDER}"))
    house.changes_ = ErpChanges(receipts=(received(cancelled=True),), until=NOW)
    await house.watcher.once()
    assert len(house.journal.messages) == 2, "it is the one we hold"
    house.changes_ = ErpChanges(receipts=(received(),), until=NOW)
    await house.watcher.once()
    assert [one.receipt.revision for _, one in house.engine.delivered if one.receipt][-1] == 1


async def test_two_receipts_whose_keys_begin_alike_are_numbered_each_for_itself() -> None:
    house = House()
    house.changes_ = ErpChanges(receipts=(received("r-1/x"), received("r-1"), received("r-1/x/y", "6")), until=NOW)
    await house.watcher.once()
    assert [one.receipt.revision for _, one in house.engine.delivered if one.receipt] == [0, 0, 0]


async def test_a_payment_is_told_once_in_each_of_its_states() -> None:
    house = House()
    for state, minutes in (("processing", 0), ("processing", 1), ("succeeded", 2)):
        house.changes_ = ErpChanges(payments=(paid(state, changed_at=NOW + timedelta(minutes=minutes)),), until=NOW)
        await house.watcher.once()
    assert [one.payment.state for _, one in house.engine.delivered if one.payment] == ["processing", "succeeded"]


async def test_a_payment_without_an_order_finds_its_case_by_our_key() -> None:
    house = House()
    house.changes_ = ErpChanges(payments=(paid("succeeded", order=None),), until=NOW)
    await house.watcher.once()
    assert [case for case, _ in house.engine.delivered] == [ORDER_CASE]


async def test_an_order_cancelled_in_the_erp_is_told_to_its_case() -> None:
    house = House()
    house.changes_ = ErpChanges(cancelled_orders=(ORDER,), until=NOW)
    await house.watcher.once()
    ((case, document),) = house.engine.delivered
    assert (case, document.cancelled_in_erp) == (ORDER_CASE, True)


async def test_the_next_question_overlaps_the_one_before() -> None:
    house = House()
    await house.watcher.once()
    assert house.asked[0] < NOW - timedelta(days=1)
    await house.watcher.once()
    assert house.asked[1] == NOW - OVERLAP


async def test_what_our_journal_could_not_keep_is_asked_for_again() -> None:
    house = House()
    house.changes_ = ErpChanges(receipts=(received(),), until=NOW)
    house.journal.away = True
    with pytest.raises(Unavailable):
        await house.watcher.once()
    assert house.marks == {}
    house.journal.away = False
    await house.watcher.once()
    assert len(house.engine.delivered) == 1


async def test_a_receipt_kept_while_temporal_is_away_is_signalled_when_it_is_back() -> None:
    house = House()
    house.changes_ = ErpChanges(receipts=(received(),), until=NOW)
    house.engine.away = True
    await house.watcher.once()
    assert house.marks == {"erp/NGH": NOW}, "it is in the journal: the mark moves on"
    house.engine.away = False
    await house.watcher.once()
    assert len(house.engine.delivered) == 1


async def test_a_receipt_for_no_order_of_ours_waits_for_a_person() -> None:
    house = House()
    house.changes_ = ErpChanges(receipts=(received(order="PO-404"),), until=NOW)
    await house.watcher.once()
    (row,) = house.cases.unmatched.values()
    assert (row.kind, row.order, row.facility) == ("receipt", "PO-404", "NGH")


# ---- the register ---------------------------------------------------------------------------------------------------


class Book:
    """An ERP's books and our register beside them."""

    def __init__(self) -> None:
        self.asked: list[tuple[date, date]] = []
        self.actuals_: list[CostCentreActual] = []
        self.suppliers: list[Supplier] = []

    async def cost_centres(self, facility: str) -> Sequence[CostCentre]:
        return [CostCentre(code="CC-1", facility=facility), CostCentre(code="CC-2", facility=facility)]

    async def actuals(self, facility: str, from_day: date, to_day: date) -> Sequence[CostCentreActual]:
        self.asked.append((from_day, to_day))
        return [CostCentreActual(cost_centre="CC-1", actual=build.usd("12.50"))]

    async def master_data(self, facility: str) -> MasterData:
        return MasterData(suppliers=(Supplier(code="ALPINE", status="blocked", bank_fingerprint="new"),))

    async def take_actuals(self, facility: str, actuals: Sequence[CostCentreActual]) -> None:
        self.actuals_ += actuals

    async def take_suppliers(self, suppliers: Sequence[Supplier]) -> None:
        self.suppliers += suppliers


async def test_what_is_booked_and_who_is_blocked_is_taken_over_from_the_erp() -> None:
    book = Book()
    await RegisterRefresh("NGH", book, book, clock=lambda: NOW).once()  # type: ignore[arg-type]
    assert book.asked == [(date(2026, 1, 1), date(2026, 12, 31))]
    assert [one.actual.amount for one in book.actuals_] == [Decimal("12.50")]
    assert [(one.code, one.status) for one in book.suppliers] == [("ALPINE", "blocked")]


def test_each_budget_period_that_runs_today_is_asked_for_once() -> None:
    def centre(code: str, first: date | None, last: date | None, *, active: bool = True) -> CostCentre:
        return CostCentre(code=code, facility="NGH", period_from=first, period_to=last, active=active)

    fiscal = (date(2026, 7, 1), date(2027, 6, 30))
    rows = [
        centre("A", *fiscal),
        centre("B", *fiscal),
        centre("C", None, None),
        centre("D", date(2025, 1, 1), date(2025, 12, 31)),
        centre("E", date(2026, 10, 1), date(2026, 12, 31), active=False),
    ]
    assert periods(rows, NOW.date()) == [(date(2026, 1, 1), date(2026, 12, 31)), fiscal]
