"""The invented hospital's messages: the same for the same seed, right by our walker and by the libraries, of nobody who lives."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
from fhir.resources import get_fhir_model_class as r5_class
from fhir.resources.R4B import get_fhir_model_class as r4b_class
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from canonical.base import read_strictly
from canonical.catalogue import CatalogueEntry
from canonical.errors import Malformed
from canonical.people import HrEvent
from canonical.purchasing import Requisition
from canonical.senders import Mappings, Sender
from cli.synthetic import fhir, hl7, sheets, x12
from cli.synthetic.hospital import GOODS, npi_of, patient
from cli.synthetic.traffic import ALL, GROUPS, Plan
from formats import hl7 as wire
from formats import x12 as x12_wire
from formats.hl7 import VERSIONS
from gateway.csv_reading import CsvFile
from gateway.registry import HL7_FEEDS, csv_feed
from gateway.simulate import Book, simulate

DAY = date(2026, 11, 2)
ONES = [(kind, version) for kind in hl7.KINDS for version in hl7.versions_of(kind)]
# 2.7.1 has no tables of its own. hl7apy names no structure after MSH-9.1 and 9.2 alone, and reads OBX of a 2.8 order as a document.
SEEN_BY_HL7APY = [
    (kind, version)
    for kind, version in ONES
    if version != "2.7.1"
    and not (version == "2.3" and kind in ("ADT^A04", "ADT^A08", "ADT^A40", "SIU^S13", "SIU^S15"))
    and not (version[:3] == "2.8" and kind == "ORU^R01")
]


# Each kind in each version; forty of one tell of values that come seldom, which `make prove` looks for.
FEW = pytest.param(range(1, 8), id=pytest.HIDDEN_PARAM)
ONE = pytest.param(range(1, 2), id=pytest.HIDDEN_PARAM)
MANY = pytest.param(range(1, 40), id="many", marks=pytest.mark.prove)


def digest(plan: Plan) -> str:
    whole = hashlib.sha256()
    for letter in plan.letters():
        whole.update(f"{letter.number}/{letter.at}/{letter.connection}/{letter.control}/".encode() + letter.data)
    return whole.hexdigest()


def of(kind: str, version: str, number: int, seed: str = "1") -> bytes:
    return hl7.message(seed, number, kind, version, first=DAY, at=number * 10.0)


@pytest.mark.parametrize("numbers", [FEW, MANY])
@pytest.mark.parametrize(("kind", "version"), ONES)
def test_every_hl7_message_is_right_by_the_tables_of_its_version(kind: str, version: str, numbers: range) -> None:
    for number in numbers:
        cut = wire.read(of(kind, version, number))
        report = wire.check(cut, z_segments=False)
        assert report.known
        assert report.faults == ()
        assert (f"{cut.header.type}^{cut.header.event}", cut.header.version) == (kind, version)
        assert cut.header.control == hl7.control_of("1", number) and len(cut.header.control) <= 20


@pytest.mark.parametrize("numbers", [ONE, MANY])
@pytest.mark.parametrize(("kind", "version"), SEEN_BY_HL7APY)
def test_hl7apy_strict_finds_nothing_wrong_with_it_either(kind: str, version: str, numbers: range) -> None:
    for number in numbers:
        text = of(kind, version, number).decode()
        parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
        found = Validator.validate(parsed, return_errors=True)
        assert found[1] == []
        assert parsed.to_er7().count("\r") + 1 == text.count("\r")  # it drops without a word what has no place


def test_every_version_and_every_type_that_the_gateway_promises_is_there() -> None:
    assert {version for _, version in ONES} == set(VERSIONS)
    types = {kind.partition("^")[0] for kind in hl7.KINDS}
    assert types == {"ADT", "SIU", "ORM", "OMS", "OMN", "RDS", "DFT", "MFN", "PMU", "ORU", "INU"}
    assert {"MFN^M02", "MFN^M05", "MFN^M15", "MFN^M16"} <= hl7.KINDS.keys()


@pytest.mark.parametrize("release", fhir.RELEASES)
def test_every_fhir_resource_is_one_of_its_release(release: str) -> None:
    kinds = [kind for kind, releases in fhir.KINDS.items() if release in releases]
    assert len(kinds) == 4
    model = r5_class if release == "R5" else r4b_class
    for kind in kinds:
        for number in range(1, 30):
            data = fhir.resource("1", number, kind, release, first=DAY, at=number)
            assert json.loads(data)["resourceType"] == kind
            model(kind).model_validate_json(data)


@pytest.mark.parametrize("kind", x12.KINDS)
def test_every_x12_document_is_accepted_whole(kind: str) -> None:
    for number in range(1, 40):
        (interchange,) = x12_wire.read(x12.interchange("1", number, kind, first=DAY, at=number))
        report = x12_wire.check(interchange)
        assert (report.status, [group.problems for group in report.groups]) == ("A", [()])
        (document,) = report.groups[0].documents
        assert (document.status, document.document.header[1]) == ("A", kind)


def test_what_asks_for_goods_and_what_sells_them_is_read_by_its_feed() -> None:
    book = Book(DAY)
    for kind, noun in (
        ("OMS^O05", "Requisition"),
        ("OMN^O07", "Requisition"),
        ("MFN^M16", "MasterFile"),
        ("MFN^M05", "MasterFile"),
    ):
        for number in range(1, 10):
            (found,) = simulate(of(kind, "2.6", number), book, facility="NGH")
            assert not found.refused
            assert {type(one).__name__ for one in found.nouns} == {noun}
    (found,) = simulate(x12.interchange("1", 1, "832", first=DAY, at=1), book, facility="NGH")
    assert {type(one).__name__ for one in found.nouns} == {"MasterFile"}


def test_a_requisition_is_one_as_the_rest_door_reads_it() -> None:
    for number in range(1, 30):
        read_strictly(Requisition, sheets.requisition("1", number, first=DAY, at=number))


def test_files_of_rows_have_their_header_and_no_cell_too_many() -> None:
    for kind, columns in (
        ("catalogue", sheets.CATALOGUE),
        ("requisitions", sheets.REQUISITIONS),
        ("usage", sheets.USES),
    ):
        head, *rows = sheets.MAKERS[kind]("1", 1, first=DAY, at=1).decode().split("\r\n")
        assert head == ",".join(columns)
        assert len(rows) > 4 and rows[-1] == ""


@pytest.mark.parametrize(
    ("kind", "count"), [("catalogue", len(GOODS)), ("requisitions", sheets.ROWS // 2), ("usage", sheets.ROWS + 2)]
)
def test_our_feed_reads_every_row_and_every_column_of_them(kind: str, count: int) -> None:
    feed = csv_feed(kind)
    assert feed is not None
    data = sheets.MAKERS[kind]("1", 1, first=DAY, at=1)
    file = CsvFile(data, feed, Sender(code="UPLOADS", facility="NGH", dialect="file"), Mappings())
    assert set(file.sheet.names) <= feed.columns
    found = list(file.parts())
    assert len(found) == count and [one.faults for one in found if one.faults] == []
    for one in found:
        if isinstance(one.noun, CatalogueEntry):
            assert one.noun.packagings and one.noun.prices and one.noun.supplier == "ALPINE"


@pytest.mark.parametrize("kinds", [("hl7",), ("fhir",), ("x12",), ("csv", "requisition")])
def test_another_process_makes_the_same_bytes_of_the_same_plan(kinds: tuple[str, ...]) -> None:
    plan = Plan(seed="the same", kinds=kinds, many=120, rate=50, burst=10, burst_every=1, connections=7)
    program = f"from tests.cli.synthetic.test_messages import *; print(digest({plan!r}))".replace(
        "datetime.date", "date"
    )
    there = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert there.stdout.strip() == digest(plan)
    assert digest(plan) != digest(replace(plan, seed="another"))


def test_a_message_is_the_same_whatever_is_made_before_it() -> None:
    whole = [letter.data for letter in Plan(many=30, rate=7).letters()]
    later = list(Plan(many=11, first_number=20, rate=7).letters())
    assert [letter.data for letter in later] == whole[19:]
    assert later[0].due == 0 and later[7].due == pytest.approx(1)


def test_repeats_differ_in_their_number_and_time_only_and_are_right() -> None:
    letters = list(Plan(many=40, distinct=10).letters())
    assert len({letter.control for letter in letters}) == 40
    for letter in letters:
        cut = wire.read(letter.data)
        assert (cut.header.control, wire.check(cut).faults) == (letter.control, ())
    first, again = letters[3].data.split(b"\r"), letters[13].data.split(b"\r")
    assert first[1:] == again[1:] and first[0] != again[0]
    with pytest.raises(Malformed, match="only HL7"):
        Plan(kinds=("x12",), distinct=3)


def test_all_about_one_patient_goes_over_one_connection() -> None:
    ways: dict[str, set[int]] = {}
    for letter in Plan(kinds=("ADT^A08",), many=3000, connections=6).letters():
        ways.setdefault(wire.read(letter.data).value("PID-3"), set()).add(letter.connection)
    assert {len(found) for found in ways.values()} == {1}
    assert {one for found in ways.values() for one in found} == set(range(6))


def test_repeats_burden_every_connection_alike_and_a_patients_still_go_over_one() -> None:
    letters = list(Plan(kinds=("ADT^A08",), many=4000, distinct=2000, connections=20).letters())
    burden = Counter(letter.connection for letter in letters)
    assert len(burden) == 20 and max(burden.values()) <= 1.03 * 4000 / 20
    ways: dict[str, set[int]] = {}
    for letter in letters:
        ways.setdefault(wire.read(letter.data).value("PID-3"), set()).add(letter.connection)
    assert {len(found) for found in ways.values()} == {1}


def test_bursts_come_at_once_between_the_others() -> None:
    times = [letter.at for letter in Plan(kinds=("ADT^A08",), many=50, rate=10, burst=20, burst_every=2).letters()]
    assert times == sorted(times)
    assert times.count(2.0) == 21 and times[1] == 0.1


def test_nobody_in_it_lives() -> None:
    for number in (1, 77, 4999):
        who = patient(number)
        assert who.family.startswith("TEST-") and who.id == f"T{100_000 + number}"
    assert npi_of(1)[:4] == "1999" and len(npi_of(1)) == 10
    digits = [int(digit) for digit in "80840" + npi_of(12345)]
    doubled = [
        digit if place % 2 else sum(divmod(digit * 2, 10)) for place, digit in enumerate(reversed(digits), start=1)
    ]
    assert sum(doubled) % 10 == 0


def test_what_cannot_be_made_is_refused_with_what_can() -> None:
    for wrong, said in (
        ({"kinds": ("XYZ^Z01",)}, "ADT\\^A01"),
        ({"kinds": ("OMS^O05",), "versions": ("2.3",)}, "OMS\\^O05"),
        ({"versions": ("3.0",)}, "2.5.1"),
        ({"kinds": ("DeviceUsage",)}, "R4B"),
        ({"release": "R6"}, "R4B"),
    ):
        with pytest.raises(Malformed, match=said):
            Plan(**wrong)


def test_each_kind_and_group_can_be_named() -> None:
    for name in (*GROUPS, *ALL):
        release = "R5" if name == "DeviceUsage" else "R4B"
        assert len(list(Plan(kinds=(name,), many=3, release=release).letters())) == 3
    assert not any(kind[:3] in ("OMS", "OMN", "MFN", "PMU") for kind in GROUPS["no-case"])
    assert not any(kind in GROUPS["no-case"] for _, kind in HL7_FEEDS), "nothing reads what starts no case"


def test_what_the_staff_office_says_is_read_by_its_feed_and_hires_with_a_role() -> None:
    book = Book(DAY)
    for kind in hl7.PEOPLE:
        for version in hl7.versions_of(kind):
            for number in range(1, 6):
                (found,) = simulate(of(kind, version, number), book)
                assert (found.problems, found.refused) == ((), False), (kind, version)
                assert found.nouns and all(isinstance(noun, HrEvent) for noun in found.nouns)
    for number in range(1, 10):
        (file,) = simulate(sheets.staff("1", number, first=DAY, at=number), book)
        assert file.problems == () and len(file.nouns) == sheets.ROWS
