"""Who somebody is by all that HR systems have said so far, and which days of pay a change of the past touches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final, TypeVar

from canonical.appointments import fold
from canonical.base import Canonical
from canonical.employments import Told
from canonical.people import Certificate, ClinicianRecord, DeaRegistration, HrEvent, Licence

PAID_BY: Final = ("cost_centre", "fte", "pay_grade", "employment", "department", "role")
"""What of a position payroll works with."""
NOT_PAID: Final = frozenset({"offered", "ended", "withdrawn"})

One = TypeVar("One")


def record_of(events: Iterable[HrEvent], as_of: date) -> ClinicianRecord:
    """Who somebody is on a day: what was said last, each thing from the day it holds from.

    A hire's record is known at once, though work begins later. A granted certificate or licence comes beside the others, a revoked
    one goes; any other event that names some says all of them. Who changes the family name keeps the one before as the former.
    """
    found = ClinicianRecord()
    for event in sorted((one for one in events if _known_from(one) <= as_of), key=_said):
        found = _with(found, event)
    return found


def _known_from(event: HrEvent) -> date:
    return min(event.effective, event.said_at.date()) if event.kind == "hire" else event.effective


def _said(event: HrEvent) -> tuple[Any, ...]:
    return _known_from(event), event.said_at, event.kind != "hire", event.number


def _with(before: ClinicianRecord, event: HrEvent) -> ClinicianRecord:
    said = event.record
    after = said.over(before)
    if event.kind in ("grant", "revoke"):
        listed = (("licences", _one_licence), ("dea", _one_registration), ("certificates", _one_certificate))
        kept = {name: _merged(getattr(before, name), getattr(said, name), same, event.kind) for name, same in listed}
        after = after.model_copy(update=kept)
    renamed = before.name.family and after.name.family != before.name.family and not said.former_family
    return after.model_copy(update={"former_family": before.name.family}) if renamed else after


def _merged(before: Sequence[One], said: Sequence[One], same: Callable[[One, One], bool], kind: str) -> tuple[One, ...]:
    kept = tuple(one for one in before if not any(same(one, new) for new in said))
    return (*kept, *said) if kind == "grant" else kept


def _one_licence(one: Licence, other: Licence) -> bool:
    return one.state == other.state and (one.number == other.number or one.kind == other.kind != "")


def _one_registration(one: DeaRegistration, other: DeaRegistration) -> bool:
    return one.number == other.number


def _one_certificate(one: Certificate, other: Certificate) -> bool:
    return (one.board, one.specialty) == (other.board, other.specialty)


class PayDays(Canonical):
    """Days already past whose pay a change touches, both within: what stood for them and what holds now. Codes alone."""

    field: str
    was: str
    now: str
    first: date
    last: date

    @property
    def days(self) -> int:
        """How many days of the calendar."""
        return (self.last - self.first).days + 1


def pay_days(before: Sequence[Told], after: Sequence[Told], as_of: date) -> Sequence[PayDays]:
    """Which days before ``as_of`` are otherwise by ``after`` (one more event) than they were by ``before``."""
    days = sorted({day for one in (*before, *after) for day in _days(one)} | {as_of})
    told: list[PayDays] = []
    for first, following in pairwise(days):
        if first >= as_of:
            break
        was, now = _paid(before, first), _paid(after, first)
        last = min(following, as_of) - timedelta(days=1)
        for name in ("paid", *PAID_BY):
            if was[name] == now[name] or (name != "paid" and "no" in (was["paid"], now["paid"])):
                continue
            told.append(PayDays(field=name, was=was[name], now=now[name], first=first, last=last))
    return _joined(told)


def _days(one: Told) -> set[date]:
    found = {
        one.effective,
        one.effective + timedelta(days=1),
        one.said_at.date(),
        one.said_at.date() + timedelta(days=1),
    }
    for day in (one.position.starts, one.position.ends):
        found |= {day, day + timedelta(days=1)} if day is not None else set()
    return found


def _paid(events: Sequence[Told], day: date) -> dict[str, str]:
    appointment = fold("any", "any-person", events, day).appointment
    paid = appointment is not None and appointment.state not in NOT_PAID
    told = dict.fromkeys(PAID_BY, "")
    if appointment is not None:
        told = {name: str(getattr(appointment.position, name) or "") for name in PAID_BY}
    return told | {"paid": "yes" if paid else "no"}


def _joined(told: Sequence[PayDays]) -> Sequence[PayDays]:
    """Spans of the same change that follow each other, as one."""
    found: list[PayDays] = []
    for one in sorted(told, key=lambda span: (span.field, span.first)):
        last = found[-1] if found else None
        if last and (last.field, last.was, last.now, last.last) == (
            one.field,
            one.was,
            one.now,
            one.first - timedelta(days=1),
        ):
            found[-1] = last.model_copy(update={"last": one.last})
        else:
            found.append(one)
    return sorted(found, key=lambda span: (span.first, span.field))
