"""Of several processes that come to one file of rows, one works on it; who is silent for too long has lost it."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.folders import FileStanding
from canonical.messages import Kept, NewMessage
from gateway.csv_files import CsvFiles
from store import file_work
from store.file_work import StoredFileWork
from tests.gateway.csv_house import CATALOGUE
from tests.store.test_files_taken import House, source


async def test_a_file_is_one_process_at_a_time_and_anybody_sees_how_far_it_is(engine: AsyncEngine) -> None:
    ours, theirs = StoredFileWork(engine), StoredFileWork(engine)
    assert sorted(await asyncio.gather(*(one.claim("m-1") for one in (ours, theirs, ours, theirs)))).count(True) == 1
    holder, other = (ours, theirs) if await ours.going("m-1", FileStanding(rows=9, done=4)) else (theirs, ours)
    await holder.going("m-1", FileStanding(rows=9, done=4))
    assert not await other.going("m-1", FileStanding(rows=1, done=1)) and not await holder.claim("m-1")
    assert await other.standing("m-1") == FileStanding(rows=9, done=4) and await other.standing("m-2") is None
    await other.release("m-1")
    assert not await other.claim("m-1"), "it was not theirs to give back"
    await holder.release("m-1")
    assert await other.claim("m-1") and await other.standing("m-1") == FileStanding()


async def test_a_file_of_a_process_that_is_silent_is_anybodys_and_its_own_no_more(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = StoredFileWork(engine), StoredFileWork(engine)
    assert await ours.claim("m-1")
    monkeypatch.setattr(file_work, "SILENT", timedelta(0))
    assert await theirs.standing("m-1") is None and await theirs.claim("m-1")
    assert not await ours.going("m-1", FileStanding(rows=1))


async def test_two_workers_and_a_sweep_that_come_to_one_file_hold_it_against_the_register_once(
    engine: AsyncEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[int] = []
    others_came = asyncio.Event()
    houses = [House(engine, tmp_path) for _ in range(3)]
    await houses[0].knows(source(tmp_path))
    for house in houses:
        files: CsvFiles = house.files
        files._work = StoredFileWork(engine)
        compare = house.drift.compare

        async def slow(file: Any, message: str, as_of: Any, compare: Any = compare) -> Any:
            compared.append(len(file.entries))
            await others_came.wait()
            return await compare(file, message, as_of)

        monkeypatch.setattr(house.drift, "compare", slow)
    new = NewMessage(door="rest", data=CATALOGUE, sender="ALPINE", kind="csv_catalogue", key="rest/ALPINE/k-1")
    message: Kept = (await houses[0].journal.keep(new)).message
    routes = [asyncio.create_task(house.intake.route(message)) for house in houses]
    async with asyncio.timeout(60):
        while sum(one.done() for one in routes) < 2:
            await asyncio.sleep(0.01)
    others_came.set()
    done = await asyncio.gather(*routes)
    assert sorted(done) == [False, False, True] and compared == [3]
    assert await houses[0].states("csv_catalogue") == ["routed"]
