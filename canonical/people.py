"""People who care for patients, as employers tell us of them: who they are, where they work, and what is said of them when.

A person has an opaque key of ours. Whatever names or describes a person (:class:`ClinicianRecord`) stays in our own store and
in the
messages that carried it; cases, histories, logs and names hold the key alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from canonical.base import (
    CODE,
    SAFE,
    Canonical,
    CostCentreCode,
    DepartmentCode,
    FacilityCode,
    LocationCode,
    SourceSystem,
    case_id,
    exact,
)
from canonical.cases import Attention

PersonKey = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z-]{7,39}$")]
"""Opaque; also what other systems know the person by (``externalId``, RFC 7643 section 3.1)."""
RoleCode = Annotated[str, CODE]
StateCode = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
"""A state of the United States, by its USPS code."""
PersonWordText = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=120, pattern=r"^[^\x00-\x1f\x7f]*$")
]

OTHER_NAMES: Final = 50  # names kept of one person beside the present and the former one

OWNER: Final = "medical staff office"  # whose parked HR events and open questions are, unless a rule names another
EVENT_STATES: Final = ("waiting", "matched", "possible", "applied", "superseded", "parked", "dismissed")
"""Kept and not looked at; whose it is is known; it may be somebody we know and a person says; it is in force; a later one says
more;
a person mends it first; not for us by a person's word. One of a future day stays ``matched`` until its day."""


class PersonName(Canonical):
    """A name in its parts (HL7 v2 XPN; FHIR HumanName)."""

    family: PersonWordText = ""
    given: PersonWordText = ""
    middle: PersonWordText = ""
    suffix: PersonWordText = ""
    prefix: PersonWordText = ""


class Licence(Canonical):
    """Leave to practise, of one state. ``kind``: the profession as its board names it. ``expires`` as the person or HR says
    it."""

    state: StateCode
    number: PersonWordText
    kind: PersonWordText = ""
    expires: date | None = None


class DeaRegistration(Canonical):
    """A registration with the DEA (21 CFR 1301): two letters and seven digits, for one state of practice."""

    number: PersonWordText
    state: StateCode | Literal[""] = ""
    expires: date | None = None
    schedules: tuple[str, ...] = ()


class Certificate(Canonical):
    """A board's certificate in a specialty."""

    board: PersonWordText
    specialty: PersonWordText = ""
    number: PersonWordText = ""
    expires: date | None = None


class ClinicianRecord(Canonical):
    """Who somebody is, as one source says it. Personal data: it never travels in a workflow, an id, a log or a span.

    ``national_id`` is kept as a keyed hash by who keeps the record, for matching alone. What is empty is not known to its
    source and
    changes nothing that another said. ``former_family``: the family name before; ``other_names``: every other name they have or
    had.
    """

    name: PersonName = PersonName()
    former_family: PersonWordText = ""
    other_names: tuple[PersonName, ...] = Field(default=(), max_length=OTHER_NAMES)
    birth_date: date | None = None
    national_id: str = Field(default="", max_length=64, repr=False)
    npi: str = Field(default="", max_length=20)
    licences: tuple[Licence, ...] = ()
    dea: tuple[DeaRegistration, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    taxonomy: str = Field(default="", max_length=20)
    email: str = Field(default="", max_length=254)
    phone: str = Field(default="", max_length=60)

    @property
    def names(self) -> tuple[PersonName, ...]:
        """Every name somebody is known by, the present one first; one of a family name alone goes with any given name of theirs."""
        former = (PersonName(family=self.former_family),) if self.former_family else ()
        return tuple(dict.fromkeys((self.name, *former, *self.other_names)))

    def over(self, before: ClinicianRecord, kind: str = "update") -> ClinicianRecord:
        """What is known when an event of this kind says this after ``before``: what is empty here stays as it was.

        A granted certificate or licence comes beside the others, a revoked one goes; any other event that names some says all of
        them. Names are never forgotten: who changes the family name keeps the one before as the former.
        """
        said = _said(self)
        if self.name == PersonName():
            said.pop("name", None)
        elif before.name.family and before.name.family != self.name.family:
            said.setdefault("former_family", before.name.family)
        if kind in ("grant", "revoke"):
            for name, same in _LISTED.items():
                kept = [one for one in getattr(before, name) if not any(same(one, new) for new in getattr(self, name))]
                said[name] = (*kept, *(getattr(self, name) if kind == "grant" else ()))
        after = before.model_copy(update=said)
        shown = {(after.name.family, after.name.given)}
        others = {
            (name.family, name.given): name
            for name in (*before.other_names, before.name, *self.names)
            if name.family and (name.family, name.given) not in shown | {(after.former_family, "")}
        }
        return after.model_copy(update={"other_names": tuple(others.values())[-OTHER_NAMES:]})


def _said(what: Canonical) -> dict[str, Any]:
    """What is not empty."""
    return {name: value for name in type(what).model_fields if (value := getattr(what, name)) not in ("", None, ())}


def _one_licence(one: Licence, other: Licence) -> bool:
    return one.state == other.state and (one.number == other.number or one.kind == other.kind != "")


_LISTED: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "licences": _one_licence,
    "dea": lambda one, other: bool(one.number == other.number),
    "certificates": lambda one, other: (one.board, one.specialty) == (other.board, other.specialty),
}
"""What a person holds several of, and when two of it are one."""


class Position(Canonical):
    """What somebody is to do at a facility. ``role`` names a row of the register (:class:`canonical.credentials.ClinicianRole`).

    ``fte``: parts of a full position, 0 to 2. ``practice_states``: where patients are seen; empty: the facility's own state.
    """

    role: str = Field(default="", max_length=40)
    title: PersonWordText = ""
    department: DepartmentCode | None = None
    cost_centre: CostCentreCode | None = None
    service_line: str = Field(default="", max_length=40)
    location: LocationCode | None = None
    practice_states: tuple[StateCode, ...] = ()
    employment: Literal["", "employed", "contracted", "locum", "volunteer"] = ""
    fte: Decimal | None = Field(default=None, ge=0, le=2, max_digits=4, decimal_places=3)
    pay_grade: str = Field(default="", max_length=40)
    manager: str = Field(default="", max_length=40)
    starts: date | None = None
    ends: date | None = None

    @field_validator("fte", mode="before")
    @classmethod
    def _no_float(cls, value: Any) -> Any:
        return exact(value, "fte") if value is not None else None

    def over(self, before: Position) -> Position:
        """What holds when this is said after ``before``: what is empty here stays as it was."""
        return before.model_copy(update=_said(self))


class PrivilegeScope(Canonical):
    """What may be done where: a site, a service, a family of procedures, from a day until the end of another.

    An empty part means all of it; dates both within.
    """

    site: LocationCode | Literal[""] = ""
    service: str = Field(default="", max_length=40)
    procedures: str = Field(default="", max_length=80)
    starts: date | None = None
    ends: date | None = None

    def __str__(self) -> str:
        return " / ".join(
            (self.site or "all sites", self.service or "all services", self.procedures or "all procedures")
        )


HrKind = Literal[
    "hire", "update", "delete", "activate", "deactivate", "terminate", "grant", "revoke", "leave", "return"
]
"""An accepted offer or new employee (PMU^B01, MFN MAD); changed data (B02, MUP); entered in error, offer withdrawn (B03, MDL);
at work
(B04, MAC); not at work for now (B05, MDC); the employment ends (B06); a certificate or privilege granted (B07) or revoked
(B08); on leave
from ``effective``; back from it."""


MAY_BE_URGENT: Final[frozenset[str]] = frozenset({"terminate", "deactivate"})
ONLY_ENDS: Final = "only terminate and deactivate end access at once"


class HrEvent(Canonical):
    """One thing an HR system says of one person at one facility. Its name is (facility, source, number).

    ``number``: the message's or row's own. ``person``: the HR system's number of the person, the same in all of its events.
    ``said_at``: when the HR system recorded it (EVN-2, MFE-6, MSH-7; not EVN-6, which is when it happened): events of one
    person are in this order whatever order they came in. ``effective``: the day it holds from, in the past or future;
    ``emergency``: access ends now, not at the day's end; of what ends (``MAY_BE_URGENT``) alone. ``reason`` is a code (just cause
    codes differ by system), never a sentence about a person.
    """

    facility: FacilityCode
    source: SourceSystem
    number: Annotated[str, SAFE]
    person: Annotated[str, SAFE]
    kind: HrKind
    said_at: datetime
    effective: date
    record: ClinicianRecord = Field(default=ClinicianRecord(), repr=False)
    position: Position = Position()
    scope: PrivilegeScope | None = None
    emergency: bool = False
    reason: str = Field(default="", max_length=40)

    @model_validator(mode="after")
    def _says_something(self) -> HrEvent:
        if self.said_at.tzinfo is None:
            raise ValueError("said_at needs its zone")
        if self.kind in ("grant", "revoke") and self.scope is None:
            raise ValueError(f"a {self.kind} says of what: site, service or procedures")
        if self.kind == "hire" and not (self.record.name.family and self.position.role):
            raise ValueError("a hire needs a family name and a role")
        return self


class HrKept(Canonical):
    """What became of one event: new, same (known with this content) or conflict (known with another; listed for a person)."""

    id: str
    outcome: Literal["new", "same", "conflict"]
    state: str = ""
    person: str = ""


class PersonCase(Canonical):
    """What opens (or continues) a clinician's case at one facility: keys and counts alone.

    ``told``: the headline that others were told last; ``parked``: what needed a person when an earlier run went on in this one.
    """

    facility: FacilityCode
    person: PersonKey
    generation: int = Field(default=1, ge=1)
    revision: int = Field(default=0, ge=0)
    told: str = Field(default="", max_length=40)
    parked: tuple[Attention, ...] = ()

    @property
    def case_id(self) -> str:
        """The case's one name."""
        return onboarding_case(self.facility, self.person)


def onboarding_case(facility: str, person: str) -> str:
    """The name of a clinician's case at a facility."""
    return case_id("clinician_onboarding", facility, person)


def access_case(person: str) -> str:
    """The name of the one case that writes a person's access everywhere."""
    return case_id("clinician_access", person)


def revocation_case(person: str) -> str:
    """The name of the case that takes all access from a person at once."""
    return case_id("clinician_revocation", person)


def stable(*parts: str) -> str:
    """A short name for what has several parts, the same each time (SHA-256, 20 hex digits)."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:20]
