"""Billing hears of a use by DFT^P03: the patient as the department wrote it, one FT1, and a credit as the charge's mirror."""

from __future__ import annotations

import pytest

from adapters.mllp_line import sendable
from canonical.charges import Charge
from canonical.errors import Malformed
from canonical.messages import Kept, NewMessage
from canonical.senders import Channel
from canonical.supply import Item
from formats import hl7
from gateway.charge_subjects import subject
from gateway.hl7_charges import dft
from tests.gateway.charge_house import (
    BARCODE,
    BILLING,
    ITEM,
    NAME,
    PID,
    PV1,
    SENDER,
    charge,
    credit,
    event,
    kept,
    used,
)


def told(
    of: Charge, by: Kept | None = None, channel: Channel = BILLING, item: Item = ITEM
) -> tuple[NewMessage, hl7.Message]:
    by = by or kept()
    new = dft(of, item, subject(of, by, SENDER), SENDER, channel)
    message = hl7.read(new.data)
    report = hl7.check(message)
    assert report.known and report.ok, report.errors
    sendable(new.data, new.control_number)
    return new, message


def test_a_charge_names_what_was_used_how_much_when_where_and_for_whom() -> None:
    new, message = told(charge())
    assert (new.direction, new.kind, new.channel, new.key) == ("out", "DFT^P03", "BILLING", "charge/0190-charge")
    assert message.header.receiver == ("BILL", "NGH") and message.header.version == "2.5.1"
    assert [message.raw(f"FT1-{field}") for field in (2, 4, 6, 7, 10, 13, 25)] == [
        *("0190-charge", "20261121093000+0000", "CG", "C-90310^Hip stem size 3^L", "2", "CC-4100", "27130"),
    ]
    assert (message.value("FT1-16.1"), message.value("FT1-16.4")) == ("NGH-OR", "NGH")


def test_the_patient_and_the_visit_are_copied_as_the_department_wrote_them() -> None:
    _, message = told(charge())
    assert [one.text for one in (*message.all("PID"), *message.all("PV1"))] == [PID, PV1]


def test_the_same_charge_is_the_same_bytes() -> None:
    assert told(charge())[0] == told(charge())[0]
    assert told(charge())[0].control_number != told(credit())[0].control_number


def test_a_credit_is_the_mirror_of_its_charge_and_names_the_same_use() -> None:
    (_, plus), (_, minus) = told(charge()), told(credit())
    assert (minus.value("FT1-2"), minus.value("FT1-6"), plus.value("FT1-6")) == ("0190-credit", "CD", "CG")
    same = ("FT1-7", "FT1-10", "FT1-13", "FT1-16", "FT1-23", "FT1-25")
    assert [plus.raw(one) for one in same] == [minus.raw(one) for one in same]


def test_the_lot_the_serial_and_the_barcode_go_with_it() -> None:
    _, message = told(charge())
    assert message.values("OBX-5") == [BARCODE, "A213B1", "S-1", "20260131"]
    assert message.value("OBX-3.1") == "74711-3" and message.values("OBX-2") == ["ST", "ST", "ST", "DT"]


def test_a_barcode_that_a_person_corrected_is_not_handed_on() -> None:
    _, message = told(charge(serial="S-2"))
    assert BARCODE not in message.values("OBX-5") and "S-2" in message.values("OBX-5")


def test_a_version_with_device_fields_has_them_in_its_participation() -> None:
    _, message = told(charge(), channel=BILLING.changed(version="2.8.2"))
    assert [message.value(f"PRT-{field}") for field in (18, 19, 20)] == ["20260131", "A213B1", "S-1"]


def test_what_has_neither_lot_nor_serial_has_no_observation() -> None:
    _, message = told(charge(event=event(), lot="", serial="", expires=None))
    assert not message.all("OBX")


def test_the_events_own_procedure_code_goes_before_the_items() -> None:
    assert told(charge(procedure_code="0SR9"))[1].value("FT1-25") == "0SR9"


def test_other_letters_and_marks_arrive_as_they_were_written() -> None:
    latin = used(PID.replace("JANE", "JÜRGEN"), charset="8859/1").decode().encode("latin-1")
    new, message = told(charge(), kept(latin), item=ITEM.changed(description="Stem Ø 3 — long"))
    assert "JÜRGEN".encode("latin-1") in new.data and message.header[18] == "8859/1"
    assert message.value("FT1-7.2") == "Stem Ø 3 ? long"  # less of ours, all of theirs
    odd = used(PID.replace("^", "*"), PV1.replace("^", "*"), marks="|*~\\&")
    assert told(charge(), kept(odd.replace(b"DFT^", b"DFT*")))[1].value("PID-5.1") == NAME


def test_without_a_patient_it_says_so() -> None:
    by = kept(used("EQU|1|20261121"), kind="INU^U05")
    _, message = told(charge(), by)
    assert message.value("NTE-3") == "No patient or visit was sent with this use" and message.is_null("PID-5")


def test_a_scan_gives_the_visit() -> None:
    by = kept(
        b'{"encounter": "V-76", "scans": [{"barcode": "x"}, {"barcode": "y", "encounter": "V-77"}]}', kind="usage"
    )
    assert told(charge(), by)[1].value("PV1-19.1") == "V-76"
    _, message = told(charge(event=event(sequence=2)), by)
    assert (message.raw("PID-3"), message.value("PV1-19.1")) == ("V-77^^^^VN", "V-77") and not message.all("NTE")


def test_a_resource_gives_the_patient_and_the_encounter_it_refers_to() -> None:
    by = kept(
        b'{"resourceType": "DeviceUsage", "identifier": [{"value": "T-1"}], "patient": {"identifier": {"system":'
        b' "urn:mrn", "value": "900001"}}, "context": [{"reference": "Encounter/V-77"}]}',
        kind="r5/DeviceUsage",
    )
    _, message = told(charge(), by)
    assert (message.raw("PID-3"), message.value("PV1-19.1")) == ("900001^^^urn:mrn", "V-77")


def test_of_a_transaction_the_resource_of_the_use_says_whose_it_is() -> None:
    by = kept(
        b'{"resourceType": "Bundle", "type": "transaction", "entry": ['
        b'{"fullUrl": "urn:uuid:p", "resource": {"resourceType": "Patient", "identifier": [{"value": "900001"}]}},'
        b'{"resource": {"resourceType": "DeviceUsage", "identifier": [{"system": "urn:or", "value": "T-1"}], "patient":'
        b' {"reference": "urn:uuid:p"}}}, {"resource": {"resourceType": "DeviceUsage", "identifier": [{"value": "T-2"}],'
        b' "patient": {"reference": "Patient/other"}}}]}',
        kind="r4b/Bundle",
    )
    assert told(charge(event=event(number="urn:or|T-1")), by)[1].value("PID-3.1") == "900001"
    with pytest.raises(Malformed, match="several patients"):
        told(charge(event=event(number="T-9")), by)


def test_of_two_patients_in_one_message_none_is_guessed() -> None:
    by = kept(used(PID, PV1, PID.replace("900001", "900002")))
    with pytest.raises(Malformed, match="several patients") as refused:
        told(charge(), by)
    assert NAME not in str(refused.value)


def test_an_item_without_a_charge_code_cannot_be_charged() -> None:
    with pytest.raises(Malformed, match="IMP-310 has no charge code"):
        told(charge(), item=ITEM.changed(charge_code=""))
