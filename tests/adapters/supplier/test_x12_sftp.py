"""Orders, changes and remittances as X12 in a real SFTP mailbox: each once, kept before it leaves, and readable by the tables."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

from adapters.sftp import SftpMailbox
from adapters.supplier.x12_sftp import X12SftpSupplier
from canonical.errors import Malformed, Rejected, Unavailable
from canonical.parties import Partner
from formats.x12 import Document, Interchange, check, read
from tests.adapters.sftp_server import Server, sftp_server
from tests.adapters.supplier.contract import SupplierContract
from tests.adapters.supplier.documents import PARTNER, change, order, remittance
from tests.fakes.store import FakeJournal, FakeNumbering
from tests.fakes.supplier import FakeMailbox


@dataclass
class SftpScene:
    """The adapter on a real server."""

    folder: Path
    server: Server
    journal: FakeJournal
    boxes: list[SftpMailbox] = field(default_factory=list)
    again: list[Server] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.partner = self.server.partner
        box = SftpMailbox(self.partner, timeout=60)
        self.boxes.append(box)
        self.channel = X12SftpSupplier(FakeNumbering(), self.journal, lambda _: box)
        self._running: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()

    async def got(self) -> list[str]:
        return sorted(self.server.inbound)

    async def lose_the_next_answer(self) -> None:
        self.server.faults.hang_up_after_rename = 1

    async def go_away(self) -> None:
        await self.server.stop()

    async def come_back(self) -> None:
        ready = asyncio.Event()

        async def run() -> None:
            async with sftp_server(self.folder, port=self.partner.mailbox_port):
                ready.set()
                await self._stop.wait()

        self._running = asyncio.create_task(run())
        await ready.wait()

    async def end(self) -> None:
        for box in self.boxes:
            await box.close()
        self._stop.set()
        if self._running is not None:
            await self._running


class TestX12SftpSupplier(SupplierContract):
    """The whole suite."""

    @pytest.fixture
    async def scene(self, tmp_path: Path) -> AsyncIterator[SftpScene]:
        async with sftp_server(tmp_path) as server:
            found = SftpScene(tmp_path, server, FakeJournal())
            yield found
            await found.end()


@dataclass
class Desk:
    """The adapter with everything around it in memory."""

    partner: Partner = PARTNER
    journal: FakeJournal = field(default_factory=FakeJournal)
    numbering: FakeNumbering = field(default_factory=FakeNumbering)
    mailbox: FakeMailbox = field(default_factory=FakeMailbox)

    @property
    def channel(self) -> X12SftpSupplier:
        return X12SftpSupplier(self.numbering, self.journal, lambda _: self.mailbox)

    def only(self) -> tuple[Interchange, Document]:
        (data,) = self.mailbox.put_files.values()
        (interchange,) = read(data)
        report = check(interchange)
        assert (report.status, report.refused) == ("A", [])
        ((_, document),) = report.accepted
        return interchange, document

    def lines(self) -> list[str]:
        return ["*".join([one.name, *one.elements]) for one in self.only()[1].body]


async def test_an_order_after_use_names_lot_serial_and_procedure_of_its_line() -> None:
    desk, asked = Desk(), order()
    used = asked.lines[0].model_copy(update={"lot": "L-77", "serial": "S*1", "procedure": "8Xk2"})
    await desk.channel.send_order(asked.model_copy(update={"lines": (used,)}), desk.partner)
    assert [line for line in desk.lines() if line.startswith("REF*")][2:] == [
        "REF*CT*CT-77",
        "REF*LT*L-77",
        "REF*SE*S 1",
        "REF*CR*8Xk2",
    ]


async def test_an_order_says_what_to_deliver_where_at_which_price() -> None:
    desk = Desk()
    sent = await desk.channel.send_order(order(), desk.partner)
    interchange, document = desk.only()
    assert (interchange.sender, interchange.receiver) == (("ZZ", "FASCIANGH"), ("ZZ", "ALPINEMED"))
    assert (sent.file, document.control) == (f"850_{interchange.control}.x12", sent.transaction_set)
    assert desk.lines() == [
        "BEG*00*NE*PO-20001**20261102",
        "CUR*BY*USD",
        "REF*CT*CT-77",
        "REF*DP*surgery",
        "ITD*05*3*****30",
        "DTM*002*20261109",
        "N1*BY**92*NGH",
        "N1*ST**92*LOC-SURG",
        "PO1*1*4*BX*18.75**VC*ALP-1001*BP*ITM-1001",
        "PID*F****Glove, nitrile",
        "REF*CT*CT-77",
        "PO1*2*24*EA*0.333333**VC*ALP-1002*BP*ITM-1002",
        "CTT*2",
        "AMT*TT*83",
    ]


async def test_no_person_and_no_reason_leaves_the_house() -> None:
    desk = Desk()
    await desk.channel.send_order(order(), desk.partner)
    await desk.channel.send_change(change(), desk.partner)
    for data in desk.mailbox.put_files.values():
        assert b"E-1001" not in data
        assert b"Doe" not in data


async def test_a_resend_is_marked_as_a_duplicate_and_an_emergency_as_a_rush() -> None:
    desk = Desk()
    await desk.channel.send_order(order().changed(emergency=True), desk.partner, attempt=2)
    assert desk.lines()[0] == "BEG*07*RO*PO-20001**20261102"


async def test_a_change_ends_one_line_and_changes_another() -> None:
    desk = Desk()
    await desk.channel.send_change(change(3), desk.partner)
    lines = desk.lines()
    assert lines[0] == "BCH*04*NE*PO-20001**3*20261102*****20261104"
    assert lines[-3:-1] == [
        "POC*1*DI*4*0*BX*18.75**VC*ALP-1001*BP*ITM-1001",
        "POC*2*CA*12*12*EA*0.35**VC*ALP-1002*BP*ITM-1002",
    ]


async def test_a_cancellation_ends_every_line() -> None:
    desk = Desk()
    await desk.channel.send_change(change(cancel=True), desk.partner)
    lines = desk.lines()
    assert lines[0].startswith("BCH*01*")
    assert [line.split("*")[2] for line in lines if line.startswith("POC")] == ["DI", "DI"]


async def test_a_remittance_says_what_was_paid_billed_and_kept_back() -> None:
    desk = Desk()
    await desk.channel.send_remittance(remittance(), desk.partner)
    assert desk.lines() == [
        "BPR*I*81.34*C*ACH************20261116",
        "TRN*1*PO-20001/INV-7001",
        "CUR*PR*USD",
        "N1*PR**92*NGH",
        "N1*PE**92*ALPINE",
        "ENT*1",
        "RMR*IV*INV-7001**81.34*93*1.66",
        "REF*PO*PO-20001",
        "REF*CM*INV-7001*DEBIT MEMO 10",
        "DTM*003*20261106",
    ]


async def test_the_bytes_are_kept_with_case_and_number_before_they_leave() -> None:
    desk = Desk()
    desk.mailbox.away = True
    with pytest.raises(Unavailable):
        await desk.channel.send_order(order(), desk.partner)
    (kept,) = desk.journal.messages.values()
    assert (kept.direction, kept.state, kept.kind, kept.case) == ("out", "validated", "850", order().case_id)
    desk.mailbox.away = False
    await desk.channel.send_order(order(), desk.partner)
    (sent,) = desk.journal.messages.values()
    assert (sent.state, sent.data) == ("sent", desk.mailbox.put_files[f"850_{kept.control_number}.x12"])
    assert list(desk.numbering.about.values()) == [(order().case_id, "850")]


async def test_what_was_sent_is_not_put_into_the_mailbox_again() -> None:
    desk = Desk()
    await desk.channel.send_order(order(), desk.partner)
    desk.mailbox.put_files.clear()  # the supplier took it
    again = await desk.channel.send_order(order(), desk.partner)
    assert again.already
    assert desk.mailbox.put_files == {}


async def test_a_description_is_made_fit_and_a_number_with_a_separator_is_refused() -> None:
    desk = Desk()
    await desk.channel.send_order(order(description="Gants*stériles ~ M"), desk.partner)
    assert "PID*F****Gants steriles M" in desk.lines()
    broken = order("PO-2")
    line = broken.lines[0].changed(supplier_item="ALP*1")
    with pytest.raises(Malformed) as refused:
        await desk.channel.send_order(broken.changed(lines=(line, *broken.lines[1:])), desk.partner)
    assert refused.value.path.endswith("PO107")
    assert len(desk.mailbox.put_files) == 1


async def test_each_partner_gets_its_own_separators() -> None:
    row = PARTNER.changed(element_separator="|", segment_terminator="^", component_separator=":", line_break=False)
    desk = Desk(partner=row)
    await desk.channel.send_order(order(), row)
    (data,) = desk.mailbox.put_files.values()
    assert data.startswith(b"ISA|00|") and data.endswith(b"^") and b"\n" not in data


class _CrashAfterPut(FakeJournal):
    async def mark(
        self, message: str, state: str, *, reason: str = "", case: str = "", kind: str = "", control_number: str = ""
    ) -> None:
        raise Unavailable("the store went away", system="store")


async def test_a_crash_between_mailbox_and_journal_puts_the_same_file_again() -> None:
    desk = Desk(journal=_CrashAfterPut())
    for _ in range(2):
        with pytest.raises(Unavailable):
            await desk.channel.send_order(order(), desk.partner)
    assert len(desk.mailbox.puts) == 2
    assert len(set(desk.mailbox.puts)) == 1


async def test_a_document_made_again_before_the_first_left_goes_out_with_the_first_ones_bytes() -> None:
    desk = Desk()
    desk.mailbox.away = True
    with pytest.raises(Unavailable):
        await desk.channel.send_order(order(), desk.partner)
    desk.mailbox.away = False
    await desk.channel.send_order(order().changed(ordered_on=date(2026, 11, 3)), desk.partner)
    assert desk.lines()[0] == "BEG*00*NE*PO-20001**20261102"
    assert sorted(kept.state for kept in desk.journal.messages.values()) == ["refused", "sent"]


async def test_the_journal_lists_the_refused_conflict_with_its_reason() -> None:
    desk = Desk()
    await desk.channel.send_order(order(), desk.partner)
    with pytest.raises(Rejected):
        await desk.channel.send_order(order(price="20"), desk.partner)
    first, second = desk.journal.messages.values()
    assert (first.state, second.state) == ("sent", "refused")
    assert first.id in second.reason
