"""HR's own database as the demonstration makes it: its clerk works there, and the platform's user reads and may do nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from adapters.erp.tryton.rpc import TrytonRpc
from adapters.hr.tryton import TrytonHr
from adapters.registry import HR_SYSTEMS
from canonical.errors import Rejected
from canonical.hr_ports import HrSaid
from demo.erp import make_people, read_secret
from demo.erp_database import Postgres
from demo.erp_environment import recipe_key
from demo.hr_people_acts import HrClerk
from demo.people_made import Made, made
from tests.adapters.erp.conftest import PEOPLE, RunningErp

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
BEGINS, ENDS = date(2026, 1, 5), date(2026, 6, 30)
pytestmark = [pytest.mark.server, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def running_hr(running_erp: RunningErp) -> RunningErp:
    password = read_secret(running_erp.home, "fascia", of="hr")
    return replace(running_erp, access=replace(running_erp.access, database=PEOPLE, password=password))


@pytest.fixture
def clerk(running_hr: RunningErp) -> HrClerk:
    return HrClerk(running_hr.access.url, PEOPLE, running_hr.home)


@pytest.fixture
async def hr(running_hr: RunningErp) -> AsyncIterator[TrytonHr]:
    asked = HR_SYSTEMS["tryton"](running_hr.access)
    assert isinstance(asked, TrytonHr)
    yield asked
    await asked.close()


async def said_of(hr: TrytonHr, one: Made) -> Sequence[HrSaid]:
    return [said for said in (await hr.changes_since(LONG_AGO)).said if said.person == one.number]


async def test_what_the_clerk_enters_is_said_as_it_stands_each_state_under_a_number_of_its_own(
    hr: TrytonHr, clerk: HrClerk
) -> None:
    one, other = made(4711, "scheduler"), made(4712, "registered_nurse", "pharmacy", "CC-4200")
    for who in (one, other):
        clerk.employ(who, BEGINS)
    (hired,) = await said_of(hr, one)
    assert (hired.kind, hired.starts, hired.record["npi"]) == ("update", BEGINS, one.npi)
    assert hired.record["name"] == {"family": one.family, "given": one.given}
    placed = {name: hired.position[name] for name in ("role", "department", "cost_centre", "service_line")}
    assert list(placed.values()) == ["Scheduler", "Surgery", "CC-4100", "surgery"]

    clerk.move(one.number, "pharmacy", "CC-4200")
    (moved,) = await said_of(hr, one)
    placed = {name: moved.position[name] for name in ("role", "department", "cost_centre", "service_line")}
    assert list(placed.values()) == ["Scheduler", "Pharmacy", "CC-4200", "pharmacy"]
    assert moved.number != hired.number and moved.said_at > hired.said_at, "of a party whose categories alone changed"

    clerk.rename(one.number, "Wedwood", one.given)
    (named,) = await said_of(hr, one)
    assert named.record["name"]["family"] == "Wedwood" and named.position == moved.position

    clerk.end(one.number, ENDS)
    (gone,) = await said_of(hr, one)
    assert (gone.kind, gone.effective) == ("terminate", ENDS)
    assert [said.kind for said in await said_of(hr, other)] == ["update"]


async def test_the_platforms_user_there_may_not_write_what_it_reads(running_hr: RunningErp, clerk: HrClerk) -> None:
    one = made(4713, "scheduler")
    clerk.employ(one, BEGINS)
    access = running_hr.access
    asked = HR_SYSTEMS["tryton"](access)
    assert isinstance(asked, TrytonHr)
    assert await said_of(asked, one)
    rpc: TrytonRpc = asked._rpc
    (employee, *_) = await rpc.search("company.employee", [["party.code", "=", one.number]], ["party"])
    for model, row, change in (
        ("company.employee", employee["id"], {"end_date": ENDS}),
        ("party.party", employee["party"], {"name": "Somebody Else"}),
    ):
        with pytest.raises(Rejected):
            await rpc.write(model, [row], change)
    assert [said.kind for said in await said_of(asked, one)] == ["update"]
    await asked.close()


def test_a_second_start_finds_the_database_and_one_of_an_older_recipe_is_brought_up_to_date(
    running_hr: RunningErp, postgres: Postgres
) -> None:
    said: list[str] = []
    make_people(postgres, PEOPLE, running_hr.home, said.append)
    assert said == [] and postgres.marked(PEOPLE) == recipe_key()
    postgres.mark(PEOPLE, "another recipe")
    make_people(postgres, PEOPLE, running_hr.home, said.append)
    assert len(said) == 1 and postgres.marked(PEOPLE) == recipe_key()
