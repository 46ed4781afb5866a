"""Usage and stock in our own database, under what a day brings: doubled, out of order, at once, and killed in every step."""

from __future__ import annotations

import asyncio
import random
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.stock import RoundRefusal
from canonical.usage import UsageEvent
from store.acts import StoredActs
from store.database import transaction
from store.recall_blocks import recalled
from store.usage import StoredUsage
from store.usage_rounds import StoredUsageBook
from store.usage_tables import recall_blocks, stock_balances, stock_movements
from tests.store.usage_house import NOW, House, level, round_, use, void
from tests.store.usage_stored import StoredStock


@pytest.fixture
async def stock(engine: AsyncEngine) -> StoredStock:
    return StoredStock(engine)


@pytest.fixture
async def house(stock: StoredStock) -> House:
    house = House(stock)
    await house.open()
    return house


async def whole_sum(engine: AsyncEngine) -> None:
    """Every balance is the sum of its movements, and nothing is reserved by a round that is over."""
    places = ("facility", "location", "item", "lot", "serial")
    names = ", ".join(places)
    async with transaction(engine) as connection:
        wrong = await connection.execute(
            text(f"""
            SELECT {names}, b.on_hand, m.moved FROM stock_balances AS b
            FULL JOIN (SELECT {names}, sum(quantity) AS moved FROM stock_movements GROUP BY {names}) AS m USING ({names})
            WHERE coalesce(b.on_hand, 0) <> coalesce(m.moved, 0) OR b.reserved <> 0""")
        )
        assert wrong.all() == []


@pytest.mark.parametrize("seed", range(4))
async def test_after_a_wild_day_our_balances_are_opening_and_movements_and_the_erp_says_the_same(
    house: House, stock: StoredStock, seed: int
) -> None:
    """Events come doubled, out of order and late; steps run twice; the ERP refuses lines and rounds; uses are taken back."""
    chance = random.Random(seed)
    opening = {("OR-1", "GLOVE"): 60, ("OR-1", "SUTURE"): 30, ("OR-2", "GLOVE"): 40, ("OR-2", "SUTURE"): 20}
    opening |= {("STORE", "GLOVE"): 200, ("STORE", "SUTURE"): 0}
    await stock.put(
        level("OR-1", "GLOVE", par=50, supply="warehouse", warehouse="STORE", package=10),
        level("OR-2", "GLOVE", par=40, supply="warehouse", warehouse="STORE", package=20),
        level("OR-1", "SUTURE", par=24),
    )
    for (location, item), there in opening.items():
        await stock.opening(location, item, there)
    sent = list(_a_day(chance))
    chance.shuffle(sent)
    while sent or await _waits(stock):
        batch, sent = sent[:7], sent[7:]
        await asyncio.gather(*(house.keep(one, one) if chance.random() < 0.2 else house.keep(one) for one in batch))
        house.erp.refuses = {"SUTURE"} if chance.random() < 0.2 else set()
        await asyncio.gather(*(_go_on(house, location, chance) for location in ("OR-1", "OR-2", "STORE")))
        for event in await stock.events.list(state=["review", "parked"]):
            if event.finding != "unknown-use":
                verb = chance.choice(("post", "post", "dismiss"))
                await house.decide(event.number, verb)
    await whole_sum(stock.engine)
    moved = list(house.erp.booked.values())
    for (location, item), there in opening.items():
        ours = sum((await stock.on_hand(location, item)).values())
        theirs = there + sum(_quantity(posting, location, item, house) for posting in moved)
        assert ours == theirs, f"{item} at {location}"
    posted = await stock.events.list(state="posted", limit=1000)
    charged = sorted(number for number, kind, _ in await stock.charges() if kind == "charge")
    stood = [one for one in await stock.events.list(limit=1000) if one.kind == "use" and one.posted_at]
    assert charged == sorted(one.number for one in stood if one.chargeable)
    credited = sorted(number for number, kind, _ in await stock.charges() if kind == "credit")
    assert credited == sorted(one.number for one in stood if one.chargeable and one.state == "voided")
    assert len(posted) > 20


def _a_day(chance: random.Random) -> Any:
    for number in range(60):
        late = timedelta(hours=chance.randrange(30))
        about: dict[str, Any] = {"location": chance.choice(("OR-1", "OR-2")), "used_at": NOW - late}
        yield use(f"U{number}", chance.choice(("GLOVE", "GLOVE", "SUTURE")), chance.randrange(1, 4), **about)
        if chance.random() < 0.25:
            yield void(f"V{number}", f"U{number}", location="")


async def _waits(stock: StoredStock) -> bool:
    return bool(await stock.events.list(state="waiting", limit=1))


async def _go_on(house: House, location: str, chance: random.Random) -> None:
    """A round as a worker does it that is killed now and then: what is asked twice comes to the same."""
    key, taken = await house.take(location, most=chance.choice((3, 200)))
    if chance.random() < 0.3:
        assert taken.empty or await house.book.take(key) == taken
    if taken.empty:
        return
    ends = chance.random() < 0.1
    for posting in await house.book.postings(key):
        if ends and chance.random() < 0.5:
            break
        outcome = house.erp.post(posting)
        if chance.random() < 0.3:
            outcome = house.erp.post(posting)
        await house.book.posted(key, posting.key, outcome)
        house.refused |= {line.key for line in outcome.refused}
    recorded = await (house.book.refuse(RoundRefusal(key=key, reason="closed")) if ends else house.book.record(key))
    if chance.random() < 0.3:
        assert await house.book.record(key) == recorded


def _quantity(posting: Any, location: str, item: str, house: House) -> int:
    lines = [line for line in posting.lines if line.item == item and line.key not in house.refused]
    total: int = sum(line.quantity * (1 if line.back else -1) for line in lines)
    if posting.kind == "consume":
        return total if posting.location == location else 0
    quantity = sum(line.quantity for line in lines)
    places: dict[str, int] = {posting.location: quantity, posting.from_location: -quantity}
    return places.get(location, 0)


async def test_of_two_locations_that_use_one_serial_at_once_one_is_stopped(house: House, stock: StoredStock) -> None:
    serials = [f"S-{number}" for number in range(6)]
    for serial in serials:
        for location in ("OR-1", "OR-2"):
            await stock.opening(location, "VALVE", 1, lot="L", serial=serial)
            await house.keep(use(f"{location}/{serial}", "VALVE", lot="L", serial=serial, location=location))
    await asyncio.gather(*(house.book.take(round_(1, location)) for location in ("OR-1", "OR-2")))
    for serial in serials:
        states = {(await house.state(f"{location}/{serial}"))[0] for location in ("OR-1", "OR-2")}
        assert states == {"taken", "parked"}


async def test_two_locations_that_want_the_last_of_a_warehouse_at_once_get_it_once(
    house: House, stock: StoredStock
) -> None:
    for location in ("OR-1", "OR-2"):
        await stock.put(level(location, "GLOVE", par=9, supply="warehouse", warehouse="STORE"))
        await stock.opening(location, "GLOVE", 9)
        await house.keep(use(location, location=location, amount=9))
        await house.round(location)
    await stock.opening("STORE", "GLOVE", 12)
    taken = await asyncio.gather(*(house.take(location) for location in ("OR-1", "OR-2")))
    for key, _ in taken:
        await house.post(key)
    await asyncio.gather(*(house.book.record(key) for key, _ in taken))
    there = [sum((await stock.on_hand(location, "GLOVE")).values()) for location in ("OR-1", "OR-2", "STORE")]
    assert sorted(there) == [0, 3, 9], "nine to one, the three that were left to the other"
    assert there[2] == 0
    await whole_sum(stock.engine)


async def test_a_void_and_its_use_that_come_at_the_same_moment_find_each_other(
    house: House, stock: StoredStock
) -> None:
    await stock.opening("OR-1", "GLOVE", 100)
    pairs = [(use(f"U{n}"), void(f"V{n}", f"U{n}", location="")) for n in range(30)]
    await asyncio.gather(*(house.keep(one) for pair in pairs for one in pair))
    for _ in range(3):
        await house.round()
    states = {number: (await house.state(number))[0] for n in range(30) for number in (f"U{n}", f"V{n}")}
    assert {states[f"U{n}"] for n in range(30)} == {"voided"} and await house.total("GLOVE") == 100
    assert {states[f"V{n}"] for n in range(30)} <= {"voided", "posted"}


async def test_one_event_kept_by_many_at_once_is_kept_once(house: House, stock: StoredStock) -> None:
    answers = await asyncio.gather(*(StoredUsage(stock.engine).keep([use("1")], f"M{n}", "S") for n in range(12)))
    assert sorted(answer[0].outcome for answer in answers) == ["new"] + ["same"] * 11
    assert len({answer[0].id for answer in answers}) == 1


async def test_no_table_holds_what_an_encounter_was_called(house: House, stock: StoredStock) -> None:
    secret = "ENCOUNTER-CANARY-7"
    await house.keep(use("1", encounter=secret), use("2", "NOBODYS", encounter=secret))
    await house.keep(use("1", amount=3, encounter=secret))
    await house.round()
    async with transaction(stock.engine) as connection:
        for name in ("usage_events", "usage_conflicts", "usage_rounds", "stock_movements", "charges", "stock_needs"):
            rows = await connection.execute(text(f"SELECT t::text FROM {name} AS t"))
            assert not any(secret in row[0] for row in rows), name


async def test_a_decision_is_noted_with_who_took_it_and_why(house: House, stock: StoredStock) -> None:
    await house.keep(use("1", "5-0 SILK"))
    await house.round()
    event = await house.decide("1", "correct", item="SUTURE")
    (act,) = await StoredActs(stock.engine).acts(f"usage/{event.id}")
    assert (act.verb, act.actor.id, act.reason) == ("usage correct", "E-700", "seen on the shelf")
    assert act.detail == "item: SUTURE"


async def test_events_are_listed_page_by_page_as_they_came(house: House, stock: StoredStock) -> None:
    await house.keep(*(use(str(number), location="ATTIC" if number % 2 else "OR-1") for number in range(6)))
    first = await stock.events.list(state="parked", limit=2)
    rest = await stock.events.list(first[-1].id, state="parked", limit=2)
    assert [one.number for one in (*first, *rest)] == ["1", "3", "5"]
    assert [one.number for one in await stock.events.list(location="OR-1", item="GLOVE")] == ["0", "2", "4"]
    assert await stock.events.list(lot="L-1") == [] and await stock.events.event("none") is None


@pytest.mark.parametrize(
    ("block", "hit"),
    [
        ({"lot_from": "L9", "lot_to": "L11"}, {"L9", "L10", "L11"}),
        ({"lot_from": "L10"}, {"L10"}),
        ({}, {"L9", "L10", "L11", "L100", ""}),
        ({"lot_from": "L10", "facility": "OTHER"}, set()),
        ({"lot_from": "L10", "active": False}, set()),
        ({"serial_from": "1", "serial_to": "5"}, set()),
    ],
)
async def test_a_recall_is_of_its_lots_as_numbers_run(stock: StoredStock, block: dict[str, Any], hit: set[str]) -> None:
    row = {"id": "B-1", "item": "SCREW", "recall": "Z-1", "at": NOW, "changed_at": NOW} | block
    async with transaction(stock.engine) as connection:
        await connection.execute(recall_blocks.insert().values(**row))
        which = {("SCREW", lot, "") for lot in ("L9", "L10", "L11", "L100", "")} | {("GLOVE", "L10", "")}
        assert {lot for _, lot, _ in await recalled(connection, "NGH", which)} == hit


async def test_a_recall_that_comes_in_the_middle_of_a_batch_holds_from_its_commit_on(
    house: House, stock: StoredStock
) -> None:
    await stock.opening("OR-1", "SCREW", 9, lot="L-1", expires=date(2027, 1, 1))
    await house.keep(*(use(str(number), "SCREW", lot="L-1") for number in range(4)))
    key, _ = await house.take(most=2)
    await stock.block("SCREW", lot="L-1")
    await house.post(key)
    await house.book.record(key)
    await house.round()
    assert [(await house.state(str(number)))[0] for number in range(4)] == ["posted"] * 2 + ["parked"] * 2


async def test_a_wake_is_answered_by_the_take_and_a_quiet_location_is_not_called_busy(
    house: House, stock: StoredStock
) -> None:
    async def stands() -> Any:
        async with transaction(stock.engine) as connection:
            asked = "SELECT round, woken_at, answered_at FROM usage_locations WHERE location = 'OR-1'"
            return (await connection.execute(text(asked))).one()

    await stock.opening("OR-1", "GLOVE", 200)
    await house.keep(*(use(str(number)) for number in range(150)))
    async with transaction(stock.engine) as connection:
        await connection.execute(
            text("INSERT INTO usage_locations (facility, location, woken_at) VALUES ('NGH', 'OR-1', now())")
        )
    _, taken = await house.take()
    busy = await stands()
    assert taken.per_second > 1 and (busy.round, busy.woken_at) == (1, None) and busy.answered_at
    _, nothing = await house.take()
    quiet = await stands()
    assert nothing.empty and nothing.per_second < 1 and (quiet.round, quiet.answered_at) == (1, None)


async def test_counts_join_a_round_and_hear_how_it_ended(house: House, stock: StoredStock) -> None:
    """A count found two less: the adjustment is posted with the round's uses, and its movement is made by the same record."""
    from canonical.stock import StockLine, StockPosting

    heard: list[Any] = []

    class OneCount:
        async def erp_due(self, connection: Any, key: Any) -> bool:
            return False

        async def take(self, connection: Any, key: Any) -> list[StockPosting]:
            name = f"{key.key}/adjust/C-1"
            lines = (StockLine(key=f"{name}/GLOVE", item="GLOVE", quantity=2),)
            about = {"location": key.location, "posted_on": NOW.date(), "reason": "counted"}
            return [StockPosting(facility="NGH", key=name, kind="adjust", lines=lines, **about)]

        async def recorded(self, connection: Any, key: Any, outcomes: Any) -> None:
            heard.append(sorted(outcomes))

    book = StoredUsageBook(stock.engine, OneCount())
    await stock.opening("OR-1", "GLOVE", 10)
    await house.keep(use("1"))
    key = round_(1)
    taken = await book.take(key)
    assert (taken.lines, taken.counts) == (1, 1)
    for posting in await book.postings(key):
        await book.posted(key, posting.key, house.erp.post(posting))
    await book.record(key)
    await book.record(key)
    assert heard == [[f"{key.key}/adjust/C-1", f"{key.key}/consume"]] and await house.total("GLOVE") == 7


async def test_a_text_no_database_takes_is_kept_marked(house: House, stock: StoredStock) -> None:
    odd = UsageEvent.model_validate(use("1").model_dump() | {"description": "a\x00b", "lot": "L\x00"})
    assert await house.keep(odd) == ["new"]
    kept = await stock.event("1")
    assert kept.lot == "L\ufffd" and "\x00" not in kept.content["description"]


async def test_movements_name_the_erps_document_and_their_round(house: House, stock: StoredStock) -> None:
    await stock.opening("OR-1", "GLOVE", 10)
    await house.keep(use("1"))
    await house.round()
    async with transaction(stock.engine) as connection:
        row = (await connection.execute(select(stock_movements).where(stock_movements.c.kind == "use"))).one()
        left = await connection.scalar(select(stock_balances.c.on_hand))
    event = await stock.event("1")
    assert (row.quantity, row.event, row.round, row.erp_document, left) == (-1, event.id, 1, "SHP-1", 9)
