"""Who somebody is by all that HR systems have said so far, and which days of pay a change of the past touches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Any, Final

from canonical.appointments import standing
from canonical.base import Canonical
from canonical.employments import Told, day_after
from canonical.people import ClinicianRecord, HrEvent, Position

PAID_BY: Final = ("cost_centre", "fte", "pay_grade", "employment", "department", "role")
"""What of a position payroll works with."""
NOT_PAID: Final = frozenset({"", "offered", "ended", "withdrawn"})


def record_of(events: Iterable[HrEvent], as_of: date) -> ClinicianRecord:
    """Who somebody is on a day: what was said last, each thing from the day it holds from.

    A hire's record is known at once, though work begins later.
    """
    found = ClinicianRecord()
    for event in sorted((one for one in events if _known_from(one) <= as_of), key=_said):
        found = event.record.over(found, event.kind)
    return found


def _known_from(event: HrEvent) -> date:
    return min(event.effective, event.said_at.date()) if event.kind == "hire" else event.effective


def _said(event: HrEvent) -> tuple[Any, ...]:
    return _known_from(event), event.said_at, event.kind != "hire", event.number


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
    """Which days before ``as_of`` are otherwise by ``after`` (one more event, or some) than they were by ``before``."""
    days = sorted({day for one in (*before, *after) for day in _days(one)} | {as_of})
    told: list[PayDays] = []
    stood, stands = standing(before), standing(after)
    for first, following in pairwise(days):
        if first >= as_of:
            break
        was, now = _paid(*stood(first)), _paid(*stands(first))
        last = min(following, as_of) - timedelta(days=1)
        for name in ("paid", *PAID_BY):
            if was[name] == now[name] or (name != "paid" and "no" in (was["paid"], now["paid"])):
                continue
            told.append(PayDays(field=name, was=was[name], now=now[name], first=first, last=last))
    return _joined(told)


def _days(one: Told) -> set[date]:
    found = {
        one.effective,
        day_after(one.effective),
        one.said_at.date(),
        day_after(one.said_at.date()),
    }
    for day in (one.position.starts, one.position.ends):
        found |= {day, day_after(day)} if day is not None else set()
    return found


def _paid(state: str, position: Position) -> dict[str, str]:
    told = {name: str(getattr(position, name) or "") for name in PAID_BY}
    return told | {"paid": "no" if state in NOT_PAID else "yes"}


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
