"""What was consumed, by procedure, facility, service line and item: quantities, what they cost by contract, wasted and charged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Boolean,
    ColumnElement,
    DateTime,
    Integer,
    Numeric,
    Row,
    Select,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.types import TypeEngine

from canonical.base import MINOR_UNITS, Money
from canonical.errors import Malformed
from canonical.stock_reports import DIMENSIONS, ConsumedRow, ReportOf
from canonical.supply import ContractPrice, Item
from store.database import transaction
from store.register_reading import utc_today
from store.stock_queries import items_of
from store.tables import register
from store.usage_tables import charges, usage_events, usage_locations

MOST_ROWS: Final = 200_000  # of a report: more is a question for a data warehouse


class Priced(NamedTuple):
    """What an item cost at a facility in a period of the report: ``amount`` for ``per`` base units."""

    at_facility: str
    of_item: str
    in_period: int
    amount: Decimal
    per: int
    priced_in: str


COLUMNS: Final[Mapping[str, TypeEngine[Any]]] = {
    "at_facility": Text(),
    "of_item": Text(),
    "in_period": Integer(),
    "amount": Numeric(),
    "per": BigInteger(),
    "priced_in": Text(),
}


class StoredUsageReport:
    """The report, added up in our own database by the index of when things were used."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def consumed(self, of: ReportOf) -> Sequence[ConsumedRow]:
        """The rows of a report, by what they are grouped by.

        Raises:
            Malformed: it is by something there is not, or has too many rows for a report.
        """
        if wrong := set(of.by) - set(DIMENSIONS):
            raise Malformed(f"by: a report is by {', '.join(DIMENSIONS)}, not by {sorted(wrong)[0]}", path="by")
        async with transaction(self._engine) as connection:
            facilities = [of.facility] if of.facility else await _facilities(connection)
            prices = await _prices(connection, facilities)
            edges = _edges(of, (one for found in prices.values() for one in found))
            priced = await _priced(connection, prices, facilities, edges)
            found = (await connection.execute(_asked(of, facilities, edges), _columns(priced))).all()
            if len(found) > MOST_ROWS:
                told = f"it has more than {MOST_ROWS} rows: ask for less time, or by less"
                raise Malformed(f"by: {told}", path="by", code="too-large")
            items = await _named(connection, facilities, {row.item for row in found}) if "item" in of.by else {}
        groups: dict[tuple[Any, ...], list[Row[Any]]] = {}
        for row in found:
            groups.setdefault(tuple(getattr(row, name) for name in of.by), []).append(row)
        return [_row(of, key, rows, items) for key, rows in sorted(groups.items(), key=lambda one: _order(one[0]))]


def _asked(of: ReportOf, facilities: Sequence[str], edges: Sequence[date]) -> Select[Any]:
    """Sums by group and currency; the arrays of prices are given with it (:func:`_columns`)."""
    used = usage_events.c
    moments = [datetime.combine(day, time(), UTC) for day in edges]
    period: ColumnElement[Any] = literal(1)
    if len(edges) > 1:
        period = func.width_bucket(used.used_at, cast(literal(moments), ARRAY(DateTime(timezone=True))))
    wasted = cast(func.coalesce(used.content["wasted"].astext, "false"), Boolean)
    keys: list[ColumnElement[Any]] = [_dimension(name).label(name) for name in of.by]
    given = [bindparam(name, type_=ARRAY(kind)) for name, kind in COLUMNS.items()]
    price = (
        func.unnest(*given)
        .table_valued(*(column(name, kind) for name, kind in COLUMNS.items()), name="price")
        .render_derived(with_types=False)
    )
    asked = select(
        *keys,
        price.c.priced_in.label("currency"),
        func.count().label("uses"),
        func.coalesce(func.sum(used.quantity), 0).label("quantity"),
        func.coalesce(func.sum(used.quantity).filter(wasted), 0).label("wasted"),
        func.coalesce(func.sum(used.quantity).filter(charges.c.id.is_not(None)), 0).label("charged"),
        func.sum(used.quantity * price.c.amount / price.c.per).label("value"),
    )
    told = (charges.c.event == used.id) & (charges.c.kind == "charge") & (charges.c.state == "written")
    same = (price.c.at_facility == used.facility) & (price.c.of_item == used.item) & (price.c.in_period == period)
    asked = asked.select_from(usage_events.outerjoin(charges, told).outerjoin(price, same))
    asked = asked.where(used.facility.in_(facilities), used.used_at >= of.since, used.used_at < of.until)
    asked = asked.where(used.state == "posted", used.kind == "use", used.voided_by == "")
    for name in ("location", "item", "procedure", "service_line"):
        if value := getattr(of, name):
            asked = asked.where(used[name] == value)
    return asked.group_by(*keys, price.c.priced_in).limit(MOST_ROWS + 1)


def _columns(priced: Sequence[Priced]) -> dict[str, list[Any]]:
    """As the statement takes them."""
    return {name: [getattr(one, name) for one in priced] for name in COLUMNS}


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


async def _named(connection: AsyncConnection, facilities: Sequence[str], codes: set[str]) -> dict[str, Item]:
    """The items of the report as they are today; where facilities differ on one, the first of them."""
    found: dict[str, Item] = {}
    for facility in facilities:
        found = await items_of(connection, facility, utc_today(), codes - found.keys()) | found
    return found


async def _priced(
    connection: AsyncConnection,
    prices: Mapping[str, Sequence[ContractPrice]],
    facilities: Sequence[str],
    edges: Sequence[date],
) -> list[Priced]:
    """What each item with a contract cost at each facility, in each period."""
    found = []
    for facility in facilities:
        for code, item in (await items_of(connection, facility, utc_today(), set(prices))).items():
            for period, day in enumerate(edges, start=1):
                if price := _price(prices[code], item, facility, day):
                    money, units = price
                    found.append(Priced(facility, code, period, money.amount, units, money.currency))
    return found


def _price(prices: Sequence[ContractPrice], item: Item, facility: str, day: date) -> tuple[Money, int] | None:
    """What a package cost on a day, and how many base units it holds: of the preferred supplier, by the facility's own contract
    before one of all."""
    valid = [one for one in prices if one.holds(day) and one.facility in (None, facility)]
    if not valid:
        return None
    sold = item.preferred_supplier(day)
    preferred = sold.supplier if sold else ""
    best = min(valid, key=lambda one: (one.supplier != preferred, one.facility is None, -one.valid_from.toordinal()))
    try:
        return best.price, item.base_units(best.unit, best.supplier)
    except Malformed:  # a price per a package nobody knows
        return None


def _row(of: ReportOf, key: tuple[Any, ...], rows: Sequence[Row[Any]], items: Mapping[str, Item]) -> ConsumedRow:
    named = dict(zip(of.by, key, strict=True))
    item = items.get(named.get("item", ""))
    row = ConsumedRow(
        **named,
        description=item.description if item else "",
        unit=item.base_unit if item else "",
        **{name: sum(int(getattr(one, name)) for one in rows) for name in ("uses", "quantity", "wasted", "charged")},
        unpriced=sum(int(one.quantity) for one in rows if one.currency is None),
    )
    values = {one.currency: one.value for one in rows if one.currency is not None}
    if len(values) != 1:  # of several currencies there is no sum: nobody knows the rate
        return row.model_copy(update={"currency": " ".join(sorted(values))})
    ((currency, amount),) = values.items()
    step = Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))
    return row.model_copy(update={"currency": currency, "value": amount.quantize(step, rounding=ROUND_HALF_UP)})


def _order(key: tuple[Any, ...]) -> tuple[str, ...]:
    return tuple("" if one is None else str(one) for one in key)
