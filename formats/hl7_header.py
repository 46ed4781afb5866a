"""Reads the first segment of an HL7 message: who sends what to whom, under which number, and which answer is asked for.

HL7 v2 chapter 2.15.9 (MSH). Only the first line is looked at, so that a door can answer whatever follows it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache

from formats.hl7_faults import DATA_TYPE, FIELD_MISSING, SEGMENT_SEQUENCE, TABLE_VALUE, TOO_LONG, Fault, Unreadable
from formats.hl7_text import CONTROL, DEFAULT_SET, WIDE, Marks, codec_of, wide

LONGEST_HEADER = 16_384  # bytes; a proper MSH has a few hundred
LONGEST_CONTROL = 199  # MSH-10 has 20 characters up to 2.6, 199 in 2.7 and later
VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2")

# Which structure an event has where MSH-9.3 is empty and the structure does not bear the event's name (table 0354).
_STRUCTURES = {
    "ADT": "A01:A04,A08,A13 A05:A14,A28,A31 A06:A07 A09:A10,A11 A21:A22,A23,A25,A26,A27,A29,A32,A33 "
    "A30:A34,A35,A36,A46,A47,A48,A49 A39:A40,A41,A42 A50:A51 A52:A53 A54:A55 A61:A62",
    "BAR": "P02:P03,P04 P10:P11",
    "CRM": "C01:C02,C03,C04,C05,C06,C07,C08",
    "CSU": "C09:C10,C11,C12",
    "LSU": "U12:U13",
    "MDM": "T01:T03,T05,T07,T09,T11 T02:T04,T06,T08,T10",
    "MFK": "M01:M02,M03,M04,M05,M06,M07,M08,M09,M10,M11,M12,M13,M14,M15,M16,M17",
    "ORU": "R30:R31,R32",
    "PEX": "P07:P08",
    "PGL": "PC6:PC7,PC8",
    "PMU": "B01:B02,B05,B06",
    "PPG": "PCG:PCH,PCJ",
    "PPP": "PCB:PCC,PCD",
    "PPR": "PC1:PC2,PC3",
    "RDE": "O11:O25",
    "RRE": "O12:O26",
    "REF": "I12:I13,I14,I15",
    "RPA": "I08:I09,I10,I11",
    "RQA": "I08:I09,I10,I11",
    "RQC": "I05:I06",
    "RQI": "I01:I02,I03",
    "RRI": "I12:I13,I14,I15",
    "SIU": "S12:S13,S14,S15,S16,S17,S18,S19,S20,S21,S22,S23,S24,S25,S26",
    "SRM": "S01:S02,S03,S04,S05,S06,S07,S08,S09,S10,S11",
    "SRR": "S01:S02,S03,S04,S05,S06,S07,S08,S09,S10,S11",
    "TCU": "U10:U11",
}
EVENTS = {
    (kind, event): f"{kind}_{base}"
    for kind, row in _STRUCTURES.items()
    for base, events in (part.split(":") for part in row.split())
    for event in events.split(",")
}


@dataclass(frozen=True, slots=True)
class Header:
    """What MSH says, as wire text: fields are kept whole, so that an answer repeats them as they came.

    ``faults`` holds what is wrong with it; a header with faults still says enough to be answered.
    """

    marks: Marks
    codec: str
    fields: tuple[str, ...]
    type: str
    event: str
    structure: str
    control: str
    version: str
    faults: tuple[Fault, ...]

    def __getitem__(self, number: int) -> str:
        """MSH-``number`` as it came, empty where it was not sent (``header[3]`` is MSH-3)."""
        return self.fields[number - 1] if 0 < number <= len(self.fields) else ""

    @property
    def sender(self) -> tuple[str, str]:
        """Sending application and facility: the first components of MSH-3 and MSH-4."""
        return self._first(3), self._first(4)

    @property
    def receiver(self) -> tuple[str, str]:
        """Receiving application and facility: the first components of MSH-5 and MSH-6."""
        return self._first(5), self._first(6)

    @property
    def sent(self) -> str:
        """MSH-7, the sender's own time, as it came."""
        return self._first(7)

    @property
    def processing(self) -> str:
        """MSH-11.1: P production, T training, D debugging."""
        return self._first(11)

    @property
    def accept(self) -> str:
        """MSH-15: when a commit acknowledgement is asked for (AL, NE, SU, ER)."""
        return self[15].strip()

    @property
    def application(self) -> str:
        """MSH-16: when an application acknowledgement is asked for (AL, NE, SU, ER)."""
        return self[16].strip()

    @property
    def enhanced(self) -> bool:
        """Enhanced mode: the sender names in MSH-15 or MSH-16 what it wants to hear."""
        return bool(self.accept or self.application)

    @property
    def charset(self) -> str:
        """MSH-18 as it came."""
        return self[18]

    def _first(self, number: int) -> str:
        text = self[number]
        for mark in (self.marks.component, self.marks.subcomponent):
            if mark:
                text = text.partition(mark)[0]
        return text


def wanted(condition: str, *, succeeded: bool) -> bool:
    """Whether MSH-15 or MSH-16 asks for an answer: AL always, NE never, SU on success, ER on error. Empty is NE."""
    return condition == "AL" or (condition == "SU" and succeeded) or (condition == "ER" and not succeeded)


def structure_of(kind: str, event: str, given: str = "") -> str:
    """The message structure: MSH-9.3, unless it is empty or only repeats the event where the event has another's.

    ``ADT^A08`` and ``ADT^A08^ADT_A08`` are both ADT_A01: no table has an ADT_A08.
    """
    own = f"{kind}_{event}" if event else kind
    mapped = "ACK" if kind == "ACK" else EVENTS.get((kind, event), own)
    return mapped if not given or given == own else given


def header(data: bytes, *, default: str = DEFAULT_SET) -> Header:
    """MSH of a message; ``default`` is the character set of a sender that leaves MSH-18 empty (its row says).

    Raises:
        Unreadable: there is no MSH, or its separators cannot be read, so that only a general refusal can be given.
    """
    if data[:3] == b"MSH":
        line = _first_line(data)
        if line.isascii() and b"\x1b" not in line:
            return _header(line.decode("ascii"), "", default)
        return _foreign(line, default)
    codec, mark = wide(data)
    if codec:
        text = re.split(r"[\r\n]", data[mark : mark + 4 * LONGEST_HEADER].decode(codec, "replace"), maxsplit=1)[0]
        if text[:3] == "MSH":
            found = _header(text[:LONGEST_HEADER], codec, default)
            if "\ufffd" not in text:
                return found
            number = text[: text.index("\ufffd")].count(text[3]) + 1
            fault = Fault(TABLE_VALUE, "character-set", f"MSH-{number} does not fit {codec}", "MSH", 1, number)
            return replace(found, faults=(*found.faults, fault))
    raise Unreadable(Fault(SEGMENT_SEQUENCE, "no-header", "The message does not begin with MSH", "MSH", 1))


def _first_line(data: bytes) -> bytes:
    end = data.find(b"\r", 0, LONGEST_HEADER)
    feed = data.find(b"\n", 0, end if end >= 0 else LONGEST_HEADER)
    end = feed if feed >= 0 else end
    if end < 0:
        if len(data) > LONGEST_HEADER:
            raise Unreadable(Fault(TOO_LONG, "header-too-long", f"MSH is longer than {LONGEST_HEADER} bytes", "MSH", 1))
        return data
    return data[:end]


def _foreign(line: bytes, default: str) -> Header:
    """A header with letters beyond ASCII: by its own character set; one byte a letter where they do not fit it."""
    naive = _header(line.decode("latin-1"), "", default)
    try:
        found = _header(line.decode(naive.codec or "ascii"), "", default)
    except UnicodeDecodeError as broken:
        number = line[: broken.start].count(line[3:4]) + 1
        text = f"Byte {broken.start} does not fit the character set ({naive.codec})"
        fault = Fault(TABLE_VALUE, "character-set", text, "MSH", 1, number)
        return replace(naive, codec="latin-1", faults=(*naive.faults, fault))
    except (UnicodeError, LookupError):
        return naive
    return found if found.codec == naive.codec else naive


def _header(text: str, codec: str, default: str) -> Header:
    mark = text[3:4]
    if not mark or not _is_mark(mark):
        raise Unreadable(Fault(DATA_TYPE, "separators", "MSH-1 is no separator", "MSH", 1, 1))
    fields = text.split(mark)
    marks = _marks(mark, fields[1])
    if text.count(f"MSH{mark}{fields[1]}{mark}") > 1:
        raise Unreadable(Fault(SEGMENT_SEQUENCE, "glued", "A second message begins within MSH", "MSH", 1))
    fields[0] = mark
    count = len(fields)
    kind, event, given = _message_type(fields[8] if count > 8 else "", marks)
    control = fields[9] if count > 9 else ""
    version = fields[11] if count > 11 else ""
    if marks.component and marks.component in version:
        version = version.partition(marks.component)[0]
    declared = fields[17] if count > 17 else ""
    known = codec_of(declared or default, marks.repetition)
    known = codec if codec and known else known
    faults: tuple[Fault, ...] = ()
    said = kind and version and known and control.strip(" ")
    if not said or known[:6] in WIDE or len(control) > LONGEST_CONTROL or not text.isprintable():
        faults = tuple(_faults(kind, control, version, known, codec) + _unprintable(fields))
        known = "ascii" if known[:6] in WIDE and not codec else known
    structure = structure_of(kind, event, given)
    return Header(marks, known, tuple(fields), kind, event, structure, control, version, faults)


def _faults(kind: str, control: str, version: str, known: str, seen: str) -> list[Fault]:
    found = []
    if not kind:
        found.append(_missing(9, "MSH-9 names no message type"))
    if not control.strip(" "):
        found.append(_missing(10, "MSH-10 is empty, so the message cannot be acknowledged by its number"))
    if len(control) > LONGEST_CONTROL:
        text = f"MSH-10 is longer than {LONGEST_CONTROL} characters"
        found.append(Fault(TOO_LONG, "too-long", text, "MSH", 1, 10))
    if not version:
        found.append(_missing(12, "MSH-12 names no version"))
    if not known:
        text = "MSH-18 names a character set we cannot read"
        found.append(Fault(TABLE_VALUE, "character-set", text, "MSH", 1, 18))
    elif known[:6] in WIDE and not seen:
        text = "MSH-18 names a character set of two or four bytes, which the bytes are not"
        found.append(Fault(TABLE_VALUE, "character-set", text, "MSH", 1, 18))
    return found


def _unprintable(fields: list[str]) -> list[Fault]:
    """Control characters, which an answer would carry into the sender's framing."""
    found = [number for number, text in enumerate(fields, start=1) if CONTROL.search(text)]
    return [
        Fault(DATA_TYPE, "control-character", f"MSH-{number} holds a control character", "MSH", 1, number)
        for number in found
    ]


def _missing(number: int, text: str) -> Fault:
    return Fault(FIELD_MISSING, "field-missing", text, "MSH", 1, number)


def _message_type(text: str, marks: Marks) -> tuple[str, str, str]:
    parts = text.split(marks.component) if marks.component else [text]
    kind, event, given, *_ = (*parts, "", "", "")
    if not event and not given and "_" in kind:  # "ADT_A01" in MSH-9.1 alone
        kind, _, event = kind.partition("_")
    return kind, event, given


@lru_cache(maxsize=256)
def _marks(field: str, encoding: str) -> Marks:
    """MSH-1 and MSH-2.

    Raises:
        Unreadable: a mark twice, or one that can also be data.
    """
    bad = [sign for sign in encoding if not _is_mark(sign)]
    if not 1 <= len(encoding) <= 5 or bad or len({field, *encoding}) != len(encoding) + 1:
        text = "MSH-2 is not four or five different separators"
        raise Unreadable(Fault(DATA_TYPE, "separators", text, "MSH", 1, 2))
    signs = [*encoding, "", "", "", ""]
    return Marks(field, *signs[:5])


def _is_mark(sign: str) -> bool:
    """Visible ASCII that is no letter or digit: the same in every character set."""
    return "!" <= sign <= "~" and not sign.isalnum()
