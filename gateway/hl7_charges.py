"""Tells billing of a use: DFT^P03 with one FT1, type CG for a charge and CD for the credit that takes it back.

HL7 v2.5.1 chapter 6.4.1 (DFT^P03), 6.5.1 (FT1; table 0017: CG charge, CD credit). PID and PV1 are copied as the department
wrote them, in its marks and letters. FT1 has no fields for a lot or serial: an OBX says the barcode (LOINC 74711-3) and what is
known of it, and from 2.8.2 on the device's PRT (PRT-16 to PRT-20). Written from the charge alone: the same charge is the same
bytes under the same MSH-10.
"""

from __future__ import annotations

from typing import Final

from canonical.charges import Charge
from canonical.errors import Malformed
from canonical.messages import NewMessage
from canonical.senders import Channel, Sender
from canonical.supply import Item
from canonical.udi import Udi
from formats.hl7 import STANDARD, Header, Marks, Null, header_segment, segment, write
from formats.hl7_text import DEFAULT_SET, codec_of
from formats.hl7_write import Field
from gateway.charge_subjects import Subject
from gateway.hl7_replies import charset_of, control_of

KIND: Final = ("DFT", "P03", "DFT_P03")
TYPES: Final = {"charge": "CG", "credit": "CD"}
US: Final = "FASCIA"
THEIRS: Final = ("PID", "PV1")  # the words of a department: they fit its letters, or could not have been read
VISIT_NUMBER: Final = "VN"  # table 0203
UNKNOWN_CLASS: Final = "U"  # table 0004
NOBODY: Final = "No patient or visit was sent with this use"
UDI: Final = ("74711-3", "Unique device identifier", "LN")
# NCI Thesaurus, as the UDI organizer of C-CDA has them.
LOT: Final = ("C101672", "Lot or batch number", "NCIT")
SERIAL: Final = ("C101671", "Serial number", "NCIT")
EXPIRY: Final = ("C101670", "Expiration date", "NCIT")
WITH_DEVICES: Final = "2.8.2"  # the first version whose PRT says UDI, lot and serial


def dft(charge: Charge, item: Item, subject: Subject, sender: Sender | None, channel: Channel) -> NewMessage:
    """The message that tells a channel of a charge.

    Raises:
        Malformed: the item has no charge code, or something in it cannot be written in the letters of PID and PV1.
    """
    if not item.charge_code:
        raise Malformed(f"item {item.code} has no charge code", path="charge_code", code="data-missing")
    control = control_of(charge.key)
    head = subject.header
    marks = head.marks if head else STANDARD
    charset, default = _letters(head, sender)
    texts = [
        _header(charge, channel, control, head, charset, marks),
        segment("EVN", {1: KIND[1], 2: charge.at}, marks),
        _pid(subject, marks),
        _pv1(subject, marks),
        segment("FT1", _ft1(charge, item), marks),
    ]
    if channel.version >= WITH_DEVICES and (barcode(charge) or charge.lot or charge.serial):
        texts.append(segment("PRT", _prt(charge), marks))
    if not (subject.pid or subject.patient or subject.visit):
        texts.append(segment("NTE", {1: 1, 3: NOBODY}, marks))
    texts += [segment("OBX", fields, marks) for fields in _observations(charge)]
    codec = codec_of(charset or default) or "utf-8"
    fitting = [text if text[:3] in THEIRS else _fitting(text, codec) for text in texts]
    return NewMessage(
        direction="out",
        door=channel.kind,
        data=write(fitting, charset=charset, default=default),
        partner=channel.code,
        kind="^".join(KIND[:2]),
        control_number=control,
        key=charge.key,
        channel=channel.code,
    )


def _letters(head: Header | None, sender: Sender | None) -> tuple[str, str]:
    """MSH-18, and the set where it is empty: those of the department, whose own words these are."""
    if head is None:
        return DEFAULT_SET, DEFAULT_SET
    return charset_of(head), (sender.character_set if sender else "") or DEFAULT_SET


def _header(charge: Charge, channel: Channel, control: str, head: Header | None, charset: str, marks: Marks) -> str:
    fields: dict[int, Field] = {
        3: channel.sending_application or US,
        4: channel.sending_facility or charge.facility,
        5: channel.receiving_application,
        6: channel.receiving_facility,
        7: charge.at,
        9: KIND,
        10: control,
        11: (head.processing if head else "") or "P",
        12: channel.version,
    }
    text = header_segment(fields, marks)
    return f"{text}{marks.field * 6}{charset}" if charset else text


def _pid(subject: Subject, marks: Marks) -> str:
    if subject.pid is not None:
        return subject.pid.text
    known: Field = Null()
    if subject.patient:
        known = (subject.patient.number, None, None, subject.patient.system)
    elif subject.visit:
        known = (subject.visit.number, None, None, subject.visit.system, VISIT_NUMBER)
    return segment("PID", {1: 1, 3: known, 5: Null()}, marks)


def _pv1(subject: Subject, marks: Marks) -> str:
    if subject.pv1 is not None:
        return subject.pv1.text
    visit: Field = (subject.visit.number, None, None, subject.visit.system) if subject.visit else None
    return segment("PV1", {1: 1, 2: UNKNOWN_CLASS, 19: visit}, marks)


def _ft1(charge: Charge, item: Item) -> dict[int, Field]:
    procedure = charge.procedure_code or item.procedure_code
    return {
        1: 1,
        2: charge.id,
        4: charge.event.used_at,
        5: charge.at,
        6: TYPES[charge.kind],
        7: (item.charge_code, item.description, "L"),
        10: charge.quantity,
        13: charge.cost_centre,
        16: (charge.location, None, None, charge.facility),
        23: (charge.event_id, US),  # of the use: the same for its charge and its credit
        25: procedure,
    }


def barcode(charge: Charge) -> Udi | None:
    """What was scanned, unless a person said since that it was another lot or serial."""
    device = charge.event.device
    if device is None or device.lot not in ("", charge.lot) or device.serial not in ("", charge.serial):
        return None
    return device


def _prt(charge: Charge) -> dict[int, Field]:
    device = barcode(charge)
    return {
        2: "AD",  # table 0287: added
        4: ("EQUIP", "Equipment", "HL70912"),
        10: (device.device, None, None, device.agency) if device else (charge.item, US),
        16: (device.raw or device.device, device.agency) if device else None,
        18: charge.expires,
        19: charge.lot,
        20: charge.serial,
    }


def _observations(charge: Charge) -> list[dict[int, Field]]:
    """What is known of the very thing that was used."""
    device = barcode(charge)
    said: list[tuple[str, Field, Field]] = []
    if device and device.raw:
        said.append(("ST", UDI, device.raw))
    said += [("ST", LOT, charge.lot)] if charge.lot else []
    said += [("ST", SERIAL, charge.serial)] if charge.serial else []
    said += [("DT", EXPIRY, charge.expires)] if charge.expires else []
    return [{1: at, 2: kind, 3: code, 5: value, 11: "F"} for at, (kind, code, value) in enumerate(said, start=1)]


def _fitting(text: str, codec: str) -> str:
    """What does not fit their letters in ours (an item's description) becomes ``?``: less than all is told, not nothing."""
    return text.encode(codec, "replace").decode(codec)
