"""HR's own database in the demonstration: what it calls roles and departments is known to the register's tables of its sender."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from canonical.senders import Sender
from demo import hr_seed
from demo.erp import secret_name
from demo.partner_script import SEED
from demo.stage_people import ASKED, ASKED_SOURCE
from workers.settings import Settings


def test_every_role_and_department_hr_has_is_one_of_ours_by_the_senders_tables() -> None:
    with (SEED / "mappings.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["sender"] == ASKED]
    tables = {name: {row["from"]: row["to"] for row in rows if row["table"] == name} for name in ("role", "department")}
    roles = {row["code"] for row in json.loads((SEED / "clinician_roles.json").read_text(encoding="utf-8"))}
    assert {tables["role"][name] for name in hr_seed.ROLES.values()} == set(hr_seed.ROLES) == roles
    assert {tables["department"][name] for name in hr_seed.departments().values()} == set(hr_seed.departments())


def test_the_sender_that_is_asked_takes_hr_events_and_has_the_name_the_loops_ask_by(tmp_path: Path) -> None:
    rows = {row["code"]: row for row in json.loads((SEED / "senders.json").read_text(encoding="utf-8"))}
    sender = Sender.model_validate(rows[ASKED])
    assert sender.active and sender.takes("hr_event")
    sources = [row["source"] for row in rows.values()]
    assert sources.count(ASKED_SOURCE) == 1 and sender.source == ASKED_SOURCE, (
        "another HR system's numbers of people are not its own"
    )
    assert Settings(home=tmp_path).hr_sender == ASKED


def test_the_platforms_password_there_is_where_the_platform_looks(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / secret_name("fascia", of="hr")
    secret.parent.mkdir()
    secret.write_text("s3cret\n", encoding="utf-8")
    found = Settings(home=tmp_path).hr_password
    assert found is not None and found.get_secret_value() == "s3cret"
