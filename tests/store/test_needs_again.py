"""What was refused or given up is asked for again: by itself once the register is mended, where the item moves, or by a person."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Rejected
from canonical.purchasing import Requisition
from canonical.shelves import Parcel
from canonical.stock import RoundRefusal
from store.acts import Act, StoredActs
from store.ids import now
from store.needs_again import StoredNeedsAgain
from store.usage_tables import stock_needs
from store.usage_wakes import StoredUsagePlaces
from tests.store.usage_house import MATERIALS, NOW, POLICY, House, level, use, void
from tests.store.usage_stored import StoredStock
from workers.loops.mended_needs import MendedNeeds

NOBODY = POLICY.model_copy(update={"department": None})
WORD = Act(verb="stock needs --again", about="", actor=MATERIALS, reason="the register is right by now")


@pytest.fixture
async def house(engine: AsyncEngine) -> House:
    house = House(StoredStock(engine))
    await house.open(NOBODY, level("OR-1", "SUTURE", par=20), level("OR-1", "VALVE", supply="consignment"))
    await house.stock.opening("OR-1", "SUTURE", 20)
    return house


@pytest.fixture
def needs(engine: AsyncEngine) -> StoredNeedsAgain:
    return StoredNeedsAgain(engine)


async def only(house: House) -> dict[str, Any]:
    (need,) = await house.stock.needs()
    return need


async def woken(engine: AsyncEngine) -> list[str]:
    due = await StoredUsagePlaces(engine).due(NOW, NOW - timedelta(days=3650))
    return [place.location for place in due]


async def set_need(engine: AsyncEngine, need: str, **values: Any) -> None:
    async with engine.begin() as connection:
        await connection.execute(update(stock_needs).where(stock_needs.c.id == need).values(**values))


async def test_a_refused_need_goes_on_by_itself_once_the_usage_policy_names_the_department(
    engine: AsyncEngine, house: House, needs: StoredNeedsAgain
) -> None:
    await house.keep(use("1", "SUTURE", 5), use("2", "VALVE", serial="S-1"))
    assert (await house.round()).needs == ()
    before = await house.stock.needs()
    assert {need["state"] for need in before} == {"refused"} and "names no department" in before[0]["reason"]
    loop = MendedNeeds(needs, NOW.date)
    await loop.once()
    assert {need["state"] for need in await house.stock.needs()} == {"refused"} and await woken(engine) == []
    await house.stock.put(POLICY)
    await loop.once()
    assert await woken(engine) == ["OR-1"], "nothing moved, and its case is woken for them all the same"
    key, taken = await house.take()
    assert taken.needs == 2 and (await house.book.take(key)).needs == 2
    begun = (await house.book.record(key)).needs
    assert begun == (await house.book.record(key)).needs, "a step that runs twice starts the same"
    assert {need.id for need in begun} == {need["id"] for need in before}
    asked = {Requisition.model_validate_json(need.requisition).lines[0].item: need.quantity for need in begun}
    assert asked == {"SUTURE": 12, "VALVE": 1}


async def test_a_register_that_changed_and_still_lacks_it_is_not_asked_for_ever(
    engine: AsyncEngine, house: House, needs: StoredNeedsAgain
) -> None:
    await house.keep(use("1", "SUTURE", 5))
    await house.round()
    await house.stock.put(POLICY.model_copy(update={"requester": None}))
    assert await needs.mended(NOW.date()) == []
    need = await only(house)
    assert (need["state"], "names no requester" in need["reason"]) == ("refused", True)
    looked: datetime = need["changed_at"]
    await needs.mended(NOW.date())
    assert (await only(house))["changed_at"] == looked


async def test_a_policy_that_comes_into_force_later_lets_them_go_on_from_that_day(
    house: House, needs: StoredNeedsAgain
) -> None:
    await house.keep(use("1", "SUTURE", 5))
    await house.round()
    day = now().date() + timedelta(days=30)
    await house.stock.put(POLICY.model_copy(update={"valid_from": day}))
    assert await needs.mended(day - timedelta(days=1)) == []
    assert len(await needs.mended(day)) == 1 and (await only(house))["state"] == "open"


async def test_a_person_asks_at_once_with_a_reason_that_is_kept(
    engine: AsyncEngine, house: House, needs: StoredNeedsAgain
) -> None:
    await house.keep(use("1", "SUTURE", 5))
    await house.round()
    need = (await only(house))["id"]
    with pytest.raises(Rejected, match="stays refused: the usage policy of NGH names no department"):
        await needs.again(need, WORD, NOW.date())
    await house.stock.put(POLICY)
    assert (await needs.again(need, WORD, NOW.date(), dry_run=True)).state == "open"
    assert (await only(house))["state"] == "refused" and await StoredActs(engine).acts(f"need/{need}") == []
    assert (await needs.again(need, WORD, NOW.date())).state == "open"
    (act,) = await StoredActs(engine).acts(f"need/{need}")
    assert (act.actor, act.reason) == (MATERIALS, "the register is right by now")
    with pytest.raises(Rejected, match="is open, neither refused nor given up"):
        await needs.again(need, WORD, NOW.date())
    await house.keep(use("2", "GLOVE", 1))
    assert [one.id for one in (await house.round()).needs] == [need], "with whatever else its next round does"


async def test_a_round_the_erp_refuses_asks_for_it_all_the_same(house: House, needs: StoredNeedsAgain) -> None:
    await house.keep(use("1", "SUTURE", 5))
    await house.round()
    need = (await only(house))["id"]
    await house.stock.put(POLICY)
    await needs.again(need, WORD, NOW.date())
    await house.stock.opening("OR-1", "GLOVE", 5)
    await house.keep(use("2"))
    key, _ = await house.take()
    refused = await house.book.refuse(RoundRefusal(key=key, reason="the period is closed"))
    assert [one.id for one in refused.needs] == [need] and await house.state("2") == ("parked", "refused-by-erp")


async def test_what_was_given_up_is_asked_for_under_a_new_number_as_much_as_is_missing_now(
    engine: AsyncEngine, house: House, needs: StoredNeedsAgain
) -> None:
    await house.stock.put(POLICY)
    await house.keep(use("1", "SUTURE", 5), use("2", "VALVE", serial="S-1"))
    first = {need.supply: need.id for need in (await house.round()).needs}
    for need in first.values():
        await set_need(engine, need, state="cancelled", reason="its requisition is refused")
    new = {supply: (await needs.again(need, WORD, NOW.date())).id for supply, need in first.items()}
    assert not set(new.values()) & set(first.values())
    begun = (await house.round()).needs
    assert {one.id for one in begun} == set(new.values())
    assert {Requisition.model_validate_json(one.requisition).number for one in begun} == set(new.values())
    with pytest.raises(Rejected, match=f"need {new['purchase']} of the same item is under way"):
        await needs.again(first["purchase"], WORD, NOW.date())


async def test_what_nobody_needs_any_more_is_not_asked_for(house: House, needs: StoredNeedsAgain) -> None:
    await house.keep(use("1", "SUTURE", 5), use("2", "VALVE", serial="S-1"))
    await house.round()
    by_event = {bool(need["event"]): need["id"] for need in await house.stock.needs()}
    await house.keep(void("V-1", "1"), void("V-2", "2"))
    await house.round()
    await house.stock.put(POLICY)
    with pytest.raises(Rejected, match="nothing is missing any more"):
        await needs.again(by_event[False], WORD, NOW.date())
    with pytest.raises(Rejected, match="its use was taken back"):
        await needs.again(by_event[True], WORD, NOW.date())
    await needs.mended(NOW.date())
    assert {need["state"] for need in await house.stock.needs()} == {"cancelled"}


async def refused_put_away(house: House) -> str:
    """12 came for the location, and the ERP would not put them away."""
    await house.stock.put(POLICY)
    await house.keep(use("1", "SUTURE", 5))
    (need,) = (await house.round()).needs
    await house.stock.came(need.id, Parcel(12))
    house.erp.refuses.add("SUTURE")
    await house.round()
    house.erp.refuses.clear()
    assert (await only(house))["state"] == "refused" and (await house.take())[1].empty
    return need.id


async def test_a_put_away_the_erp_refused_is_tried_again_when_a_person_asks(
    engine: AsyncEngine, house: House, needs: StoredNeedsAgain
) -> None:
    need = await refused_put_away(house)
    assert (await needs.again(need, WORD, NOW.date())).state == "received"
    assert await woken(engine) == ["OR-1"]
    await house.round()
    assert await house.total("SUTURE") == 27 and (await only(house))["put_away"] == 12


async def test_a_put_away_the_erp_refused_is_tried_again_when_the_item_moves(house: House) -> None:
    need = await refused_put_away(house)
    await house.keep(use("2", "SUTURE", 1))
    await house.round()
    assert (await only(house))["id"] == need
    await house.round()
    assert await house.total("SUTURE") == 26 and (await only(house))["put_away"] == 12


async def test_a_transfer_the_erp_refused_is_made_when_a_person_asks(house: House, needs: StoredNeedsAgain) -> None:
    gloves = level("OR-1", "GLOVE", par=500, supply="warehouse", warehouse="STORE", package=100)
    await house.stock.put(gloves)
    await house.stock.opening("OR-1", "GLOVE", 500)
    await house.stock.opening("STORE", "GLOVE", 900)
    await house.keep(use("1", amount=100))
    await house.round()
    key, _ = await house.take()
    await house.book.refuse(RoundRefusal(key=key, reason="no such location"))
    need = (await only(house))["id"]
    await needs.again(need, WORD, NOW.date())
    await house.round()
    assert await house.total("GLOVE") == 500 and (await only(house))["state"] == "received"
