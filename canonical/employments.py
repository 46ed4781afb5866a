"""Employments as HR events make them: which event belongs to which, from its hire to its end, with the leaves between.

A termination said before a hire does not end it, one said after does; a leave is ended by the return that lies in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from canonical.base import Canonical
from canonical.people import HrEvent, HrKind, Position, PrivilegeScope

AWAY: Final = frozenset({"leave", "deactivate"})
BACK: Final = frozenset({"return", "activate"})


def day_after(day: date) -> date:
    """The next day. After 9999-12-31, by which many HR systems say that something has no end, there is none."""
    return day + timedelta(days=1) if day < date.max else day


class Told(Canonical):
    """One event as it is folded: by its id, without who it is about."""

    id: str
    source: str
    kind: HrKind
    said_at: datetime
    effective: date
    position: Position = Position()
    scope: PrivilegeScope | None = None
    emergency: bool = False
    reason: str = ""

    @classmethod
    def of(cls, id: str, event: HrEvent) -> Told:  # noqa: A002 an event's own name
        """What folding needs of an event kept under this id.

        A licence or certificate granted or revoked is of the record; only one that names a scope is of privileges too.
        """
        said = {name: getattr(event, name) for name in cls.model_fields if name != "id"}
        credential = event.record.licences or event.record.dea or event.record.certificates
        if credential and event.scope == PrivilegeScope():
            said["scope"] = None
        return cls(id=id, **said)

    @property
    def starts(self) -> date:
        """The first day of work, of a hire."""
        return self.position.starts or self.effective


@dataclass
class Away:
    """A leave or deactivation: from a day until before another."""

    by: Told
    back: Told | None = None

    @property
    def first(self) -> date:
        return self.by.effective

    @property
    def until(self) -> date | None:
        return self.back.effective if self.back else None

    def holds(self, day: date) -> bool:
        return self.first <= day and (self.until is None or day < self.until)


@dataclass
class Employment:
    """One employment, from its hire to its end."""

    hire: Told
    starts: date
    base: Position
    said: list[Told] = field(default_factory=list)  # what changes the position, the hire itself among it
    away: list[Away] = field(default_factory=list)
    early_returns: list[Told] = field(default_factory=list)
    contract_ends: date | None = None
    ended: Told | None = None
    withdrawn: Told | None = None
    overtaken: set[str] = field(default_factory=set)

    @property
    def last_day(self) -> date | None:
        ends = self.ended.effective if self.ended else None
        if self.ended is not None and self.ended.emergency:
            ends = min(self.ended.effective, self.ended.said_at.date())
        found = [day for day in (ends, self.contract_ends) if day is not None]
        return min(found) if found else None

    def over(self, day: date) -> bool:
        last = self.last_day
        at_once = self.ended is not None and self.ended.emergency
        return self.withdrawn is not None or at_once or (last is not None and day > last)

    def last_counted(self, day: date) -> date:
        """The day that says how it stands: the day itself, or the last on which something of it could still come into force."""
        last = self.last_day
        if self.withdrawn is not None:
            return self.withdrawn.said_at.date()
        return last if last is not None and self.over(day) else day

    def left_before(self, day: date) -> bool:
        """Whether the last day of work is before a day."""
        last = self.last_day
        return last is not None and last < day

    def closed(self) -> bool:
        """Whether what is said next may begin another employment."""
        return self.ended is not None or self.withdrawn is not None

    def changes(self) -> list[Told]:
        """What changes the position, in the order it comes into force."""
        return sorted(self.said, key=lambda one: (self.from_day(one), one.said_at, one.id))

    def from_day(self, one: Told) -> date:
        return self.starts if one is self.hire else max(one.effective, self.starts)

    def position(self, day: date) -> Position:
        found = self.base
        for one in self.changes():
            if self.from_day(one) <= max(day, self.starts):
                found = one.position.over(found)
        return found


def employments(events: Sequence[Told]) -> tuple[list[Employment], list[Told], list[Told]]:
    """The employments, what waits for one, and what was granted."""
    spells: list[Employment] = []
    waiting: list[Told] = []
    grants: list[Told] = []
    for one in events:
        if one.kind == "grant":
            grants.append(one)
        elif one.kind == "hire":
            waiting = _hired(spells, one, waiting)
        elif one.kind != "revoke" and not (spells and _said_of(spells, one)):
            waiting.append(one)
    return spells, waiting, grants


def _hired(spells: list[Employment], hire: Told, waiting: Sequence[Told]) -> list[Told]:
    last = spells[-1] if spells else None
    if last is not None and last.withdrawn is None and not last.left_before(hire.starts):
        _said_again(last, hire)
        return list(waiting)
    spell = Employment(hire=hire, starts=hire.starts, base=hire.position, said=[hire], contract_ends=hire.position.ends)
    spells.append(spell)
    return [one for one in waiting if not _said_before(spell, one)]


def _said_again(spell: Employment, hire: Told) -> None:
    """A hire of somebody employed: by another system, or of another start; one that starts later takes a planned end back.

    One of the same start is the old employment told once more and takes back nothing; an emergency is taken back by nobody's hire.
    """
    if spell.ended is not None and not spell.ended.emergency and hire.starts > spell.starts:
        spell.overtaken.add(spell.ended.id)
        spell.ended = None
    elif spell.ended is None and (hire.starts < spell.starts or hire.position.starts is not None):
        spell.starts = hire.starts
    spell.said.append(hire)
    spell.contract_ends = hire.position.ends or spell.contract_ends


def _said_before(spell: Employment, one: Told) -> bool:
    """What waited for a hire, taken by it; an end or withdrawal of before it is about an employment nobody told us of."""
    if one.kind == "delete":
        return False
    if one.kind == "terminate" and one.effective < spell.starts:
        return False
    return _say(spell, one)


def _said_of(spells: list[Employment], one: Told) -> bool:
    """Whether an event that is no hire says something of the last employment; of one that is over only what undoes its end."""
    spell = spells[-1]
    if not spell.closed():
        return _say(spell, one)
    if one.kind == "activate" and spell.ended is not None and spell.withdrawn is None:
        end = spell.last_day
        if end is None or one.effective <= day_after(end):
            spell.overtaken.add(spell.ended.id)
            spell.ended, spell.contract_ends = None, None
            spell.said.append(one)
            return True
        base = one.position.over(spell.position(end))
        spells.append(
            Employment(hire=one, starts=one.effective, base=base, said=[one], contract_ends=one.position.ends)
        )
        return True
    if one.kind in ("terminate", "delete"):
        return _say(spell, one)
    end = spell.last_day
    return end is None or (one.effective <= end and _say(spell, one))


def _say(spell: Employment, one: Told) -> bool:
    if one.kind == "terminate":
        if spell.ended is None or one.emergency or not spell.ended.emergency:
            spell.overtaken |= {spell.ended.id} if spell.ended else set()
            spell.ended = one
    elif one.kind == "delete":
        spell.withdrawn = one
    elif one.kind in AWAY:
        _away(spell, one)
    elif one.kind in BACK:
        _back(spell, one)
    if one.kind in ("update", *AWAY, *BACK):
        spell.said.append(one)
        if one.kind == "update":
            spell.starts = one.position.starts or spell.starts
            spell.contract_ends = one.position.ends or spell.contract_ends
    return True


def _away(spell: Employment, one: Told) -> None:
    under_way = next((away for away in spell.away if away.holds(one.effective)), None)
    if under_way is not None:
        return  # away already
    back = next((early for early in spell.early_returns if early.effective > one.effective), None)
    if back is not None:
        spell.early_returns.remove(back)
    spell.away.append(Away(one, back))
    spell.away.sort(key=lambda away: away.first)


def _back(spell: Employment, one: Told) -> None:
    """Ends the leave under way that day, or takes back the next; one said before its leave waits for it."""
    under_way = next((away for away in spell.away if away.holds(one.effective)), None)
    if under_way is not None:
        if under_way.back is not None:
            spell.overtaken.add(under_way.back.id)
        under_way.back = one
        return
    coming = next((away for away in spell.away if away.first > one.effective), None)
    if coming is not None:
        spell.away.remove(coming)
        spell.overtaken |= {coming.by.id} | ({coming.back.id} if coming.back else set())
    else:
        spell.early_returns.append(one)
