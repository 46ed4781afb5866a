"""Employees in a real Tryton: the suite of all targets, and what only a real ERP can show."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import date

import pytest

from adapters.erp.tryton.employees import EMPLOYEE, FIELDS, MISSING
from adapters.erp.tryton.erp import TrytonErp
from canonical.access import Wanted
from canonical.errors import Rejected, Unavailable
from canonical.people_ports import ClinicianTarget
from tests.adapters.contract_targets import TargetContract, nobody_any_more, somebody
from tests.adapters.erp.conftest import RunningErp
from tests.adapters.erp.lines import Connect, UnreliableLine

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]


@pytest.fixture
def system(signed_in: TrytonErp) -> ClinicianTarget:
    return signed_in.employees


class TestTrytonEmployees(TargetContract):
    """Tryton 8.2 with the module ``fascia_key``."""


def at(wanted: Wanted, **position: object) -> Wanted:
    held = wanted.held[0]
    return wanted.model_copy(
        update={"held": (held.model_copy(update={"position": held.position.model_copy(update=position)}),)}
    )


async def _employee(erp: TrytonErp, person: str) -> dict[str, object]:
    found = await erp._records.find_keyed(EMPLOYEE, f"people/{person}", FIELDS)
    assert found is not None
    return found


async def test_payroll_finds_what_it_pays_by(signed_in: TrytonErp) -> None:
    wanted = somebody()
    await signed_in.employees.write(wanted)
    row = await _employee(signed_in, wanted.person)
    said = [row[name] for name in FIELDS[2:]]
    assert [str(one) for one in said] == [
        *("2026-03-01", "None", "CC-4100", "surgery", "physician", "employed", "M4", "0.8"),
    ]


async def test_a_cost_centre_that_is_not_there_yet_is_waited_for_and_gives_nobody_half_an_employment(
    signed_in: TrytonErp,
) -> None:
    wanted = at(somebody(), cost_centre="CC-9999")
    with pytest.raises(Rejected, match="CC-9999") as refused:
        await signed_in.employees.write(wanted)
    assert refused.value.code == MISSING
    assert not (await signed_in.employees.look(wanted)).present


async def test_two_who_hire_the_same_person_at_once_hire_one(signed_in: TrytonErp) -> None:
    wanted = somebody()
    await asyncio.gather(*(signed_in.employees.write(wanted) for _ in range(3)))
    found = await signed_in._records.rpc.search("party.party", [["code", "=", wanted.person]], ["name"])
    assert [row["name"] for row in found] == ["Ashgrove, Perpetua"]
    assert (await signed_in.employees.look(wanted)).as_wanted


@pytest.mark.parametrize("late", [None, 0.5])
async def test_whatever_answer_is_lost_or_late_there_is_one_employee_in_the_end(
    running_erp: RunningErp, over: Connect, late: float | None
) -> None:
    wanted, line = somebody(), UnreliableLine(late)
    erp = over(line, running_erp.access)
    for _ in range(10):
        with contextlib.suppress(Unavailable):
            await erp.employees.write(wanted)
            break
    await line.quiet()
    assert "model.company.employee.create" in line.lost
    assert (await erp.employees.write(wanted)).as_wanted
    mine = [["party.code", "=", wanted.person]]
    assert len(await erp._records.rpc.search(EMPLOYEE, mine, [], context={"active_test": False})) == 1


async def test_who_leaves_keeps_an_explained_past(signed_in: TrytonErp) -> None:
    wanted = somebody()
    await signed_in.employees.write(wanted)
    await signed_in.employees.write(nobody_any_more(wanted))
    row = await _employee(signed_in, wanted.person)
    assert (row["start_date"], row["end_date"], row["fascia_pay_grade"]) == (date(2026, 3, 1), date(2026, 9, 30), "M4")


async def test_whoever_left_stays_in_what_the_register_is_told_and_is_not_active(signed_in: TrytonErp) -> None:
    stays, leaves = somebody(), somebody()
    await signed_in.employees.write(stays)
    await signed_in.employees.write(leaves)
    await signed_in.employees.write(nobody_any_more(leaves))
    row = await _employee(signed_in, leaves.person)
    await signed_in._records.rpc.write(EMPLOYEE, [int(str(row["id"]))], {"end_date": date(2026, 3, 31)})
    told = {one.id: one.active for one in (await signed_in.master_data("NGH")).employees}
    assert (told[stays.person], told[leaves.person]) == (True, False)
