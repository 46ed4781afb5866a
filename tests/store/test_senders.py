"""Senders, channels and code mappings are kinds of the register: loaded from files, checked, in versions."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.errors import Malformed
from canonical.parties import Facility
from store import register_csv
from store.authority import ERP, HOSPITAL
from store.register import StoredRegister
from tests.store.test_register import TODAY, Days, only

SENDERS = """code,facility,addresses,applications,kinds,check,z_segments,per_minute
OR-SYS,NGH,10.2.0.0/16;10.3.0.1,ORSYS;ORSYS2,OMS^O05;ADT^*,warn,no,600
"""
MAPPINGS = """sender,table,valid_from,from,to
OR-SYS,unit,2026-01-01,Box,BX
OR-SYS,unit,2026-01-01,Each,EA
OR-SYS,unit,2026-06-01,Box,CA
OR-SYS,item,,G-7,ITM-1001
"""


def read(tmp_path: Path, name: str, text: str) -> tuple[str, list[tuple[int, register_csv.Fields]]]:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return register_csv.read(path, register_csv.kind_of(path))


def test_the_rows_of_a_mapping_file_are_one_mapping_for_each_table_and_day(tmp_path: Path) -> None:
    kind, found = read(tmp_path, "mappings.csv", MAPPINGS)
    assert kind == "mapping" and [row for row, _ in found] == [2, 4, 5]
    assert [fields["rows"] for _, fields in found] == [{"Box": "BX", "Each": "EA"}, {"Box": "CA"}, {"G-7": "ITM-1001"}]


@pytest.mark.parametrize("row", ["OR-SYS,unit,2026-01-01,Box,CA", "OR-SYS,unit,,Box,", "OR-SYS,unit,,,BX"])
def test_a_mapping_file_that_says_two_things_or_nothing_is_refused_with_its_row(tmp_path: Path, row: str) -> None:
    with pytest.raises(Malformed, match="row 6"):
        read(tmp_path, "mappings.csv", MAPPINGS + row + "\n")


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
async def register(engine: AsyncEngine, days: Days) -> StoredRegister:
    made = StoredRegister(engine, days)
    await made.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    return made


async def test_a_sender_is_loaded_from_a_file_of_the_hospitals(register: StoredRegister, tmp_path: Path) -> None:
    kind, rows = read(tmp_path, "senders.csv", SENDERS)
    assert only(await register.load(kind, rows, HOSPITAL)) == ("loaded", "", "")
    (sender,) = await register.senders()
    assert (sender.addresses, sender.applications) == (("10.2.0.0/16", "10.3.0.1/32"), ("ORSYS", "ORSYS2"))
    assert (sender.check, sender.z_segments, sender.per_minute, sender.unrouted) == ("warn", False, 600, "AA")
    assert sender.takes("ADT^A08") and not sender.takes("MFN^M05")
    assert sender.comes_from("10.2.9.9") and sender.comes_from("::ffff:10.3.0.1") and not sender.comes_from("10.3.0.2")
    assert only(await register.load(kind, rows, HOSPITAL))[0] == "unchanged"
    assert only(await register.load(kind, rows, ERP))[0] != "loaded"


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"code": "A", "facility": "NGH"}, ""),
        ({"code": "A", "facility": "NGH", "addresses": ["ten"]}, "addresses"),
        ({"code": "A", "facility": "NGH", "certificates": ["abc"]}, "certificates.0"),
        ({"code": "A", "facility": "NGH", "addresses": ["10.0.0.1"], "unrouted": "AE"}, "unrouted"),
        ({"code": "A", "facility": "XXX", "addresses": ["10.0.0.1"]}, "facility"),
        ({"code": "A", "facility": "NGH", "adresses": ["10.0.0.1"]}, "adresses"),
    ],
)
async def test_a_sender_nobody_could_know_or_a_misspelt_field_is_refused_with_its_path(
    register: StoredRegister, fields: register_csv.Fields, path: str
) -> None:
    outcome, where, reason = only(await register.load("sender", [fields], HOSPITAL))
    assert (outcome, where) == ("refused", path) and reason


async def test_a_mapping_holds_from_its_day_and_is_a_known_senders(
    register: StoredRegister, days: Days, tmp_path: Path
) -> None:
    mappings = read(tmp_path, "mappings.csv", MAPPINGS)[1]
    report = await register.load("mapping", mappings, HOSPITAL)
    assert {record.path for record in report.records} == {"sender"}
    await register.load("sender", read(tmp_path, "senders.csv", SENDERS)[1], HOSPITAL)
    assert (await register.load("mapping", mappings, HOSPITAL)).loaded == 3
    assert {one.table: one.rows.get("Box") for one in await register.mappings()} == {"unit": "BX", "item": None}
    days.today = TODAY + timedelta(days=120)
    assert days.today > date(2026, 6, 1)
    assert {one.rows.get("Box") for one in await register.mappings() if one.table == "unit"} == {"CA"}


async def test_a_channel_is_loaded_too(register: StoredRegister) -> None:
    row = {"code": "LAB", "facility": "NGH", "kind": "mllp", "host": "lab.example", "port": 2575}
    assert only(await register.load("channel", [row], HOSPITAL))[0] == "loaded"
    (channel,) = await register.channels()
    assert (channel.port, channel.on_dead) == (2575, "stand still")


async def test_a_row_that_would_let_nothing_in_is_refused_by_name_and_with_what_is_to_be_written(
    engine: AsyncEngine,
) -> None:
    register = StoredRegister(engine)
    await register.load("facility", [Facility(code="NGH")], HOSPITAL, "NGH")
    known: dict[str, object] = {"facility": "NGH", "addresses": ["10.2.7.0/24"]}
    rows: list[dict[str, object]] = [
        {"code": "UNDERSCORE", **known, "kinds": ["OMS_O05"]},
        {"code": "BLANK", **known, "kinds": ["ADT^*", "OMS O05"]},
        {"code": "NORELEASE", "facility": "NGH", "dialect": "fhir", "kinds": ["SupplyRequest"]},
        {"code": "PYTHONS", **known, "character_set": "latin-1"},
        {"code": "NOBODY", "facility": "NGH", "applications": ["X"]},
        {"code": "GOOD", **known, "kinds": ["OMS^O05", "ADT^*", "ACK", "*"], "character_set": "8859/1"},
        {"code": "REST", "facility": "NGH", "dialect": "fhir", "kinds": ["r5/*", "*"]},
    ]
    report = await register.load("sender", rows, HOSPITAL)
    assert [(one.code, one.path, one.reason.split(":")[0]) for one in report.records if one.outcome == "refused"] == [
        ("UNDERSCORE", "kinds", "OMS_O05 fits no message"),
        ("BLANK", "kinds", "OMS O05 fits no message"),
        ("NORELEASE", "kinds", "SupplyRequest fits no message"),
        ("PYTHONS", "character_set", "none of HL7 table 0211 that we read"),
        ("NOBODY", "", "an HL7 sender is known by its addresses or certificates"),
    ]
