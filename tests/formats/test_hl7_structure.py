"""The walker over the tables of HL7 2.3 to 2.8.2: order, number, required fields, components and formats, each with its place."""

from __future__ import annotations

import re
from typing import Any

import hl7apy
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from formats import hl7_tables as tables
from formats.hl7 import LATER_VERSION, VERSIONS, Report, check, prepare, read
from formats.hl7_order import places
from tests.formats.hl7_files import ALL, CLEAN, MSH, ORDER, message, sample

WITH_NOTES = {"taught_z_segment": [("ZPD", "segment-z", "I"), ("ZOB", "segment-z", "I")]}


def judged(*segments: str, head: str = MSH, **how: Any) -> Report:
    return check(read(message(*segments, head=head)), **how)


def found(*segments: str, head: str = MSH, **how: Any) -> list[tuple[str, str, str]]:
    return [(one.path, one.kind, one.severity) for one in judged(*segments, head=head, **how).faults]


@pytest.mark.parametrize("version", tables.TABLES)
def test_the_tables_have_every_field_at_its_number_and_no_gap(version: str) -> None:
    """Guards the pin: hl7apy 1.3.5 lacks fields in 2.6 to 2.8, and its lists would move a quantity to another field."""
    assert hl7apy.__version__ == "1.4.0b1"
    library = hl7apy.load_library(version)
    for name, table in library.SEGMENTS.items():
        if table[0] != "sequence" or len(table) < 2:
            assert tables.fields(version, name) is None
            assert name in ("ANYHL7SEGMENT", "QRD", "QRF", "URD", "URS"), (version, name)
            continue
        numbers = []
        for field, reference, _, _ in table[1]:
            of, _, number = field.rpartition("_")
            assert of == name, (version, field)
            assert library.FIELDS[field][2] == reference[2], (version, field)
            numbers.append(int(number))
        assert numbers == list(range(1, len(numbers) + 1)), (version, name)
        rules = tables.fields(version, name)
        assert rules is not None
        assert [rule.number for rule in rules.rules if rule] == numbers
    for kind, parts in library.DATATYPES_STRUCTS.items():
        numbers = [int(part[0].rpartition("_")[2]) for part in parts]
        assert numbers == sorted(set(numbers)), (version, kind)
        assert not numbers or numbers[-1] == len(numbers), (version, kind)


@pytest.mark.parametrize("version", tables.TABLES)
def test_every_structure_compiles_and_can_be_walked_from_its_first_segment_to_its_last(version: str) -> None:
    library = hl7apy.load_library(version)
    for name in library.MESSAGES:
        structure = tables.structure(version, name)
        assert structure is not None, (version, name)
        assert structure.start.name == "MSH"
        for segment in structure.names - {"MSH"}:
            assert places(structure.start, segment), (version, name, segment)


def test_every_version_we_name_has_tables() -> None:
    assert all(tables.tables_of(version) for version in VERSIONS)
    for version, name in (("2.5.1", "OMS_O05"), ("2.6", "MFN_M16"), ("2.4", "MFN_M05"), ("2.3", "ADT_A05")):
        assert prepare(version, name)
    assert not prepare("2.5", "XYZ_Z99")
    assert not prepare("3.0", "ADT_A01")


@pytest.mark.parametrize("name", CLEAN)
def test_every_sample_of_our_own_is_clean(name: str) -> None:
    report = check(read(sample(name)))
    assert report.ok
    assert report.known
    assert [(one.path, one.kind, one.severity) for one in report.faults] == WITH_NOTES.get(name, [])


FIRST = ("NTE|1||x", "PID|1||9^^^N^MR||T^P", "PV1|1|I", *ORDER)


@pytest.mark.parametrize(
    ("segments", "faults"),
    [
        (FIRST, []),
        (("PID|1||9||T", *ORDER, "NTE|1", *ORDER, "OBX|1|ST|A||x||||||F", "NTE|1", "BLG"), []),
        (("ORC|NW",), [("RQD", "segment-missing", "E")]),
        ((ORDER[1],), [("ORC", "segment-missing", "E")]),
        ((), [("ORC", "segment-missing", "E")]),
        ((*ORDER, "ORC|NW"), [("RQD(2)", "segment-missing", "E")]),
        (("PV1|1|I", "PID|1||9||T", *ORDER), [("PV1", "segment-order", "E")]),
        (("PID|1||9||T", "PID|1||9||T", *ORDER), [("PID(2)", "segment-repeats", "E")]),
        ((*ORDER, "PID|1||9||T"), [("PID", "segment-order", "E")]),
        ((*ORDER, "EVN||20261102"), [("EVN", "segment-unknown", "E")]),
        ((*ORDER, "QQQ|1"), [("QQQ", "segment-unknown", "E")]),
        (("ZZZ|anything^at~all", *ORDER), [("ZZZ", "segment-z", "I")]),
    ],
)
def test_segments_out_of_order_missing_or_too_many_are_found(
    segments: tuple[str, ...], faults: list[tuple[str, str, str]]
) -> None:
    assert found(*segments) == faults


@pytest.mark.parametrize("version", ["2.5.1", "2.6", "2.8"])
def test_an_ambiguous_structure_is_read_the_way_that_makes_the_message_good(version: str) -> None:
    """In OML^O21 an ORC may begin the next order, or a prior result of this one, which would need an OBX."""
    head = MSH.replace("OMS^O05^OMS_O05", "OML^O21^OML_O21").replace("2.5.1", version)
    orders = ("ORC|NW", "OBR|1|||A^B^L", "NTE|1", "ORC|NW", "OBR|2|||A^B^L", "SPM|1|||B^B^L", "ORC|NW", "OBR|3|||A^B^L")
    assert found("PID|1||9^^^N^MR||T", "PV1||I", *orders, head=head) == []
    assert found("PID|1||9^^^N^MR||T", "PV1||I", "OBX|1||X^Y^L||||||||F", *orders, head=head) == [
        ("OBX", "segment-order", "E")
    ]


@pytest.mark.timeout(120)  # a judge that is quadratic does not end by then; a slow machine does
def test_a_long_message_with_faults_is_judged_in_its_time() -> None:
    for many in (160, 5000):
        report = judged(*(line for number in range(many) for line in ("PV1|1|I", "ORC|NW", f"NTE|{number % 9}")))
        assert not report.ok


def test_a_choice_takes_one_of_its_members() -> None:
    head = MSH.replace("OMS^O05^OMS_O05", "ORM^O01")
    assert found("ORC|NW", "RQD|1", "ORC|NW", "RXO|A^B^C|1||MG^m", head=head.replace("2.5.1", "2.4")) == []
    assert found("ORC|NW", "RQD|1", "RXO|A", head=head) == [("ORC(2)", "segment-missing", "E")]


RQD = "RQD|1|ITM-1^Glove^NGH||A|4|BX^Box^L"


@pytest.mark.parametrize(
    ("rqd", "fault"),
    [
        ("RQD|one", ("RQD-1", "data-type", "E")),
        ("RQD|1|A|||four", ("RQD-5", "data-type", "E")),
        ("RQD|1|A|||1,5", ("RQD-5", "data-type", "E")),
        ("RQD|1|A|||1e3", ("RQD-5", "data-type", "E")),
        ("RQD|1|A|||4^5", ("RQD-5.2", "component-beyond", "E")),
        ("RQD|1|A|||4~5", ("RQD-5(2)", "field-repeats", "E")),
        ("RQD|1|A||||||||20260230", ("RQD-10", "data-type", "E")),
        ("RQD|1|A||||||||2026110223", ("RQD-10", "data-type", "E")),
        ("RQD|1|A^B^C^D^E^F^G", ("RQD-2.7", "component-beyond", "E")),
        ("RQD|1|A&B", ("RQD-2.1.2", "subcomponent-beyond", "W")),
        ("RQD|1||||||||||x", ("RQD-11", "field-beyond", "E")),
        ("RQD|1||||||" + "x" * 31, ("RQD-7", "too-long", "W")),
        ("RQD|12345", ("RQD-1", "too-long", "W")),
    ],
)
def test_wrong_values_are_found_at_their_place(rqd: str, fault: tuple[str, str, str]) -> None:
    assert found("ORC|NW", rqd) == [fault]


def test_what_a_field_may_hold_is_not_a_fault() -> None:
    for rqd in (RQD, 'RQD|""|""|||""', "RQD|1|A^^^^^|||4^|||", "RQD|1|A|||.5||||20261103", "RQD|1|A|||-4.||||202611"):
        assert found("ORC|NW", rqd) == []


@pytest.mark.parametrize(
    ("segment", "path", "kind"),
    [
        ("PID|1||||T^P", "PID-3", "field-missing"),
        ("PID|1||9^^^N&1.2&ISO&x^MR||T^P", "PID-3.4.4", "subcomponent-beyond"),
        ("PID|1||9~8^^^^^^20261301||T^P", "PID-3(2).7", "data-type"),
        ("PID|1||9||T^P||19700231", "PID-7.1", "data-type"),
        ("PID|1||9||T^P||1970023^D^x", "PID-7.3", "component-beyond"),
        ("PID|1||9||T^P^^^^^^^^^^202613", "PID-5.12.1", "data-type"),
        ("PID|1||9||T^P||||||||(555)1~(555)2~(555)3^^^^^x", "PID-13(3).6", "data-type"),
    ],
)
def test_parts_of_parts_are_found_at_their_place(segment: str, path: str, kind: str) -> None:
    faults = judged(segment, *ORDER).faults
    assert (path, kind) in [(one.path, one.kind) for one in faults]
    (fault,) = [one for one in faults if one.path == path]
    numbers = [int(number) for number in re.findall(r"\d+", path.partition("-")[2])]
    assert list(map(int, fault.location[2:3])) == numbers[:1]
    assert fault.location[:2] == ("PID", "1")


def test_faults_carry_what_an_err_segment_needs() -> None:
    (fault,) = judged(*ORDER, "ORC|NW", "RQD|1|A|||four").faults
    assert fault.location == ("RQD", "2", "5", "1")
    assert (fault.code, fault.severity) == ("102", "E")
    assert "four" not in fault.text
    (missing,) = judged("ORC", RQD).faults
    assert (missing.code, missing.location) == ("101", ("ORC", "1", "1"))


def test_variable_fields_are_free_and_times_before_2_5_are_checked() -> None:
    head = MSH.replace("OMS^O05^OMS_O05", "MFN^M05").replace("2.5.1", "2.4")
    rest = ("LOC|A||N", "LDP|A|M^Med^L")
    assert found("MFI|LOC||UPD|||AL", "MFE|MAD|1|2026|any&thing^at~all^a^b^c^d^e|PL", *rest, head=head) == []
    wrong = found("MFI|LOC||UPD|||AL", "MFE|MAD|1|20261332|A|PL", *rest, head=head)
    assert wrong == [("MFE-3.1", "data-type", "E")]


def test_a_field_withdrawn_is_a_warning() -> None:
    assert found(
        "EVN|A01|20261102", "PID|1||9^^^N^MR||T", "PV1||I", head=sample("adt_a01_27").decode().split("\r")[0]
    ) == [("EVN-1", "field-withdrawn", "W")]


def test_what_the_published_standard_leaves_open_is_not_demanded() -> None:
    for version in ("2.7", "2.8", "2.8.2"):
        head = MSH.replace("OMS^O05^OMS_O05", "ORU^R01^ORU_R01").replace("2.5.1", version)
        assert found("OBR|1|||A^B^L", "OBX|1|NM|C^D^L||4||||||F", "OBX|2||C^D^L||||||||X", head=head) == []


def test_a_senders_row_says_what_is_tolerated() -> None:
    segments = ("ORC|NW", "RQD|1|A|||4^x||||||y", "ZAB|1")
    strict = found(*segments, z_segments=False)
    assert [one[2] for one in strict] == ["E", "E", "E"]
    tolerant = judged(*segments, tolerate=LATER_VERSION)
    assert tolerant.ok
    assert [(one.kind, one.severity) for one in tolerant.faults] == [
        ("component-beyond", "W"),
        ("field-beyond", "W"),
        ("segment-z", "I"),
    ]


def test_a_version_or_structure_we_have_no_table_of_is_said() -> None:
    (fault,) = judged(*ORDER, head=MSH.replace("2.5.1", "2.9")).faults
    assert (fault.kind, fault.code, fault.path, fault.severity) == ("version-unknown", "203", "MSH-12", "E")
    report = judged("QQQ|1", "PID|x||9||T", head=MSH.replace("OMS^O05^OMS_O05", "XYZ^Z99"))
    assert not report.known
    assert [(one.kind, one.severity) for one in report.faults] == [("structure-unknown", "W"), ("data-type", "E")]
    assert judged(*ORDER, head=MSH.replace("2.5.1", "2.9"), version="2.5.1").ok
    assert judged(*ORDER, head=MSH.replace("OMS^O05^OMS_O05", "OMS^Z05"), structure="OMS_O05").ok


def test_a_message_with_endless_faults_is_told_so_once() -> None:
    faults = judged(*(f"QQQ|{number}" for number in range(500))).faults
    assert len(faults) == 101
    assert faults[-1].kind == "too-many-faults"


# hl7apy itself as a second opinion: slow, lenient about order, but made by others


def opinion(data: bytes) -> bool:
    """hl7apy STRICT and its Validator find nothing."""
    text = "\r".join(segment.text for segment in read(data))
    structure = read(data).header.structure
    text = re.sub(r"(ADT\^A08)(?=\|)", rf"\1^{structure}", text)
    try:
        parsed = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
        return not Validator.validate(parsed, return_errors=True).errors
    except Exception:  # ValueError and TypeError escape from it too
        return False


# read as one segment, dropped or misread there (facts of its 1.4.0b1), or not text for it
NOT_FOR_IT = {"taught_odd_marks", "taught_z_segment", "taught_line_feed_in_text"}
NOT_AGREED = {
    "oru_r01": "its 2.3 tables demand ORC-7 and OBR-27",
    "taught_line_feed_in_text": "its 2.3 tables demand ORC-7 and OBR-27",
}


@pytest.mark.parametrize("name", [name for name in CLEAN if name not in NOT_FOR_IT | NOT_AGREED.keys()])
def test_hl7apy_strict_agrees_that_our_samples_are_clean(name: str) -> None:
    assert opinion(sample(name))
    assert check(read(sample(name))).ok


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("oms_o05", (b"|2.5|CA", b"|four|CA")),
        ("oms_o05", (b"|20261103\rNTE", b"|20260230\rNTE")),
        ("oms_o05", (b"ORC|NW|REQ-20178", b"ORC||REQ-20178")),
        ("oms_o05", (b"RQD|1|", b"RQD|1|A^B^C^D^E^F^G")),
        ("omn_o07", (b"ORC|NW|REQ-31^KITCHEN\r", b"")),
        ("dft_p03", (b"|CG|IMP", b"||IMP")),
        ("mfn_m16", (b"|100|18.75", b"|1,00|18.75")),
        ("rds_o13", (b"RXD|1|", b"RXD|x|")),
        ("adt_a08_without_structure", (b"EVN|A08|20261102140000", b"EVN|A08|20261302140000")),
        ("inu_u05", (b"ANALYZER01^NGH|20261102155900", b"ANALYZER01^NGH|")),
        ("siu_s12", (b"RGS|1\r", b"")),
        ("pmu_b07", (b"||Orthopaedic surgery", b"||")),
    ],
)
def test_hl7apy_strict_agrees_on_what_is_wrong(name: str, damage: tuple[bytes, bytes]) -> None:
    assert damage[0] in sample(name)
    data = sample(name).replace(*damage)
    assert not opinion(data)
    assert not check(read(data)).ok


@pytest.mark.parametrize(
    "damage",
    [
        (b"PID|1||900001^^^NGH^MR||TEST^PATIENT^A||19700101|U\rPV1|1|I|4EAST^12^A^NGH\r",
         b"PV1|1|I|4EAST^12^A^NGH\rPID|1||900001^^^NGH^MR||TEST^PATIENT^A||19700101|U\r"),
        (b"|Y|N\r", b"|Y|N\rEVN||20261102\r"),
    ],
)  # fmt: skip
def test_the_walker_finds_order_and_strangers_that_hl7apy_accepts(damage: tuple[bytes, bytes]) -> None:
    assert damage[0] in sample("oms_o05")
    data = sample("oms_o05").replace(*damage)
    assert opinion(data)
    assert not check(read(data)).ok


def test_no_sample_is_left_out() -> None:
    assert set(ALL) >= NOT_FOR_IT | NOT_AGREED.keys()
    assert len(CLEAN) >= 20
