"""Which locations are woken, asked of PostgreSQL: those with something to do, whose case was not woken for it and does not come."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.stock import TakenRound, WakeDue
from store.register import StoredRegister
from store.usage_tables import stock_balances, stock_needs, usage_events, usage_locations, usage_rounds
from store.usage_wakes import StoredUsagePlaces

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
BEFORE = NOW - timedelta(minutes=10)


@pytest.fixture
def places(engine: AsyncEngine) -> StoredUsagePlaces:
    return StoredUsagePlaces(engine)


async def put(engine: AsyncEngine, table: Any, *rows: dict[str, Any]) -> None:
    async with engine.begin() as connection:
        await connection.execute(insert(table), list(rows))


def event(number: int, location: str = "OR-1", state: str = "waiting") -> dict[str, Any]:
    same = dict.fromkeys(("used_at", "at", "changed_at"), NOW)
    named = {"id": f"E-{number:09d}", "number": f"{number}", "location": location, "state": state}
    return {"facility": "NGH", "source": "CIS", "sequence": 1, "content": {}, **named, **same}


def need(number: int, location: str, **fields: Any) -> dict[str, Any]:
    row = {
        "id": f"N-{number}",
        "facility": "NGH",
        "location": location,
        "item": "ITM-1",
        "supply": "purchase",
        "warehouse": "",
    }
    counts = {"state": "ordered", "quantity": 10, "received": 0, "put_away": 0, "at": NOW, "changed_at": NOW}
    return row | counts | fields


def place(location: str, **fields: Any) -> dict[str, Any]:
    empty = {"round": 0, "woken_at": None, "answered_at": None, "count_due": None}
    return {"facility": "NGH", "location": location, **empty, **fields}


def a_round(number: int, state: str, per_second: float = 0.0, location: str = "OR-1") -> dict[str, Any]:
    taken = TakenRound(round=number, per_second=per_second).model_dump(mode="json")
    return {
        "facility": "NGH",
        "location": location,
        "round": number,
        "state": state,
        "taken": taken,
        "at": NOW,
        "changed_at": NOW,
    }


async def due(places: StoredUsagePlaces) -> list[str]:
    return [one.location for one in await places.due(NOW, BEFORE)]


async def test_whoever_has_waiting_events_goods_that_came_a_transfer_or_a_count_to_make_is_due(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    assert await due(places) == []
    await put(engine, usage_events, event(1), event(2), event(3, "OR-2", "parked"), event(4, "OR-3", "taken"))
    await put(
        engine,
        stock_needs,
        need(1, "W-1", received=4),
        need(2, "W-2"),
        need(3, "W-3", received=4, put_away=4),
        need(4, "W-4", supply="warehouse", warehouse="STORE", state="open"),
        need(5, "W-5", state="open"),
        need(6, "W-6", state="received", received=10, put_away=4),
        need(7, "W-7", state="refused", received=10, put_away=4),
    )
    later = NOW + timedelta(hours=1)
    await put(engine, usage_locations, place("C-1", count_due=NOW), place("C-2", count_due=later))
    assert await due(places) == ["C-1", "OR-1", "W-1", "W-4", "W-6"]


async def test_a_wake_is_answered_once_and_repeated_when_nobody_answers(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    await put(engine, usage_events, event(1))
    (one,) = await places.due(NOW, BEFORE)
    assert one == WakeDue(facility="NGH", location="OR-1")
    await places.woken([one], NOW)
    assert await due(places) == []
    later = NOW + timedelta(minutes=10, seconds=1)
    assert list(await places.due(later, later - timedelta(minutes=10))) == [one]
    await places.not_woken([one], NOW - timedelta(seconds=1))
    assert await due(places) == [], "another wake has been sent since"
    await places.not_woken([one], NOW)
    assert await due(places) == ["OR-1"]


async def test_a_busy_location_comes_by_itself_and_is_woken_only_when_it_is_overdue(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    await put(engine, usage_events, event(1))
    await put(engine, usage_rounds, a_round(7, "recorded", per_second=3.0))
    await put(engine, usage_locations, place("OR-1", round=7, answered_at=NOW))
    soon, overdue = NOW + timedelta(seconds=29), NOW + timedelta(seconds=31)
    assert await places.due(soon, BEFORE) == []
    assert len(await places.due(overdue, BEFORE)) == 1


async def test_a_busy_location_that_found_nothing_at_its_last_look_waits_to_be_woken(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    await put(engine, usage_events, event(1))
    await put(engine, usage_rounds, a_round(7, "recorded", per_second=3.0))
    await put(engine, usage_locations, place("OR-1", round=7, answered_at=NOW + timedelta(seconds=10)))
    assert len(await places.due(NOW + timedelta(seconds=11), BEFORE)) == 1


async def test_a_round_that_was_taken_and_not_closed_is_given_again(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    assert (await places.stands("NGH", "OR-1")).round == 0
    await put(engine, usage_locations, place("OR-1", round=12))
    await put(engine, usage_rounds, a_round(11, "recorded"), a_round(12, "recorded"))
    stands = await places.stands("NGH", "OR-1")
    assert (stands.round, stands.waiting) == (12, False)
    await put(engine, usage_rounds, a_round(13, "taken"), a_round(2, "taken", location="OR-2"))
    await put(engine, usage_events, event(1))
    async with engine.begin() as connection:
        await connection.execute(update(usage_locations).values(round=13))
    stands = await places.stands("NGH", "OR-1")
    assert (stands.round, stands.waiting) == (12, True)


async def test_a_hundred_thousand_waiting_events_cost_as_much_as_their_locations(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    filled = text("""
        INSERT INTO usage_events (id, facility, source, number, location, state, content, used_at, at, changed_at)
        SELECT 'E-' || n, 'NGH', 'CIS', n::text, 'W-' || n % 100, 'waiting', '{}', now(), now(), now()
        FROM generate_series(1, 100000) AS n
    """)
    async with engine.begin() as connection:
        await connection.execute(filled)
        await connection.execute(text("ANALYZE usage_events"))
    assert len(await due(places)) == 100
    took: list[float] = []
    async with asyncio.timeout(60):  # whatever else the machine has to do: some time it lets one through
        while not took or min(took) >= 0.1:
            began = time.perf_counter()
            await due(places)
            took.append(time.perf_counter() - began)


async def test_a_location_that_moves_is_woken_by_its_new_row_once(
    engine: AsyncEngine, places: StoredUsagePlaces
) -> None:
    register = StoredRegister(engine)

    async def loaded(*codes: str, **fields: Any) -> None:
        rows = [{"code": code, **fields} for code in codes]
        report = await register.load("location", rows, "hospital", "NGH")
        assert report.refused == ()

    await register.load("location", [{"code": c} for c in ("C-1", "C-2", "C-3", "C-9")], "erp", "NGH")
    await put(engine, usage_locations, place("C-1", round=7))
    lies = {"facility": "NGH", "location": "C-2", "item": "ITM-1", "on_hand": 4, "changed_at": NOW}
    await put(engine, stock_balances, lies)
    await loaded("C-1", "C-2", "C-3", service_line="surgery")
    assert await places.due(soon(), BEFORE) == [], "another word about it wakes nobody"
    await loaded("C-1", "C-2", "C-3", moved_to="C-9")
    due = await places.due(soon(), BEFORE)
    assert [one.location for one in due] == ["C-1", "C-2"], "of C-3 nothing was ever used and nothing lies there"
    async with engine.begin() as connection:
        await connection.execute(update(usage_locations).values(count_due=None))  # answered, or refused by the ERP
    await loaded("C-1", "C-2", moved_to="C-9")
    assert await places.due(soon(), BEFORE) == [], "the same again wakes nobody"


async def test_a_location_that_will_move_is_woken_on_its_day(engine: AsyncEngine, places: StoredUsagePlaces) -> None:
    register, day = StoredRegister(engine), soon().date() + timedelta(days=3)
    await register.load("location", [{"code": "C-1"}, {"code": "C-9"}], "erp", "NGH")
    await put(engine, usage_locations, place("C-1"))
    row = {"code": "C-1", "moved_to": "C-9", "valid_from": day.isoformat()}
    assert (await register.load("location", [row], "hospital", "NGH")).loaded == 1
    assert await places.due(soon(), BEFORE) == []
    assert [one.location for one in await places.due(soon() + timedelta(days=4), BEFORE)] == ["C-1"]


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=5)
