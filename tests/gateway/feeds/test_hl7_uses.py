"""DFT^P03: what is charged becomes uses under the sender's own numbers, exactly, with their lots, and with nothing of a patient."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from canonical.errors import Malformed
from canonical.senders import Sender
from canonical.usage import UsageEvent
from formats import hl7
from tests.formats.hl7_files import MSH, PUBLIC, message, sample
from tests.gateway.feeds.hl7_senders import nouns

THEATRE = Sender(
    code="OR-SYS",
    facility="NGH",
    applications=("ORSYS",),
    addresses=("10.1.0.0/16",),
    source="surgery-desk",
    time_zone="America/New_York",
)
MIXED = THEATRE.changed(code="RIS", source="imaging", charges="mixed", deliver_to="NGH-CT")
HEAD = MSH.replace("OMS^O05^OMS_O05", "DFT^P03^DFT_P03")
PID = "PID|1||900001^^^NGH^MR||DOE^JANE||19700101|F"
BARCODE = "(01)51022222233336(17)280731(10)A213B1(21)1234"
TABLES: Mapping[str, dict[str, str]] = {
    "item": {"IMP-310": "ITM-1013", "GLV-NIT-M": "ITM-1001", "GZ-44": "ITM-1003", "00407141491": "ITM-3001"},
    "location": {"OR^3": "NGH-OR3", "OR": "NGH-OR", "SURG": "NGH-SURG"},
    "unit": {"BOX": "BX", "mL": "ML", "": "EA"},
}


def ft1(**fields: object) -> str:
    """An FT1 of these fields (``f7="GLV"``), with what every one has unless said otherwise."""
    said = {"f1": 1, "f2": "T-1", "f4": "20261102104500", "f6": "CG", "f7": "GLV-NIT-M^Glove^NGH", "f10": 4} | fields
    most = max(int(name[1:]) for name in said)
    return "|".join(["FT1", *(str(said.get(f"f{number}", "")) for number in range(1, most + 1))])


def uses(
    *segments: str, sender: Sender = THEATRE, head: str = HEAD, tables: Mapping[str, dict[str, str]] = TABLES
) -> tuple[UsageEvent, ...]:
    return nouns(message("EVN|P03|20261102", *segments, head=head), tables, sender=sender)


def one(*segments: str, sender: Sender = THEATRE, tables: Mapping[str, dict[str, str]] = TABLES) -> UsageEvent:
    (found,) = uses(*segments, sender=sender, tables=tables)
    return found


def refusal(*segments: str, sender: Sender = THEATRE) -> Malformed:
    with pytest.raises(Malformed) as refused:
        uses(*segments, sender=sender)
    assert refused.value.path and refused.value.path in refused.value.message
    return refused.value


def test_an_implant_gloves_and_a_credit_of_the_theatre_become_two_uses_and_a_void() -> None:
    stem, gloves, gauze = nouns(sample("dft_p03_theatre"), TABLES, sender=THEATRE.changed(time_zone="Asia/Tokyo"))
    assert (stem.facility, stem.source, stem.number, stem.sequence) == ("NGH", "surgery-desk", "T-9001", 1)
    assert (stem.kind, stem.item, stem.amount, stem.unit) == ("use", "ITM-1013", Decimal(1), "EA")
    assert stem.device is not None and stem.device.device == "51022222233336"
    assert (stem.lot, stem.serial, stem.expires) == ("A213B1", "1234", date(2028, 7, 31))
    assert (stem.location, stem.procedure_code, stem.service_line) == ("NGH-SURG", "27130", "SUR")
    assert stem.used_at == datetime(2026, 11, 2, 15, 45, tzinfo=UTC), "10:45 in the zone of MSH-7"
    assert stem.encounter == "visit|NGH|V-77"
    assert (gloves.item, gloves.amount, gloves.lot, gloves.serial) == ("ITM-1001", Decimal(4), "L-77", "")
    assert (gauze.kind, gauze.number, gauze.voids_number, gauze.voids_sequence) == ("void", "T-8990^CD", "T-8990", 1)


def test_a_credit_says_how_many_it_takes_back_only_where_it_was_sent() -> None:
    part, whole, below = (
        one(PID, ft1(**said)) for said in ({"f6": "CD", "f10": 2}, {"f6": "CD", "f10": ""}, {"f10": -2})
    )
    assert [(void.kind, void.amount_stated) for void in (part, whole, below)] == [
        ("void", n) for n in (True, False, True)
    ]
    assert (part.amount, below.amount) == (Decimal(2), Decimal(2)) and not one(PID, ft1()).amount_stated


def test_contrast_of_an_examination_is_read_by_its_ndc_in_millilitres_and_the_examination_is_left_out() -> None:
    given_, wasted = nouns(sample("dft_p03_imaging"), TABLES, sender=MIXED)
    assert (given_.number, given_.item, given_.amount, given_.unit) == ("R-2", "ITM-3001", Decimal(80), "ML")
    assert (wasted.amount, wasted.wasted, given_.wasted) == (Decimal(20), True, False)
    assert given_.location == "CT", "its own words, since its table has no row for it"
    assert given_.used_at == datetime(2026, 11, 3, 13, 50, tzinfo=UTC), "in the zone of its row"


def test_of_a_mixture_only_what_the_table_names_or_a_barcode_came_with_is_a_use() -> None:
    office = ft1(f2="T-2", f7="99213^Office visit^CPT", f10="")
    assert uses(office, sender=MIXED) == ()
    assert one(PID, office, ft1(), sender=MIXED).number == "T-1"
    scanned = one(PID, ft1(f7="SUP^Supply"), f"OBX|1|ST|UDI^Barcode||{BARCODE}||||||F", sender=MIXED)
    assert scanned.device is not None and scanned.item == ""
    assert uses(ft1(f7="X"), sender=MIXED, tables={}) == (), "without a table it names no supply"


def test_an_empty_row_of_the_item_table_says_that_a_code_is_no_supply() -> None:
    tables = {"item": {"ROOM": ""}}
    assert uses(ft1(f7="ROOM^Theatre, one hour"), tables=tables) == ()
    assert one(ft1(f7="OTHER"), tables=tables).item == "OTHER"


def test_unknown_codes_units_and_places_go_on_as_they_were_written() -> None:
    found = one(PID, ft1(f7="NEW-9^Something new^NGH", f16="ANNEX^7^^NGH"), tables={"item": {"A": "B"}})
    assert (found.item, found.location, found.unit, found.description) == ("NEW-9", "ANNEX", "", "Something new")


def test_nothing_of_a_patient_is_in_what_is_read() -> None:
    pid = PID + "||||||||||A-1^^^HOSP"
    found = one(pid, "NK1|1|DOE^JOHN", ft1(f8="JANE DOE", f20="1^SURGEON^SAM"), "NTE|1||JANE DOE again")
    said = found.model_dump_json() + repr(found)
    assert not any(word in said for word in ("DOE", "JANE", "900001", "1970", "SURGEON", "A-1", "HOSP"))
    assert found.encounter == "account|HOSP|A-1", "which its taker makes a keyed hash of"


@pytest.mark.parametrize(
    ("pid", "pv1", "encounter"),
    [
        ("PID|1||7", "", ""),
        ("PID|1||7|||||||||||||||A-1^^^H1", "", "account|H1|A-1"),
        ("PID|1||7|||||||||||||||A-1", "PV1|1|I|||||||||||||||||V-1^^^H2&1.2.3&ISO", "visit|H2|V-1"),
        ("PID|1||7", "PV1|1|I|||||||||||||||||V-1", "visit|NGH|V-1"),
    ],
)
def test_the_encounter_is_the_visit_else_the_account_with_who_assigned_it(pid: str, pv1: str, encounter: str) -> None:
    assert one(*filter(None, (pid, pv1)), ft1()).encounter == encounter


def test_a_use_without_its_own_number_is_named_by_its_order_or_its_message_and_the_same_when_sent_again() -> None:
    by_order = one(ft1(f2="", f1=3, f23="FO-7^LAB"))
    assert (by_order.number, by_order.sequence) == ("FO-7", 3)
    first, second = uses(ft1(f2="", f1=1), ft1(f2="", f1=2))
    assert [(first.number, first.sequence), (second.number, second.sequence)] == [("W-1", 1), ("W-1", 2)]
    assert uses(ft1(f2="", f1=1), ft1(f2="", f1=2)) == (first, second)


def test_charges_of_one_message_under_one_number_are_told_apart_by_their_places() -> None:
    first, second = uses(ft1(f1=1), ft1(f1=2, f7="GZ-44"))
    assert [(first.number, first.sequence), (second.number, second.sequence)] == [("T-1", 1), ("T-1", 2)]


def test_a_charge_behind_its_own_credit_is_another_use_and_one_before_it_is_the_one_taken_back() -> None:
    void, anew = uses(ft1(f6="CD"), ft1(f1=2, f10=3))
    assert (void.voids_number, void.voids_sequence) == ("T-1", 1)
    assert (anew.kind, anew.number, anew.sequence, anew.amount) == ("use", "T-1", 2, Decimal(3))
    _, second, back, anew = uses(ft1(f2="T-0"), ft1(f1=2), ft1(f1=3, f6="CD"), ft1(f1=4, f10=5))
    assert (back.voids_number, back.voids_sequence) == (second.number, second.sequence) == ("T-1", 2)
    assert (anew.number, anew.sequence) == ("T-1", 4)


def test_a_credit_takes_back_the_charge_of_its_number_or_the_one_it_refers_to() -> None:
    credit = one(ft1(f6="CD", f10=""))
    assert (credit.kind, credit.number, credit.voids_number, credit.voids_sequence) == ("void", "T-1^CD", "T-1", 1)
    below = one(ft1(f10="-4"))
    assert (below.kind, below.number, below.voids_number, below.amount) == ("void", "T-1^CD", "T-1", Decimal(4))
    referring = one(ft1(f2="T-9", f6="CD", f31="4711"))
    assert (referring.number, referring.voids_number) == ("T-9", "4711")
    assert refusal(ft1(f2="", f6="CD")).path == "FT1-2"


def test_money_alone_is_no_use_and_an_adjusted_quantity_is_left_to_a_person() -> None:
    assert uses(ft1(f6="PY"), ft1(f6="CO"), ft1(f6="AJ", f10="")) == ()
    wrong = refusal(ft1(f6="AJ"))
    assert (wrong.path, wrong.code) == ("FT1-6", "not-automatic")
    assert refusal(ft1(), ft1(f6="ZZ")).path == "FT1(2)-6"


@pytest.mark.parametrize(
    ("fields", "pv1", "location"),
    [
        ({"f13": "SURG", "f16": "OR^3"}, "PV1|1|I|4EAST", "NGH-SURG"),
        ({"f13": "77", "f16": "OR^3"}, "", "NGH-OR3"),
        ({"f16": "OR^9"}, "", "NGH-OR"),
        ({"f13": "77"}, "PV1|1|I|OR^1", "NGH-OR"),
        ({"f16": "X^9"}, "PV1|1|I|Y", "X"),
        ({}, "PV1|1|I|Y", "Y"),
        ({"f13": "77"}, "", "77"),
        ({}, "", ""),
    ],
)
def test_the_stock_location_is_looked_for_in_the_documented_order(
    fields: dict[str, str], pv1: str, location: str
) -> None:
    assert one(*filter(None, (PID, pv1)), ft1(**fields)).location == location


def test_a_senders_own_store_goes_before_where_the_patient_lies() -> None:
    assert one(PID, "PV1|1|I|Y", ft1(), sender=THEATRE.changed(deliver_to="NGH-OR")).location == "NGH-OR"
    assert one(PID, "PV1|1|I|OR", ft1(), sender=THEATRE.changed(deliver_to="NGH-X")).location == "NGH-OR"


@pytest.mark.parametrize(
    ("said", "used_at"),
    [
        ("20261102104500+0100", datetime(2026, 11, 2, 9, 45, tzinfo=UTC)),
        ("20261102104500", datetime(2026, 11, 2, 15, 45, tzinfo=UTC)),
        ("20260702104500", datetime(2026, 7, 2, 14, 45, tzinfo=UTC)),
        ("20261102", datetime(2026, 11, 2, 5, 0, tzinfo=UTC)),
        ("20261102^20261103", datetime(2026, 11, 2, 5, 0, tzinfo=UTC)),
    ],
)
def test_a_time_without_a_zone_is_one_of_the_senders_clock_summer_and_winter(said: str, used_at: datetime) -> None:
    assert one(ft1(f4=said)).used_at == used_at


def test_quantities_are_exact_and_never_floats() -> None:
    assert str(one(ft1(f10="2.50")).amount) == "2.5"
    assert str(one(ft1(f10="0.000001")).amount) == "0.000001"
    assert str(one(ft1(f10="100")).amount) == "100"


@pytest.mark.parametrize(
    ("segments", "path"),
    [
        ((ft1(f10=""),), "FT1-10"),
        ((ft1(f10="0"),), "FT1-10"),
        ((ft1(f10="1,5"),), "FT1-10"),
        ((ft1(f10="0.0000001"),), "FT1-10"),
        ((ft1(f10="9999999999"),), "FT1-10"),
        ((ft1(f4=""),), "FT1-4"),
        ((ft1(f4="2026"),), "FT1-4"),
        ((ft1(f4="20261340"),), "FT1-4"),
        ((ft1(f4="00010101000000+1400"),), "FT1-4"),
        ((ft1(f2="A" * 81),), "FT1-2"),
        ((ft1(f2="T\x07"),), "FT1-2"),
        ((ft1(f7=""),), "FT1-7"),
        ((ft1(f6=""),), "FT1-6"),
        ((ft1(), "OBX|1|ST|LOT||A", "OBX|2|ST|C101672||B"), "OBX(2)-5"),
        ((ft1(), "OBX|1|ST|LOT||" + "L" * 41), "OBX-5"),
        ((ft1(), "OBX|1|DT|EXPIRES||2027"), "OBX-5"),
        ((PID,), "FT1"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(segments: tuple[str, ...], path: str) -> None:
    assert refusal(*segments).path.startswith(path)


def test_a_use_with_a_barcode_nobody_can_read_is_a_use_for_a_person_and_what_was_scanned_is_not_kept() -> None:
    wristband = "PATIENT-900001-DOE"
    found = one(ft1(), f"OBX|1|ST|74711-3||{wristband}")
    assert (found.barcode_unread, found.device, found.number) == (True, None, "T-1")
    assert wristband not in found.model_dump_json()
    assert not one(ft1(), f"OBX|1|ST|74711-3||{wristband}", f"OBX|2|ST|74711-3||{BARCODE}").barcode_unread


def test_a_barcode_that_contradicts_its_lot_is_refused_and_never_repeated() -> None:
    wrong = refusal(ft1(), f"OBX|1|ST|74711-3||{BARCODE}", "OBX|2|ST|LOT||OTHER")
    assert wrong.path == "OBX-5" and "lot" in wrong.message
    assert "A213B1" not in wrong.message and "1234" not in wrong.message


def test_before_there_was_a_place_for_it_what_was_observed_stands_before_the_one_charge() -> None:
    assert one(PID, "OBX|1|ST|LOT||L-1||||||F", ft1()).lot == "L-1"
    assert [use.lot for use in uses(PID, "OBX|1|ST|LOT||L-1||||||F", ft1(), ft1(f2="T-2"))] == ["", ""]


def test_a_device_that_took_part_is_read_with_its_expiry_lot_and_serial() -> None:
    head = HEAD.replace("2.5.1", "2.8.2")
    prt = "|".join(["PRT", "1", "AD", "", "EQUIP^Equipment", *[""] * 5, f"{BARCODE}^^^"])
    (found,) = uses(ft1(), prt, head=head)
    assert (found.lot, found.serial, found.expires) == ("A213B1", "1234", date(2028, 7, 31))


def test_a_cost_centre_is_taken_where_the_senders_table_has_one() -> None:
    assert one(ft1(f13="SURG")).cost_centre is None
    assert one(ft1(f13="SURG"), tables={"cost_centre": {"SURG": "CC-4100"}}).cost_centre == "CC-4100"


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="FASCIA_SAMPLES names no folder with hl7 samples")
def test_every_public_message_of_use_is_read_or_refused_with_a_reason() -> None:
    kinds = ("DFT^P03", "RDS^O13", "RDS^O01", "INU^U05")
    found = [path for path in sorted(PUBLIC.glob("*.hl7")) if any(kind.encode() in path.read_bytes() for kind in kinds)]
    assert len(found) >= 2
    for path in found:
        data = path.read_bytes()
        for each in hl7.split(data).messages if hl7.is_batch(data) else [data]:
            try:
                read = nouns(each, sender=THEATRE)
            except Malformed as refused:
                assert refused.path, path
                continue
            assert all(isinstance(use, UsageEvent) and use.used_at.tzinfo for use in read), path


PIECES = st.text("CGDT12.^&~\\-|é\x00 ", max_size=12)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(["DFT^P03", "RDS^O13", "INU^U05", "OMS^O05"]),
    st.lists(
        st.tuples(st.sampled_from(["FT1", "ORC", "RXD", "EQU", "INV", "RQD", "OBX", "PRT", "PID", "PV1"]), PIECES),
        max_size=9,
    ),
)
def test_any_segments_become_uses_or_a_refusal_with_its_place(kind: str, parts: list[tuple[str, str]]) -> None:
    own = ["ORC|RE|P-1|F-1||||||20261102", "RXD|1|X|20261102|4", "EQU|A^B|20261102", "INV|R|OK", ft1()]
    data = message(*own, *(f"{name}|{rest}" for name, rest in parts), head=HEAD.replace("DFT^P03^DFT_P03", kind))
    try:
        found = nouns(data, {"item": {"X": "ITM-1"}}, sender=THEATRE.changed(stock_use=True))
        assert all(isinstance(noun, UsageEvent) for noun in found)
    except Malformed as refused:
        assert refused.path
