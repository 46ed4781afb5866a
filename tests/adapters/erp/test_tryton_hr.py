"""Tryton as an HR system: who changed since when, as it stands now, each state under one name; read over a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime

import httpx
import pytest

from adapters.erp.tryton.rpc import TrytonRpc
from adapters.hr.tryton import TrytonHr
from adapters.registry import HR_SYSTEMS
from canonical.errors import Rejected, Unavailable
from canonical.hr_ports import HrSaid
from tests.adapters.erp.conftest import RunningErp
from tests.adapters.hr.contract import HrContract

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.server


@pytest.fixture
async def hr(running_erp: RunningErp) -> AsyncIterator[TrytonHr]:
    made = HR_SYSTEMS["tryton"](running_erp.access)
    assert isinstance(made, TrytonHr)
    yield made
    await made.close()


@pytest.fixture
async def office(running_erp: RunningErp) -> AsyncIterator[TrytonRpc]:
    """Who keeps the employees there."""
    access = running_erp.access
    async with httpx.AsyncClient(timeout=120) as client:
        yield TrytonRpc(client, access.url, access.database, access.user, access.password)


async def hired(office: TrytonRpc, code: str, name: str, role: str) -> tuple[int, int]:
    """An employee with a role by its category; the party's and the employee's ids."""
    (parent, *_) = [row["id"] for row in await office.search("party.category", [["name", "=", "Role"]], ["name"])] or [
        await office.create("party.category", {"name": "Role"})
    ]
    mine = await office.search("party.category", [["name", "=", role], ["parent", "=", parent]], ["name"])
    category = mine[0]["id"] if mine else await office.create("party.category", {"name": role, "parent": parent})
    party = await office.create(
        "party.party",
        {
            "name": name,
            "code": code,
            "categories": [["add", [category]]],
            "identifiers": [["create", [{"code": "NPI 1234567893"}]]],
            "contact_mechanisms": [["create", [{"type": "email", "value": "t.maple@ngh.example"}]]],
        },
    )
    company = (await office.search("company.company", [], ["party"]))[0]["id"]
    values = {"party": party, "company": company, "start_date": date(2026, 12, 1)}
    return party, await office.create("company.employee", values)


def of(said: tuple[HrSaid, ...], code: str) -> list[HrSaid]:
    return [one for one in said if one.person == code]


class TrytonOffice:
    """Who keeps the employees there, as the contract has them hired and changed."""

    def __init__(self, hr: TrytonHr, rpc: TrytonRpc) -> None:
        self.hr, self._rpc = hr, rpc
        self._known: dict[str, tuple[int, int]] = {}

    async def hire(self, person: str, family: str, given: str, role: str, starts: date) -> None:
        self._known[person] = await hired(self._rpc, person, f"{family}, {given}", role)
        await self._rpc.write("company.employee", [self._known[person][1]], {"start_date": starts})

    async def rename(self, person: str, family: str, given: str) -> None:
        await self._rpc.write("party.party", [self._known[person][0]], {"name": f"{family}, {given}"})

    async def end(self, person: str, on: date) -> None:
        await self._rpc.write("company.employee", [self._known[person][1]], {"end_date": on})


class TestTrytonHr(HrContract):
    @pytest.fixture
    def office(self, hr: TrytonHr, office: TrytonRpc) -> TrytonOffice:
        return TrytonOffice(hr, office)


async def test_who_changed_is_said_once_as_they_stand_with_the_same_number_until_they_change(
    hr: TrytonHr, office: TrytonRpc
) -> None:
    party, employee = await hired(office, "HR-E-1", "Maple, Test Quebec", "surgeon-1")
    first = await hr.changes_since(LONG_AGO)
    (maple,) = of(first.said, "HR-E-1")
    assert maple.record == {
        "name": {"family": "Maple", "given": "Test", "middle": "Quebec"},
        "email": "t.maple@ngh.example",
        "npi": "1234567893",
    }
    assert (maple.kind, maple.position["role"], maple.starts) == ("update", "surgeon-1", date(2026, 12, 1))
    assert of((await hr.changes_since(LONG_AGO)).said, "HR-E-1") == [maple]
    assert LONG_AGO < first.until < maple.said_at, "an overlap: what was begun before may be committed after"

    await office.write("party.party", [party], {"name": "Oak, Test"})
    (oak,) = of((await hr.changes_since(first.until)).said, "HR-E-1")
    assert oak.record["name"] == {"family": "Oak", "given": "Test"}, "the party alone was changed"
    assert oak.number != maple.number and oak.said_at > maple.said_at

    await office.write("company.employee", [employee], {"end_date": date(2027, 3, 31)})
    (gone,) = of((await hr.changes_since(oak.said_at)).said, "HR-E-1")
    assert (gone.kind, gone.effective) == ("terminate", date(2027, 3, 31))


async def test_who_did_not_change_is_not_said(hr: TrytonHr, office: TrytonRpc) -> None:
    await hired(office, "HR-E-2", "Test Rowan", "nurse-2")
    (rowan,) = of((await hr.changes_since(LONG_AGO)).said, "HR-E-2")
    assert rowan.record["name"] == {"family": "Rowan", "given": "Test"}, "without a comma the family name is the last"
    party, _ = await hired(office, "HR-E-3", "Fir, Test", "nurse-3")
    later = (await hr.changes_since(LONG_AGO)).said
    (fir,) = of(later, "HR-E-3")
    assert {one.person for one in (await hr.changes_since(fir.said_at)).said} == {"HR-E-3"} and party


async def test_a_refusal_and_a_silence_are_the_hr_systems_and_not_the_erps(running_erp: RunningErp) -> None:
    async with httpx.AsyncClient(timeout=2) as client:
        closed = TrytonHr(client, "http://127.0.0.1:9", "people", "fascia", "x")
        with pytest.raises(Unavailable) as silent:
            await closed.changes_since(LONG_AGO)
        assert silent.value.system == "hr"
        wrong = TrytonHr(client, running_erp.access.url, running_erp.access.database, "nobody", "x")
        with pytest.raises(Rejected) as refused:
            await wrong.changes_since(LONG_AGO)
        assert refused.value.system == "hr" and "ERP" not in refused.value.message
