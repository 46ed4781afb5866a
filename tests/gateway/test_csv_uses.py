"""Files of uses: kept by the door, each row once in our store, bad ones apart, and one known otherwise refused alone."""

from __future__ import annotations

from canonical.messages import Kept
from gateway.csv_files import CsvFiles
from gateway.master_files import MasterFiles
from gateway.usage import UsageTaker
from tests.gateway.csv_house import NOW, House
from tests.gateway.usage_house import PROCEDURES, Inbox

USES = b"""number,item,quantity,unit,used_at
C-1,ITM-1001,2,BX,2026-11-21T08:30Z
C-2,ITM-1002,1,EA,2026-11-21T08:31Z
"""


class Cabinets(House):
    """A hospital whose cabinets send files of uses."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = Inbox()
        taker = UsageTaker(self.inbox, self.intake, PROCEDURES)
        drifts = MasterFiles(self.intake, self.drifts, lambda: NOW)
        self.files = CsvFiles(self.intake, self, drifts, self.results, self, lambda: NOW, uses=taker)

    async def file(self, data: bytes, name: str = "uses.csv") -> Kept:
        return await self.taken(data, "usage", name)


async def test_each_row_of_a_file_is_kept_once_and_the_same_file_again_keeps_nothing() -> None:
    house = Cabinets()
    message = await house.file(USES)
    assert message.state == "routed" and [use.number for use in house.inbox.events] == ["C-1", "C-2"]
    assert {one.message for one in house.inbox.kept.values()} == {message.id}
    assert "2 of 2 rows taken" in house.result[1]
    await house.intake.route(message)
    assert len(house.inbox.kept) == 2


async def test_a_row_known_otherwise_is_refused_and_listed_and_the_others_are_kept() -> None:
    house = Cabinets()
    await house.file(USES)
    house.results.files.clear()
    await house.file(USES.replace(b"C-1,ITM-1001,2", b"C-1,ITM-1001,3").replace(b"C-2", b"C-3"), "again.csv")
    assert [use.number for use in house.inbox.events] == ["C-1", "C-2", "C-3"]
    assert house.result[2] == "2,refused,number,use C-1/1 of ward-desk is known with other content"
    (row,) = house.cases.unmatched.values()
    assert (row.kind, row.number) == ("usage", "C-1")


async def test_a_bad_row_stands_apart_and_is_kept_once_it_is_mended() -> None:
    house = Cabinets()
    await house.file(USES.replace(b"ITM-1002,1,", b"ITM-1002,one,"))
    assert [use.number for use in house.inbox.events] == ["C-1"]
    (apart,) = house.of_kind("csv_usage_rows")
    (row,) = house.cases.unmatched.values()
    assert (apart.state, row.kind, row.number) == ("dead", "usage_row", "row 3")
    mended = apart.model_copy(update={"data": apart.data.replace(b"one", b"1"), "state": "received"})
    house.journal.messages[apart.id] = mended
    assert await house.intake.route(mended)
    assert house.now(apart).state == "routed" and len(house.inbox.kept) == 2


async def test_a_large_file_is_kept_in_lots_of_one_transaction_each() -> None:
    house = Cabinets()
    rows = [f"N-{number},ITM-1,1,EA,2026-11-21".encode() for number in range(1200)]
    await house.file(b"\n".join([b"number,item,quantity,unit,used_at", *rows]))
    assert [len(call) for call in house.inbox.calls] == [500, 500, 200]


async def test_while_our_store_is_away_a_file_waits_whole() -> None:
    house = Cabinets()
    house.inbox.away = True
    message = await house.file(USES)
    assert message.state == "received" and house.inbox.kept == {}
    house.inbox.away = False
    await house.intake.route(message)
    assert house.now(message).state == "routed" and len(house.inbox.kept) == 2
