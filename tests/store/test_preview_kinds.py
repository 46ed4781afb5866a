"""A preview of what comes by other doors: partners' documents, requisitions in JSON, master files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import DocumentRef
from canonical.messages import NewMessage
from canonical.parties import Facility, Location
from canonical.replays import CONFLICT, DONE, NEW, UNREADABLE, Preview
from canonical.steps import ClaimRequest
from cli.again import OurReplays
from tests.formats.x12_files import sample
from tests.gateway.fakes import ORDER_CASE
from tests.gateway.hl7_house import head, text
from tests.store.build import NOW, change, put, requisition
from tests.store.replay_house import ReplayHouse
from tests.store.test_replay import ALPINE, ANSWER, ME, House


@pytest.fixture
async def house(engine: AsyncEngine, tmp_path: Path) -> House:
    await put(engine, "partner", "", "ALPINE", ALPINE)
    return House(engine, tmp_path)


async def told(house: House, message: str) -> Preview:
    return await OurReplays(house.wiring, ME).preview(message)


async def test_a_partners_document_is_new_for_its_order_until_that_has_it(house: House) -> None:
    message = await house.left(sample(ANSWER))
    before = await told(house, message)
    assert before.outcome == DONE and "stays on the list" in before.detail
    await house.open_order()
    there = await told(house, message)
    assert there.outcome == NEW and ORDER_CASE in there.detail and house.engine.delivered == []
    brought = DocumentRef(kind="order_acknowledgement", number="SO-88120", message=message)
    about: dict[str, Any] = {"process": "purchase_order", "supplier": "ALPINE", "documents": (brought,)}
    await house.wiring.cases.record(change(ORDER_CASE, 1, **about))
    assert (await told(house, message)).outcome == DONE
    garbage = await house.left(b"ISA*garbage")
    assert (await told(house, garbage)).outcome == UNREADABLE


async def test_a_requisition_in_json_is_new_then_done_and_another_of_its_number_in_conflict(house: House) -> None:
    wanted = requisition("R-77")
    other = requisition("R-77", cost_centre="CC-9")
    names: list[str] = []
    for one in (wanted, other):
        new = NewMessage(door="rest", data=one.model_dump_json().encode(), kind="requisition", key=f"k-{len(names)}")
        names.append((await house.wiring.journal.keep(new)).message.id)
        await house.wiring.journal.mark(names[-1], "refused", reason="unavailable: not decided")
    assert (await told(house, names[0])).outcome == NEW
    done = await house.replay(names[0])
    data = wanted.model_dump_json().encode()
    await house.wiring.cases.claim(ClaimRequest(case=wanted.case_id, run="run-1", data=data, as_of=NOW))
    assert done.state == "routed" and (await told(house, names[0])).outcome == DONE
    conflict = await told(house, names[1])
    assert conflict.outcome == CONFLICT
    assert [(one.path, one.was, one.now) for one in conflict.differences] == [
        ("requisition R-77 cost_centre", "CC-4100", "CC-9")
    ]


async def test_a_location_file_is_new_where_it_would_list_something_and_done_where_it_is_listed(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    ward = ReplayHouse(engine, tmp_path)
    await ward.register()
    await put(engine, "facility", "NGH", "NGH", Facility(code="NGH"))
    await put(engine, "location", "NGH", "4EAST", Location(code="4EAST", facility="NGH", name="Four east"))
    file = text(
        head("M-1", "MFN^M05^MFN_M05"), "MFI|LOC^Location^HL70175||UPD|||AL", "MFE|MUP|1||4EAST|CE",
        "LOC|4EAST|Four East Renamed|N",
    )  # fmt: skip
    await ward.journal.keep(
        NewMessage(
            door="mllp", data=file, sender="WARD", kind="MFN^M05", control_number="M-1", stream="hl7/WARD/master/LOC"
        )
    )
    message = await ward.message("M-1")
    await ward.journal.mark(message.id, "dead", reason="a bug")
    first = await ward.replays.preview(message.id)
    assert first.outcome == NEW, first.detail
    assert [(one.path, one.was, one.now) for one in first.differences] == [
        ("location 4EAST name", "Four east", "Four East Renamed")
    ]
    assert await ward.wiring.drift.rows() == []
    assert (await ward.replays.one(message.id, "", False)).state == "routed"
    assert len(await ward.wiring.drift.rows()) == 1 and (await ward.replays.preview(message.id)).outcome == DONE
