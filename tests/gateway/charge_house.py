"""What tests of charges share: a use by a named patient, its message, the item, and the channels billing is told by."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from canonical.charges import Charge
from canonical.messages import Kept
from canonical.senders import Channel, Sender
from canonical.supply import Item
from canonical.udi import Udi
from canonical.usage import UsageEvent

NAME = "KANARIENVOGEL"  # a patient's name: it may stand in what billing is sent, and nowhere else
USED = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
AT = datetime(2026, 11, 21, 9, 31, 5, tzinfo=UTC)
ITEM = Item(
    code="IMP-310", description="Hip stem size 3", charge_code="C-90310", procedure_code="27130", chargeable=True
)
SENDER = Sender(code="ORSYS", facility="NGH", addresses=("10.0.0.0/8",))
BILLING = Channel(
    code="BILLING", facility="NGH", host="billing", port=2576, receiving_application="BILL", receiving_facility="NGH"
)
BARCODE = "01095060001343521726013110A213B121S-1"
UDI = Udi(agency="GS1", device="09506000134352", lot="A213B1", serial="S-1", expires=date(2026, 1, 31), raw=BARCODE)
PID = f"PID|1||900001^^^NGH^MR||{NAME}^JANE^A||19700101|F"
PV1 = "PV1|1|I|OR^3||||||||||||||||V-77^^^NGH"


def event(**changes: Any) -> UsageEvent:
    given = {"facility": "NGH", "source": "ORSYS", "number": "T-1", "location": "NGH-OR", "item": "IMP-310"}
    return UsageEvent.model_validate(given | {"unit": "EA", "used_at": USED} | changes)


def charge(**changes: Any) -> Charge:
    given = {
        "id": "0190-charge",
        "facility": "NGH",
        "kind": "charge",
        "event": event(device=UDI),
        "event_id": "0190-use",
        "message": "m-1",
        "charge": "0190-charge",
        "item": "IMP-310",
        "quantity": 2,
        "lot": "A213B1",
        "serial": "S-1",
        "expires": date(2026, 1, 31),
        "location": "NGH-OR",
        "cost_centre": "CC-4100",
        "at": AT,
    }
    return Charge.model_validate(given | changes)


def credit(**changes: Any) -> Charge:
    return charge(**({"id": "0190-credit", "kind": "credit", "charge_state": "written"} | changes))


def used(*segments: str, charset: str = "", marks: str = "|^~\\&", version: str = "2.3") -> bytes:
    """A DFT^P03 as a theatre sends it."""
    head = f"MSH{marks}|OR|NGH|FASCIA|NGH|20261121093000||DFT^P03|OR-4711|P|{version}||||||{charset}"
    rows = segments or (PID, PV1)
    return "".join(f"{row}\r" for row in (head, "EVN|P03|20261121093000", *rows, "FT1|1|T-1||20261121|||")).encode()


def kept(data: bytes = b"", kind: str = "DFT^P03", sender: str = "ORSYS") -> Kept:
    return Kept(id="m-1", direction="in", door="mllp", kind=kind, sender=sender, at=AT, data=data or used())
