"""What certificates in HL7 say (CER, v2.5 to 2.8 chapter 15.4.2): a licence, DEA registration, board's certificate, or privilege.

CER-10 says which, by the sender's table ``certificate``; without one by the words licence boards and boards write there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

from canonical.people import Certificate, DeaRegistration, Licence, PrivilegeScope
from formats.hl7 import Part, Segment
from gateway.mapping import Tongue
from gateway.people_codes import scope_codes, shown

Sort = Literal["licence", "dea", "board", "privilege"]
SORTS: Final[tuple[Sort, ...]] = ("licence", "dea", "board", "privilege")
# How CER-10 begins, in capitals, where the sender has no table of it.
WORDS: Final[tuple[tuple[str, Sort], ...]] = (
    ("LIC", "licence"),
    ("SL", "licence"),
    ("DEA", "dea"),
    ("BOARD", "board"),
    ("CERT", "board"),
)
_STATE: Final = re.compile(r"[A-Z]{2}")


@dataclass(frozen=True, slots=True)
class Held:
    """Licences, registrations and certificates that segments say are held."""

    licences: tuple[Licence, ...] = ()
    dea: tuple[DeaRegistration, ...] = ()
    certificates: tuple[Certificate, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.licences or self.dea or self.certificates)


def sort_of(cer: Segment, tongue: Tongue) -> Sort:
    """What a certificate is."""
    code = cer.value(10, 1).strip()
    ours = tongue.ours("certificate", code).lower()
    for one in SORTS:
        if ours == one:
            return one
    return next((sort for word, sort in WORDS if code.upper().startswith(word)), "privilege")


def held_of(segments: Iterable[Segment], tongue: Tongue) -> Held:
    """Those of the segments that are no privileges. One revoked (CER-29) has expired by that day.

    Raises:
        Malformed: a date in it is none.
    """
    licences: list[Licence] = []
    dea: list[DeaRegistration] = []
    certificates: list[Certificate] = []
    for cer in segments:
        sort, number, state = sort_of(cer, tongue), shown(cer.value(2), 120), _state_of(cer)
        until = _first_day(cer, (29, 26, 27))
        if sort == "licence" and state:
            licences.append(Licence(state=state, number=number, kind=shown(cer.value(11, 1), 120), expires=until))
        elif sort == "dea":
            dea.append(DeaRegistration(number=number, state=state, expires=until))
        elif sort == "board":
            board, specialty = shown(cer.value(4, 1, 1), 120), shown(cer.value(11, 2) or cer.value(11, 1), 120)
            certificates.append(Certificate(board=board, specialty=specialty, number=number, expires=until))
    return Held(tuple(licences), tuple(dea), tuple(certificates))


def scope_of(cer: Segment, tongue: Tongue) -> PrivilegeScope:
    """What a privilege allows, from its activation or grant until it ends (CER-25, 23; 26, 27).

    Of what: CER-11, its domain. Its serial number (CER-2) and its subject (CER-13, which may be the holder's name) say so only where
    the sender's table has a row for them.

    Raises:
        Malformed: nothing says of what, or a date is none.
    """
    codes = [cer.value(11, 1), cer.value(13), cer.value(2)]
    code = next((one for one in codes if one.strip() and tongue.knows("privilege", one)), "") or cer.required(11, 1)
    service, procedures = scope_codes(tongue, code)
    starts, ends = _first_day(cer, (25, 23, 24)), _first_day(cer, (26, 27))
    return PrivilegeScope(service=service, procedures=procedures, starts=starts, ends=ends)


def privileges_of(part: Part, tongue: Tongue) -> list[PrivilegeScope]:
    """The privileges in PRA-7 (PIP, 2A.3.57): which, until and since when, at which site.

    Raises:
        Malformed: a date is none.
    """
    found = []
    for pra in part.all("PRA"):
        for number in range(1, len(pra.repetitions(7)) + 1):
            if not (code := pra.value(7, 1, 1, repetition=number).strip()):
                continue
            service, procedures = scope_codes(tongue, code)
            site = tongue.code("location", pra.value(7, 5, 1, repetition=number), "PRA-7.5") or ""
            ends, starts = (pra.day(7, component, repetition=number) for component in (3, 4))
            scope = PrivilegeScope(site=site, service=service, procedures=procedures, starts=starts, ends=ends)
            found.append(scope)
    return found


def ended_on(cer: Segment) -> date | None:
    """When it was revoked (CER-29), else when it became inactive (CER-26)."""
    return _first_day(cer, (29, 26))


def begins_on(cer: Segment) -> date | None:
    """Since when it is granted (CER-25, 23, 24)."""
    return _first_day(cer, (25, 23, 24))


def _first_day(cer: Segment, fields: Iterable[int]) -> date | None:
    return next((found for one in fields if (found := cer.day(one)) is not None), None)


def _state_of(cer: Segment) -> str:
    """Where it holds (CER-20), else who granted it (CER-8), by USPS code."""
    for field in (20, 8):
        if _STATE.fullmatch(code := cer.value(field, 1).strip().upper()):
            return code
    return ""
