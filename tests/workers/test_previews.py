"""Previews of what is no order by HL7: rows of files that were set apart, answers to messages of ours."""

from __future__ import annotations

from typing import Any, cast

from canonical.messages import Kept
from canonical.replays import DONE, NEW, UNREADABLE, Preview
from canonical.senders import Mapping
from gateway.directory import Directory
from gateway.preview import Previewer
from gateway.reading import Reader
from tests.gateway.csv_house import CATALOGUE, REQUISITIONS, House
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


async def test_an_answer_to_a_message_of_ours_is_said_to_be_credited_and_not_to_be_for_nobody() -> None:
    at = await house(WARD.changed(reply_channel="OUT"))
    assert (await at.answer(text(head("W-9", "ACK"), "MSA|AE|OURS-1"))).accepted
    (kept,) = [one for one in at.journal.messages.values() if one.kind == "ACK"]
    for state, outcome in (("refused", NEW), ("routed", DONE)):
        (said,) = await previewer(at).preview([kept.model_copy(update={"state": state})])
        assert said.outcome == outcome and "credited" in said.detail
