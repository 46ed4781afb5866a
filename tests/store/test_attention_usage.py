"""What stands still of use and stock: each cause once, with how many, whose it is and what to press."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.cases import Actor
from cli import checks_usage
from store.acts import Act
from store.attention import StoredAttention
from store.count_tables import stock_counts
from store.stuck import Stuck
from store.usage_conflicts import StoredConflicts
from store.usage_tables import stock_balances, usage_locations, usage_rounds
from tests.store.usage_rows_house import charge, conflict, held, need, put, use
from workers.settings import Settings

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(minutes=20)


async def stuck(engine: AsyncEngine) -> dict[str, Stuck]:
    return {f"{one.what} {one.why}": one for one in await StoredAttention(engine).stuck(NOW)}


async def test_parked_uses_are_one_line_for_each_finding_and_place(engine: AsyncEngine) -> None:
    for number in range(12):
        await use(engine, f"T-{number}", state="parked", finding="recalled", owner="materials management")
    one = await use(engine, "T-20", state="review", finding="beyond-balance")
    other = await use(engine, "T-21", state="parked", finding="unknown-location", location="", reason="where?")
    found = await stuck(engine)
    recalled = found["parked use NGH-OR: its lot or serial is recalled"]
    assert (recalled.count, recalled.owner) == (12, "materials management")
    assert recalled.press.startswith("fascia usage list --location NGH-OR --finding recalled; ")
    review = found["use in review NGH-OR: more was used than is there"]
    assert review.press == f"fascia usage show {one}, then usage decide {one} post, correct or dismiss"
    assert found["parked use no location: the location is not in the register"].name == other
    assert len(found) == 3


async def test_a_location_that_does_not_take_its_uses_for_a_quarter_of_an_hour_is_named(engine: AsyncEngine) -> None:
    await use(engine, "T-1", state="waiting", at=LONG_AGO)
    await use(engine, "T-2", state="waiting", at=NOW)
    await use(engine, "T-3", state="waiting", at=NOW, location="NGH-W3")
    await use(engine, "T-4", state="waiting", at=LONG_AGO, location="NGH-LAB")
    row = {"facility": "NGH", "location": "NGH-LAB", "round": 7, "state": "taken", "taken": {}, "at": LONG_AGO}
    async with engine.begin() as connection:
        await connection.execute(insert(usage_rounds).values(row | {"changed_at": LONG_AGO}))
    found = await stuck(engine)
    idle = found["location waits its uses wait, and its case does not take them"]
    assert (idle.name, idle.count) == ("NGH/NGH-OR", 2) and "fascia doctor" in idle.press
    behind = found["location waits its uses wait behind round 7, which the ERP has not booked yet"]
    assert behind.name == "NGH/NGH-LAB" and len(found) == 2


async def test_dead_charges_refused_needs_and_conflicts_are_theirs_to_mend(
    engine: AsyncEngine, server: str, tmp_path: Path
) -> None:
    url = f"{server}/fascia".replace("+asyncpg", "")
    settings = Settings.model_validate({"home": tmp_path, "database_url": url})
    assert (await checks_usage.usage(settings)).text == "0 uses wait, 0 charges are due, 0 needs are open"
    first = await use(engine, "T-1")
    await charge(engine, first, "dead", reason="item ITM-1001 has no charge code")
    await charge(engine, await use(engine, "T-2"), "due")
    refused = await need(engine, "ITM-1001", 5, "refused", reason="no supplier")
    await need(engine, "ITM-2", 5)
    double = await conflict(engine, first, facility="NGH", item="ITM-2")
    found = await stuck(engine)
    dead = found["dead charge item ITM-1001 has no charge code"]
    assert (dead.owner, dead.press) == ("billing", "mend what it names, then fascia usage charges --again")
    assert f"fascia stock needs --again {refused} --reason" in found["need refused NGH-OR: no supplier"].press
    told = await checks_usage.usage(settings)
    assert (told.state, told.fix) == ("warn", "fascia attention list")
    assert told.text.startswith("0 uses wait, 1 charges are due, 1 needs are open; ")
    assert told.text.endswith("1 dead charge, 1 need refused, 1 use in conflict")
    (row,) = await StoredConflicts(engine).list()
    assert row.id == double and "item: ITM-1001, then ITM-2" in row.differs
    by = Act(verb="usage conflicts dismiss", about="", actor=Actor(id="E-1", known_by="os_user"), reason="seen to")
    await StoredConflicts(engine).dismiss(double, by)
    assert await StoredConflicts(engine).list() == [] and "use in conflict" not in " ".join(await stuck(engine))
    assert (await StoredConflicts(engine).list(everything=True))[0].state == "dismissed"


async def test_an_order_whose_use_was_taken_back_is_a_persons_to_cancel(engine: AsyncEngine) -> None:
    back = {"reason": "its use was taken back", "supply": "bill-only"}
    case = "procure_to_pay/NGH/replenishment/N-1"
    first = await need(engine, "VALVE", 1, "ordered", event="E-1", case=case, changed_at=NOW, **back)
    await need(engine, "VALVE", 1, "cancelled", event="E-2", changed_at=NOW, **back)
    paid = {"location": "NGH-CATH", "case": "procure_to_pay/NGH/replenishment/N-3"} | back
    await need(engine, "STENT", 1, "received", event="E-3", changed_at=NOW, **paid)
    await need(engine, "STENT", 1, "received", event="E-4", changed_at=NOW - timedelta(days=31), **paid)
    await need(engine, "SUTURE", 1, "ordered", case="procure_to_pay/NGH/replenishment/N-5")
    found = await stuck(engine)
    one = found["order of no use NGH-OR: VALVE was ordered after a use that was taken back"]
    assert (one.name, one.count, one.owner) == (first, 1, "materials management")
    assert one.press.startswith(f"fascia case cancel {case} --reason")
    credit = found["paid order of no use NGH-CATH: STENT was ordered after a use that was taken back"]
    assert credit.count == 1 and credit.press.endswith("ask the supplier for a credit") and len(found) == 2


async def test_stock_of_a_moved_location_that_the_erp_will_not_move_is_named_until_it_is_gone(
    engine: AsyncEngine,
) -> None:
    case = "consumption_to_replenishment/NGH/NGH-OR/7"
    refused = {"refused": [{"key": f"{case}/transfer/moved/ITM-1001//", "reason": "the lot is locked"}]}
    about = {"state": "recorded", "round": 7, "changed_at": LONG_AGO}
    for place, outcome in (("NGH-OR", refused), ("NGH-W3", {"receipts": []})):
        told = {"taken": {"moved_to": "NGH-NEW"}, "outcomes": {f"{case}/transfer/moved": outcome}}
        await put(engine, usage_rounds, location=place, **about, **told)
        await put(engine, usage_locations, location=place, round=7)
        await held(engine, "ITM-1001", 3, location=place)
    (one,) = (await stuck(engine)).values()
    assert (one.what, one.name, one.count) == ("stock not moved", "NGH/NGH-OR", 1)
    assert "moved to NGH-NEW" in one.why and one.why.endswith("the lot is locked")
    async with engine.begin() as connection:
        await connection.execute(update(stock_balances).values(on_hand=0))
    assert await stuck(engine) == {}


async def test_a_parked_count_is_named_until_its_location_is_counted_again(engine: AsyncEngine) -> None:
    parked = {"location": "NGH-OR", "state": "parked", "source": "shelves", "counted_at": LONG_AGO}
    await put(engine, stock_counts, number="C-1", kind="par", **parked)
    await put(engine, stock_counts, number="C-2", kind="erp", reason="no such location", **parked)
    found = await stuck(engine)
    count = found["count parked NGH-OR: some of its lines are not booked"]
    assert "fascia stock counts --location NGH-OR" in count.press and "counted again" in count.press
    assert count.owner == "materials management"
    assert "mend location NGH-OR in the ERP" in found["ERP count parked NGH-OR: no such location"].press
    await put(engine, stock_counts, number="C-3", kind="par", **(parked | {"state": "reconciled", "counted_at": NOW}))
    assert list(await stuck(engine)) == ["ERP count parked NGH-OR: no such location"]
