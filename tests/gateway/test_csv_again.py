"""What is taken after all, by its own replay or with its file, waits for nobody any more; one process at a time works on a file."""

from __future__ import annotations

import asyncio
import codecs
from typing import Any

import pytest

from canonical.errors import Unavailable
from canonical.folders import FileStanding
from canonical.senders import Mapping
from gateway import csv_work
from gateway.csv_work import OwnWork, working
from tests.gateway.csv_house import CATALOGUE, REQUISITIONS, WARD, House

ITEMS = {"ITM-1001": "ITM-1", "ITM-1003": "ITM-3"}
KNOWN = Mapping(sender="WARD-FILES", table="item", rows={**ITEMS, "ITM-1002": "ITM-2"})


async def half_taken() -> House:
    """A file of requisitions of which R-2 asks for an item nobody knows."""
    house = House()
    house.tables = [KNOWN.changed(rows=ITEMS)]
    await house.taken(REQUISITIONS, "requisitions")
    assert open_entries(house) == 1
    return house


def open_entries(house: House) -> int:
    return sum(one.state == "open" for one in house.cases.unmatched.values())


async def test_a_row_that_is_taken_after_all_is_on_no_list_any_more() -> None:
    house = await half_taken()
    (apart,) = house.of_kind("csv_requisitions_rows")
    await house.intake.route(apart)
    assert open_entries(house) == 1, "nothing was mended"
    house.tables = [KNOWN]
    await house.intake.route(apart)
    assert house.now(apart).state == "routed" and open_entries(house) == 0


async def test_a_row_taken_with_its_file_is_routed_with_its_case_and_on_no_list_any_more() -> None:
    house = await half_taken()
    (whole,), (apart,) = house.of_kind("csv_requisitions"), house.of_kind("csv_requisitions_rows")
    house.tables = [KNOWN]
    await house.intake.route(whole)
    assert house.now(apart).state == "routed" and house.now(apart).case.endswith("/R-2")
    assert [asked.number for asked in house.started] == ["R-1", "R-2"] and open_entries(house) == 0


@pytest.mark.parametrize("state", ["corrected", "skipped"])
async def test_a_row_somebody_dealt_with_is_not_taken_once_more_with_its_file(state: str) -> None:
    house = await half_taken()
    (whole,), (apart,) = house.of_kind("csv_requisitions"), house.of_kind("csv_requisitions_rows")
    await house.journal.mark(apart.id, state, reason="by a person")
    house.tables = [KNOWN]
    await house.intake.route(whole)
    assert [asked.number for asked in house.started] == ["R-1"] and house.now(apart).state == state


async def test_a_file_that_was_refused_whole_is_on_no_list_once_it_is_taken() -> None:
    house = House()
    house.policies["IN"] = "refuse all"
    message = await house.taken(CATALOGUE.replace(b"18.75", b"much"))
    assert open_entries(house) == 1
    house.policies["IN"] = "apart"
    await house.intake.route(message)
    (left,) = [one for one in house.cases.unmatched.values() if one.state == "open"]
    assert left.kind == "catalogue_row", "the bad row alone"


async def test_rows_set_apart_have_their_senders_owner() -> None:
    house = House()
    await house.taken(CATALOGUE.replace(b"18.75", b"much"))
    (apart,) = house.of_kind("csv_catalogue_rows")
    assert (apart.state, apart.owner) == ("dead", "purchasing")


async def test_of_several_who_come_to_a_file_one_works_on_it_and_says_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gateway.csv_files.ENTRIES_AT_ONCE", 1)
    monkeypatch.setattr(csv_work, "OFTEN", 0.0)
    house = House()
    message = await house.kept(CATALOGUE)
    compare, seen = house.drifts.compare, []

    async def slow(*args: Any) -> Any:
        seen.append(await house.files.standing(message.id))
        assert not await house.intake.route(message), "the sweep, or a repeat, comes by"
        return await compare(*args)

    monkeypatch.setattr(house.drifts, "compare", slow)
    assert await house.intake.route(message)
    assert seen == [FileStanding(rows=3, done=done) for done in (0, 1, 2)]
    assert house.drifts.rows == ["2", "3", "4"] and await house.files.standing(message.id) is None


async def test_who_lost_a_file_goes_no_further_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    work = OwnWork()

    async def lost(message: str, standing: FileStanding) -> bool:
        return False

    monkeypatch.setattr(work, "going", lost)
    with pytest.raises(Unavailable, match="another process"):
        async with working(work, "m-1") as ours:
            await ours.step(rows=3)
    assert await work.claim("m-1"), "and it is given back however the work ends"


async def test_signs_of_life_come_while_one_step_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_work, "BEAT", 0.01)
    work, signs = OwnWork(), []

    async def noted(message: str, standing: FileStanding) -> bool:
        signs.append(standing)
        return True

    monkeypatch.setattr(work, "going", noted)
    async with working(work, "m-1"):
        async with asyncio.timeout(60):
            while len(signs) <= 2:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("encoding", "mark", "character_set"), [("utf-16-le", codecs.BOM_UTF16_LE, ""), ("cp1252", b"", "cp1252")]
)
async def test_a_row_set_apart_is_given_back_in_its_senders_encoding_and_read_again_in_it(
    encoding: str, mark: bytes, character_set: str
) -> None:
    house = House(WARD.changed(character_set=character_set))
    house.tables = [KNOWN.changed(rows=ITEMS)]
    text = REQUISITIONS.decode().replace("R-2,1,ITM-1002,1,BX,", "R-2,1,ITM-1002,1,BX,f\u00fcr Montag")
    await house.taken(mark + text.encode(encoding), "requisitions")
    (apart,) = house.of_kind("csv_requisitions_rows")
    title, _, row, *_ = text.splitlines(keepends=True)
    assert apart.data == mark + (title + row).encode(encoding)
    house.tables = [KNOWN]
    await house.intake.route(apart)
    assert [asked.note for asked in house.started] == ["for Monday", "f\u00fcr Montag"]


async def test_rows_in_an_unnamed_character_set_are_taken_once_it_is_named() -> None:
    house = House(WARD)
    await house.taken(REQUISITIONS.replace(b"for Monday", b"f\xfcr Montag"), "requisitions")
    (apart,) = house.of_kind("csv_requisitions_rows")
    assert apart.state == "dead" and b"f\xfcr Montag" in apart.data
    house.rows = [WARD.changed(character_set="windows-1252")]
    await house.intake.route(apart)
    assert house.now(apart).state == "routed" and house.started[-1].note == "f\u00fcr Montag"


async def test_a_file_taken_again_finds_the_rows_it_set_apart_however_they_were_written_then() -> None:
    house = await half_taken()
    (whole,), (apart,) = house.of_kind("csv_requisitions"), house.of_kind("csv_requisitions_rows")
    house.journal.messages[apart.id] = apart.model_copy(
        update={"data": apart.data + b"\r\n", "hash": "of a version before"}
    )
    await house.intake.route(whole)
    assert len(house.of_kind("csv_requisitions_rows")) == 1 and open_entries(house) == 1
