"""Previews of what is no order by HL7: rows of files that were set apart, answers to messages of ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from canonical.messages import Kept
from canonical.replays import CONFLICT, DONE, NEW, NOT_REPLAYED, UNREADABLE, Preview
from canonical.senders import Mapping
from canonical.steps import ClaimRequest
from gateway.directory import Directory
from gateway.folders import SPOILT
from gateway.preview import Previewer
from gateway.reading import Reader
from tests.gateway.csv_house import CATALOGUE, NOW, REQUISITIONS, SUPPLIER, House
from tests.gateway.hl7_house import WARD, head, house, text
from tests.workers.test_replaying import Foresight, nobody, previewer


async def told(house: House, *messages: Kept) -> list[Preview]:
    foresight = Foresight(cast(Any, house))
    reader = Reader(Directory(house))
    return await Previewer(reader, foresight, house.cases, nobody, house.intake.routes).preview(messages)


async def test_rows_set_apart_are_read_as_their_replay_would_read_them() -> None:
    house = House()
    table = Mapping(sender="WARD-FILES", table="item", rows={"ITM-1001": "ITM-1", "ITM-1003": "ITM-3"})
    house.tables = [table]
    await house.taken(REQUISITIONS, "requisitions")
    (apart,) = house.of_kind("csv_requisitions_rows")
    (before,) = await told(house, apart)
    assert before.outcome == UNREADABLE and "no item for code ITM-1002" in before.detail
    house.tables = [table.changed(rows={**table.rows, "ITM-1002": "ITM-2"})]
    (after,) = await told(house, apart)
    assert after.outcome == NEW and "a case would start" in after.detail and after.cases[0].endswith("/R-2")
    assert [asked.number for asked in house.started] == ["R-1"], "a preview starts nothing"


async def test_a_row_of_a_catalogue_is_held_against_the_register_or_says_what_is_wrong_with_it() -> None:
    house = House()
    title, row, *_ = CATALOGUE.splitlines(keepends=True)
    at = title.strip().split(b",").index(b"price")
    cells = row.strip().split(b",")
    bad = b",".join([*cells[:at], b"twelve", *cells[at + 1 :]])
    await house.taken(title + row + bad)
    (apart,) = house.of_kind("csv_catalogue_rows")
    (before,) = await told(house, apart)
    assert before.outcome == UNREADABLE and before.detail == "row 2 price: this is no number like 12.50"
    (after,) = await told(house, apart.model_copy(update={"data": title + row}))
    assert after.outcome == DONE and "the register's lists know all of it" in after.detail


async def test_a_file_is_previewed_row_by_row_with_how_many_come_to_what() -> None:
    house = House()
    known = Mapping(sender="WARD-FILES", table="item", rows={"ITM-1001": "ITM-1", "ITM-1003": "ITM-3"})
    house.tables = [known]
    whole = await house.taken(REQUISITIONS + b"R-3,1,ITM-1001,2,BX,\n", "requisitions")
    for case, began in house.engine.started[:1]:
        await house.cases.claim(ClaimRequest(case=case, run="run-1", data=began, as_of=NOW))
    other = house.cases.claims["procure_to_pay/NGH/ward-desk/R-3"]
    house.cases.claims["procure_to_pay/NGH/ward-desk/R-3"] = replace(other, hash="other")
    (before,) = await told(house, whole)
    assert (before.outcome, before.counts) == (CONFLICT, {DONE: 1, CONFLICT: 1, UNREADABLE: 1})
    assert [(one.row, one.outcome) for one in before.rows] == [(3, UNREADABLE), (5, CONFLICT)]
    assert "no item for code ITM-1002" in before.rows[0].detail and "known with other content" in before.rows[1].detail
    house.tables = [known.changed(rows={**known.rows, "ITM-1002": "ITM-2"})]
    (after,) = await told(house, whole)
    assert after.outcome == NEW and after.counts == {NEW: 1, DONE: 1, CONFLICT: 1}
    assert after.cases[0].endswith("/R-2") and any("R-2" in one.path for one in after.differences)
    assert [asked.number for asked in house.started] == ["R-1", "R-3"], "a preview starts nothing"


async def test_of_a_large_file_all_rows_are_counted_and_the_first_shown() -> None:
    house = House()
    rows = b"".join(b"R-%d,1,ITM-1001,1,BX,\n" % number for number in range(250))
    message = await house.kept(REQUISITIONS.splitlines(keepends=True)[0] + rows, "requisitions")
    (said,) = await told(house, message)
    assert said.counts == {NEW: 250} and [one.row for one in said.rows] == list(range(2, 102))
    assert "250 new effect; the first 100 are shown" in said.detail and len(said.differences) <= 500


async def test_a_file_one_bad_row_refuses_whole_is_said_to_be_refused_and_a_spoilt_one_never_read() -> None:
    house = House(SUPPLIER.changed(bad_rows="refuse all"))
    whole = await house.taken(CATALOGUE.replace(b"18.75", b"much"))
    (said,) = await told(house, whole)
    assert said.outcome == UNREADABLE and said.counts == {UNREADABLE: 1, NOT_REPLAYED: 2}
    (cut,) = await told(house, whole.model_copy(update={"data": b"H,1,2026-11-21\n" + CATALOGUE}))
    assert cut.outcome == UNREADABLE and "cut off" in cut.detail
    (spoilt,) = await told(house, whole.model_copy(update={"reason": f"{SPOILT}: it was spoilt on its way"}))
    assert spoilt.outcome == NOT_REPLAYED and "spoilt" in spoilt.detail


async def test_an_answer_to_a_message_of_ours_is_said_to_be_credited_and_not_to_be_for_nobody() -> None:
    at = await house(WARD.changed(reply_channel="OUT"))
    assert (await at.answer(text(head("W-9", "ACK"), "MSA|AE|OURS-1"))).accepted
    (kept,) = [one for one in at.journal.messages.values() if one.kind == "ACK"]
    for state, outcome in (("refused", NEW), ("routed", DONE)):
        (said,) = await previewer(at).preview([kept.model_copy(update={"state": state})])
        assert said.outcome == outcome and "credited" in said.detail
