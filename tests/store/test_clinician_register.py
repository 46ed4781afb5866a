"""Rows about clinicians as they are loaded: from spreadsheets too, and refused where they would fail when somebody is hired."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from store import register_csv
from store.clinician_register import StoredClinicianRegister
from store.register import LoadReport, StoredRegister
from store.register_reading import utc_today

TARGETS = """code,kind,adapter,url,after
idp,identity,scim,https://idp.example,
plan,scheduling,rest_scheduling,https://plan.example,idp
desk,manual,manual,,idp;plan
ring,identity,scim,https://ring.example,ring
"""


@pytest.fixture
def register(engine: AsyncEngine) -> StoredRegister:
    return StoredRegister(engine)


async def loaded(register: StoredRegister, path: Path, text: str) -> LoadReport:
    path.write_text(text)
    kind, rows = register_csv.read(path)
    return await register.load(kind, rows, "hospital")


async def test_targets_come_as_a_spreadsheet_and_a_ring_among_them_is_refused(
    register: StoredRegister, engine: AsyncEngine, tmp_path: Path
) -> None:
    path = tmp_path / "access_targets.csv"
    report = await loaded(register, path, TARGETS)
    assert report.loaded == 3 and [row[1] for row in report.refused] == ["after"]
    known = {one.code: one.after for one in await StoredClinicianRegister(engine).access_targets(utc_today())}
    assert known == {"idp": (), "plan": ("idp",), "desk": ("idp", "plan")}
    again = await loaded(register, path, "code,kind,adapter,url,after\nidp,identity,scim,https://idp.example,desk\n")
    assert again.loaded == 0 and "wait for itself" in again.refused[0][2]


async def test_roles_and_rules_come_as_spreadsheets_too(
    register: StoredRegister, engine: AsyncEngine, tmp_path: Path
) -> None:
    roles = "code,clinical_role,prescriber,checks,least,clinical\nrn,yes,no,licence;exclusion,staff,ehr;prescribing\n"
    assert (await loaded(register, tmp_path / "clinician_roles.csv", roles)).loaded == 1
    role = await StoredClinicianRegister(engine).clinician_role("rn", utc_today())
    assert role is not None and (role.clinical_role, role.prescriber) == (True, False)
    assert (role.checks, role.clinical) == (("licence", "exclusion"), ("ehr", "prescribing"))
    rules = "facility,warn_days,approvers\nNOWHERE,90;30,admin\n"
    report = await loaded(register, tmp_path / "clinician_policies.csv", rules)
    assert "no facility NOWHERE" in report.refused[0][2]
