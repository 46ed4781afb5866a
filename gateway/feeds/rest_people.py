"""Reads HR events as JSON (``POST /v1/hr-events``, signed requests): one, or several ``events`` at a time."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from canonical.base import in_words, read_strictly
from canonical.errors import Malformed
from canonical.people import MAY_BE_URGENT, ONLY_ENDS, ClinicianRecord, HrEvent, HrKind, Position, PrivilegeScope
from canonical.senders import Mappings, Sender
from gateway.mapping import Tongue
from gateway.people_codes import emergency, reason_of, role_of, utc
from gateway.people_numbers import numbered

MOST = 200  # events of one request


class HrEventIn(BaseModel):
    """One thing said of one person. ``person`` is your own number of the person, the same in all you say of them.

    ``effective``: the day it holds from, in the past or future; ``said_at`` (with its zone): when you recorded it, without one when
    the request came; a later one outweighs an earlier one whatever order they come in. ``emergency``: access ends now; of a
    terminate or deactivate alone.
    """

    model_config = ConfigDict(frozen=True)

    person: str = Field(min_length=1, max_length=80, examples=["E-2077"])
    kind: HrKind
    effective: date
    said_at: datetime | None = None
    record: ClinicianRecord = ClinicianRecord()
    position: Position = Position()
    scope: PrivilegeScope | None = Field(default=None, description="of a grant or revoke: site, service, procedures")
    emergency: bool = False
    reason: str = Field(default="", max_length=40, pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$", description="a code")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.said_at is not None and self.said_at.tzinfo is None:
            raise ValueError("said_at needs its zone")
        if self.emergency and self.kind not in MAY_BE_URGENT:
            raise ValueError(f"emergency: {ONLY_ENDS}, this is a {self.kind}")
        return self


class HrEventsIn(BaseModel):
    """Several events; each is named by the request's number and its place."""

    model_config = ConfigDict(frozen=True)

    events: tuple[HrEventIn, ...] = Field(min_length=1, max_length=MOST)


def read(data: bytes, number: str, at: datetime, sender: Sender, mappings: Mappings) -> tuple[HrEvent, ...]:
    """The events of one request, under its number and their places; ``at`` is when it came.

    Raises:
        Malformed: it is not as agreed, with its path.
    """
    tongue = Tongue(sender, mappings)
    if not _several(data):
        return (_event(read_strictly(HrEventIn, data), "", number, at, tongue),)
    many = read_strictly(HrEventsIn, data)
    return tuple(
        _event(one, f"events.{place}", f"{number}/{place + 1}", at, tongue) for place, one in enumerate(many.events)
    )


def _several(data: bytes) -> bool:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):  # what reads it strictly says what is wrong with it
        return False
    return isinstance(found, dict) and "events" in found


def _event(one: HrEventIn, path: str, number: str, at: datetime, tongue: Tongue) -> HrEvent:
    sender, reason = tongue.sender, reason_of(tongue, one.reason)
    position = one.position.model_copy(update={"role": role_of(tongue, [one.position.role])})
    said: dict[str, Any] = {
        "department": tongue.ours("department", position.department or "") or None,
        "cost_centre": tongue.ours("cost_centre", position.cost_centre or "") or None,
    }
    try:
        event = HrEvent(
            facility=sender.facility,
            source=sender.source or sender.code,
            number=number[:80],
            person=one.person,
            kind=one.kind,
            said_at=utc(one.said_at or at, ".".join(filter(None, (path, "said_at")))),
            effective=one.effective,
            record=one.record,
            position=position.changed(**said),
            scope=one.scope,
            emergency=one.emergency or (one.kind in MAY_BE_URGENT and emergency(reason)),
            reason=reason,
        )
    except ValidationError as wrong:
        problem = wrong.errors(include_input=False, include_url=False, include_context=False)[0]
        where = ".".join([*filter(None, (path,)), *(str(part) for part in problem["loc"])])
        raise Malformed(f"{where or 'document'}: {in_words(problem['msg'])}", path=where, code="data-invalid") from None
    return numbered(event, lambda field, _: ".".join(filter(None, (path, "record", field))))
