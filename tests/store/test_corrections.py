"""What is not HL7 is corrected in the same way: a new version, the original as it came, its sender answered as before."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import FasciaError
from canonical.messages import Kept
from canonical.replays import NEW, UNREADABLE
from tests.formats.x12_files import sample
from tests.store.build import put
from tests.store.requisition_desk import Desk, asked
from tests.store.test_replay import ALPINE, ANSWER, House

CASE = "procure_to_pay/NGH/ward-desk/"


@pytest.fixture
async def desk(engine: AsyncEngine, tmp_path: Path) -> Desk:
    made = Desk(engine, tmp_path)
    await made.register()
    return made


@pytest.fixture
async def supplier(engine: AsyncEngine, tmp_path: Path) -> House:
    await put(engine, "partner", "", "ALPINE", ALPINE)
    return House(engine, tmp_path)


async def only(desk: Desk, state: str) -> Kept:
    """The one message of this state."""
    page = await desk.wiring.queries.messages(desk.which(state))
    (row,) = page.messages
    kept = await desk.wiring.journal.read(row.id)
    assert kept is not None
    return kept


# ---- a requisition in JSON -----------------------------------------------------------------------------------------------


async def test_a_refused_requisition_is_corrected_and_its_sender_is_refused_as_the_first_time(desk: Desk) -> None:
    bad = asked("R-1").replace(b'"department"', b'"departement"')
    heard = await desk.post(bad, "k-1")
    assert heard.status_code == 422
    refused = await only(desk, "refused")
    seen = await desk.replays.correct(refused.id, asked("R-1"), "", True)
    assert (seen.outcome, seen.preview.cases, desk.starts.asked) == (NEW, (f"{CASE}R-1",), [])
    done = await desk.replays.correct(refused.id, asked("R-1"), "they meant department", False)
    assert (done.state, done.case, desk.starts.asked) == ("routed", f"{CASE}R-1", [f"{CASE}R-1"])
    version = await desk.wiring.journal.read(done.message)
    assert version is not None and (version.version_of, version.data) == (refused.id, asked("R-1"))
    for _ in range(2):
        again = await desk.post(bad, "k-1")
        assert (again.status_code, again.json()["detail"]) == (422, heard.json()["detail"])
        original = await desk.wiring.journal.read(refused.id)
        assert original is not None and (original.state, original.data) == ("corrected", bad)


async def test_a_requisition_whose_number_is_known_is_corrected_to_a_number_of_its_own(desk: Desk) -> None:
    await desk.post(asked("R-1"), "k-1")
    other = asked("R-1", note="and soon")
    assert (await desk.post(other, "k-2")).status_code == 409
    refused = await only(desk, "refused")
    shown = await desk.replays.preview(refused.id)
    assert [(one.path, one.now) for one in shown.differences] == [("requisition R-1 note", "and soon")]
    with pytest.raises(FasciaError, match="known with other content"):
        await desk.replays.one(refused.id, "", False)
    done = await desk.replays.correct(refused.id, asked("R-2", note="and soon"), "they forgot to count on", False)
    assert (done.state, done.case) == ("routed", f"{CASE}R-2")
    assert [one.state for one in await desk.wiring.cases.unmatched("")] == ["set_aside"]
    assert (await desk.post(other, "k-2")).status_code == 409, "it was refused, and still is"
    assert (await only(desk, "corrected")).id == refused.id


async def test_a_requisition_passed_over_stays_refused_for_its_sender(desk: Desk) -> None:
    bad = asked("R-1", facility="SGH")
    assert (await desk.post(bad, "k-1")).status_code == 403
    await desk.replays.skip((await only(desk, "refused")).id, "not ours", False)
    assert (await desk.post(bad, "k-1")).status_code == 403
    assert (await only(desk, "skipped")).data == bad


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{", "JSON"),
        (asked("R-1", facility="SGH"), "for facility NGH"),
        (asked("R-1", source="elsewhere"), "this key is for ward-desk"),
    ],
)
async def test_a_correction_may_ask_for_nothing_its_sender_may_not(desk: Desk, data: bytes, said: str) -> None:
    await desk.post(asked("R-1").replace(b'"department"', b'"departement"'), "k-1")
    refused = await only(desk, "refused")
    with pytest.raises(FasciaError, match=said):
        await desk.replays.correct(refused.id, data, "x", False)
    assert (await only(desk, "refused")).reason == refused.reason and desk.starts.asked == []


# ---- rows of a file -------------------------------------------------------------------------------------------------------

ROWS = b"number,line,item,quantity,unit\nR-1,1,ITM-1001,%s,BX\n"


async def test_a_row_that_was_set_apart_is_corrected_and_taken_with_its_file(desk: Desk) -> None:
    assert (await desk.upload(ROWS % b"many", "k-1")).status_code == 202
    apart = await only(desk, "dead")
    assert (await desk.replays.correct(apart.id, ROWS % b"several", "", True)).outcome == UNREADABLE
    with pytest.raises(FasciaError, match="first line"):
        await desk.replays.correct(apart.id, b"other," + ROWS % b"4", "x", False)
    assert (await desk.replays.correct(apart.id, ROWS % b"4", "", True)).outcome == NEW
    done = await desk.replays.correct(apart.id, ROWS % b"4", "four, they say", False)
    assert (done.state, done.case) == ("routed", f"{CASE}R-1")
    assert [one.state for one in await desk.wiring.cases.unmatched("")] == ["set_aside"]
    original = await desk.wiring.journal.read(apart.id)
    assert original is not None and (original.state, original.data) == ("corrected", apart.data)


async def test_a_requisition_of_a_file_whose_number_is_known_is_corrected_to_a_number_of_its_own(desk: Desk) -> None:
    await desk.upload(ROWS % b"4", "k-1")
    await desk.upload(ROWS % b"9", "k-2")
    (row,) = await desk.wiring.cases.unmatched()
    assert (row.kind, row.number) == ("requisition", "R-1")
    refused = await desk.wiring.journal.read(row.message)
    assert refused is not None and refused.state == "refused"
    (differs,) = (await desk.replays.preview(row.message)).differences
    assert (differs.path, differs.was, differs.now) == ("requisition R-1 lines.1.quantity", "4 BX", "9 BX")
    mended = refused.data.replace(b'"R-1"', b'"R-2"')
    with pytest.raises(FasciaError, match="for facility NGH"):
        await desk.replays.correct(row.message, mended.replace(b'"NGH"', b'"SGH"'), "x", False)
    assert (await desk.replays.correct(row.message, mended, "a second one", False)).case == f"{CASE}R-2"
    assert await desk.wiring.cases.unmatched() == []


# ---- an X12 interchange --------------------------------------------------------------------------------------------------


async def test_a_refused_interchange_is_corrected_and_its_partner_is_answered_once(supplier: House) -> None:
    await supplier.open_order()
    bad = sample(ANSWER).replace(b"GE*1*101", b"GE*7*101")
    message = await supplier.left(bad)
    refused = await supplier.wiring.journal.read(message)
    assert refused is not None and refused.state == "refused" and len(supplier.mailbox.puts) == 1
    seen = await supplier.correct(message, sample(ANSWER), preview=True)
    assert seen.outcome == NEW and supplier.engine.delivered == []
    done = await supplier.correct(message, sample(ANSWER))
    assert (done.state, len(supplier.engine.delivered)) == ("routed", 1)
    assert len(supplier.mailbox.puts) == 1, "its partner was told no, and sent nothing since"
    await supplier.wiring.mailbox_door.accept(ALPINE, "again.x12", bad)
    assert len(supplier.mailbox.puts) == 2 and len(set(supplier.mailbox.puts)) == 1, "told the same once more"
    original = await supplier.wiring.journal.read(message)
    assert original is not None and (original.state, original.data) == ("corrected", bad)
    assert await supplier.wiring.cases.unmatched() == []


async def test_what_was_no_interchange_at_all_is_corrected_and_answered(supplier: House) -> None:
    await supplier.open_order()
    message = await supplier.left(b"ISA*garbage")
    done = await supplier.correct(message, sample(ANSWER))
    assert (done.state, len(supplier.engine.delivered), len(supplier.mailbox.puts)) == ("routed", 1, 1)
    assert await supplier.wiring.cases.unmatched() == []


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"hello", "ISA"),
        (sample("taught_two_interchanges"), "one interchange, not 2"),
        (sample(ANSWER).replace(b"ALPINEMED ", b"OTHERMED  "), "from ALPINEMED to FASCIANGH"),
    ],
)
async def test_a_correction_is_one_interchange_of_the_same_parties(supplier: House, data: bytes, said: str) -> None:
    message = await supplier.left(b"ISA*garbage")
    with pytest.raises(FasciaError, match=said):
        await supplier.correct(message, data)
    kept = await supplier.wiring.journal.read(message)
    assert kept is not None and kept.state == "dead"
