"""Codes of people that the register does not know stand in the attention list: nobody else would ever look at them."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import ClinicianRole
from canonical.parties import Department, Location
from store.attention import StoredAttention
from store.people_tables import privileges
from tests.store import build
from tests.store.people_house import NOW, Hr


@pytest.fixture
def hr(engine: AsyncEngine) -> Hr:
    return Hr(engine)


async def lines(hr: Hr) -> dict[str, Any]:
    return {one.what: one for one in await StoredAttention(hr.engine).stuck(NOW)}


async def test_a_department_and_a_service_no_row_knows_have_a_line(hr: Hr) -> None:
    """Misspelt once by HR and once by an office; what a row of the facility knows has none, nor has what has ended."""
    await build.put(hr.engine, "clinician_role", "", "rn", ClinicianRole(code="rn"))
    for number, department in (("1", "surgrey"), ("2", "surgery")):
        about: dict[str, Any] = {"family": f"Other{number}", "record": {"birth_date": f"197{number}-01-01"}}
        position = {"role": "rn", "department": department}
        await hr.one(hr.event(number, person=f"P-{number}", position=position, **about))
    (person, other) = await hr.everybody()
    services = {"Q-1": "surgrey", "Q-2": "surgery", "Q-3": "cardiac", "Q-4": "wrong", "Q-5": ""}
    async with hr.engine.begin() as connection:
        for name, service in services.items():
            state = "ended" if service == "wrong" else "granted"
            row = {"id": name, "person": person, "facility": "NGH", "state": state, "requested_at": NOW}
            await connection.execute(insert(privileges).values(scope={"service": service}, **row))
    assert await lines(hr) == {}  # a facility that has loaded no departments has nothing to hold them against
    await build.put(hr.engine, "department", "NGH", "surgery", Department(code="surgery", facility="NGH"))
    await build.put(hr.engine, "location", "NGH", "OR-1", Location(code="OR-1", facility="NGH", service_line="cardiac"))
    found = await lines(hr)
    assert set(found) == {"unknown department of people", "unknown service of privileges"}
    department, service = found["unknown department of people"], found["unknown service of privileges"]
    assert "department surgrey" in department.why and department.count == 1 and department.name in (person, other)
    assert "fascia register load --kind department, with surgrey" in department.press
    assert "service surgrey" in service.why and service.count == 1
    assert f"fascia clinician revoke-privilege {person} Q-1" in service.press
