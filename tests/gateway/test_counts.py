"""Counts of stock by file and by any other door: each kept once under its number, one known otherwise left to a person."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from canonical.messages import Kept
from canonical.senders import Mapping, Sender
from canonical.stock import StockCount
from canonical.stock_ports import UsageKept
from gateway.counts import CountTaker
from gateway.csv_files import CsvFiles
from gateway.intake import Conflict
from gateway.master_files import MasterFiles
from tests.gateway.csv_house import NOW, WARD, House

COUNTS = b"""number,location,counted_at,item,lot,quantity,unit
C-1,OR-1,2026-11-21T06:00Z,ITM-1001,,12,BX
C-2,OR-2,2026-11-21,ITM-1001,,0,EA
C-1,OR-1,2026-11-21T06:00Z,ITM-1002,L-1,3.5,
"""


class Inbox:
    """Counts as they were kept, by number."""

    def __init__(self) -> None:
        self.counts: dict[str, StockCount] = {}

    async def keep(self, count: StockCount, message: str, sender: str) -> UsageKept:
        assert message and sender
        known = self.counts.setdefault(count.number, count)
        new = known is count
        return UsageKept(id=count.number, outcome="new" if new else "same" if known == count else "conflict")


class Stores(House):
    """A hospital whose store sends files of counts."""

    def __init__(self, *senders: Sender) -> None:
        super().__init__(*senders)
        self.inbox = Inbox()
        self.taker = CountTaker(self.inbox, self.intake)
        drifts = MasterFiles(self.intake, self.drifts, lambda: NOW)
        self.files = CsvFiles(self.intake, self, drifts, self.results, self, lambda: NOW, counts=self.taker)

    async def file(self, data: bytes, name: str = "counts.csv") -> Kept:
        return await self.taken(data, "counts", name)


async def test_rows_of_one_number_are_one_count_and_the_same_file_again_is_the_same() -> None:
    house = Stores()
    message = await house.file(COUNTS)
    assert message.state == "routed" and "3 of 3 rows taken" in house.result[1]
    first, second = house.inbox.counts.values()
    assert {first.number, second.number} == {"C-1", "C-2"}
    one = house.inbox.counts["C-1"]
    assert (one.facility, one.source, one.location, one.kind) == ("NGH", "ward-desk", "OR-1", "par")
    assert one.counted_at == datetime(2026, 11, 21, 6, tzinfo=UTC)
    assert [(line.item, line.lot, str(line.amount), line.unit) for line in one.lines] == [
        ("ITM-1001", "", "12", "BX"),
        ("ITM-1002", "L-1", "3.5", ""),
    ]
    await house.intake.route(message)
    assert len(house.inbox.counts) == 2


async def test_a_count_known_otherwise_is_refused_and_listed_and_the_others_are_kept() -> None:
    house = Stores()
    await house.file(COUNTS)
    house.results.files.clear()
    await house.file(COUNTS.replace(b",3.5,", b",4.5,").replace(b"C-2", b"C-3"), "again.csv")
    assert set(house.inbox.counts) == {"C-1", "C-2", "C-3"}
    assert house.result[2:4] == [
        f"{row},refused,number,count C-1 of ward-desk is known with other content" for row in (2, 4)
    ]
    (listed,) = house.cases.unmatched.values()
    assert (listed.kind, listed.number) == ("count", "C-1")


async def test_from_another_door_a_count_known_otherwise_is_a_conflict_listed_once() -> None:
    house = Stores()
    message = await house.file(COUNTS)
    one = house.inbox.counts["C-1"]
    assert await house.taker.take(message, WARD, one) == ""
    for _ in range(2):
        with pytest.raises(Conflict, match="count C-1 of ward-desk"):
            await house.taker.take(message, WARD, one.changed(location="OR-9"))
    assert len(house.cases.unmatched) == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ((b",12,", b",-1,"), "row 2 quantity"),
        ((b",12,", b",1.0000001,"), "row 2 quantity"),
        ((b",12,", b",,"), "row 2 quantity"),
        ((b",ITM-1002,L-1", b",ITM-1001,"), "row 4 item"),
        ((b"C-1,OR-1,2026-11-21T06:00Z,ITM-1002", b"C-1,OR-7,2026-11-21T06:00Z,ITM-1002"), "row 4 location"),
        ((b"T06:00Z,ITM-1001", b"T26:00Z,ITM-1001"), "row 4 counted_at"),
        ((b"OR-2", b"OR 2"), "row 3 location"),
        ((b"2026-11-21,ITM", b"soon,ITM"), "row 3 counted_at"),
        ((b",EA", b",a box of many hundred pieces"), "row 3 unit"),
    ],
)
async def test_a_row_that_cannot_be_read_is_set_apart_with_its_count_and_its_place(
    change: tuple[bytes, bytes], place: str
) -> None:
    house = Stores()
    await house.file(COUNTS.replace(*change, 1))
    assert len(house.inbox.counts) == 1
    (apart,) = house.of_kind("csv_counts_rows")
    (listed,) = house.cases.unmatched.values()
    assert (apart.state, listed.kind) == ("dead", "count_row") and listed.reason.startswith(place)


async def test_codes_are_the_senders_and_a_time_without_a_zone_is_where_its_clocks_are() -> None:
    house = Stores(WARD.changed(time_zone="America/Chicago"))
    house.tables = [
        Mapping(sender=WARD.code, table="item", rows={"7": "ITM-7"}),
        Mapping(sender=WARD.code, table="location", rows={"theatre": "OR-1"}),
    ]
    await house.file(b"number,location,counted_at,item,quantity,kind\nC-1,theatre,2026-11-21T06:00,7,1,warehouse\n")
    one = house.inbox.counts["C-1"]
    assert (one.location, one.lines[0].item, one.kind) == ("OR-1", "ITM-7", "warehouse")
    assert one.counted_at.astimezone(UTC) == datetime(2026, 11, 21, 12, tzinfo=UTC)
