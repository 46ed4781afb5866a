"""The register: what we know of items, suppliers, people and rules, as it stands on a day."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TypeVar

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from canonical.base import Canonical, Money
from canonical.calendar import BusinessCalendar
from canonical.folders import FileSource
from canonical.parties import CostCentre, Department, Employee, Facility, Location, Partner, Policy, Supplier
from canonical.senders import Channel, Mapping, Sender
from canonical.stock import StockLevel
from canonical.supply import ContractPrice, Item
from canonical.usage import UsagePolicy
from store.database import transaction
from store.tables import commitments, order_numbers, register, register_keys

Record = TypeVar("Record", bound=Canonical)


def utc_today() -> date:
    """Which version of a record is in force where a question names no day."""
    return datetime.now(UTC).date()


async def current(
    connection: AsyncConnection, model: type[Record], kind: str, facility: str, code: str, as_of: date
) -> Record | None:
    """The version of a record in force on a day, or None."""
    document = await connection.scalar(
        select(register.c.document)
        .where(register.c.kind == kind, register.c.facility == facility, register.c.code == code)
        .where(register.c.valid_from <= as_of)
        .order_by(register.c.valid_from.desc())
        .limit(1)
    )
    return model.model_validate_json(document) if document is not None else None


async def all_current(
    connection: AsyncConnection,
    model: type[Record],
    kind: str,
    facilities: Sequence[str],
    as_of: date,
    *,
    key: str | None = None,
) -> list[Record]:
    """Every record of a kind as in force on a day; with ``key`` only those that (at some time) had that other name."""
    asked = (
        select(register.c.document)
        .ext(distinct_on(register.c.facility, register.c.code))
        .where(register.c.kind == kind, register.c.facility.in_(facilities), register.c.valid_from <= as_of)
        .order_by(register.c.facility.desc(), register.c.code, register.c.valid_from.desc())
    )
    if key is not None:
        named = select(register_keys.c.code).where(
            register_keys.c.kind == kind,
            register_keys.c.facility == register.c.facility,
            register_keys.c.key == key,
        )
        asked = asked.where(register.c.code.in_(named))
    return [model.model_validate_json(row.document) for row in await connection.execute(asked)]


async def in_force(
    connection: AsyncConnection, model: type[Record], kind: str, facility: str, codes: Collection[str], as_of: date
) -> dict[str, Record]:
    """The records of these codes as in force on a day, in one question; a document that was read before is not read again."""
    if not codes:
        return {}
    found = await connection.execute(
        _IN_FORCE, {"kind": kind, "facility": facility, "codes": sorted(codes), "as_of": as_of}
    )
    return {row.code: read_document(model, row.document) for row in found}


async def items_in_force(
    connection: AsyncConnection, facility: str, codes: Collection[str], devices: Collection[str], as_of: date
) -> dict[str, Item]:
    """Items by code, and by ``device:<identifier>`` for barcodes, as in force on a day."""
    keys = {f"device:{device}" for device in devices}
    known: dict[str, Item] = {}
    if keys:
        named = select(register_keys.c.key, register_keys.c.code).where(
            register_keys.c.kind == "item", register_keys.c.facility == facility, register_keys.c.key.in_(sorted(keys))
        )
        rows = (await connection.execute(named)).all()
        items = await in_force(connection, Item, "item", facility, {*codes, *(row.code for row in rows)}, as_of)
        for row in rows:
            if (item := items.get(row.code)) is not None and row.key in other_names(item):
                known[row.key] = item
        return known | items
    return known | await in_force(connection, Item, "item", facility, codes, as_of)


_IN_FORCE = text("""
SELECT DISTINCT ON (code) code, document FROM register
WHERE kind = :kind AND facility = :facility AND code = ANY(CAST(:codes AS text[])) AND valid_from <= :as_of
ORDER BY code, valid_from DESC""")


@lru_cache(maxsize=8192)
def read_document(model: type[Record], document: str) -> Record:
    """A record of the register, read once for each of its versions."""
    return model.model_validate_json(document)


async def all_codes(connection: AsyncConnection, kind: str, as_of: date) -> list[str]:
    """The codes of a kind that are in force on a day, in order."""
    asked = select(register.c.code).where(register.c.kind == kind, register.c.valid_from <= as_of)
    return list(await connection.scalars(asked.distinct().order_by(register.c.code)))


def other_names(record: Canonical) -> set[str]:
    """The other names a record is looked up by."""
    if isinstance(record, Item):
        sold = {f"catalogue:{sold.supplier}/{sold.catalogue_number}" for sold in record.suppliers}
        packed = {one.gtin for one in (*record.packagings, *(p for s in record.suppliers for p in s.packagings))}
        return sold | {f"device:{one}" for one in {*record.devices, *packed} if one}
    if isinstance(record, Employee):
        login = {f"os_user:{record.os_user}"} if record.os_user else set()
        return login | {f"role:{role}" for role in record.roles}
    if isinstance(record, ContractPrice):
        return {f"item:{record.item}"}
    return set()


def of_others(case: str) -> ColumnElement[bool]:
    """Commitments that are not of this requisition's own orders."""
    own = select(order_numbers.c.number).where(
        order_numbers.c.case == case, order_numbers.c.facility == commitments.c.facility
    )
    return commitments.c.order.not_in(own)


class RegisterReading:
    """Questions to the register in our own database. Suppliers, partners and calendars are of all facilities, the rest of one each."""

    def __init__(self, engine: AsyncEngine, today: Callable[[], date] = utc_today) -> None:
        self._engine = engine
        self._today = today

    async def _one(self, model: type[Record], kind: str, facility: str, code: str) -> Record | None:
        async with transaction(self._engine) as connection:
            return await current(connection, model, kind, facility, code, self._today())

    async def facility(self, code: str) -> Facility | None:
        """A hospital site, with its calendar as the register has it under the calendar's code."""
        async with transaction(self._engine) as connection:
            found = await current(connection, Facility, "facility", code, code, self._today())
            if found is None:
                return None
            calendar = await self._calendar(connection, found.calendar)
            return found.model_copy(update={"calendar": calendar})

    async def _calendar(self, connection: AsyncConnection, given: BusinessCalendar) -> BusinessCalendar:
        return await current(connection, BusinessCalendar, "calendar", "", given.code, self._today()) or given

    async def department(self, facility: str, code: str) -> Department | None:
        """A department of a facility."""
        return await self._one(Department, "department", facility, code)

    async def location(self, facility: str, code: str) -> Location | None:
        """A place of a facility."""
        return await self._one(Location, "location", facility, code)

    async def item(self, facility: str, code: str) -> Item | None:
        """An item by our own code."""
        return await self._one(Item, "item", facility, code)

    async def item_by_catalogue(self, facility: str, supplier: str, catalogue_number: str) -> Item | None:
        """An item by what a supplier calls it today."""
        key = f"catalogue:{supplier}/{catalogue_number}"
        async with transaction(self._engine) as connection:
            found = await all_current(connection, Item, "item", [facility], self._today(), key=key)
        return next((item for item in found if key in other_names(item)), None)

    async def item_by_device(self, facility: str, device: str) -> Item | None:
        """An item by the device identifier of its barcode (a GTIN of 14 digits, a HIBCC or ICCBBA identifier)."""
        key = f"device:{device}"
        async with transaction(self._engine) as connection:
            found = await all_current(connection, Item, "item", [facility], self._today(), key=key)
        return next((item for item in found if key in other_names(item)), None)

    async def stock_level(self, facility: str, location: str, item: str) -> StockLevel | None:
        """How an item is kept at a location."""
        return await self._one(StockLevel, "stock_level", facility, f"{location}/{item}")

    async def usage_policy(self, facility: str, as_of: date) -> UsagePolicy:
        """The rules of a facility for what is used, in force on a day; the platform's own where it has none."""
        async with transaction(self._engine) as connection:
            found = await current(connection, UsagePolicy, "usage_policy", facility, facility, as_of)
        if found is None or (found.valid_to is not None and as_of > found.valid_to):
            return UsagePolicy(facility=facility)
        return found

    async def items(self, facility: str) -> Sequence[Item]:
        """Every item of a facility."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, Item, "item", [facility], self._today())

    async def supplier(self, code: str) -> Supplier | None:
        """A supplier with status and terms."""
        return await self._one(Supplier, "supplier", "", code)

    async def suppliers(self) -> Sequence[Supplier]:
        """Every supplier."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, Supplier, "supplier", [""], self._today())

    async def partner(self, supplier: str) -> Partner | None:
        """How we exchange with a supplier."""
        async with transaction(self._engine) as connection:
            found = await current(connection, Partner, "partner", "", supplier, self._today())
            if found is None:
                return None
            return found.model_copy(update={"calendar": await self._calendar(connection, found.calendar)})

    async def partners(self) -> Sequence[Partner]:
        """Everyone we exchange with."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, Partner, "partner", [""], self._today())

    async def senders(self) -> Sequence[Sender]:
        """Every system that sends to us."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, Sender, "sender", [""], self._today())

    async def channels(self) -> Sequence[Channel]:
        """Every target we send to."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, Channel, "channel", [""], self._today())

    async def mappings(self, as_of: date | None = None) -> Sequence[Mapping]:
        """Every sender's tables of codes as in force on a day; without one, today."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, Mapping, "mapping", [""], as_of or self._today())

    async def file_sources(self) -> Sequence[FileSource]:
        """Every folder that is watched for files."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, FileSource, "file_source", [""], self._today())

    async def contract_prices(self, facility: str, item: str, as_of: date) -> Sequence[ContractPrice]:
        """The contract prices of an item in force on a day: the facility's own before those of all facilities."""
        async with transaction(self._engine) as connection:
            found = await all_current(
                connection, ContractPrice, "contract_price", [facility, ""], as_of, key=f"item:{item}"
            )
        return [price for price in found if price.holds(as_of)]

    async def cost_centre(self, facility: str, code: str) -> CostCentre | None:
        """A cost centre with its budget and what is booked on it."""
        return await self._one(CostCentre, "cost_centre", facility, code)

    async def committed(self, facility: str, cost_centre: str, but: str = "") -> Money | None:
        """What open orders still promise of a cost centre; None where there is none.

        The orders of the requisition's case ``but`` do not count: a check that is repeated must not meet its own promise.
        """
        asked = (
            select(func.sum(commitments.c.amount).label("amount"), commitments.c.currency)
            .where(commitments.c.facility == facility, commitments.c.cost_centre == cost_centre, of_others(but))
            .group_by(commitments.c.currency)
        )
        async with transaction(self._engine) as connection:
            sums = [Money(amount=row.amount, currency=row.currency) for row in await connection.execute(asked)]
        if len(sums) > 1:
            raise ValueError(f"cost centre {cost_centre} is promised in several currencies")
        return sums[0] if sums else None

    async def cost_centres(self, facility: str) -> Sequence[CostCentre]:
        """Every cost centre of a facility, with its budget's period."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, CostCentre, "cost_centre", [facility], self._today())

    async def employee(self, facility: str, person: str) -> Employee | None:
        """A person of a facility, by id."""
        return await self._one(Employee, "employee", facility, person)

    async def employee_by_login(self, facility: str, login: str) -> Employee | None:
        """The active person of a facility behind a shell login."""
        async with transaction(self._engine) as connection:
            found = await all_current(
                connection, Employee, "employee", [facility], self._today(), key=f"os_user:{login}"
            )
        return next((person for person in found if person.active and person.os_user == login), None)

    async def employees(self, facility: str, role: str) -> Sequence[Employee]:
        """The active people of a facility with a role."""
        async with transaction(self._engine) as connection:
            found = await all_current(connection, Employee, "employee", [facility], self._today(), key=f"role:{role}")
        return [person for person in found if person.active and role in person.roles]

    async def policy(self, facility: str, as_of: date) -> Policy:
        """The rules of a facility in force on a day; the platform's own where it has none."""
        async with transaction(self._engine) as connection:
            found = await current(connection, Policy, "policy", facility, facility, as_of)
        if found is None or (found.valid_to is not None and as_of > found.valid_to):
            return Policy(facility=facility)
        return found
