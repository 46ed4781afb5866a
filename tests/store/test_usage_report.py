"""What was consumed adds up: by whatever it is asked, at the contract price of its day, what was taken back left out."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Money
from canonical.errors import Malformed
from canonical.stock_reports import ConsumedRow, ReportOf
from store.usage_report import StoredUsageReport, _asked
from store.usage_tables import usage_events
from tests.store.usage_rows_house import AT, GLOVE, STEM, charge, known, price, use

SINCE, UNTIL = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


async def report(engine: AsyncEngine, *by: str, **of: Any) -> list[ConsumedRow]:
    asked = ReportOf.model_validate({"since": SINCE, "until": UNTIL} | ({"by": by} if by else {}) | of)
    return list(await StoredUsageReport(engine).consumed(asked))


async def test_uses_add_up_by_facility_service_line_and_item(engine: AsyncEngine) -> None:
    await known(engine, GLOVE, STEM, price("ITM-1001", "21.00", "BX"))
    for number in range(3):
        await use(engine, f"T-{number}", quantity=10, service_line="ORTHO", content={"wasted": number == 0})
    stem = await use(engine, "T-9", item="IMP-310", service_line="ORTHO")
    await charge(engine, stem)
    gloves, stems = sorted(await report(engine), key=lambda row: row.item, reverse=True)
    assert (gloves.uses, gloves.quantity, gloves.wasted, gloves.charged, gloves.unit) == (3, 30, 10, 0, "EA")
    assert (gloves.value, gloves.currency, gloves.unpriced) == (Decimal("6.30"), "USD", 0)
    assert (stems.quantity, stems.charged, stems.value, stems.unpriced) == (1, 1, None, 1)
    assert (stems.facility, stems.service_line, stems.description) == ("NGH", "ORTHO", "Hip stem")


async def test_what_was_taken_back_or_is_not_posted_yet_is_not_consumed(engine: AsyncEngine) -> None:
    await known(engine, GLOVE)
    await use(engine, "T-1")
    for state in ("waiting", "taken", "parked", "review", "voided", "dismissed"):
        await use(engine, f"T-{state}", state=state)
    await use(engine, "T-void", kind="void")
    await use(engine, "T-back", voided_by="another")
    (row,) = await report(engine, "facility")
    assert (row.uses, row.quantity) == (1, 1)


async def test_a_price_that_changed_within_the_time_counts_from_its_day_on(engine: AsyncEngine) -> None:
    await known(engine, GLOVE, price("ITM-1001", "1.00"), price("ITM-1001", "2.00", since=date(2026, 11, 15)))
    await use(engine, "T-1", quantity=3, used_at=datetime(2026, 11, 14, 23, 59, tzinfo=UTC))
    await use(engine, "T-2", quantity=5, used_at=datetime(2026, 11, 15, tzinfo=UTC))
    (row,) = await report(engine, "item")
    assert row.value == Decimal("13.00")


async def test_a_price_that_has_ended_is_no_price(engine: AsyncEngine) -> None:
    await known(engine, GLOVE, price("ITM-1001", "1.00", valid_to=date(2026, 11, 10)))
    await use(engine, "T-1", quantity=2, used_at=datetime(2026, 11, 10, 12, tzinfo=UTC))
    await use(engine, "T-2", quantity=5, used_at=datetime(2026, 11, 11, 12, tzinfo=UTC))
    (row,) = await report(engine, "item")
    assert (row.value, row.unpriced) == (Decimal("2.00"), 5)


async def test_a_group_of_several_items_has_one_value_and_says_what_it_leaves_out(engine: AsyncEngine) -> None:
    euro: dict[str, Any] = {"price": Money(amount=Decimal("3.00"), currency="EUR")}
    other = GLOVE.changed(code="ITM-2")
    await known(engine, GLOVE, STEM, other, price("ITM-1001", "10.00", "BX"), price("IMP-310", "1250.00"))
    await use(engine, "T-1", procedure="p1", quantity=3)
    await use(engine, "T-2", procedure="p1", item="IMP-310")
    await use(engine, "T-3", procedure="p1", item="ITM-9", quantity=4)
    (row,) = await report(engine, "procedure")
    assert (row.quantity, row.value, row.currency, row.unpriced) == (8, Decimal("1250.30"), "USD", 4)
    await known(engine, price("ITM-2", "3.00", **euro))
    await use(engine, "T-4", procedure="p1", item="ITM-2")
    (row,) = await report(engine, "procedure")
    assert (row.value, row.currency, row.uses) == (None, "EUR USD", 4)


async def test_it_is_by_procedure_place_and_time_as_it_is_asked(engine: AsyncEngine) -> None:
    await known(engine, GLOVE)
    await use(engine, "T-1", procedure="p1", procedure_code="27130", cost_centre="CC-1")
    await use(engine, "T-2", procedure="p1", procedure_code="27130", location="NGH-W3", cost_centre="CC-2")
    await use(engine, "T-3", procedure="p2", used_at=AT - timedelta(days=1))
    assert [(row.procedure, row.uses) for row in await report(engine, "procedure")] == [("p1", 2), ("p2", 1)]
    assert [row.day for row in await report(engine, "day")] == [date(2026, 11, 19), date(2026, 11, 20)]
    assert [(row.month, row.uses) for row in await report(engine, "month")] == [("2026-11", 3)]
    assert [row.uses for row in await report(engine, "procedure_code", "location")] == [1, 1, 1]
    assert [row.uses for row in await report(engine, "item", location="NGH-W3")] == [1]
    assert await report(engine, "item", procedure="p3") == []


async def test_only_charges_that_billing_was_told_of_count_as_charged(engine: AsyncEngine) -> None:
    await known(engine, GLOVE)
    for state in ("written", "due", "dead", "needless"):
        await charge(engine, await use(engine, f"T-{state}", quantity=2), state)
    (row,) = await report(engine, "item")
    assert (row.quantity, row.charged) == (8, 2)


async def test_what_it_cannot_be_by_is_said(engine: AsyncEngine) -> None:
    with pytest.raises(Malformed, match="not by patient"):
        await report(engine, "patient")


async def test_a_months_uses_are_found_by_the_index_of_when_they_were_used(engine: AsyncEngine) -> None:
    ten_years = """
        INSERT INTO usage_events
            (id, facility, source, number, kind, state, location, item, lot, quantity, content, used_at, at, changed_at)
        SELECT 'u-' || n, 'NGH', 'OR', n::text, 'use', 'posted', 'OR-1', 'ITM-1001', '', 1, '{}', day, day, day
        FROM generate_series(1, 20000) n, LATERAL (SELECT timestamptz '2017-01-01' + n * interval '4.5 hours' AS day) days
    """
    which = _asked(ReportOf(since=SINCE, until=UNTIL), ["NGH"], [SINCE.date()]).whereclause
    assert which is not None
    asked = select(usage_events.c.quantity).where(which)
    written = str(asked.compile(dialect=engine.dialect, compile_kwargs={"literal_binds": True}))
    async with engine.begin() as connection:
        await connection.execute(text(ten_years))
        await connection.execute(text("ANALYZE usage_events"))
        plan = "\n".join(await connection.scalars(text(f"EXPLAIN {written}")))
    assert "ix_usage_events_used" in plan and "Seq Scan on usage_events" not in plan, plan
