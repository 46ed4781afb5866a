"""What was consumed, by procedure, facility, service line and item: quantities, what they cost by contract, wasted and charged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from sqlalchemy import Boolean, ColumnElement, DateTime, Select, cast, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import MINOR_UNITS, Money
from canonical.errors import Malformed
from canonical.stock_reports import DIMENSIONS, ConsumedRow, ReportOf
from canonical.supply import ContractPrice, Item
from store.database import transaction
from store.register_reading import utc_today
from store.stock_queries import items_of
from store.tables import register
from store.usage_tables import charges, usage_events, usage_locations

MOST_PARTS: Final = 200_000  # of a report, before they are put together: more is a question for a data warehouse


@dataclass
class _Sum:
    uses: int = 0
    quantity: int = 0
    wasted: int = 0
    charged: int = 0
    unpriced: int = 0
    values: dict[str, Decimal] = field(default_factory=dict)
    units: set[str] = field(default_factory=set)


class StoredUsageReport:
    """The report, added up in our own database by the index of when things were used."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def consumed(self, of: ReportOf) -> Sequence[ConsumedRow]:
        """The rows of a report, by what they are grouped by.

        Raises:
            Malformed: it is by something there is not, or has too many groups to be put together here.
        """
        if wrong := set(of.by) - set(DIMENSIONS):
            raise Malformed(f"by: a report is by {', '.join(DIMENSIONS)}, not by {sorted(wrong)[0]}", path="by")
        async with transaction(self._engine) as connection:
            facilities = [of.facility] if of.facility else await _facilities(connection)
            prices = await _prices(connection, facilities)
            edges = _edges(of, (one for found in prices.values() for one in found))
            found = (await connection.execute(_asked(of, facilities, edges))).all()
            if len(found) > MOST_PARTS:
                told = f"it has more than {MOST_PARTS} groups: ask for less time, or by less"
                raise Malformed(f"by: {told}", path="by", code="too-large")
            items = await _items(connection, {(row.facility_, row.item_) for row in found})
        sums: dict[tuple[Any, ...], _Sum] = {}
        for row in found:
            key = tuple(getattr(row, name) for name in of.by)
            place = row.facility_, row.item_
            price = _price(prices, items.get(place), place, edges[row.period - 1] if row.period else edges[0])
            _add(sums.setdefault(key, _Sum()), row, items.get(place), price)
        return [_row(of, key, one, items) for key, one in sorted(sums.items(), key=lambda pair: _order(pair[0]))]


def _asked(of: ReportOf, facilities: Sequence[str], edges: Sequence[date]) -> Select[Any]:
    """Sums by group, item and the period in which its prices stay the same."""
    used = usage_events.c
    moments = [datetime.combine(day, time(), UTC) for day in edges]
    period = func.width_bucket(used.used_at, cast(literal(moments), ARRAY(DateTime(timezone=True)))).label("period")
    wasted = cast(func.coalesce(used.content["wasted"].astext, "false"), Boolean)
    keys: list[ColumnElement[Any]] = [_dimension(name).label(name) for name in of.by]
    own = [used.facility.label("facility_"), used.item.label("item_"), period]
    asked = select(
        *keys,
        *own,
        func.count().label("uses"),
        func.coalesce(func.sum(used.quantity), 0).label("quantity"),
        func.coalesce(func.sum(used.quantity).filter(wasted), 0).label("wasted"),
        func.coalesce(func.sum(used.quantity).filter(charges.c.id.is_not(None)), 0).label("charged"),
    )
    told = (charges.c.event == used.id) & (charges.c.kind == "charge") & (charges.c.state == "written")
    asked = asked.outerjoin(charges, told)
    asked = asked.where(used.facility.in_(facilities), used.used_at >= of.since, used.used_at < of.until)
    asked = asked.where(used.state == "posted", used.kind == "use", used.voided_by == "")
    for name in ("location", "item", "procedure", "service_line"):
        if value := getattr(of, name):
            asked = asked.where(used[name] == value)
    return asked.group_by(*keys, *own).limit(MOST_PARTS + 1)


def _dimension(name: str) -> ColumnElement[Any]:
    moment = func.timezone("UTC", usage_events.c.used_at)
    if name == "day":
        return func.date(moment)
    if name == "month":
        return func.to_char(moment, "YYYY-MM")
    return usage_events.c[name]


async def _facilities(connection: AsyncConnection) -> list[str]:
    """Those that have stock: the index of events begins with them."""
    known = select(register.c.facility).where(register.c.kind.in_(("item", "location")), register.c.facility != "")
    return sorted(await connection.scalars(known.union(select(usage_locations.c.facility))))


async def _prices(connection: AsyncConnection, facilities: Sequence[str]) -> dict[str, list[ContractPrice]]:
    """Every version of every contract price, by item."""
    asked = select(register.c.document).where(register.c.kind == "contract_price")
    asked = asked.where(register.c.facility.in_([*facilities, ""]))
    found: dict[str, list[ContractPrice]] = {}
    for row in await connection.execute(asked):
        one = ContractPrice.model_validate_json(row.document)
        found.setdefault(one.item, []).append(one)
    return found


def _edges(of: ReportOf, prices: Iterable[ContractPrice]) -> list[date]:
    """The days from which on a price may be another, the report's first day before them."""
    first, last = of.since.astimezone(UTC).date(), of.until.astimezone(UTC).date()
    days = {first}
    for one in prices:
        days |= {day for day in (one.valid_from, one.valid_to + timedelta(days=1) if one.valid_to else None) if day}
    return sorted(day for day in days if first <= day <= last)


async def _items(connection: AsyncConnection, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], Item]:
    """The items of the report as they are today."""
    codes: dict[str, set[str]] = {}
    for facility, item in wanted:
        codes.setdefault(facility, set()).add(item)
    today = utc_today()
    return {
        (facility, code): one
        for facility, own in codes.items()
        for code, one in (await items_of(connection, facility, today, own)).items()
    }


def _price(
    prices: Mapping[str, Sequence[ContractPrice]], item: Item | None, place: tuple[str, str], day: date
) -> tuple[Money, int] | None:
    """What a package cost on a day, and how many base units it holds: of the preferred supplier, by the facility's own contract
    before one of all."""
    facility, code = place
    valid = [one for one in prices.get(code, ()) if one.holds(day) and one.facility in (None, facility)]
    if item is None or not valid:
        return None
    sold = item.preferred_supplier(day)
    preferred = sold.supplier if sold else ""
    best = min(valid, key=lambda one: (one.supplier != preferred, one.facility is None, -one.valid_from.toordinal()))
    try:
        return best.price, item.base_units(best.unit, best.supplier)
    except Malformed:  # a price per a package nobody knows
        return None


def _add(to: _Sum, row: Any, item: Item | None, price: tuple[Money, int] | None) -> None:
    quantity = int(row.quantity)
    to.uses += int(row.uses)
    to.quantity += quantity
    to.wasted += int(row.wasted)
    to.charged += int(row.charged)
    if item is not None:
        to.units.add(item.base_unit)
    if price is None:
        to.unpriced += quantity
    else:
        money, units = price
        to.values[money.currency] = to.values.get(money.currency, Decimal(0)) + money.amount * quantity / units


def _row(of: ReportOf, key: tuple[Any, ...], one: _Sum, items: Mapping[tuple[str, str], Item]) -> ConsumedRow:
    named = dict(zip(of.by, key, strict=True))
    item = next((held for (_, code), held in items.items() if code == named.get("item")), None)
    row = ConsumedRow(
        **named,
        description=item.description if item else "",
        uses=one.uses,
        quantity=one.quantity,
        unit=next(iter(one.units)) if len(one.units) == 1 else "",
        wasted=one.wasted,
        charged=one.charged,
        unpriced=one.unpriced,
    )
    if len(one.values) != 1:  # of several currencies there is no sum: nobody knows the rate
        return row.model_copy(update={"currency": " ".join(sorted(one.values))})
    ((currency, amount),) = one.values.items()
    step = Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))
    return row.model_copy(update={"currency": currency, "value": amount.quantize(step, rounding=ROUND_HALF_UP)})


def _order(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple("" if one is None else str(one) for one in key)
