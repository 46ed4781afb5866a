"""What our store answers to who holds a thing under a scanner: what it is, what lies there, and what forbids it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.parties import Location
from canonical.scans import Scan
from canonical.senders import Mappings, Sender
from canonical.supply import Item
from canonical.udi import Udi
from gateway.feeds import rest_usage
from gateway.scans import judged
from store.scans import StoredScans
from tests.store.usage_house import House, use, void
from tests.store.usage_stored import StoredStock

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SCREW = Udi(agency="GS1", device="09506000000017")


@pytest.fixture
async def house(engine: AsyncEngine) -> House:
    house = House(StoredStock(engine))
    await house.open()
    return house


@pytest.fixture
def scans(engine: AsyncEngine) -> StoredScans:
    return StoredScans(engine, today=AT.date)


def scan(**fields: Any) -> Scan:
    return Scan.model_validate({"facility": "NGH", "location": "OR-1", "device": SCREW, "at": AT} | fields)


async def test_a_barcode_finds_its_item_and_what_lies_there_the_first_to_expire_first(
    house: House, scans: StoredScans
) -> None:
    await house.stock.opening("OR-1", "SCREW", 5, "L-2", expires=date(2026, 9, 1))
    await house.stock.opening("OR-1", "SCREW", 3, "L-1", expires=date(2026, 5, 1))
    await house.stock.opening("OR-2", "SCREW", 9, "L-3", expires=date(2026, 4, 1))
    found = await scans.facts(scan(lot="L-2"))
    assert found.item is not None and found.item.code == "SCREW"
    assert [(one.lot, one.on_hand) for one in found.holdings] == [("L-1", 3), ("L-2", 5)]
    assert (found.expires, found.location_known, found.recalls, found.used_before) == (date(2026, 9, 1), True, (), "")
    answer = judged(scan(lot="L-2"), found)
    assert not answer.stop and answer.on_hand == 5 and answer.advice is not None and answer.advice.lot == "L-1"


async def test_a_code_counts_before_the_barcode_and_an_unknown_one_leaves_it_to_that(
    house: House, scans: StoredScans
) -> None:
    for code, expected in (("GLOVE", "GLOVE"), ("NOBODY-KNOWS", "SCREW")):
        found = await scans.facts(scan(item=code))
        assert found.item is not None and found.item.code == expected
    assert (await scans.facts(scan(device=None, item="NOBODY-KNOWS"))).item is None
    assert (await scans.facts(scan(location="ATTIC"))).location_known is False


async def test_a_recalled_lot_is_stopped_and_advised_to_nobody(house: House, scans: StoredScans) -> None:
    await house.stock.opening("OR-1", "SCREW", 3, "L1", expires=date(2026, 5, 1))
    await house.stock.opening("OR-1", "SCREW", 3, "L2", expires=date(2026, 9, 1))
    await house.stock.block("SCREW", "L1")
    held = await scans.facts(scan(lot="L1"))
    assert held.recalls == ("Z-1",) and [one.recalled for one in held.holdings] == [True, False]
    told = judged(scan(lot="L1"), held)
    assert told.stop and told.advice is not None and told.advice.lot == "L2"
    other = judged(scan(lot="L2"), await scans.facts(scan(lot="L2")))
    assert not other.stop and other.advice is None


async def test_what_was_stopped_and_is_posted_all_the_same_is_parked_by_the_round(
    house: House, scans: StoredScans
) -> None:
    await house.stock.put(Item(code="PIN", tracking="lot", devices=("04012345000016",)))
    await house.stock.opening("OR-1", "PIN", 9, "L1")
    await house.stock.opening("OR-1", "PIN", 9, "L2")
    await house.stock.block("PIN", "L2")
    sender = Sender(code="SCAN", facility="NGH", dialect="rest", source="orsys")
    barcodes = {"expired": "(01)04012345000016(17)260301(10)L1", "recalled": "(01)04012345000016(10)L2"}
    for reason, barcode in barcodes.items():
        body = json.dumps({"location": "OR-1", "barcode": barcode}).encode()
        (event,) = rest_usage.read(body, reason, AT, sender, Mappings())
        asked = scan(device=event.device, lot=event.lot, expires=event.expires)
        assert [one.code for one in judged(asked, await scans.facts(asked)).reasons] == [reason]
        await house.keep(event)
        await house.round()
        assert await house.state(reason) == ("parked", reason)
    assert await house.total("PIN") == 18


async def test_its_last_day_is_the_facilitys_own(house: House, scans: StoredScans) -> None:
    late = datetime(2026, 3, 3, 4, tzinfo=UTC)  # still the second in Chicago
    for expires, stopped in ((date(2026, 3, 2), False), (date(2026, 3, 1), True)):
        asked = scan(lot="L-1", expires=expires, at=late)
        assert judged(asked, await scans.facts(asked)).stop is stopped


async def test_a_serial_is_used_once_until_that_is_taken_back(house: House, scans: StoredScans) -> None:
    asked = scan(device=None, item="VALVE", serial="S-1")
    await house.stock.opening("OR-1", "VALVE", 1, "V1", "S-1", date(2027, 1, 1))
    assert not judged(asked, await scans.facts(asked)).stop
    await house.keep(use("1", "VALVE", serial="S-1", lot="V1"))
    waiting = await scans.facts(asked)
    assert waiting.used_before == "1", "it was reported, booked or not"
    await house.round()
    assert [one.code for one in judged(asked, await scans.facts(asked)).reasons] == ["serial-used-before"]
    await house.keep(void("2", "1"))
    await house.round()
    assert (await scans.facts(asked)).used_before == ""


async def test_a_serial_is_recalled_by_the_lot_it_lies_in(house: House, scans: StoredScans) -> None:
    await house.stock.opening("OR-1", "VALVE", 1, "V1", "S-1")
    await house.stock.block("VALVE", "V1")
    assert (await scans.facts(scan(device=None, item="VALVE", serial="S-1"))).recalls == ("Z-1",)


async def test_a_serial_that_the_erp_has_as_a_lot_is_neither_advised_once_used_nor_when_recalled(
    house: House, scans: StoredScans
) -> None:
    for number, last in (("S-1", date(2027, 1, 1)), ("S-2", date(2027, 2, 1)), ("S-3", date(2027, 3, 1))):
        await house.stock.opening("OR-1", "VALVE", 1, number, expires=last)
    await house.keep(use("1", "VALVE", serial="S-1"))
    await house.round()
    await house.stock.block("VALVE", serial="S-2")
    asked = scan(device=None, item="VALVE", serial="S-2")
    answer = judged(asked, await scans.facts(asked))
    assert answer.stop and answer.on_hand == 1 and answer.advice is not None and answer.advice.lot == "S-3"
    used = scan(device=None, item="VALVE", serial="S-1")
    assert judged(used, await scans.facts(used)).on_hand == 0


async def test_a_location_that_moved_is_asked_about_where_its_stock_is(house: House, scans: StoredScans) -> None:
    await house.stock.opening("OR-2", "SCREW", 3, "L-1")
    await house.stock.put(Location(code="OLD", facility="NGH", moved_to="OR-2", active=False))
    found = await scans.facts(scan(location="OLD"))
    assert [one.on_hand for one in found.holdings] == [3] and found.location_active


async def test_what_became_of_uses_is_told_by_their_number(house: House, scans: StoredScans) -> None:
    await house.stock.opening("OR-1", "GLOVE", 5)
    await house.keep(use("1"), use("1", "NOBODY", sequence=2))
    await house.round()
    told = await scans.uses("NGH", "orsys", "1")
    assert [(one.sequence, one.state, one.finding) for one in told] == [
        (1, "posted", ""),
        (2, "parked", "unknown-item"),
    ]
    assert told[1].owner == "materials management" and await scans.uses("NGH", "orsys", "2") == []
