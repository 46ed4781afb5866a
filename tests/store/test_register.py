"""The register takes each record from who has the say, in versions, and says what it refuses and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.base import Money
from canonical.calendar import BusinessCalendar, OpenHours
from canonical.erp_steps import CostCentreActual
from canonical.errors import Malformed, Rejected
from canonical.parties import CostCentre, Employee, Partner, Policy, Supplier, Tolerances
from canonical.ports import MasterData
from canonical.supply import ContractPrice, Item, Packaging, SupplierItem
from store import register_csv
from store.authority import ERP, HOSPITAL, KINDS
from store.register import LoadReport, StoredRegister
from tests.store.build import NOW

SEED = Path(__file__).parents[2] / "demo" / "seed"
TODAY = date(2026, 3, 2)
GLOVES = Item(
    code="ITM-1001",
    description="Gloves",
    packagings=(Packaging(unit="BX", base_units=100), Packaging(unit="CA", base_units=1000)),
    suppliers=(SupplierItem(supplier="ALPINE", catalogue_number="ALP-GLV-M", order_unit="BX"),),
)
FINANCE = Employee(id="E-FIN", facility="NGH", roles=("finance",), os_user="fin-login")
ALPINE = Supplier(code="ALPINE", name="Alpine", bank_fingerprint="one")


class Days:
    def __init__(self) -> None:
        self.today = TODAY

    def __call__(self) -> date:
        return self.today


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
def register(engine: AsyncEngine, days: Days) -> StoredRegister:
    return StoredRegister(engine, days)


def only(report: LoadReport) -> tuple[str, str, str]:
    (record,) = report.records
    return record.outcome, record.path, record.reason


async def test_an_item_of_the_erp_is_found_by_code_and_by_catalogue_number(register: StoredRegister) -> None:
    report = await register.load("item", [GLOVES], ERP, "NGH")
    again = await register.load("item", [GLOVES], ERP, "NGH")
    assert (report.loaded, again.loaded, again.unchanged) == (1, 0, 1)
    assert await register.item("NGH", "ITM-1001") == GLOVES
    assert await register.item_by_catalogue("NGH", "ALPINE", "ALP-GLV-M") == GLOVES
    assert await register.item_by_catalogue("NGH", "BOREAL", "ALP-GLV-M") is None
    assert await register.item("OTHER", "ITM-1001") is None


async def test_a_catalogue_number_that_was_dropped_finds_nothing(register: StoredRegister, days: Days) -> None:
    await register.load("item", [GLOVES], ERP, "NGH")
    days.today = date(2026, 4, 1)
    await register.load("item", [Item(code="ITM-1001", suppliers=())], ERP, "NGH")
    assert await register.item_by_catalogue("NGH", "ALPINE", "ALP-GLV-M") is None
    days.today = TODAY
    assert await register.item_by_catalogue("NGH", "ALPINE", "ALP-GLV-M") == GLOVES


async def test_only_the_erp_makes_items_and_the_hospital_adds_its_own_fields(register: StoredRegister) -> None:
    row = {"code": "ITM-1001", "description": "Gloves", "stocked_at_par": True}
    outcome, path, reason = only(await register.load("item", [row], HOSPITAL, "NGH"))
    assert (outcome, path) == ("refused", "") and "only the erp makes" in reason
    await register.load("item", [GLOVES], ERP, "NGH")
    assert only(await register.load("item", [row], HOSPITAL, "NGH"))[0] == "loaded"
    found = await register.item("NGH", "ITM-1001")
    assert found is not None and found.stocked_at_par and found.suppliers == GLOVES.suppliers
    outcome, path, reason = only(await register.load("item", [row | {"description": "Mittens"}], HOSPITAL, "NGH"))
    assert (outcome, path) == ("refused", "description") and "the ERP is the authority" in reason


async def test_the_erp_does_not_undo_what_is_the_hospitals(register: StoredRegister) -> None:
    await register.load("item", [GLOVES], ERP, "NGH")
    await register.load("item", [{"code": "ITM-1001", "bulk": True}], HOSPITAL, "NGH")
    report = await register.load("item", [GLOVES.model_copy(update={"bulk": False})], ERP, "NGH")
    assert report.unchanged == 1
    found = await register.item("NGH", "ITM-1001")
    assert found is not None and found.bulk


async def test_what_the_hospital_loads_while_the_erps_load_is_under_way_stays(register: StoredRegister) -> None:
    await register.load("item", [GLOVES], ERP, "NGH")
    loads: list[asyncio.Task[LoadReport]] = []

    def of_the_erp() -> Iterator[Item]:
        """Its load has read the register when it asks for the first of these; the hospital's comes before the last."""
        loads.append(
            asyncio.create_task(register.load("item", [{"code": "ITM-1001", "stocked_at_par": True}], HOSPITAL, "NGH"))
        )
        yield from (Item(code=f"ITM-{number}") for number in range(2000, 2200))
        yield GLOVES.changed(description="Gloves, new")

    assert (await register.load("item", of_the_erp(), ERP, "NGH")).loaded == 201
    await asyncio.gather(*loads)
    found = await register.item("NGH", "ITM-1001")
    assert found is not None and (found.description, found.stocked_at_par) == ("Gloves, new", True)


async def test_packagings_in_another_order_say_the_same(register: StoredRegister) -> None:
    await register.load("item", [GLOVES], ERP, "NGH")
    row = register_csv.fields({"code": "ITM-1001", "packagings": "CA 1000;BX 100", "bulk": "yes"}, "item")
    assert only(await register.load("item", [row], HOSPITAL, "NGH"))[0] == "loaded"


@pytest.mark.parametrize(
    ("kind", "source", "row", "path"),
    [
        ("item", ERP, {"code": "A B"}, "code"),
        ("item", ERP, {"code": "A", "base_unit": "EACH"}, "base_unit"),
        ("item", ERP, {"code": "A", "colour": "red"}, "colour"),
        ("item", ERP, {"code": "A", "packagings": [{"unit": "BX", "base_units": "1.5"}]}, "packagings.0.base_units"),
        (
            "item",
            ERP,
            {"code": "A", "suppliers": [{"supplier": "S", "catalogue_number": "1", "order_unit": "BX"}]},
            "suppliers",
        ),
        ("cost_centre", ERP, {"code": "C", "facility": "OTHER"}, "facility"),
        ("department", HOSPITAL, {"code": "D", "valid_from": "soon"}, "valid_from"),
        ("department", ERP, {"code": "D"}, ""),
        ("employee", HOSPITAL, {"id": "E-1", "roles": ["king"]}, "roles"),
        ("employee", HOSPITAL, {"id": "E-1", "substitute": "E-1"}, "substitute"),
        ("contract_price", HOSPITAL, {"contract": "K", "supplier": "NOBODY", "item": "ITM-1001"}, "unit"),
        ("facility", HOSPITAL, {"code": "NGH", "calendar": {"code": "nights"}}, "calendar"),
        ("policy", HOSPITAL, {"valid_from": "2026-05-01", "valid_to": "2026-04-01"}, "valid_to"),
        ("policy", HOSPITAL, {"approval": {"levels": [{"role": "vp", "over": "-1"}]}}, "approval.levels.0.over"),
    ],
)
async def test_a_wrong_record_is_refused_with_its_path(
    register: StoredRegister, kind: str, source: str, row: dict[str, object], path: str
) -> None:
    report = await register.load(kind, [(7, row)], source, "NGH")
    (refused,) = report.refused
    assert refused[:2] == (7, path) and refused[2]


async def test_one_wrong_record_does_not_keep_the_others_out(register: StoredRegister) -> None:
    report = await register.load("supplier", [ALPINE, {"code": "B", "status": "closed"}, {"code": "C"}], ERP)
    assert (report.loaded, [row for row, _, _ in report.refused]) == (2, [2])


async def test_a_record_twice_in_one_load_is_refused(register: StoredRegister) -> None:
    report = await register.load("supplier", [ALPINE, ALPINE], ERP)
    assert (report.loaded, len(report.refused)) == (1, 1)


async def test_a_dry_run_writes_nothing(register: StoredRegister) -> None:
    assert (await register.load("supplier", [ALPINE], ERP, dry_run=True)).loaded == 1
    assert await register.supplier("ALPINE") is None


async def test_no_such_kind_or_source_is_said_so(register: StoredRegister) -> None:
    with pytest.raises(Rejected):
        await register.load("patient", [], HOSPITAL)
    with pytest.raises(Rejected):
        await register.load("item", [], "rumour")


async def test_a_change_holds_from_the_day_it_was_loaded(register: StoredRegister, days: Days) -> None:
    await register.load("supplier", [ALPINE], ERP)
    days.today = date(2026, 4, 1)
    await register.load("supplier", [Supplier(code="ALPINE", status="blocked")], ERP)
    blocked = await register.supplier("ALPINE")
    days.today = TODAY
    before = await register.supplier("ALPINE")
    assert blocked is not None and (blocked.status, blocked.name) == ("blocked", "Alpine")
    assert before is not None and before.status == "active"


async def test_new_bank_details_are_unseen_until_a_person_confirms_them(register: StoredRegister) -> None:
    await register.load("supplier", [ALPINE], ERP)
    first = await register.supplier("ALPINE")
    assert first is not None and not first.bank_changed_unseen
    await register.take_suppliers([Supplier(code="ALPINE", bank_fingerprint="two", bank_confirmed_fingerprint="two")])
    changed = await register.supplier("ALPINE")
    assert changed is not None and changed.bank_changed_unseen
    with pytest.raises(Rejected):
        await register.confirm_bank("ALPINE", "three", FINANCE, NOW)
    await register.confirm_bank("ALPINE", "two", FINANCE, NOW)
    await register.confirm_bank("ALPINE", "two", FINANCE.changed(id="E-9"), NOW + timedelta(days=1))
    confirmed = await register.supplier("ALPINE")
    assert confirmed is not None and not confirmed.bank_changed_unseen
    assert (confirmed.bank_confirmed_by, confirmed.bank_confirmed_at) == ("E-FIN", NOW), "the first who said so"
    await register.take_suppliers([Supplier(code="ALPINE", bank_fingerprint="")])
    removed = await register.supplier("ALPINE")
    assert removed is not None and removed.bank_changed_unseen
    with pytest.raises(Rejected):  # that there are none is nothing to confirm
        await register.confirm_bank("ALPINE", "", FINANCE, NOW)


@pytest.mark.parametrize("changed_by", ["E-FIN", "fin-login"])
async def test_who_changed_bank_details_does_not_confirm_them(register: StoredRegister, changed_by: str) -> None:
    await register.load("supplier", [ALPINE], ERP)
    new = {"code": "ALPINE", "bank_fingerprint": "two", "bank_changed_by": "nobody", "bank_confirmed_by": "E-9"}
    await register.load("supplier", [new], ERP, by=changed_by)
    held = await register.supplier("ALPINE")
    assert held is not None and (held.bank_changed_by, held.bank_confirmed_by) == (changed_by, "")
    with pytest.raises(Rejected, match="who changed the bank details of ALPINE may not confirm them") as refused:
        await register.confirm_bank("ALPINE", "two", FINANCE, NOW)
    assert refused.value.code == "not-allowed"
    other = FINANCE.changed(id="E-FIN2", os_user="other")
    assert (await register.confirm_bank("ALPINE", "two", other, NOW)).bank_confirmed_by == "E-FIN2"


async def test_contract_prices_hold_between_their_dates(register: StoredRegister) -> None:
    await register.load("supplier", [ALPINE], ERP)
    await register.load("item", [GLOVES], ERP, "NGH")
    rows = [
        {"price": {"amount": "8.40"}, "valid_from": "2026-01-01", "valid_to": "2026-12-31"},
        {"price": {"amount": "8.90"}, "valid_from": "2027-01-01"},
    ]
    common = {"contract": "ALP-2026", "supplier": "ALPINE", "item": "ITM-1001", "unit": "BX"}
    report = await register.load("contract_price", [common | row for row in rows], HOSPITAL, "NGH")
    assert report.loaded == 2

    async def on(day: date, item: str = "ITM-1001") -> list[Decimal]:
        return [price.price.amount for price in await register.contract_prices("NGH", item, day)]

    assert await on(date(2026, 6, 1)) == [Decimal("8.40")]
    assert await on(date(2027, 6, 1)) == [Decimal("8.90")]
    assert await on(date(2025, 6, 1)) == [] and await on(date(2026, 6, 1), "ITM-1002") == []
    unknown = common | {"item": "ITM-9", "price": {"amount": "1"}, "valid_from": "2026-01-01"}
    assert only(await register.load("contract_price", [unknown], HOSPITAL, "NGH"))[:2] == ("refused", "item")


async def test_policies_have_dates_and_the_platform_has_its_own(register: StoredRegister) -> None:
    strict = Policy(facility="NGH", valid_from=date(2026, 2, 1), tolerances=Tolerances(price_percent=Decimal(1)))
    await register.load("policy", [strict, Policy(facility="NGH", valid_from=date(2026, 5, 1))], HOSPITAL, "NGH")
    assert await register.policy("NGH", date(2026, 1, 1)) == Policy(facility="NGH")
    assert (await register.policy("NGH", date(2026, 3, 1))).tolerances.price_percent == 1
    assert (await register.policy("NGH", date(2026, 6, 1))).tolerances.price_percent == 2


async def test_people_are_found_by_role_and_no_two_share_a_login(register: StoredRegister) -> None:
    people = [
        Employee(id="E-1", facility="NGH", roles=("manager", "buyer"), os_user="one"),
        Employee(id="E-2", facility="NGH", roles=("manager",), active=False),
        Employee(id="E-3", facility="NGH", os_user="one"),
    ]
    report = await register.load("employee", people, HOSPITAL, "NGH")
    assert [path for _, path, _ in report.refused] == ["os_user"]
    assert [person.id for person in await register.employees("NGH", "manager")] == ["E-1"]
    await register.load("employee", [{"id": "E-1", "roles": ["buyer"]}], HOSPITAL, "NGH")
    assert await register.employees("NGH", "manager") == []


async def test_the_erp_says_who_works_here_and_the_hospital_what_they_may(register: StoredRegister) -> None:
    await register.load("employee", [Employee(id="E-1", facility="NGH", active=True)], ERP, "NGH")
    await register.load("employee", [{"id": "E-1", "roles": ["vp"]}], HOSPITAL, "NGH")
    await register.load("employee", [Employee(id="E-1", facility="NGH", active=False)], ERP, "NGH")
    found = await register.employee("NGH", "E-1")
    assert found is not None and (found.roles, found.active) == (("vp",), False)
    assert only(await register.load("employee", [{"id": "E-1", "active": True}], HOSPITAL, "NGH"))[1] == "active"


async def test_a_budget_is_the_hospitals_and_what_is_booked_the_erps(register: StoredRegister) -> None:
    await register.load("cost_centre", [CostCentre(code="CC-1", facility="NGH", name="Surgery")], ERP, "NGH")
    await register.load("cost_centre", [{"code": "CC-1", "budget": {"amount": "100"}}], HOSPITAL, "NGH")
    booked = [CostCentreActual(cost_centre=code, actual=Money(amount=Decimal(40))) for code in ("CC-1", "CC-9")]
    await register.take_actuals("NGH", booked)
    (found,) = await register.cost_centres("NGH")
    assert (found.budget, found.actual, found.name) == (
        Money(amount=Decimal(100)),
        Money(amount=Decimal(40)),
        "Surgery",
    )


async def test_calendars_are_looked_up_by_their_code(register: StoredRegister) -> None:
    office = BusinessCalendar(
        code="office",
        time_zone="America/Chicago",
        hours=tuple(
            OpenHours.model_validate({"weekday": day, "opens": "08:00", "closes": "17:00"}) for day in range(5)
        ),
    )
    await register.load("calendar", [office], HOSPITAL)
    await register.load("facility", [{"code": "NGH", "calendar": {"code": "office"}}], HOSPITAL)
    partner = Partner(code="ALPINE", supplier="ALPINE", id="A", our_id="F", calendar=BusinessCalendar(code="office"))
    await register.load("partner", [partner], HOSPITAL)
    facility, found = await register.facility("NGH"), await register.partner("ALPINE")
    assert facility is not None and facility.calendar == office
    assert found is not None and found.calendar == office


async def test_the_seed_hospital_loads_whole(register: StoredRegister) -> None:
    for kind, path in register_csv.files(SEED):
        target, rows = register_csv.read(path, kind)
        source = ERP if ERP in KINDS[target].makers else HOSPITAL
        report = await register.load(target, rows, source, "NGH")
        assert (path.name, report.refused) == (path.name, ())
    gloves = await register.item("NGH", "ITM-1001")
    assert gloves is not None and gloves.base_units("CA") == 1000 and len(gloves.suppliers) == 2
    terms = (await register.supplier("ALPINE") or ALPINE).terms
    assert (terms.net_days, terms.discount_percent, terms.discount_days) == (30, Decimal(2), 10)
    assert [price.price.amount for price in await register.contract_prices("NGH", "ITM-1001", TODAY)]


async def test_what_the_erp_holds_is_loaded_in_one_go(register: StoredRegister) -> None:
    data = MasterData(items=(GLOVES,), suppliers=(ALPINE,), cost_centres=(CostCentre(code="CC-1", facility="NGH"),))
    reports = await register.load_master_data(data, "NGH")
    assert sum(report.loaded for report in reports) == 3 and not any(report.refused for report in reports)


@pytest.mark.parametrize(
    ("text", "where"),
    [("", "items.csv"), ("code,code\n", "items.csv"), ("code\nA,B\n", "row 2"), ('code\n"A"B\n', "row 2")],
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, text: str, where: str) -> None:
    path = tmp_path / "items.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Malformed) as refused:
        register_csv.read(path)
    assert refused.value.path == where


def test_prices_stay_exact_and_rows_are_those_of_the_spreadsheet() -> None:
    text = "contract,supplier,item,unit,price,currency,valid_from\n\nK,S,I,BX,0.10,EUR,2026-01-01\n"
    ((row, content),) = register_csv.from_csv(text, "contract_price")
    price = ContractPrice.model_validate(content)
    assert (row, price.price) == (3, Money(amount=Decimal("0.10"), currency="EUR"))


def test_a_policy_in_json_keeps_its_decimals(tmp_path: Path) -> None:
    path = tmp_path / "policies.json"
    path.write_text('[{"facility": "NGH", "tolerances": {"price_percent": 2.1}}]', encoding="utf-8")
    kind, ((_, content),) = register_csv.read(path)
    assert kind == "policy" and Policy.model_validate(content).tolerances.price_percent == Decimal("2.1")
