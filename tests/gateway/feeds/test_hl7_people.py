"""PMU^B01 to B08 and MFN^M02: what HR says of whom, from which day, with the sender's own tables, and each refusal with its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pytest

from canonical.errors import Malformed
from canonical.hr_ports import HrRowsApart
from canonical.people import DeaRegistration, HrEvent, Licence, PersonName, PrivilegeScope
from canonical.senders import Sender
from formats import hl7
from gateway.registry import hl7_feed
from tests.formats.hl7_files import PUBLIC, message, sample
from tests.gateway.feeds.hl7_senders import nouns

HR = Sender(
    code="HR",
    facility="NGH",
    applications=("HR",),
    addresses=("10.1.0.0/16",),
    source="workday",
    time_zone="America/Chicago",
)
TABLES: Mapping[str, dict[str, str]] = {
    "role": {"SURGEON": "surgeon", "RN": "nurse"},
    "department": {"SURG": "surgery"},
    "cost_centre": {"4100": "CC-4100"},
    "reason": {"FC": "emergency-for-cause", "RET": "retired"},
    "privilege": {"Orthopaedic surgery": "orthopaedics/joint-replacement", "ENDO": "medicine/endoscopy"},
}


def segment(name: str, **fields: object) -> str:
    """A segment of these fields (``f3="MAPLE^TEST"``)."""
    most = max(int(field[1:]) for field in fields)
    return "|".join([name, *(str(fields.get(f"f{number}", "")) for number in range(1, most + 1))])


def staff(**fields: object) -> str:
    """An STF of a surgeon, with these fields otherwise."""
    said = {"f1": "S-77^^NGH", "f2": "E-2077^^^NGH^EI", "f3": "MAPLE^TEST", "f6": "19840307", "f19": "SURGEON^PHYS"}
    return segment("STF", **(said | fields))


def certificate(**fields: object) -> str:
    """A CER of a privilege, with these fields otherwise."""
    return segment("CER", **({"f1": 1, "f2": "P-7", "f10": "PRIV", "f13": "MAPLE TEST"} | fields))


STF = staff()


def head(event: str, version: str = "2.5.1", sent: str = "20261102081500") -> str:
    structure = hl7.structure_of("PMU", event)
    return f"MSH|^~\\&|HR|NGH|FASCIA|NGH|{sent}||PMU^{event}^{structure}|HR-1|P|{version}"


def pmu(
    event: str,
    *segments: str,
    evn: str = "|20261102",
    tables: Mapping[str, dict[str, str]] = TABLES,
    sent: str = "20261102081500",
) -> tuple[HrEvent, ...]:
    return nouns(message(f"EVN|{event}{evn}", *segments, head=head(event, sent=sent)), tables, sender=HR)


def one(event: str, *segments: str, **said: str) -> HrEvent:
    (found,) = pmu(event, *segments, **said)  # type: ignore[arg-type]
    return found


def refusal(event: str, *segments: str, **said: str) -> Malformed:
    with pytest.raises(Malformed) as refused:
        pmu(event, *segments, **said)  # type: ignore[arg-type]
    assert refused.value.path and refused.value.path in refused.value.message
    return refused.value


def test_a_hire_says_who_it_is_what_they_are_to_do_and_from_which_day() -> None:
    (hired,) = nouns(sample("pmu_b01"), TABLES, sender=HR)
    assert (hired.facility, hired.source, hired.number, hired.person) == ("NGH", "workday", "HR-5001", "S-77")
    assert (hired.kind, hired.effective, hired.emergency) == ("hire", date(2026, 12, 1), False)
    assert hired.said_at == datetime(2026, 11, 2, 14, 14, 55, tzinfo=UTC), "EVN-2 in its own zone"
    who = hired.record
    assert who.name == PersonName(family="MAPLE", given="TEST", middle="QUEBEC", suffix="JR", prefix="DR")
    assert (who.former_family, who.birth_date, who.national_id) == ("OAK", date(1984, 3, 7), "000001234")
    assert (who.npi, who.taxonomy, who.phone) == ("1234567893", "207X00000X", "1 555 5550100")
    assert who.licences == (
        Licence(state="IL", number="036123456", expires=date(2027, 7, 31)),
        Licence(state="WI", number="0712345", expires=date(2028, 2, 28)),
    )
    assert who.dea == (DeaRegistration(number="BM1234563", state="IL", expires=date(2028, 1, 31)),)
    (board,) = who.certificates
    assert (board.board, board.specialty) == ("American Board of Orthopaedic Surgery", "Orthopaedic surgery")
    does = hired.position
    assert (does.role, does.title, does.department, does.cost_centre) == (
        "surgeon",
        "Attending surgeon",
        "surgery",
        "CC-4100",
    )
    assert (does.service_line, does.employment, does.starts) == ("ORTHO", "employed", date(2026, 12, 1))


def test_our_samples_hold_by_the_tables_of_their_version() -> None:
    for name in ("pmu_b01", "pmu_b06", "mfn_m02_staff", "mfn_m02", "pmu_b07"):
        assert hl7.check(hl7.read(sample(name))).ok, name


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("B01", "hire"),
        ("B02", "update"),
        ("B03", "delete"),
        ("B04", "activate"),
        ("B05", "deactivate"),
        ("B06", "terminate"),
    ],
)
def test_each_event_is_one_kind_whichever_version_says_it(event: str, kind: str) -> None:
    for version in ("2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8.2"):
        data = message(f"EVN|{event}|20261102", STF, head=head(event, version))
        assert hl7.check(hl7.read(data)).ok, version
        (found,) = nouns(data, TABLES, sender=HR)
        assert (found.kind, found.person, found.effective) == (kind, "S-77", date(2026, 11, 2))


def test_a_reason_the_table_calls_an_emergency_ends_access_now_and_any_other_at_its_day() -> None:
    (gone,) = nouns(sample("pmu_b06"), TABLES, sender=HR)
    assert (gone.kind, gone.emergency, gone.reason, gone.effective) == (
        "terminate",
        True,
        "emergency-for-cause",
        date(2026, 11, 9),
    )
    assert not one("B06", STF, evn="|20261102||RET").emergency
    assert not one("B02", STF, evn="|20261102||FC").emergency, "a change of data ends nobody's access"
    inactive = one("B05", staff(f38="FC"))
    assert (inactive.reason, inactive.emergency) == ("emergency-for-cause", True), "STF-38 where EVN-4 says nothing"
    away = one("B05", staff(f38="FC", f20="L"))
    assert (away.kind, away.emergency) == ("deactivate", True), "on leave or not: access ends now"
    assert one("B05", staff(f38="RET", f20="L")).kind == "leave"
    assert one("B06", STF, evn="|20261102||quarrelled with a colleague").reason == "other", "no sentence about a person"


def test_it_holds_from_the_day_stated_else_when_it_happened_is_planned_or_was_recorded() -> None:
    assert one("B06", staff(f13="20261231^NGH")).effective == date(2026, 12, 31)
    assert one("B06", STF, evn="|20261102|20261115||").effective == date(2026, 11, 15), "planned"
    assert one("B06", STF, evn="|20261102|20261115|||20261030").effective == date(2026, 10, 30), "it happened before"
    assert one("B06", STF).effective == date(2026, 11, 2)
    other = staff(f12="20250101^WEST~20261201^NGH")
    assert one("B01", other).effective == date(2026, 12, 1), "of two institutions, ours"


@pytest.mark.parametrize(
    ("event", "field"), [("B01", "f12"), ("B04", "f12"), ("B03", "f12"), ("B05", "f13"), ("B06", "f13")]
)
def test_what_begins_or_ends_at_another_institution_alone_is_refused_with_its_place(event: str, field: str) -> None:
    for said in ("20261122^OTHER", "20261122^&OTHER", "20261122^OTHER~20261231^WEST"):
        wrong = refusal(event, staff(**{field: said}))
        assert (wrong.path, wrong.code) == (f"STF-{field[1:]}.2", "unknown-code")
        assert "OTHER, not at NGH" in wrong.message
    assert refusal("B05", staff(f13="20261122^OTHER", f20="L")).path == "STF-13.2", "also where it is told as leave"
    both = one(event, staff(**{field: "20261122^OTHER~20261231^NGH"}))
    nobodys = one(event, staff(**{field: "20261122^OTHER~20261231"}))
    assert {both.effective, nobodys.effective} <= {date(2026, 12, 31), date(2026, 11, 2)}, "never the other's day"


def test_another_institutions_days_are_none_of_ours_in_what_else_is_said() -> None:
    moved = one("B02", staff(f12="20250101^OTHER", f13="20261122^OTHER"))
    assert (moved.kind, moved.position.starts, moved.position.ends) == ("update", None, None)


def test_an_institution_is_ours_by_the_senders_table_too() -> None:
    tables = {**TABLES, "institution": {"0042": "NGH"}}
    (gone,) = pmu("B06", staff(f13="20261122^OTHER~20261231^0042&Northfield General"), tables=tables)
    assert (gone.effective, gone.position.ends) == (date(2026, 12, 31), date(2026, 12, 31))


def test_events_are_in_the_order_they_were_recorded_in_not_that_in_which_they_happened() -> None:
    late = one("B02", STF, evn="|20261105100000-0500||||20260901")
    assert late.said_at == datetime(2026, 11, 5, 15, 0, tzinfo=UTC) and late.effective == date(2026, 9, 1)
    by_day = one("B02", STF, evn="|20261102", sent="20261102081500-0600")
    assert by_day.said_at == datetime(2026, 11, 2, 14, 15, tzinfo=UTC), "a day alone is no order: MSH-7 of that day is"
    local = one("B02", STF, evn="|20261102081500")
    assert local.said_at == datetime(2026, 11, 2, 14, 15, tzinfo=UTC), "without a zone it is the sender's"


def test_leave_is_told_by_the_employment_status_and_the_way_back_by_the_senders_table() -> None:
    away = staff(f20="L^Leave of absence^HL70066")
    assert (one("B02", away).kind, one("B05", away).kind, one("B06", away).kind) == ("leave", "leave", "terminate")
    tables = {**TABLES, "employment": {"BACK": "return", "AGY": "contracted"}}
    (back,) = pmu("B02", staff(f20="BACK"), tables=tables)
    (agency,) = pmu("B02", staff(f20="AGY"), tables=tables)
    assert (back.kind, agency.kind, agency.position.employment) == ("return", "update", "contracted")


def test_the_persons_number_is_the_key_of_the_record_else_the_staff_number_never_another_number() -> None:
    assert one("B02", "STF||900001^^^USSSA^SS~U22^^^NGH|MAPLE").person == "U22"
    assert one("B02", "STF||1234567893^^^CMS^NPI~X1^^^NGH^PI~E-9^^^NGH^EI|MAPLE").person == "E-9"
    missing = refusal("B02", "STF||900001^^^USSSA^SS|MAPLE")
    assert (missing.path, missing.code) == ("STF-1", "field-missing") and "is required" in missing.message


@pytest.mark.parametrize(("segment", "place"), [("STF|{}||MAPLE", "STF-1"), ("STF||{}^^^NGH^EI|MAPLE", "STF-2")])
def test_a_number_that_is_too_long_is_told_so_with_how_long_it_may_be(segment: str, place: str) -> None:
    assert one("B02", segment.format("9" * 80)).person == "9" * 80
    wrong = refusal("B02", segment.format("9" * 81))
    assert (wrong.path, wrong.code) == (place, "data-invalid")
    assert wrong.message.startswith(f"{place} is too long: ") and "at most 80 characters" in wrong.message
    assert "required" not in wrong.message and "999" not in wrong.message


def test_what_a_hire_cannot_be_without_is_refused_with_its_place() -> None:
    assert refusal("B01", staff(f3="^TEST")).path == "STF-3"
    assert refusal("B01", "STF|S-1||MAPLE^TEST").path == "STF-19"
    (by_default,) = pmu("B01", "STF|S-1||MAPLE^TEST", tables={"role": {"": "nurse"}})
    assert by_default.position.role == "nurse"
    assert refusal("B02", STF.replace("19840307", "19841350")).path == "STF-6.1.1"
    assert refusal("B02").path == "STF"
    assert refusal("B01", staff(f8="SURGX")).path == "STF-8"


@pytest.mark.parametrize(
    ("segments", "place", "rule"),
    [
        (("PRA|S-77|||||036^SL^IL~1234567890^NPI",), "PRA-6(2).1", "this is no NPI: ten digits"),
        (("PRA|S-77|||||036^SL^IL", "PRA|S-77|||||1234567890^NPI"), "PRA(2)-6.1", "Luhn over 80840 and the number"),
        (("PRA|S-77|||||1234567893^NPI~BM1234565^DEA^IL",), "PRA-6(2).1", "this is no DEA number"),
        ((certificate(f2="BM1234565", f10="DEA"),), "CER-2", "its last digit is the check digit"),
    ],
)
def test_a_number_whose_check_digit_is_wrong_is_told_with_its_place_and_rule(
    segments: tuple[str, ...], place: str, rule: str
) -> None:
    tables = {**TABLES, "certificate": {"DEA": "dea"}}
    for event in ("B01", "B04"):
        wrong = refusal(event, STF, *segments, tables=tables)  # type: ignore[arg-type]
        assert wrong.path == place and rule in wrong.message and wrong.code == "data-invalid"
        assert not any(said in wrong.message for said in ("MAPLE", "1234567890", "BM123456"))
    for event in ("B02", "B03", "B05", "B06"):  # an update may say an end
        assert one(event, STF, *segments, tables=tables)  # type: ignore[arg-type]


def test_an_npi_among_the_staff_numbers_is_told_there() -> None:
    assert refusal("B01", staff(f2="E-9^^^NGH^EI~1234567890^^^CMS^NPI")).path == "STF-2(2).1"


def test_a_row_of_a_staff_file_with_a_wrong_npi_stands_apart_with_its_place_and_rule() -> None:
    data = sample("mfn_m02_staff").replace(b"1234567893^NPI", b"1234567890^NPI")
    *events, apart = nouns(data, TABLES, sender=HR)
    assert [event.number for event in events] == ["HR-90/R-2", "HR-90/R-3", "HR-90/R-4", "HR-90/R-5"]
    (row,) = apart.rows
    assert (row.row, row.path) == ("R-1", "PRA-6.1") and "Luhn over 80840" in row.reason
    assert "MAPLE" not in row.reason and "1234567890" not in row.reason


def test_a_privilege_is_granted_for_its_domain_and_dates_and_revoked_on_its_day() -> None:
    (granted,) = nouns(sample("pmu_b07"), TABLES, sender=HR)
    assert (granted.kind, granted.number, granted.effective) == ("grant", "HR-21/1", date(2026, 11, 15))
    assert granted.scope is not None
    assert (granted.scope.service, granted.scope.procedures) == ("orthopaedics", "joint-replacement")
    assert (granted.scope.starts, granted.scope.ends) == (date(2026, 11, 15), date(2028, 11, 14))
    cer = certificate(f11="ENDO^Endoscopy", f29="20261120", f30="LOST")
    revoked = one("B08", STF, cer)
    assert (revoked.kind, revoked.effective, revoked.reason) == ("revoke", date(2026, 11, 20), "LOST")
    assert revoked.scope is not None and str(revoked.scope) == "all sites / medicine / endoscopy"


def test_the_holders_name_in_a_certificate_is_never_taken_for_what_it_is_about() -> None:
    wrong = refusal("B07", STF, certificate())
    assert wrong.path == "CER-11.1" and "MAPLE" not in wrong.message
    granted = one("B07", STF, certificate(f11="ENDO"))
    assert granted.scope is not None and "MAPLE" not in granted.scope.model_dump_json()


def test_privileges_without_a_certificate_stand_in_pra_7() -> None:
    first, second = pmu("B07", STF, "PRA|S-77||||||ENDO^^20281231^20261201^NGH-OR~ADMIT^T")
    assert (first.number, second.number) == ("HR-1/1", "HR-1/2")
    assert first.scope is not None and second.scope is not None
    assert (first.scope.site, first.scope.ends, first.effective) == ("NGH-OR", date(2028, 12, 31), date(2026, 12, 1))
    assert (second.scope.procedures, second.effective) == ("ADMIT", date(2026, 11, 2))
    assert refusal("B07", STF).path == "CER"


def test_a_licence_granted_or_revoked_is_of_the_person_and_names_no_scope() -> None:
    licence = {"f2": "036999", "f8": "IL", "f10": "LICENSE", "f11": "MD"}
    pra = "PRA|S-77|||||0712345^SL^WI"
    both = (certificate(**licence, f27="20280731"), certificate(f1=2, f11="ENDO"))
    granted, privilege = pmu("B07", STF, pra, *both)
    assert (granted.kind, granted.scope, granted.number) == ("grant", PrivilegeScope(), "HR-1/1")
    assert granted.record.licences == (Licence(state="IL", number="036999", kind="MD", expires=date(2028, 7, 31)),)
    assert privilege.scope is not None and privilege.scope.procedures == "endoscopy" and not privilege.record.licences
    revoked = one("B08", STF, pra, certificate(**licence, f29="20261120"))
    assert (revoked.kind, revoked.scope, revoked.effective) == ("revoke", PrivilegeScope(), date(2026, 11, 20))
    assert [known.state for known in revoked.record.licences] == ["IL"], "the one in PRA-6 is not revoked"
    assert refusal("B07", STF, certificate(**(licence | {"f8": ""}))).path == "CER-20"


def test_a_staff_file_is_an_event_for_each_row_from_the_rows_day_or_the_files() -> None:
    events = nouns(sample("mfn_m02_staff"), TABLES, sender=HR)
    assert [(one.number, one.person, one.kind, one.effective.isoformat()) for one in events] == [
        ("HR-90/R-1", "S-77", "hire", "2026-12-01"),
        ("HR-90/R-2", "S-78", "leave", "2026-11-03"),
        ("HR-90/R-3", "S-79", "deactivate", "2026-11-30"),
        ("HR-90/R-4", "S-80", "activate", "2026-11-05"),
        ("HR-90/R-5", "S-81", "delete", "2026-11-03"),
    ]
    assert {one.said_at for one in events} == {datetime(2026, 11, 2, 17, 59, tzinfo=UTC)}, "MFI-4"


def test_a_row_that_cannot_be_read_stands_apart_and_keeps_no_other_from_being_taken() -> None:
    data = sample("mfn_m02_staff").replace(b"19840307", b"19841307").replace(b"MFE|MAC", b"MFE|XXX")
    *events, apart = nouns(data, TABLES, sender=HR)
    assert [one.number for one in events] == ["HR-90/R-2", "HR-90/R-3", "HR-90/R-5"]
    assert isinstance(apart, HrRowsApart)
    assert [(row.row, row.path) for row in apart.rows] == [("R-1", "STF-6.1.1"), ("R-4", "MFE(4)-1")]


def test_a_row_whose_key_names_somebody_else_than_its_segment_stands_apart() -> None:
    data = sample("mfn_m02_staff").replace(b"MFE|MUP|R-2||S-78^^NGH", b"MFE|MUP|R-2||S-97^^NGH")
    *events, apart = nouns(data, TABLES, sender=HR)
    assert [event.number for event in events] == ["HR-90/R-1", "HR-90/R-3", "HR-90/R-4", "HR-90/R-5"]
    (row,) = apart.rows
    assert (row.row, row.path) == ("R-2", "MFE(2)-4") and "somebody else than STF-1" in row.reason


def test_a_row_that_ends_at_another_institution_stands_apart() -> None:
    data = sample("mfn_m02_staff").replace(b"20261130^NGH", b"20261130^OTHER").replace(b"R-3|", b"R-3|20261130")
    *events, apart = nouns(data, TABLES, sender=HR)
    assert "S-79" not in [event.person for event in events]
    assert [(row.row, row.path) for row in apart.rows] == [("R-3", "STF(3)-13.2")]


def test_a_file_of_which_nothing_can_be_read_is_refused_with_the_first_place() -> None:
    with pytest.raises(Malformed) as refused:
        nouns(sample("mfn_m02"), TABLES, sender=HR)
    assert refused.value.path == "STF-19"
    (hired,) = nouns(sample("mfn_m02"), {"role": {"": "physician"}}, sender=HR)
    assert (hired.person, hired.position.role, hired.effective) == ("P-100200", "physician", date(2026, 11, 15))
    with pytest.raises(Malformed) as other:
        nouns(sample("mfn_m02").replace(b"MFI|PRA", b"MFI|INV"), TABLES, sender=HR)
    assert other.value.path == "MFI-1"


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with hl7 samples")
def test_public_samples_are_read_or_refused_with_a_place() -> None:
    found = [
        path for path in sorted(PUBLIC.glob("*.hl7")) if b"PMU^B" in (data := path.read_bytes()) or b"MFN^M02" in data
    ]
    assert found
    for path in found:
        cut = hl7.read(
            b"\r".join(line for line in path.read_bytes().replace(b"\n", b"\r").split(b"\r") if line[:3] != b"PID")
        )
        assert hl7_feed(f"{cut.header.type}^{cut.header.event}") is not None
        ours = {"DOCTORSAREUS MEDICAL SCHOOL": "NGH"}  # what a published sample calls its own hospital
        (event,) = nouns(cut.data, {"role": {"": "physician"}, "institution": ours}, sender=HR)
        assert isinstance(event, HrEvent) and event.person and event.record.name.family, path.name
