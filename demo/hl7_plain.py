"""The departments' own HL7 v2.5.1: MLLP frames, the messages their systems write, and the answers and replies they read.

A department's system is not ours, so this shares nothing with the platform's reading and writing. Field numbers are the standard's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

VT, FS, CR = b"\x0b", b"\x1c", b"\r"
VERSION = "2.5.1"

Segment = list[str]


class NotHl7(Exception):
    """What came is no frame, or no message in it."""


def framed(text: str) -> bytes:
    """A message as MLLP carries it."""
    return VT + text.encode() + FS + CR


async def frame(reader: asyncio.StreamReader) -> str:
    """The text in the next frame.

    Raises:
        NotHl7: what came does not begin or end as a frame.
        asyncio.IncompleteReadError: the other side closed.
    """
    data = await reader.readuntil(FS + CR)
    if not data.startswith(VT):
        raise NotHl7(f"a frame begins with 0x0B, this with {data[:1].hex()}")
    return data[1:-2].decode()


def segments(text: str, name: str) -> list[Segment]:
    """Segments of a name as fields; field N stands at N, of MSH too."""
    found = [row.split("|") for row in text.split("\r") if row.startswith(f"{name}|")]
    return [["MSH", "|", *row[1:]] for row in found] if name == "MSH" else found


def field(segment: Segment, number: int, component: int = 1) -> str:
    """A component of a field, empty where it is not sent."""
    parts = segment[number].split("^") if number < len(segment) else [""]
    return parts[component - 1] if component <= len(parts) else ""


def one(text: str, name: str) -> Segment:
    """The segment of that name.

    Raises:
        NotHl7: it is not there.
    """
    found = segments(text, name)
    if not found:
        raise NotHl7(f"no {name} in it")
    return found[0]


@dataclass(frozen=True)
class Answer:
    """An acknowledgement: MSA-1, and MSA-2, the number of what is acknowledged."""

    code: str
    number: str

    @property
    def taken(self) -> bool:
        return self.code in ("AA", "CA")

    @classmethod
    def read(cls, text: str) -> Answer:
        msa = one(text, "MSA")
        return cls(field(msa, 1), field(msa, 2))


@dataclass(frozen=True)
class Use:
    """One thing used: its number (FT1-2), the code or barcode it was taken by, how many, the lot where it stands apart;
    ``back``: not used after all."""

    number: str
    code: str = ""
    quantity: int = 1
    barcode: str = ""
    lot: str = ""
    back: bool = False


@dataclass(frozen=True)
class Writer:
    """Who writes: MSH-3, MSH-4 and whom it writes to."""

    application: str
    facility: str

    def message(self, kind: str, number: str, *body: str) -> str:
        """A message of a kind (MSH-9) under a number (MSH-10)."""
        head = (
            f"MSH|^~\\&|{self.application}|{self.facility}|FASCIA|{self.facility}|{_now()}||{kind}|{number}|P|{VERSION}"
        )
        return "".join(f"{row}\r" for row in (head, *body))

    def acknowledge(self, text: str) -> str:
        """AA to a message."""
        number = field(one(text, "MSH"), 10)
        return self.message("ACK", f"A{number}"[:20], f"MSA|AA|{number}")

    def order(
        self,
        number: str,
        asked: str,
        lines: Sequence[tuple[str, str, str]],
        *,
        requester: str,
        cost_centre: str,
        place: str,
    ) -> str:
        """OMS^O05: a stock requisition ``asked``; lines are item, quantity and unit in the department's own words."""
        body = []
        for at, (item, quantity, unit) in enumerate(lines, start=1):
            placer = f"{asked}.{at}^{self.application}|"
            body.append(f"ORC|NW|{placer}|{asked}^{self.application}|||||{_now()}|{requester}")
            body.append(f"RQD|{at}|{item}^^{self.application}|||{quantity}|{unit}|{cost_centre}||{place}")
        return self.message("OMS^O05^OMS_O05", number, *body)

    def update(self, number: str, patient: str) -> str:
        """ADT^A08: something about a patient changed."""
        return self.message(
            "ADT^A08^ADT_A01", number, f"EVN||{_now()}", f"PID|1||{patient}^^^NGH^MR||TEST^PATIENT", "PV1|1|I|OR^3"
        )

    def charges(self, number: str, patient: str, visit: str, *uses: Use) -> str:
        """DFT^P03: what was used in one procedure, an FT1 each, with its barcode (LOINC 74711-3) or lot (NCIt C101672) in an OBX."""
        rows = [
            f"EVN|P03|{_now()}",
            f"PID|1||{patient}^^^NGH^MR||TEST^PATIENT",
            f"PV1|1|I|OR^3^^NGH|||||||SUR|||||||||{visit}^^^NGH^VN",
        ]
        for at, use in enumerate(uses, start=1):
            code, kind = use.code or "SCAN", "CD" if use.back else "CG"
            rows.append(f"FT1|{at}|{use.number}||{_now()}||{kind}|{code}^^NGH|||{use.quantity}|||SURG")
            if use.barcode:
                rows.append(f"OBX|1|ST|74711-3^Unique device identifier^LN||{use.barcode}||||||F")
            if use.lot:
                rows.append(f"OBX|1|ST|C101672^Lot or batch number^NCIT||{use.lot}||||||F")
        return self.message("DFT^P03^DFT_P03", number, *rows)

    def booking(self, number: str, patient: str) -> str:
        """SIU^S12: a theatre is booked."""
        return self.message(
            "SIU^S12^SIU_S12",
            number,
            f"SCH|{number}^{self.application}|||||BOOKED^Booked^NGH|HIP^Hip replacement^NGH||90|MIN^Minutes^L"
            "||||||B-1^BOOKING||||B-1^BOOKING",
            f"PID|1||{patient}^^^NGH^MR||TEST^PATIENT",
            "PV1|1|I|OR^3",
            "RGS|1",
            "AIS|1||HIP^Hip replacement^NGH|20261109080000",
            "AIL|1||OR^3^^NGH",
        )


@dataclass(frozen=True)
class LineHeard:
    """What a reply says of one line: its number (RQD-1), ORC-1, the order's number (ORC-3) and ORC-5."""

    line: str
    said: str
    order: str
    state: str


@dataclass(frozen=True)
class Reply:
    """A reply to a requisition: its kind, its own number, and the number of the message it replies to."""

    kind: str
    number: str
    asked_by: str
    lines: tuple[LineHeard, ...]

    @classmethod
    def read(cls, text: str) -> Reply:
        msh, msa = one(text, "MSH"), one(text, "MSA")
        pairs = zip(segments(text, "ORC"), segments(text, "RQD"), strict=True)
        lines = (LineHeard(field(rqd, 1), field(orc, 1), field(orc, 3), field(orc, 5)) for orc, rqd in pairs)
        return cls(f"{field(msh, 9)}^{field(msh, 9, 2)}", field(msh, 10), field(msa, 2), tuple(lines))


def _now() -> str:
    return f"{datetime.now(UTC):%Y%m%d%H%M%S}+0000"
