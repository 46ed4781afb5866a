"""From the frame to what it means: orders start their cases, unknown codes wait to be corrected, catalogues are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pytest

from canonical.catalogue import MasterFile
from canonical.errors import Unavailable
from canonical.purchasing import Requisition
from canonical.senders import Mapping
from canonical.steps import ClaimRequest
from gateway.master_files import MasterFiles
from gateway.registry import HL7_FEEDS
from tests.formats.x12_files import sample as x12_sample
from tests.gateway.files_house import House as Mailboxes
from tests.gateway.hl7_house import WARD, House, head, house, order, text

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
BEDS = WARD.changed(
    kinds=("OMS^O05", "MFN^*"), department="surgery", cost_centre="CC-4100", deliver_to="NGH-W3", requester="E-1001"
)


@dataclass
class Report:
    """What a comparison came to."""

    compared: int = 3
    unknown: int = 1
    differ: tuple[str, ...] = ("one",)


@dataclass
class FakeDrifts:
    """Notes what is held against the register."""

    files: list[tuple[MasterFile, str, date]] = field(default_factory=list)

    async def compare(self, file: MasterFile, message: str, as_of: date) -> Report:
        self.files.append((file, message, as_of))
        return Report()


async def ward() -> tuple[House, FakeDrifts]:
    at, drifts = await house(BEDS), FakeDrifts()
    at.feeds = {kind: feed for (_, kind), feed in HL7_FEEDS.items()}
    at.takers[MasterFile] = MasterFiles(at.intake, drifts, clock=lambda: NOW).take
    return at, drifts


async def sent(at: House, message: bytes) -> None:
    assert (await at.answer(message)).accepted
    await at.router().once()


async def test_a_departments_order_starts_its_requisition_and_sent_again_starts_nothing() -> None:
    at, _ = await ward()
    await sent(at, order())
    await sent(at, order())
    ((case, data),) = at.engine.started
    requisition = Requisition.model_validate_json(data)
    assert case == requisition.case_id == "procure_to_pay/NGH/ward-desk/REQ-1"
    assert (requisition.lines[0].item, str(requisition.lines[0].quantity)) == ("ITM-1", "4 BX")
    assert (at.journal.kept().state, at.journal.kept().case, at.journal.kept().kind) == ("routed", case, "OMS^O05")


async def test_a_malformed_run_that_stands_under_its_number_takes_the_order_and_the_router_goes_on() -> None:
    at, _ = await ward()
    name = "procure_to_pay/NGH/ward-desk/REQ-1"
    malformed = ClaimRequest(case=name, run="run-0", data=b"{}", as_of=NOW)
    assert (await at.cases.claim(malformed)).outcome == "unreadable"
    at.engine.open.add(name)
    await sent(at, order())
    assert at.engine.told_to_look == [name] and at.journal.kept().state == "validated"
    taken = await at.cases.claim(malformed)  # it looks again
    assert taken.outcome == "claimed" and taken.requisition is not None and taken.requisition.number == "REQ-1"
    at.now += 300
    await at.router().once()
    assert at.journal.kept().state == "routed"


def two_orders(control: str = "W-1") -> bytes:
    """One message that asks for two requisitions."""
    rqd = "RQD|1|ITM-1^Glove^NGH||ITM-1^Glove^NGH|4|BX^Box^L"
    return text(head(control), "PID|1||900001^^^NGH^MR||TEST^A", "ORC|NW|REQ-1", rqd, "ORC|NW|REQ-2", rqd)


async def test_a_message_for_two_requisitions_is_routed_only_once_both_have_begun(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at, _ = await ward()
    start, asked = at.engine.start_requisition, []

    async def only_the_first(case: str, data: bytes, *, trace: str = "") -> str:
        asked.append(case)
        if len(asked) > 1:
            raise Unavailable("Temporal does not answer", system="temporal")
        run = await start(case, data, trace=trace)
        await at.cases.claim(ClaimRequest(case=case, run=run, data=data, as_of=NOW))  # as the case's first step does
        return run

    with monkeypatch.context() as away:
        away.setattr(at.engine, "start_requisition", only_the_first)
        await sent(at, two_orders())
    assert len(asked) == 2 and at.journal.kept().state == "validated", (
        "the router dies or waits here: it is taken again"
    )
    at.now += 300
    await at.router().once()
    assert [case.rpartition("/")[2] for case, _ in at.engine.started] == ["REQ-1", "REQ-2"]
    assert at.journal.kept().state == "routed"


async def test_a_requisition_that_is_refused_takes_no_other_of_its_message_with_it() -> None:
    at, _ = await ward()
    await sent(at, order("W-1", quantity="9"))
    await sent(at, two_orders("W-2"))
    assert [case.rpartition("/")[2] for case, _ in at.engine.started] == ["REQ-1", "REQ-2"]
    assert at.journal.kept("W-2").state == "refused" and "REQ-1" in at.journal.kept("W-2").reason
    (listed,) = at.cases.unmatched.values()
    assert (listed.kind, listed.number) == ("requisition", "REQ-1")


async def test_an_unknown_code_is_a_dead_letter_with_an_owner_and_goes_on_once_the_table_has_it() -> None:
    at, _ = await ward()
    at.register.tables = [Mapping(sender="WARD", table="item", rows={"OTHER": "ITM-9"})]
    await at.directory.refresh()
    await sent(at, order())
    kept = at.journal.kept()
    assert kept.state == "dead" and "RQD-4: no item for code ITM-1 of sender WARD" in kept.reason
    (row,) = at.cases.unmatched.values()
    assert "Ward integration" in row.reason and at.engine.started == []
    at.register.tables = [Mapping(sender="WARD", table="item", rows={"ITM-1": "ITM-1001"})]
    await at.journal.mark(kept.id, "received", reason="replayed")
    await at.journal.unpark(kept.stream)
    await at.directory.refresh()
    await at.router().once()
    ((_, data),) = at.engine.started
    assert Requisition.model_validate_json(data).lines[0].item == "ITM-1001"
    assert at.journal.kept().state == "routed"


async def test_a_cancel_is_left_to_a_person_and_nothing_starts_or_ends() -> None:
    at, _ = await ward()
    await sent(at, order("W-1"))
    await sent(at, order("W-2").replace(b"ORC|NW|", b"ORC|CA|"))
    assert len(at.engine.started) == 1 and at.engine.decided == []
    kept = at.journal.kept("W-2")
    assert kept.state == "dead" and "CA asks to cancel requisition REQ-1 of ward-desk" in kept.reason


async def test_an_item_file_is_compared_as_of_today_and_its_bad_rows_are_listed_once() -> None:
    at, drifts = await ward()
    rows = ("MFE|MUP|r1|20261201|A|CE", "ITM|ITM-1|Gloves", "MFE|MUP|r2|20261201|B|CE", "ITM|no code|Masks")
    message = text(head("F-1", "MFN^M16^MFN_M16", version="2.6"), "MFI|INV||UPD|||AL", *rows)
    await sent(at, message)
    ((file, name, day),) = drifts.files
    kept = at.journal.kept("F-1")
    assert ([entry.item for entry in file.entries], name, day) == (["ITM-1"], kept.id, NOW.date())
    (bad,) = at.cases.unmatched.values()
    assert (bad.kind, bad.number, bad.facility, bad.message) == ("catalogue_row", "r2", "NGH", kept.id)
    assert kept.state == "routed" and "ITM(2)-1" in bad.reason
    await at.journal.mark(kept.id, "received", reason="replayed")
    await at.router().once()
    assert len(at.cases.unmatched) == 1 and len(drifts.files) == 2


async def test_a_suppliers_catalogue_is_answered_compared_and_its_three_bad_rows_are_listed() -> None:
    at, drifts = Mailboxes(), FakeDrifts()
    at.door._master_files = MasterFiles(at.intake, drifts, clock=lambda: NOW)
    await at.leave(x12_sample("832_three_bad_rows"))
    ((file, _, _),) = drifts.files
    assert (len(file.entries), file.facility, file.source) == (3, None, "ALPINE")
    rows = [row for row in at.cases.unmatched.values() if row.kind == "catalogue_row"]
    assert sorted(row.number for row in rows) == ["3", "4", "5"]
    (kept,) = at.received()
    assert kept.state == "routed" and "3 rows could not be read" in kept.reason
    ((_, document),) = at.answers()[0].documents
    codes = {one.name: one for one in document.segments}
    assert (codes["AK5"][1], codes["AK9"][1]) == ("E", "E")
