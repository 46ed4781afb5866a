"""A requisition completed from the register: what each line is and costs, what stands in the way, who must approve."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from activities.register import RegisterActivities
from canonical.base import Money
from canonical.parties import CostCentre, Supplier
from canonical.purchasing import Requisition
from canonical.steps import Enriched, EnrichRequest
from canonical.supply import ContractPrice
from tests import build
from tests.fakes.register import FakeRegister

NOW = datetime(2026, 11, 20, 15, tzinfo=UTC)


async def enriched(requisition: Requisition, *records: Any) -> Enriched:
    register = FakeRegister(*build.hospital())
    register.put(*records)
    return await RegisterActivities(register).enrich(EnrichRequest(requisition=requisition, as_of=NOW))


async def problems(requisition: Requisition, *records: Any) -> list[tuple[str, str]]:
    return [(problem.path, problem.reason) for problem in (await enriched(requisition, *records)).problems]


async def test_a_line_comes_in_order_units_at_the_contracts_price() -> None:
    found = await enriched(build.requisition(build.line("1", "ITM-1001", "30 EA")))
    line = found.lines[0].line
    assert line is not None and found.problems == ()
    assert (str(line.quantity), line.unit_price, line.base_units, line.contract) == (
        "3 BX",
        build.usd("8"),
        10,
        "C-ALPINE",
    )
    assert found.amount == build.usd("24") and found.auto_approved


async def test_every_problem_is_said_at_once_with_its_path() -> None:
    lines = (
        build.line("1", "ITM-9999"),
        build.line("2", "ITM-1004"),
        build.line("3", "ITM-1001", "15 EA"),
        build.line("4", "ITM-1001", "1 PK"),
        build.line("5", "ITM-1001", "1 BX", unit_price=build.usd("9")),
        build.line("6", "ITM-1001", "1 BX", supplier="BOREAL"),
    )
    wrong = build.requisition(*lines, department="x", requester="E-GONE", deliver_to="ROOF", cost_centre="CC-0")
    paths = [path for path, _ in await problems(wrong)]
    assert paths == [
        "department",
        "deliver_to",
        "requester",
        "cost_centre",
        "lines.1.item",
        "lines.2.supplier",
        "lines.3.quantity",
        "lines.4.unit",
        "lines.5.unit_price",
        "lines.6.supplier",
    ]


@pytest.mark.parametrize(
    ("status", "reason"), [("blocked", "supplier ALPINE is blocked"), ("inactive", "supplier ALPINE is inactive")]
)
async def test_a_supplier_must_be_active(status: str, reason: str) -> None:
    found = await problems(build.requisition(), Supplier(code="ALPINE", status=status))
    assert found == [("lines.1.supplier", reason)]


@pytest.mark.parametrize(
    ("asked", "fits"), [("8.00", True), ("8.16", True), ("8.17", False), ("7.84", True), ("7.83", False)]
)
async def test_an_asked_price_may_differ_from_the_contract_by_its_percent(asked: str, fits: bool) -> None:
    found = await problems(build.requisition(build.line("1", "ITM-1001", "1 BX", unit_price=build.usd(asked))))
    assert (found == []) == fits


async def test_a_price_asked_in_another_currency_is_refused() -> None:
    euros = Money(amount=Decimal(8), currency="EUR")
    found = await problems(build.requisition(build.line("1", "ITM-1001", "1 BX", unit_price=euros)))
    assert found[0][0] == "lines.1.unit_price" and "EUR" in found[0][1]


async def test_a_supplier_who_sells_in_another_currency_stops_the_line_and_not_the_check() -> None:
    price = ContractPrice(
        contract="C-EUR",
        supplier="ALPINE",
        item="ITM-1001",
        unit="BX",
        price=Money(amount=Decimal(8), currency="EUR"),
        valid_from=date(2020, 1, 1),
    )
    found = await problems(
        build.requisition(build.line("1", "ITM-1001", "1 BX")), price, Supplier(code="ALPINE", currency="EUR")
    )
    assert found == [("lines.1.unit_price", "priced in EUR, NGH orders in USD")]


@pytest.mark.parametrize(
    ("quantity", "roles"),
    [("1", ["manager"]), ("41", ["manager"]), ("42", ["manager", "director"]), ("209", ["manager", "director", "vp"])],
)
async def test_levels_of_approval_follow_the_amount(quantity: str, roles: list[str]) -> None:
    vp = build.employee("E-VP", "vp")
    found = await enriched(build.requisition(build.line("1", "ITM-1002", f"{quantity} BX")), vp)
    assert [step.role for step in found.approvals] == roles and found.problems == ()


@pytest.mark.parametrize(("boxes", "automatic"), [("62", True), ("63", False)])
async def test_the_rules_alone_approve_up_to_their_limit_at_par_on_contract(boxes: str, automatic: bool) -> None:
    found = await enriched(build.requisition(build.line("1", "ITM-1001", f"{boxes} BX")))
    assert found.auto_approved == automatic
    not_at_par = await enriched(build.requisition(build.line("1", "ITM-1002", "1 BX")))
    assert not not_at_par.auto_approved


async def test_off_contract_adds_a_step() -> None:
    free = build.item("ITM-2001", stocked_at_par=True)
    found = await enriched(build.requisition(build.line("1", "ITM-2001", "1 BX", unit_price=build.usd("5"))), free)
    assert [(step.role, step.why) for step in found.approvals] == [
        ("buyer", "a line is off contract"),
        ("manager", "above 0 USD"),
    ]


async def test_capital_adds_a_step() -> None:
    records = (build.item("ITM-3001", capital=True), build.contract("ITM-3001", "5000"))
    found = await enriched(build.requisition(build.line("1", "ITM-3001", "1 BX")), *records)
    assert [step.role for step in found.approvals] == ["buyer", "manager"]
    assert "capital" in found.approvals[0].why


async def test_nobody_who_may_approve_is_a_problem() -> None:
    found = await problems(build.requisition(build.line("1", "ITM-1002", "300 BX")))
    assert found == [("approvals", "nobody may approve as vp (above 25000 USD)")]


async def test_who_asks_is_not_among_the_approvers_and_the_cost_centres_own_come_first() -> None:
    own = build.employee("E-OWN", "manager", cost_centres=("CC-4100",))
    found = await enriched(build.requisition(), own)
    assert [person.id for person in found.approvals[0].approvers] == ["E-OWN"]
    asked = await enriched(build.requisition(requester="E-OWN"), own)
    assert [person.id for person in asked.approvals[0].approvers] == ["E-MGR"]


async def test_someone_on_leave_is_marked_with_their_substitute() -> None:
    away = build.employee("E-MGR", "manager", substitute="E-SUB", away_from=NOW.date(), away_to=NOW.date())
    (step,) = (await enriched(build.requisition(), away)).approvals
    assert [(p.id, p.substitute, p.away) for p in step.approvers] == [("E-MGR", "E-SUB", True)]


@pytest.mark.parametrize(
    ("budget", "actual", "left"), [("24", "0", True), ("23.99", "0", False), ("30", "6", True), ("30", "6.01", False)]
)
async def test_the_budget_left_is_budget_less_actual_less_committed(budget: str, actual: str, left: bool) -> None:
    centre = CostCentre(code="CC-4100", facility="NGH", budget=build.usd(budget), actual=build.usd(actual))
    requisition = build.requisition(build.line("1", "ITM-1001", "3 BX"))
    assert (await problems(requisition, centre) == []) == left


async def test_what_is_committed_already_is_not_left() -> None:
    register = FakeRegister(*build.hospital())
    register.commitments["NGH", "PO1"] = ("CC-4100", build.usd("999990"))
    steps = RegisterActivities(register)
    requisition = build.requisition(build.line("1", "ITM-1001", "3 BX"))
    found = await steps.enrich(EnrichRequest(requisition=requisition, as_of=NOW))
    assert found.budget_left == build.usd("10") and "budget exceeded" in found.problems[0].reason


async def test_a_budget_of_another_period_or_currency_is_a_problem() -> None:
    over = CostCentre(code="CC-4100", facility="NGH", period_to=NOW.date() - timedelta(days=1))
    assert (await problems(build.requisition(), over))[0] == ("cost_centre", "the budget of CC-4100 is not for today")
    euros = CostCentre(code="CC-4100", facility="NGH", budget=Money(amount=Decimal(10**6), currency="EUR"))
    assert "kept in EUR" in (await problems(build.requisition(), euros))[0][1]
