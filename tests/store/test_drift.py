"""What a master file says otherwise than the register is listed, never taken; accepting is for who has the say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Money
from canonical.cases import Actor
from canonical.catalogue import CatalogueEntry, CataloguePrice, LocationNotice, MasterFile
from canonical.errors import Rejected
from canonical.parties import Facility, Location, Supplier
from canonical.supply import ContractPrice, Item, Packaging, SupplierItem
from store.acts import StoredActs
from store.drift import DriftRow, StoredDrift
from store.register import StoredRegister
from tests.store.build import put

TODAY = date(2026, 11, 21)
BUYER = Actor(id="E-BUY", known_by="os_user")
GLOVES = Item(
    code="ITM-1001",
    description="Gloves, medium",
    packagings=(Packaging(unit="BX", base_units=100), Packaging(unit="CA", base_units=1000)),
    suppliers=(SupplierItem(supplier="ALPINE", catalogue_number="ALP-GLV-M", order_unit="BX"),),
)
CONTRACT = ContractPrice(
    contract="K-1",
    facility="NGH",
    supplier="ALPINE",
    item="ITM-1001",
    unit="BX",
    price=Money(amount=Decimal("18.75")),
    valid_from=date(2026, 1, 1),
)


@pytest.fixture
async def register(engine: AsyncEngine) -> StoredRegister:
    register = StoredRegister(engine, lambda: TODAY)
    for facility in ("NGH", "SGH"):
        await put(engine, "facility", facility, facility, Facility(code=facility))
    await put(engine, "supplier", "", "ALPINE", Supplier(code="ALPINE"))
    await put(engine, "item", "NGH", "ITM-1001", GLOVES)
    code = "K-1/ALPINE/ITM-1001/BX"
    await put(engine, "contract_price", "NGH", code, CONTRACT, valid_from=CONTRACT.valid_from)
    await put(engine, "location", "NGH", "W3", Location(code="W3", facility="NGH", name="Ward 3"))
    return register


@pytest.fixture
def drift(engine: AsyncEngine, register: StoredRegister) -> StoredDrift:
    return StoredDrift(engine, register)


def price(amount: str, unit: str = "BX", since: date | None = None) -> CataloguePrice:
    return CataloguePrice(unit=unit, price=Money(amount=Decimal(amount)), valid_from=since)


def catalogue(*prices: CataloguePrice, **fields: object) -> MasterFile:
    content = {"supplier": "ALPINE", "catalogue_number": "ALP-GLV-M", "path": "LIN/6", "prices": prices}
    entry = CatalogueEntry.model_validate({**content, **fields})
    return MasterFile(kind="catalogue", source="ALPINE", facility="NGH", entries=(entry,))


def told(rows: Any) -> list[tuple[str, str, str, str]]:
    return [(row.code, row.field, row.ours, row.theirs) for row in rows]


async def test_another_price_is_listed_with_its_day_and_the_contract_stays(
    drift: StoredDrift, register: StoredRegister
) -> None:
    report = await drift.compare(catalogue(price("18.75"), price("19.10", since=date(2027, 1, 1))), "m-1", TODAY)
    (row,) = report.differ
    assert (row.kind, row.since, row.message, row.path, row.state) == (
        *("contract_price", date(2027, 1, 1), "m-1", "LIN/6"),
        "open",
    )
    assert told([row]) == [("ITM-1001", "price.BX from 2027-01-01", "18.75 USD per BX", "19.1 USD per BX")]
    assert [row.id for row in await drift.rows("NGH")] == [row.id] and await drift.rows("SGH") == []
    (held,) = await register.contract_prices("NGH", "ITM-1001", date(2027, 1, 2))
    assert held == CONTRACT


async def test_the_price_of_the_contracts_unit_counts_not_an_each_price_that_was_rounded(drift: StoredDrift) -> None:
    same = await drift.compare(catalogue(price("0.19", "EA"), price("18.75"), price("187.50", "CA")), "m-1", TODAY)
    assert same.differ == ()
    other = await drift.compare(catalogue(price("0.1875", "EA")), "m-2", TODAY)
    assert other.differ == ()
    dearer = await drift.compare(catalogue(price("0.19", "EA")), "m-3", TODAY)
    assert told(dearer.differ) == [("ITM-1001", "price.EA", "0.1875 USD per EA", "0.19 USD per EA")]


async def test_packaging_numbers_and_units_of_the_erp_are_compared(drift: StoredDrift) -> None:
    file = catalogue(
        item="ITM-1001",
        catalogue_number="ALP-NEW",
        order_unit="CA",
        packagings=(Packaging(unit="BX", base_units=90), Packaging(unit="PK", base_units=10)),
    )
    assert told((await drift.compare(file, "m-1", TODAY)).differ) == [
        ("ITM-1001", "suppliers.ALPINE.catalogue_number", "ALP-GLV-M", "ALP-NEW"),
        ("ITM-1001", "suppliers.ALPINE.order_unit", "BX", "CA"),
        ("ITM-1001", "packagings.BX", "100", "90"),
        ("ITM-1001", "packagings.PK", "", "10"),
    ]


async def test_a_suppliers_own_wording_is_no_drift_an_item_master_files_is(drift: StoredDrift) -> None:
    file = catalogue(description="GLV NITR M")
    assert (await drift.compare(file, "m-1", TODAY)).differ == ()
    master = file.model_copy(update={"kind": "items", "source": "ITEMFILE"})
    assert told((await drift.compare(master, "m-2", TODAY)).differ) == [
        ("ITM-1001", "description", "Gloves, medium", "GLV NITR M")
    ]


async def test_items_of_a_catalogue_that_are_none_of_ours_are_counted_and_a_code_of_ours_we_lack_is_listed(
    drift: StoredDrift,
) -> None:
    report = await drift.compare(catalogue(catalogue_number="ALP-UNKNOWN"), "m-1", TODAY)
    assert (report.unknown, report.differ) == (1, ())
    report = await drift.compare(catalogue(item="ITM-9", description="New", catalogue_number="X"), "m-1", TODAY)
    assert told(report.differ) == [("ITM-9", "exists", "", "New")]


async def test_locations_opened_renamed_and_closed_are_listed(drift: StoredDrift) -> None:
    notices = (
        LocationNotice(location="W4", name="Ward 4", action="add"),
        LocationNotice(location="W3", name="Ward three", action="update"),
    )
    file = MasterFile(kind="locations", source="FACILITIES", facility="NGH", locations=notices)
    assert sorted(told((await drift.compare(file, "m-1", TODAY)).differ)) == [
        ("W3", "name", "Ward 3", "Ward three"),
        ("W4", "exists", "", "Ward 4"),
    ]
    closed = file.model_copy(update={"locations": (LocationNotice(location="W3", active=False),)})
    assert told((await drift.compare(closed, "m-2", TODAY)).differ) == [("W3", "active", "true", "false")]


async def test_a_catalogue_of_no_facility_is_held_against_all(drift: StoredDrift, engine: AsyncEngine) -> None:
    await put(engine, "item", "SGH", "ITM-1001", GLOVES)
    file = catalogue(packagings=(Packaging(unit="BX", base_units=90),)).model_copy(update={"facility": None})
    report = await drift.compare(file, "m-1", TODAY)
    assert [(row.facility, row.field) for row in report.differ] == [("NGH", "packagings.BX"), ("SGH", "packagings.BX")]


async def test_said_again_it_is_the_same_row_and_it_is_settled_once_both_agree(drift: StoredDrift) -> None:
    (first,) = (await drift.compare(catalogue(price("19.10")), "m-1", TODAY)).differ
    (again,) = (await drift.compare(catalogue(price("19.10")), "m-2", TODAY)).differ
    assert (again.id, again.message, again.changed_at) == (first.id, "m-2", first.changed_at)
    assert len(await drift.rows()) == 1
    assert (await drift.compare(catalogue(price("18.75")), "m-3", TODAY)).differ == ()
    assert await drift.rows() == []
    assert [row.state for row in await drift.rows(state="settled")] == ["settled"]


async def test_what_was_dismissed_stays_so_until_they_say_something_else(
    drift: StoredDrift, engine: AsyncEngine
) -> None:
    (row,) = (await drift.compare(catalogue(price("19.10")), "m-1", TODAY)).differ
    await drift.dismiss(row.id, BUYER, "their list is wrong")
    await drift.compare(catalogue(price("19.10")), "m-2", TODAY)
    assert await drift.rows() == []
    (dismissed,) = await drift.rows(state="dismissed")
    assert (dismissed.decided_by, dismissed.decided_why) == ("E-BUY", "their list is wrong")
    (act,) = await StoredActs(engine).acts(f"drift/{row.id}")
    assert (act.verb, act.actor.id, act.reason) == ("drift dismissed", "E-BUY", "their list is wrong")
    await drift.compare(catalogue(price("19.20")), "m-3", TODAY)
    (opened,) = await drift.rows()
    assert (opened.id, opened.theirs, opened.decided_by) == (row.id, "19.2 USD per BX", "")


async def test_accepting_a_price_makes_the_contracts_next_version_from_its_day(
    drift: StoredDrift, register: StoredRegister
) -> None:
    (row,) = (await drift.compare(catalogue(price("19.10", since=date(2027, 1, 1))), "m-1", TODAY)).differ
    assert (await drift.accept(row.id, BUYER, dry_run=True)).state == "accepted"
    assert [one.state for one in await drift.rows()] == ["open"]
    await drift.accept(row.id, BUYER, "as agreed")

    async def costs(day: date) -> str:
        (held,) = await register.contract_prices("NGH", "ITM-1001", day)
        return str(held.price)

    assert (await costs(date(2026, 12, 31)), await costs(date(2027, 1, 1))) == ("18.75 USD", "19.10 USD")
    assert (await drift.compare(catalogue(price("19.10", since=date(2027, 1, 1))), "m-2", TODAY)).differ == ()
    with pytest.raises(Rejected, match="accepted already"):
        await drift.accept(row.id, BUYER)


async def test_a_price_of_a_contract_that_was_changed_since_is_not_written_over_it(
    drift: StoredDrift, register: StoredRegister
) -> None:
    (row,) = (await drift.compare(catalogue(price("19.10")), "m-1", TODAY)).differ
    (held,) = await register.contract_prices("NGH", "ITM-1001", TODAY)
    await register.load("contract_price", [held.changed(price=Money(amount=Decimal("17.10")))], "hospital", "NGH")
    with pytest.raises(Rejected, match="another since") as refused:
        await drift.accept(row.id, BUYER, "as agreed")
    assert refused.value.code == "changed" and [one.state for one in await drift.rows()] == ["open"]
    (now,) = await register.contract_prices("NGH", "ITM-1001", TODAY)
    assert str(now.price) == "17.10 USD"


async def test_what_the_erp_has_the_say_over_is_changed_there(drift: StoredDrift, register: StoredRegister) -> None:
    (row,) = (await drift.compare(catalogue(packagings=(Packaging(unit="BX", base_units=90),)), "m-1", TODAY)).differ
    with pytest.raises(Rejected, match="ERP is the authority for item ITM-1001") as refused:
        await drift.accept(row.id, BUYER)
    assert refused.value.code == "not-allowed"
    assert await register.item("NGH", "ITM-1001") == GLOVES
    assert [one.state for one in await drift.rows()] == ["open"]


async def test_a_price_without_a_contract_of_ours_is_listed_and_cannot_be_accepted(
    drift: StoredDrift, engine: AsyncEngine
) -> None:
    await put(engine, "item", "SGH", "ITM-1001", GLOVES)
    file = catalogue(price("19.10")).model_copy(update={"facility": "SGH"})
    (row,) = (await drift.compare(file, "m-1", TODAY)).differ
    assert told([row]) == [("ITM-1001", "price.BX", "", "19.1 USD per BX")]
    with pytest.raises(Rejected, match="load a contract_price"):
        await drift.accept(row.id, BUYER)


async def test_a_dry_run_lists_nothing(drift: StoredDrift) -> None:
    report = await drift.compare(catalogue(price("19.10")), "", TODAY, dry_run=True)
    assert len(report.differ) == 1 and await drift.rows(state="") == []


async def test_what_is_not_there_is_not_found(drift: StoredDrift) -> None:
    for asked in (drift.row("drift-0"), drift.accept("drift-0", BUYER), drift.dismiss("drift-0", BUYER)):
        with pytest.raises(Rejected, match="no drift drift-0"):
            await asked
    with pytest.raises(Rejected, match="never sleepy"):
        await drift.rows(state="sleepy")


async def test_who_decides_what_somebody_else_decided_meanwhile_hears_it(
    drift: StoredDrift, monkeypatch: pytest.MonkeyPatch
) -> None:
    (row,) = (await drift.compare(catalogue(price("19.10")), "m-1", TODAY)).differ
    seen = await drift._open(row.id)

    async def as_seen(name: str, *, only_open: bool = True) -> tuple[DriftRow, str]:
        return seen

    monkeypatch.setattr(drift, "_open", as_seen)
    await drift.dismiss(row.id, BUYER, "first")
    with pytest.raises(Rejected, match="somebody else"):
        await drift.dismiss(row.id, BUYER, "second")
    (held,) = await drift.rows(state="dismissed")
    assert held.decided_why == "first"


async def test_more_rows_than_one_statement_takes_are_compared_in_one_go(drift: StoredDrift) -> None:
    entries = tuple(
        CatalogueEntry(supplier="ALPINE", catalogue_number=f"X-{n}", item=f"ITM-{n}", prices=(price("1.00"),))
        for n in range(2000, 4500)
    )
    file = MasterFile(kind="catalogue", source="ALPINE", facility="NGH", entries=entries)
    report = await drift.compare(file, "m-1", TODAY)
    assert len(report.differ) == 2500 and isinstance(report.differ[0], DriftRow)
