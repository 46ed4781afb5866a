"""What HL7 messages about staff say alike (PMU, MFN^M02): who somebody is (STF, PRA, CER), what they are to do, and since when.

HL7 v2.4 to 2.8 chapter 15 (PMU, STF, PRA, CER) and 8 (MFN^M02). A code of a role, department or reason that the sender's tables do
not know goes on as written. Of the holder's name in CER-13 nothing is read: what a certificate is about is in CER-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from canonical.errors import Malformed
from canonical.people import (
    OTHER_NAMES,
    Certificate,
    ClinicianRecord,
    DeaRegistration,
    HrEvent,
    HrKind,
    Licence,
    PersonName,
    Position,
    PrivilegeScope,
)
from formats.hl7 import Message, Part, Segment, place
from gateway.hl7_certificates import Held, held_of
from gateway.hl7_institutions import BEGINS, ENDS, day_of_ours, refuse_elsewhere
from gateway.mapping import Tongue
from gateway.people_codes import EMPLOYMENTS, ON_LEAVE, reason_of, role_of, shown, urgent, utc
from gateway.people_numbers import numbered, place_in

NATIONAL: Final = frozenset({"SS", "NI", "SIN", "NNUSA"})  # table 0203: social security and national person numbers
NO_NUMBER: Final = NATIONAL | {
    "NPI",
    "DEA",
    "SL",
    "LN",
    "MD",
    "RN",
    "DN",
    "UPIN",
    "TAX",
    "MCD",
    "MCR",
}  # nobody's staff number
LICENCES: Final = frozenset({"SL", "LN", "MD", "RN", "DN", "DO", "NP", "PA", "PHARM"})  # tables 0203 and 0338
NAMES: Final = ("L", "D", "")  # table 0200: legal, display, and names whose type nobody says
FORMER: Final = frozenset({"M", "B", "BAD"})  # maiden, birth, name no longer used
ALSO: Final = FORMER | {
    "A",
    "C",
    "N",
    "T",
}  # alias, adopted, nickname, tribal: other names of the same person (table 0200)
CERTIFIED: Final = "C"  # SPD-3, table 0337: certified, not only eligible
LONGEST_NUMBER: Final = 80  # characters, as of every number in our language (canonical.base.SAFE)
ITS_NUMBER: Final = "the HR system's own number of the person"
KEY: Final = "MFE-4"  # a master file's row says again what it is about
STATE: Final = re.compile(r"[A-Z]{2}")


def at(segment: Segment, field: int, component: int = 0) -> str:
    """Where: ``STF-6`` or ``PRA-6.4``."""
    return place(segment.name, segment.sequence, field, component=component)


@dataclass(frozen=True, slots=True)
class Person:
    """One person's segments in a message (STF, PRA, CER), and the sender's own tables."""

    message: Message
    part: Part
    stf: Segment
    tongue: Tongue

    @classmethod
    def of(cls, message: Message, part: Part, tongue: Tongue) -> Person:
        """The person a part of a message is about.

        Raises:
            Malformed: there is no STF.
        """
        stf = part.first("STF")
        if stf is None:
            raise Malformed("STF is missing: who is it about?", path="STF", code="segment-missing")
        return cls(message, part, stf, tongue)

    def number(self, key: str = "") -> str:
        """What the HR system calls the person: STF-1, the key of the record (15.4.6.1), else the staff number (STF-2), else ``key``.

        Raises:
            Malformed: it says none, or one that is too long or cannot be printed; the place is the number's own.
        """
        staff = [one for one in self._numbers() if one[1] not in NO_NUMBER]
        staff.sort(key=lambda one: one[1] not in ("EI", "EN"))
        own, other = self.stf.value(1, 1, 1).strip(), staff[0][0] if staff else ""
        found, where = own or other or key.strip(), at(self.stf, 1 if own or not other else 2)
        if not own and not other and found:
            where = KEY
        if not found:
            raise Malformed(f"{where} is required: {ITS_NUMBER}", path=where, code="field-missing")
        if len(found) > LONGEST_NUMBER:
            why = (
                f"{where} is too long: {ITS_NUMBER} has at most {LONGEST_NUMBER} characters, and this one {len(found)}"
            )
            raise Malformed(why, path=where, code="data-invalid")
        if not found.isprintable():
            raise Malformed(f"{where} has a sign that cannot be printed: {ITS_NUMBER}", path=where, code="data-invalid")
        return found

    def record(self) -> ClinicianRecord:
        """Who it is, as far as the message says."""
        stf, held = self.stf, held_of(self.part.all("CER"), self.tongue)
        former = [stf.value(3, 1, 1, repetition=number) for number, kind in self._names() if kind in FORMER]
        also = [self._name_at(number) for number, kind in self._names() if kind in ALSO]
        national = [text for text, kind in self._numbers() if kind in NATIONAL]
        return ClinicianRecord(
            name=self._name(),
            former_family=shown(former[0], 120) if former else "",
            other_names=tuple(name for name in also if name.family or name.given)[:OTHER_NAMES],
            birth_date=stf.day(6),
            national_id=shown(national[0], 64) if national else "",
            npi=self._npi(),
            licences=(*self._licences(), *held.licences),
            dea=(*self._dea(), *held.dea),
            certificates=(*self._boards(), *held.certificates),
            taxonomy=self._taxonomy(),
            email=self._email(),
            phone=self._phone(),
        )

    def position(self) -> Position:
        """What they are to do, as far as the message says."""
        stf, tongue = self.stf, self.tongue
        centre = stf.value(36, 1)
        said: dict[str, Any] = {
            "role": self._role(),
            "title": shown(stf.value(18), 120),
            "department": tongue.code("department", stf.value(8, 1), at(stf, 8)),
            "cost_centre": tongue.code("cost_centre", centre, at(stf, 36)),
            "service_line": shown(stf.value(9, 1), 40),
            "employment": self.employment()[1],
            "starts": self.begins(),
            "ends": self.ends(),
        }
        return Position.model_validate(said)

    def employment(self) -> tuple[str, str]:
        """Whether STF-20 (table 0066) says that they are on leave or back from it, and how they are employed."""
        code = self.stf.value(20, 1).strip()
        ours = self.tongue.ours("employment", code)
        if self.tongue.knows("employment", code):
            return (ours, "") if ours in ("leave", "return") else ("", ours if ours in EMPLOYMENTS.values() else "")
        return ("leave", "") if code.upper() in ON_LEAVE else ("", EMPLOYMENTS.get(code.upper(), ""))

    def begins(self) -> date | None:
        """STF-12: of our facility, or where no institution is named."""
        return day_of_ours(self.stf, BEGINS, self.tongue)

    def ends(self) -> date | None:
        """STF-13: of our facility, or where no institution is named."""
        return day_of_ours(self.stf, ENDS, self.tongue)

    def here(self, kind: HrKind) -> Person:
        """The same person, of whom this may be said at our facility.

        Raises:
            Malformed: the message says it of other institutions alone.
        """
        refuse_elsewhere(self.stf, kind, self.tongue)
        return self

    def _names(self) -> Iterator[tuple[int, str]]:
        """The repetitions of STF-3 (XPN) and their types (XPN-7)."""
        for number in range(1, len(self.stf.repetitions(3)) + 1):
            yield number, self.stf.value(3, 7, 1, repetition=number).strip().upper()

    def _name(self) -> PersonName:
        found = sorted((NAMES.index(kind), number) for number, kind in self._names() if kind in NAMES)
        if not found:
            return PersonName()
        return self._name_at(found[0][1])

    def _name_at(self, number: int) -> PersonName:
        """One repetition of STF-3."""
        family, given, middle, suffix, prefix = (
            shown(self.stf.value(3, component, 1, repetition=number), 120) for component in range(1, 6)
        )
        return PersonName(family=family, given=given, middle=middle, suffix=suffix, prefix=prefix)

    def _numbers(self) -> list[tuple[str, str]]:
        """The numbers in STF-2 (CX) and their types (CX-5)."""
        found = []
        for number in range(1, len(self.stf.repetitions(2)) + 1):
            text = self.stf.value(2, 1, 1, repetition=number).strip()
            if text:
                found.append((text, self.stf.value(2, 5, 1, repetition=number).strip().upper()))
        return found

    def _practitioner(self, *kinds: str) -> Iterator[tuple[Segment, int, str]]:
        """The numbers in PRA-6 (PLN) of these types: segment, repetition, number."""
        for pra in self.part.all("PRA"):
            for number in range(1, len(pra.repetitions(6)) + 1):
                text = pra.value(6, 1, 1, repetition=number).strip()
                if text and pra.value(6, 2, 1, repetition=number).strip().upper() in kinds:
                    yield pra, number, text

    def _npi(self) -> str:
        found = [text for _, _, text in self._practitioner("NPI")]
        found += [text for text, kind in self._numbers() if kind == "NPI"]
        return shown(found[0], 20) if found else ""

    def _licences(self) -> tuple[Licence, ...]:
        return tuple(
            Licence(
                state=state,
                number=shown(text, 120),
                kind=kind
                if (kind := pra.value(6, 2, 1, repetition=number).strip().upper()) not in ("SL", "LN")
                else "",
                expires=pra.day(6, 4, repetition=number),
            )
            for pra, number, text in self._practitioner(*LICENCES)
            if STATE.fullmatch(state := pra.value(6, 3, 1, repetition=number).strip().upper())
        )

    def _dea(self) -> tuple[DeaRegistration, ...]:
        return tuple(
            DeaRegistration(
                number=shown(text, 120),
                state=state if STATE.fullmatch(state := pra.value(6, 3, 1, repetition=number).strip().upper()) else "",
                expires=pra.day(6, 4, repetition=number),
            )
            for pra, number, text in self._practitioner("DEA")
        )

    def _boards(self) -> tuple[Certificate, ...]:
        """Specialties in PRA-5 (SPD) that a board has certified."""
        found = []
        for pra in self.part.all("PRA"):
            for number in range(1, len(pra.repetitions(5)) + 1):
                board = shown(pra.value(5, 2, 1, repetition=number), 120)
                if board and pra.value(5, 3, 1, repetition=number).strip().upper() == CERTIFIED:
                    specialty = shown(pra.value(5, 1, 1, repetition=number), 120)
                    found.append(Certificate(board=board, specialty=specialty))
        return tuple(found)

    def _taxonomy(self) -> str:
        """ORG-6 to 8 are one's place in the NUCC's code set; a whole code stands in ORG-8 or ORG-7."""
        for org in self.part.all("ORG"):
            for field in (8, 7, 6):
                if re.fullmatch(r"[0-9A-Z]{9}X", code := org.value(field, 1).strip().upper()):
                    return code
        return ""

    def _role(self) -> str:
        """The job code (STF-19), the staff type (STF-4), the practitioner's category (PRA-3), by the sender's table of roles."""
        pra = self.part.first("PRA")
        codes = [self.stf.value(19, 1, 1), self.stf.value(4, 1, 1), pra.value(3, 1, 1) if pra is not None else ""]
        return role_of(self.tongue, [*codes, self.stf.value(18)], stated=2)

    def _email(self) -> str:
        found = self.stf.value(15).strip()
        for number in range(1, len(self.stf.repetitions(10)) + 1):
            found = found or self.stf.value(10, 4, 1, repetition=number).strip()
        return shown(found, 254)

    def _phone(self) -> str:
        for number in range(1, len(self.stf.repetitions(10)) + 1):
            local = [self.stf.value(10, component, 1, repetition=number).strip() for component in (1, 12)]
            parts = " ".join(filter(None, (self.stf.value(10, one, 1, repetition=number).strip() for one in (5, 6, 7))))
            if found := next(filter(None, (*local, parts)), ""):
                return shown(found, 60)
        return ""


def moment_of(person: Person | Message, segment: Segment | None, field: int, tongue: Tongue) -> datetime | None:
    """A time with its zone: its own, else that of MSH-7, else the sender's; None where nothing was sent.

    Raises:
        Malformed: it is none, or less exact than a day.
    """
    found = segment.moment(field) if segment is not None else None
    if segment is None or found is None:
        return None
    if found.precision in ("year", "month"):
        where = at(segment, field)
        raise Malformed(f"{where} is not exact to the day", path=where, code="data-invalid")
    if found.at.tzinfo is not None:
        return found.at
    message = person.message if isinstance(person, Person) else person
    sent = message.first("MSH")
    zone = None
    try:
        written = sent.moment(7) if sent is not None else None
        zone = written.at.tzinfo if written is not None else None
    except Malformed:  # the door has judged it
        pass
    return found.at.replace(tzinfo=zone or ZoneInfo(tongue.sender.time_zone))


def said_at(message: Message, segment: Segment | None, field: int, tongue: Tongue) -> datetime:
    """When it was recorded: ``field`` (EVN-2, MFE-6, MFI-4), and MSH-7 where that is not said, or says the day alone.

    Raises:
        Malformed: neither says it: what was said first could not be told from what was said last.
    """
    recorded = moment_of(message, segment, field, tongue)
    written = segment.moment(field) if segment is not None and recorded is not None else None
    sent = moment_of(message, message.first("MSH"), 7, tongue)
    by_day = written is not None and written.precision == "day"
    found = sent if recorded is None or (by_day and sent is not None and sent.date() == recorded.date()) else recorded
    if found is None:
        raise Malformed("EVN-2 is required: when was it recorded?", path="EVN-2", code="field-missing")
    return utc(found, "EVN-2")


def evn_of(message: Message) -> Segment:
    """The event itself.

    Raises:
        Malformed: there is none.
    """
    found = message.first("EVN")
    if found is None:
        raise Malformed("EVN is missing: when was it recorded?", path="EVN", code="segment-missing")
    return found


def why(person: Person, evn: Segment) -> str:
    """The reason's code: of the event (EVN-4), else why somebody is inactive (STF-38)."""
    return reason_code(evn, person.stf)


def reason_code(evn: Segment, stf: Segment) -> str:
    """The same, of the segments."""
    return evn.value(4, 1).strip() or stf.value(38, 1).strip()


def happened(evn: Segment) -> date | None:
    """The day it happened or is planned for, else the day it was recorded, by the sender's own clock."""
    return next((found for field in (6, 3, 2) if (found := evn.day(field)) is not None), None)


def event_of(
    person: Person,
    kind: HrKind,
    number: str,
    recorded: datetime,
    effective: date,
    *,
    key: str = "",
    reason: str = "",
    scope: PrivilegeScope | None = None,
    held: Held | None = None,
) -> HrEvent:
    """What is said of a person, under the message's own number. ``held``: of licences and certificates these alone.

    Raises:
        Malformed: a hire without a name or a role, or a number of theirs that can be none, with its place.
    """
    tongue, stf = person.tongue, person.stf
    record, position = person.record(), person.position()
    if held is not None:
        said = {"licences": held.licences, "dea": held.dea, "certificates": held.certificates}
        record = record.model_copy(update=said)
    if kind == "hire":
        for missing, field, what in ((record.name.family, 3, "the family name"), (position.role, 19, "the role")):
            if not missing:
                path = at(stf, field)
                raise Malformed(f"{path}: {what} of who is hired stands here", path=path, code="field-missing")
    code = reason_of(tongue, reason)
    event = HrEvent(
        facility=tongue.sender.facility,
        source=tongue.sender.source or tongue.sender.code,
        number=number[:80],
        person=person.number(key),
        kind=kind,
        said_at=recorded,
        effective=effective,
        record=record,
        position=position,
        scope=scope,
        emergency=urgent(tongue, kind, reason),
        reason=code,
    )
    return numbered(event, lambda _, number: place_in(person.part, number))
