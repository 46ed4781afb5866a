"""The hiring wave: who is in it, what HR's systems write of them, what the sources know, and what counts as found outside."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.verification.dea import DeaRegistrants
from adapters.verification.licence_board import LicenceBoard
from adapters.verification.nppes import Nppes
from canonical.access import AccessTarget
from canonical.check_digits import is_dea, is_npi
from canonical.credentials import ClinicianRole, VerificationSource
from canonical.people import HrEvent
from canonical.senders import Mappings, Sender
from demo import accounts, hr_seed, hr_systems, stage_people
from demo.partner_script import SEED
from demo.people_made import Made, exclude, lapsed, made, register
from demo.people_office import Found
from demo.people_wave import HIRES, ORDINARY, today, wave
from demo.registries import Sources, served
from formats import hl7, leie
from gateway.csv_reading import CsvFile
from gateway.lookups import Caller
from gateway.registry import csv_feed, hl7_feed, read_hl7, read_rest, rest_feed
from gateway.signatures import Signer, verified

NOON = datetime.now(UTC)
TODAY = NOON.date()
SENDERS = {row["code"]: Sender.model_validate(row) for row in json.loads((SEED / "senders.json").read_text())}
ROLES = {
    row["code"]: ClinicianRole.model_validate(row) for row in json.loads((SEED / "clinician_roles.json").read_text())
}


def test_the_wave_is_twenty_five_hires_of_twenty_four_people_by_three_doors() -> None:
    found = wave("P001")
    hires = [*found.first, found.again]
    assert len(hires) == HIRES and len(found.ordinary) == ORDINARY
    assert len({one.number for one in hires}) == len({one.one.number for one in hires}) == HIRES
    assert {door: len(found.by(door)) for door in ("hl7", "csv", "hook")} == {"hl7": 8, "csv": 8, "hook": 8}
    assert len({one.one.npi for one in found.first}) == HIRES - 1
    assert all(is_npi(one.one.npi) for one in found.first)
    prescribers = [one.one for one in found.first if ROLES[one.one.role].prescriber]
    assert prescribers and all(is_dea(one.dea) for one in prescribers)


def test_one_more_is_found_by_asking_whom_no_door_tells_of_and_no_committee_need_grant() -> None:
    found = wave("P001")
    asked = found.asked
    assert asked.number not in {one.one.number for one in (*found.first, found.again)} and is_npi(asked.npi)
    assert not ROLES[asked.role].clinical_role and asked.role in hr_seed.ROLES


def test_whoever_is_told_twice_shares_what_makes_them_possibly_the_same_and_no_number() -> None:
    found = wave("P001")
    first, again = found.ordinary[0].one, found.again.one
    assert (again.family, again.born) == (first.family, first.born)
    assert again.number != first.number and not again.npi and not again.licence


def test_another_playing_hires_others_in_every_mark() -> None:
    def marks(playing: str) -> set[str]:
        people = [*(one.one for one in wave(playing).first), wave(playing).asked]
        return {mark for one in people for mark in (one.number, one.npi, one.licence, f"{one.family} {one.born}")}

    assert not marks("P001") & marks("P002")


def what_hl7_says(one: Made) -> HrEvent:
    number, text = hr_systems.hire_message("P001H00", one, TODAY)
    cut = hl7.read(text.encode())
    feed = hl7_feed("PMU^B01")
    assert feed is not None and cut.header.control == number
    (event,) = read_hl7(feed, cut, SENDERS["HRIS"], Mappings({}))
    assert isinstance(event, HrEvent)
    return event


def what_the_file_says(one: Made) -> HrEvent:
    text = io.StringIO()
    row = hr_systems.hire_row(one, TODAY, "P001H00")
    writer = csv.DictWriter(text, hr_systems.COLUMNS)
    writer.writeheader()
    writer.writerow(row)
    feed = csv_feed("people")
    assert feed is not None
    (part,) = CsvFile(text.getvalue().encode(), feed, SENDERS["hr-files"], Mappings({})).parts()
    assert isinstance(part.noun, HrEvent), part.faults
    return part.noun


def what_the_request_says(one: Made) -> HrEvent:
    feed = rest_feed("hr_event")
    assert feed is not None
    body = json.dumps(one.event("hire", TODAY)).encode()
    (event,) = read_rest(feed, body, "P001H00", NOON, SENDERS["hr-hook"], Mappings({}))
    assert isinstance(event, HrEvent)
    return event


@pytest.mark.parametrize("said", [what_hl7_says, what_the_file_says, what_the_request_says])
@pytest.mark.parametrize("role", ["surgeon", "nurse_practitioner"])
def test_every_door_says_the_same_of_a_hire(said: Any, role: str) -> None:
    one = made(17, role)
    event = said(one)
    assert (event.kind, event.number, event.person, event.effective) == ("hire", "P001H00", one.number, TODAY)
    record, position = event.record, event.position
    assert (record.name.family, record.name.given, record.birth_date) == (one.family, one.given, one.born)
    assert record.npi == one.npi and [(held.state, held.number) for held in record.licences] == [("IL", one.licence)]
    assert [(held.state, held.number) for held in record.dea] == ([("IL", one.dea)] if one.dea else [])
    assert (position.role, position.department, position.cost_centre) == (role, "surgery", "CC-4100")


def test_a_signed_request_is_signed_as_the_door_verifies_it() -> None:
    secret, body, stamp = b"\x07" * 32, b'{"events": []}', int(NOON.timestamp())
    written = "whsec_" + "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    headers = {
        "webhook-id": "P001-hires",
        "webhook-timestamp": str(stamp),
        "webhook-signature": hr_systems.signature(written, "P001-hires", stamp, body),
    }
    signer = Signer(Caller(key="K-1", sender="hr-hook", facility="NGH"), secret)
    assert verified(headers, body, [signer], NOON).id == "P001-hires"


async def test_the_sources_confirm_who_is_registered_and_refute_a_lapsed_licence(tmp_path: Path) -> None:
    good, without = made(3, "nurse_practitioner"), lapsed(made(4, "registered_nurse"))
    register(tmp_path, good)
    register(tmp_path, without)
    sources = Sources()
    sources.read(tmp_path)
    async with served(sources) as url, httpx.AsyncClient(timeout=60, trust_env=False) as client:
        nppes, board = Nppes(client, "NPPES", f"{url}/nppes"), LicenceBoard(client, "IL", f"{url}/licences")
        dea = DeaRegistrants(client, "DEA", f"{url}/dea")
        for one, licence in ((good, "confirmed"), (without, "refuted")):
            record, role = what_the_request_says(one).record, ROLES[one.role]
            assert (await nppes.check(record, "", role, NOON)).state == "confirmed"
            assert (await board.check(record, "IL", role, NOON)).state == licence
        record = what_the_request_says(good).record
        assert (await dea.check(record, "IL", ROLES[good.role], NOON)).state == "confirmed"


def test_the_next_edition_of_the_exclusion_list_has_the_one_before_and_the_excluded(tmp_path: Path) -> None:
    first = stage_people.exclusion_list(tmp_path)
    before = leie.read(first.read_bytes(), TODAY)
    one = made(8)
    after = leie.read(exclude(tmp_path, one).read_bytes(), TODAY)
    assert after[:-1] == before and (after[-1].npi, after[-1].birth_date) == (one.npi, one.born)
    assert stage_people.exclusion_list(tmp_path).read_bytes().count(b"\n") == len(after) + 1


def test_the_lapsed_licence_ended_before_today() -> None:
    assert lapsed(made(5)).licence_until < today() < made(5).licence_until - timedelta(days=90)


def test_what_the_roles_give_is_there_to_be_given() -> None:
    groups = {group for role in ROLES.values() for group in (*role.least, *role.clinical)}
    assert groups <= set(accounts.GROUPS)


def test_every_row_of_targets_and_sources_is_one_of_the_register(tmp_path: Path) -> None:
    targets = json.loads((SEED / "people_targets.json").read_text())
    rows = [
        AccessTarget.model_validate({name: row[name] for name in row if name != "peer"}, extra="forbid")
        for row in targets
    ]
    known = {row.code for row in rows}
    assert all(set(row.after) <= known for row in rows)
    sources = json.loads((SEED / "people_sources.json").read_text())
    assert {VerificationSource.model_validate(row, extra="forbid").kind for row in sources} == {
        *("npi", "licence", "dea", "exclusion")
    }


def on(**more: Any) -> Found:
    about: dict[str, Any] = {"account": True, "schedule": True, "ehr": True, "payroll": True, "accounts": 1}
    return Found(**about | {"groups": ("ehr-clinical", "staff")} | more)


def test_everywhere_is_once_in_every_system_with_clinical_groups() -> None:
    assert on().everywhere
    assert not on(groups=("staff",)).everywhere and not on(accounts=2).everywhere
    assert not any(
        on(**{side: off}).everywhere for side in ("account", "schedule", "ehr", "payroll") for off in (False, None)
    )


def test_nowhere_is_on_in_no_system_also_where_somebody_never_was() -> None:
    gone = on(account=False, schedule=None, ehr=False, payroll=False)
    assert gone.nowhere and gone.text() == "account off, schedule never there, EHR off, payroll off"
    assert not on(account=None, schedule=None, ehr=None).nowhere
