"""Reads a person as an HR system with SCIM says it (RFC 7643 user with the enterprise extension, JSON): one HR event.

It is a user, or a put, patch or delete of one (:mod:`gateway.scim_operations`). What SCIM has no word for stands in an extension of
ours (``HR``). Where that names no event, an inactive user is deactivated, a user whose ``meta.lastModified`` is later than
``meta.created`` is an update, and any other a hire; a sender's table ``event`` may make another event of it.
"""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from canonical.base import in_words, read_strictly
from canonical.errors import Malformed
from canonical.people import (
    MAY_BE_URGENT,
    ONLY_ENDS,
    Certificate,
    DeaRegistration,
    HrEvent,
    HrKind,
    Licence,
    PrivilegeScope,
)
from canonical.senders import Mappings, Sender
from gateway.mapping import Tongue
from gateway.people_codes import EMPLOYMENTS, emergency, reason_of, role_of, utc
from gateway.people_numbers import numbered
from gateway.scim_operations import USER, operation_of

ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
HR: Final = "urn:fascia:params:scim:schemas:extension:hr:1.0:User"

Word = Annotated[str, Field(max_length=120)]


class _Open(BaseModel):
    """RFC 7643 section 3: what a service does not know it passes over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class ScimName(_Open):
    """The parts of a name."""

    familyName: Word = ""
    givenName: Word = ""
    middleName: Word = ""
    honorificPrefix: Word = ""
    honorificSuffix: Word = ""


class ScimValue(_Open):
    """One of several values; ``primary`` is the one that counts."""

    value: str = Field(default="", max_length=254)
    primary: bool = False


class ScimMeta(_Open):
    """When the record was made and changed, with their zones."""

    created: datetime | None = None
    lastModified: datetime | None = None


class ScimManager(_Open):
    """Whose the person is; a number."""

    value: str = Field(default="", max_length=40)


class ScimEnterprise(_Open):
    """RFC 7643 section 4.3."""

    employeeNumber: str = Field(default="", max_length=80)
    costCenter: str = Field(default="", max_length=40)
    department: str = Field(default="", max_length=40)
    manager: ScimManager = ScimManager()


class ScimHr(BaseModel):
    """What an HR system says that SCIM has no word for. ``effective``: without it, the day of the change.

    It is ours, so that what we do not know in it is misspelt, and refused (:func:`_ours`).
    """

    model_config = ConfigDict(frozen=True)

    event: HrKind | None = None
    effective: date | None = None
    emergency: bool = False
    reason: str = Field(default="", max_length=40, pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")
    role: str = Field(default="", max_length=40)
    location: str = Field(default="", max_length=40)
    serviceLine: str = Field(default="", max_length=40)
    starts: date | None = None
    ends: date | None = None
    birthDate: date | None = None
    formerFamilyName: Word = ""
    nationalId: str = Field(default="", max_length=64, repr=False)
    npi: str = Field(default="", max_length=20)
    taxonomy: str = Field(default="", max_length=20)
    licences: tuple[Licence, ...] = ()
    dea: tuple[DeaRegistration, ...] = ()
    certificates: tuple[Certificate, ...] = ()
    scope: PrivilegeScope | None = None


class ScimUser(_Open):
    """A user as an HR system says it. ``externalId`` (else the employee number, else ``id``) is its own number of the person."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    schemas: tuple[str, ...] = ()
    id: str = Field(default="", max_length=80)
    externalId: str = Field(default="", max_length=80)
    active: bool = True
    name: ScimName = ScimName()
    title: Word = ""
    userType: str = Field(default="", max_length=40)
    emails: tuple[ScimValue, ...] = ()
    phoneNumbers: tuple[ScimValue, ...] = ()
    meta: ScimMeta = ScimMeta()
    enterprise: ScimEnterprise = Field(default=ScimEnterprise(), alias=ENTERPRISE)
    hr: ScimHr = Field(default=ScimHr(), alias=HR)


def read(data: bytes, number: str, at: datetime, sender: Sender, mappings: Mappings) -> tuple[HrEvent, ...]:
    """The event the user comes to, under the request's number; ``at`` is when it came.

    Raises:
        Malformed: it is no user, or a value in it has no place in our language; with its path.
    """
    done = operation_of(data)
    said, method = (data, None) if done is None else (json.dumps(done[0]).encode(), done[1])
    user, tongue = read_strictly(ScimUser, said, allow_unknown=True), Tongue(sender, mappings)
    _ours(json.loads(said))
    if USER not in user.schemas:
        raise Malformed(f"schemas: {USER} stands here", path="schemas", code="data-invalid")
    person = user.externalId or user.enterprise.employeeNumber or user.id
    if not person:
        raise Malformed("externalId: your own number of the person", path="externalId", code="data-invalid")
    said_at = _said(user, at)
    kind, reason = _kind(user, method, tongue), reason_of(tongue, user.hr.reason)
    if user.hr.emergency and kind not in MAY_BE_URGENT:
        path = f"{HR}.emergency"
        raise Malformed(f"{path}: {ONLY_ENDS}, this is a {kind}", path=path, code="data-invalid")
    try:
        event = HrEvent.model_validate(
            {
                "facility": sender.facility,
                "source": sender.source or sender.code,
                "number": number,
                "person": person,
                "kind": kind,
                "said_at": said_at,
                "effective": user.hr.effective or (user.hr.starts if kind == "hire" else None) or said_at.date(),
                "record": _record(user),
                "position": _position(user, tongue),
                "scope": user.hr.scope,
                "emergency": user.hr.emergency or (kind in MAY_BE_URGENT and emergency(reason)),
                "reason": reason,
            }
        )
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise Malformed(f"{where or 'document'}: {in_words(problem['msg'])}", path=where, code="data-invalid") from None
    return (numbered(event, lambda field, _: f"{HR}.{field}"),)


def _ours(said: dict[str, Any]) -> None:
    """Refuse what our own extension does not have: an ``emergancy`` passed over would end nothing.

    Raises:
        Malformed: with its path.
    """
    for name in said.get(HR, {}):
        if name not in ScimHr.model_fields:
            path = f"{HR}.{name[:60]}"
            raise Malformed(f"{path}: our extension has no such attribute", path=path, code="data-invalid")


def _said(user: ScimUser, at: datetime) -> datetime:
    """When the HR system changed the record.

    Raises:
        Malformed: it does not say of which zone.
    """
    found = user.meta.lastModified or user.meta.created or at
    if found.tzinfo is None:
        raise Malformed("meta.lastModified: it needs its zone", path="meta.lastModified", code="data-invalid")
    return utc(found, "meta.lastModified")


def _kind(user: ScimUser, method: HrKind | None, tongue: Tongue) -> str:
    """What it is of an event: as our extension says, else as its method and state say; the sender's table has the last word there."""
    return user.hr.event or tongue.ours("event", method or _by_state(user)).lower()


def _by_state(user: ScimUser) -> HrKind:
    if not user.active:
        return "deactivate"
    created, changed = user.meta.created, user.meta.lastModified
    return "update" if created is not None and changed is not None and changed > created else "hire"


def _record(user: ScimUser) -> dict[str, Any]:
    name, hr = user.name, user.hr
    return {
        "name": {
            "family": name.familyName,
            "given": name.givenName,
            "middle": name.middleName,
            "prefix": name.honorificPrefix,
            "suffix": name.honorificSuffix,
        },
        "former_family": hr.formerFamilyName,
        "birth_date": hr.birthDate,
        "national_id": hr.nationalId,
        "npi": hr.npi,
        "licences": hr.licences,
        "dea": hr.dea,
        "certificates": hr.certificates,
        "taxonomy": hr.taxonomy,
        "email": _first(user.emails),
        "phone": _first(user.phoneNumbers).removeprefix("tel:")[:60],
    }


def _position(user: ScimUser, tongue: Tongue) -> dict[str, Any]:
    enterprise, hr = user.enterprise, user.hr
    known = tongue.ours("employment", user.userType).lower()
    return {
        "role": role_of(tongue, [hr.role, user.title]),
        "title": user.title,
        "department": tongue.code("department", enterprise.department, f"{ENTERPRISE}.department"),
        "cost_centre": tongue.code("cost_centre", enterprise.costCenter, f"{ENTERPRISE}.costCenter"),
        "location": tongue.code("location", hr.location, f"{HR}.location"),
        "service_line": hr.serviceLine,
        "employment": known if known in EMPLOYMENTS.values() else "",
        "manager": enterprise.manager.value,
        "starts": hr.starts,
        "ends": hr.ends,
    }


def _first(values: tuple[ScimValue, ...]) -> str:
    """The primary one, else the first."""
    return next((one.value for one in values if one.primary), values[0].value if values else "")
