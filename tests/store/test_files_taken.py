"""A file in a watched folder, on our own database: kept, its rows held against the register, the bad ones found in the lists."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.folders.local import LocalFolder
from canonical.folders import FileSource
from canonical.parties import Facility, Supplier
from canonical.senders import Mapping, Sender
from gateway.csv_files import CsvFiles
from gateway.folders import FolderDoor
from gateway.intake import Intake
from gateway.master_files import MasterFiles
from store.arrivals import StoredArrivals
from store.authority import ERP, HOSPITAL
from store.cases import StoredCases
from store.drift import StoredDrift
from store.journal import StoredJournal
from store.marks import StoredMarks
from store.queries import StoredQueries
from store.query_models import MessageQuery
from store.register import StoredRegister
from tests import build
from tests.gateway.csv_house import REQUISITIONS, WARD
from tests.gateway.fakes import FakeEngine
from workers.loops.folder_watch import FolderResults, FolderWatch
from workers.loops.pace import turns

BAD = b"""item,catalogue_number,unit,base_units,order_unit,price
ITM-1001,ALP-9999,BX,100,BX,18.75
ITM-7777,ALP-7777,EA,,,1.00
ITM-1001,ALP-1,BX,100,BX,eighteen
ITM-1001,ALP-1,BX
,,BX,100,BX,1
"""


class House:
    """Our own database behind the watching of one folder, and an engine that notes what is started."""

    def __init__(self, engine: AsyncEngine, place: Path) -> None:
        self.register, self.journal = StoredRegister(engine), StoredJournal(engine)
        self.cases, self.temporal = StoredCases(engine, b"seal"), FakeEngine()
        self.drift, self.queries = StoredDrift(engine, self.register), StoredQueries(engine)
        self.intake = Intake(self.journal, self.cases, self.temporal)
        results = FolderResults(self.register, LocalFolder)
        self.files = files = CsvFiles(
            self.intake, self.register, MasterFiles(self.intake, self.drift), results, results
        )
        door = FolderDoor(self.intake, files, StoredArrivals(engine))
        self.watch = FolderWatch(
            self.register,
            LocalFolder,
            door,
            turns(engine),
            today=lambda: date(2026, 11, 21),
            looked=StoredMarks(engine).beat,
        )
        self.place = place

    async def knows(self, *sources: FileSource) -> None:
        await self.register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
        await self.register.load("supplier", [Supplier(code="ALPINE", name="Alpine")], ERP)
        await self.register.load("item", [build.item("ITM-1001")], ERP, "NGH")
        senders = [Sender(code="ALPINE", facility="NGH", dialect="file", owner="purchasing"), WARD]
        await self.register.load("sender", senders, HOSPITAL)
        await self.register.load("file_source", sources, HOSPITAL)

    async def states(self, kind: str) -> list[str]:
        return sorted(one.state for one in (await self.queries.messages(MessageQuery(kind=kind), limit=50)).messages)


def source(place: Path, **fields: str) -> FileSource:
    about = {"code": "IN", "sender": "ALPINE", "feed": "catalogue", "complete": "rename", "path": str(place)}
    return FileSource.model_validate(about | fields)


async def test_a_catalogue_with_three_bad_rows_is_taken_in_part(engine: AsyncEngine, tmp_path: Path) -> None:
    house = House(engine, tmp_path)
    await house.knows(source(tmp_path))
    for _ in range(2):  # the second time it is the same file
        (tmp_path / "catalogue.csv").write_bytes(BAD)
        await house.watch.once()
    differ = {(row.code, row.field): row.theirs for row in await house.drift.rows("NGH")}
    assert differ["ITM-1001", "suppliers.ALPINE.catalogue_number"] == "ALP-9999"
    assert differ["ITM-7777", "exists"] == "ITM-7777"
    assert await house.states("csv_catalogue") == ["routed"]
    assert await house.states("csv_catalogue_rows") == ["dead"] * 3
    listed = await house.cases.unmatched()
    assert [(one.kind, one.number, one.supplier, one.facility) for one in listed] == [
        ("catalogue_row", f"row {number}", "ALPINE", "NGH") for number in (4, 5, 6)
    ]
    result = (tmp_path / "results" / "catalogue.result.csv").read_text()
    assert "2 of 5 rows taken, 3 refused" in result and result.count("refused,") == 3
    assert sorted(one.name for one in (tmp_path / "archive" / "2026-11-21").iterdir()) == [
        "catalogue.csv",
        "catalogue.csv.1",
    ]


async def test_requisitions_start_once_and_a_row_with_an_unknown_code_is_taken_after_its_table_has_it(
    engine: AsyncEngine, tmp_path: Path
) -> None:
    house = House(engine, tmp_path)
    await house.knows(source(tmp_path, sender="WARD-FILES", feed="requisitions"))
    table = Mapping(sender="WARD-FILES", table="item", rows={"ITM-1001": "ITM-1", "ITM-1003": "ITM-3"})
    await house.register.load("mapping", [table], HOSPITAL)
    (tmp_path / "asked.csv").write_bytes(REQUISITIONS)
    await house.watch.once()
    assert [case.rpartition("/")[2] for case, _ in house.temporal.started] == ["R-1"]
    (row,) = (await house.queries.messages(MessageQuery(kind="csv_requisitions_rows"), limit=5)).messages
    assert row.state == "dead" and "ITM-1002" in row.reason
    mended = table.changed(rows={**table.rows, "ITM-1002": "ITM-2"})
    await house.register.load("mapping", [mended], HOSPITAL)
    apart = await house.journal.read(row.id)
    assert apart is not None
    await house.intake.route(apart)
    assert [case.rpartition("/")[2] for case, _ in house.temporal.started] == ["R-1", "R-2"]
    assert await house.states("csv_requisitions_rows") == ["routed"]
    assert await house.states("requisition") == ["routed", "routed"]
