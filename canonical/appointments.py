"""What the HR events about somebody at a facility come to on a day: offered, working, away, ended, and in which position.

Events are taken in the order their HR system said them (``said_at``), whatever order they came in; which employment an event is
about follows from that. Within an employment each change holds from its ``effective`` day, so that one said today for last month does
not undo one that was said for next month. A termination's ``effective`` is the last day of work. Days are days of UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal

from pydantic import Field

from canonical.base import Canonical, FacilityCode
from canonical.onboarding import Appointment
from canonical.people import HrEvent, HrKind, PersonKey, Position, PrivilegeScope

ONE_DAY: Final = timedelta(days=1)
_AWAY: Final = frozenset({"leave", "deactivate"})
_BACK: Final = frozenset({"return", "activate"})
EventState = Literal["matched", "applied", "superseded"]


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


class GrantSaid(Canonical):
    """A privilege HR says was granted: from when, and since when it is revoked (by which event, why)."""

    event: str
    source: str
    scope: PrivilegeScope
    said_at: datetime
    starts: date
    revoked_on: date | None = None
    revoked_by: str = ""
    revoked_why: str = ""


class RevokeSaid(Canonical):
    """A revocation HR says: it ends every privilege within its scope that was asked for before it was said."""

    event: str
    scope: PrivilegeScope
    said_at: datetime
    on: date
    reason: str = ""


class Folded(Canonical):
    """What the events come to. ``appointment`` None: nobody was hired (yet); ``waiting``: events that need a hire first.

    ``states``: what each event is as of the day: in force (applied), of a later day or waiting (matched), or overtaken (superseded).
    """

    appointment: Appointment | None = None
    states: dict[str, EventState] = Field(default_factory=dict)
    waiting: tuple[str, ...] = ()
    grants: tuple[GrantSaid, ...] = ()
    revokes: tuple[RevokeSaid, ...] = ()


@dataclass
class _Away:
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
class _Spell:
    """One employment, from its hire to its end."""

    hire: Told
    starts: date
    base: Position
    said: list[Told] = field(default_factory=list)  # what changes the position, the hire itself among it
    away: list[_Away] = field(default_factory=list)
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


def in_order(events: Iterable[Told]) -> list[Told]:
    """As their HR systems said them; ids decide between those of one moment, a hire before all else of it."""
    return sorted(events, key=lambda one: (one.said_at, one.kind != "hire", one.id))


def fold(facility: FacilityCode, person: PersonKey, events: Sequence[Told], as_of: date) -> Folded:
    """What the events of one person at one facility come to on a day. The same for the same events in any order."""
    spells, waiting, grants = _spells(in_order(events))
    states: dict[str, EventState] = {one.id: "superseded" for one in events}
    revokes = [one for one in in_order(events) if one.kind == "revoke"]
    for one in (*grants, *revokes):
        states[one.id] = "applied" if one.kind == "grant" or one.effective <= as_of else "matched"
    left = tuple(one.id for one in waiting if one.kind in ("update", *_AWAY, *_BACK))
    states |= dict.fromkeys(left, "matched")
    made = _of_spells(facility, person, spells, as_of, states) if spells else None
    appointment = made or _never(facility, person, waiting, states)
    if appointment is not None:
        days = [*(one.effective for one in revokes), *filter(None, [appointment.next_change])]
        following = min((day for day in days if day > as_of), default=None)
        said = max(one.said_at for one in events)
        appointment = appointment.model_copy(update={"next_change": following, "changed_at": said})
    return Folded(
        appointment=appointment,
        states=dict(sorted(states.items())),
        waiting=left,
        grants=tuple(_grant(one, one.scope, revokes) for one in grants if one.scope is not None),
        revokes=tuple(_revoke(one, one.scope) for one in revokes if one.scope is not None),
    )


def _of_spells(
    facility: str, person: str, spells: Sequence[_Spell], day: date, states: dict[str, EventState]
) -> Appointment:
    """The employment that counts on a day: the first that is not over, else the last."""
    spell = next((one for one in spells if not one.over(day)), spells[-1])
    _states_of(spell, day, states)
    coming = [one for one in spells[spells.index(spell) + 1 :] if one.withdrawn is None]
    for later in coming:
        said = (*later.said, *filter(None, [later.ended]))
        states |= {one.id: "matched" for one in said if one.id not in later.overtaken}
    found = _appointment(facility, person, spell, day)
    days = [*(one.starts for one in coming), *filter(None, [found.next_change])]
    return found.model_copy(update={"next_change": min(days, default=None)})


def _spells(events: Sequence[Told]) -> tuple[list[_Spell], list[Told], list[Told]]:
    """The employments, what waits for one, and what was granted."""
    spells: list[_Spell] = []
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


def _hired(spells: list[_Spell], hire: Told, waiting: Sequence[Told]) -> list[Told]:
    last = spells[-1] if spells else None
    if last is not None and last.withdrawn is None and not last.left_before(hire.starts):
        _said_again(last, hire)
        return list(waiting)
    spell = _Spell(hire=hire, starts=hire.starts, base=hire.position, said=[hire], contract_ends=hire.position.ends)
    spells.append(spell)
    return [one for one in waiting if not _said_before(spell, one)]


def _said_again(spell: _Spell, hire: Told) -> None:
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


def _said_before(spell: _Spell, one: Told) -> bool:
    """What waited for a hire, taken by it; an end or withdrawal of before it is about an employment nobody told us of."""
    if one.kind == "delete":
        return False
    if one.kind == "terminate" and one.effective < spell.starts:
        return False
    return _say(spell, one)


def _said_of(spells: list[_Spell], one: Told) -> bool:
    """Whether an event that is no hire says something of the last employment; of one that is over only what undoes its end."""
    spell = spells[-1]
    if not spell.closed():
        return _say(spell, one)
    if one.kind == "activate" and spell.ended is not None and spell.withdrawn is None:
        end = spell.last_day
        if end is None or one.effective <= end + ONE_DAY:
            spell.overtaken.add(spell.ended.id)
            spell.ended, spell.contract_ends = None, None
            spell.said.append(one)
            return True
        base = one.position.over(spell.position(end))
        spells.append(_Spell(hire=one, starts=one.effective, base=base, said=[one], contract_ends=one.position.ends))
        return True
    if one.kind in ("terminate", "delete"):
        return _say(spell, one)
    end = spell.last_day
    return end is None or (one.effective <= end and _say(spell, one))


def _say(spell: _Spell, one: Told) -> bool:
    if one.kind == "terminate":
        if spell.ended is None or one.emergency or not spell.ended.emergency:
            spell.overtaken |= {spell.ended.id} if spell.ended else set()
            spell.ended = one
    elif one.kind == "delete":
        spell.withdrawn = one
    elif one.kind in _AWAY:
        _away(spell, one)
    elif one.kind in _BACK:
        _back(spell, one)
    if one.kind in ("update", *_AWAY, *_BACK):
        spell.said.append(one)
        if one.kind == "update":
            spell.starts = one.position.starts or spell.starts
            spell.contract_ends = one.position.ends or spell.contract_ends
    return True


def _away(spell: _Spell, one: Told) -> None:
    under_way = next((away for away in spell.away if away.holds(one.effective)), None)
    if under_way is not None:
        return  # away already
    back = next((early for early in spell.early_returns if early.effective > one.effective), None)
    if back is not None:
        spell.early_returns.remove(back)
    spell.away.append(_Away(one, back))
    spell.away.sort(key=lambda away: away.first)


def _back(spell: _Spell, one: Told) -> None:
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


def _appointment(facility: str, person: str, spell: _Spell, day: date) -> Appointment:
    last = spell.last_day
    if spell.withdrawn is not None:
        state, why = "withdrawn", spell.withdrawn.reason
    elif spell.over(day):
        state, why = "ended", spell.ended.reason if spell.ended else "contract-ended"
    elif day < spell.starts:
        state, why = "offered", ""
    else:
        state, why = ("away" if any(one.holds(day) for one in spell.away) else "working"), ""
    known = day if last is None or not spell.over(day) else last
    return Appointment(
        person=person,
        facility=facility,
        state=state,
        position=spell.position(known),
        offered_at=spell.hire.said_at,
        starts=spell.starts,
        ends_on=last,
        ended_why=why,
        next_change=None if spell.over(day) else _next(spell, day),
    )


def _next(spell: _Spell, day: date) -> date | None:
    last = spell.last_day
    days = [spell.starts, *(spell.from_day(one) for one in spell.said), *(one.first for one in spell.away)]
    days += [one.until for one in spell.away if one.until is not None]
    days += [last + ONE_DAY] if last is not None else []
    return min((one for one in days if one > day), default=None)


def _never(facility: str, person: str, waiting: Sequence[Told], states: dict[str, EventState]) -> Appointment | None:
    """An end was said of somebody who was never hired here: it stands as ended, and nothing is given."""
    ends = [one for one in waiting if one.kind == "terminate"]
    if not ends:
        return None
    last = ends[-1]
    states[last.id] = "applied"
    return Appointment(
        person=person,
        facility=facility,
        state="ended",
        offered_at=last.said_at,
        ends_on=last.effective,
        ended_why=last.reason,
        changed_at=last.said_at,
    )


def _states_of(spell: _Spell, day: date, states: dict[str, EventState]) -> None:
    """What each event of an employment is on a day. One whose every word was said anew since is superseded."""
    said_since: set[str] = set()
    for one in reversed(spell.changes()):
        says = {name for name in Position.model_fields if getattr(one.position, name) not in ("", None, ())}
        if one.id in spell.overtaken:
            continue
        if spell.from_day(one) > day:
            states[one.id] = "applied" if one is spell.hire else "matched"
            continue
        anew = one.kind == "update" and says and says <= said_since
        states[one.id] = "superseded" if anew else "applied"
        said_since |= says
    for end in (spell.ended, spell.withdrawn):
        if end is not None:
            over = end is spell.withdrawn or end.emergency or day > end.effective
            states[end.id] = "applied" if over else "matched"


def _grant(one: Told, scope: PrivilegeScope, revokes: Sequence[Told]) -> GrantSaid:
    ends = [end for end in revokes if end.said_at >= one.said_at and covers(end.scope, scope)]
    end = min(ends, key=lambda found: found.effective, default=None)
    return GrantSaid(
        event=one.id,
        source=one.source,
        scope=scope,
        said_at=one.said_at,
        starts=scope.starts or one.effective,
        revoked_on=end.effective if end else None,
        revoked_by=end.id if end else "",
        revoked_why=end.reason if end else "",
    )


def _revoke(one: Told, scope: PrivilegeScope) -> RevokeSaid:
    return RevokeSaid(event=one.id, scope=scope, said_at=one.said_at, on=one.effective, reason=one.reason)


def covers(wide: PrivilegeScope | None, narrow: PrivilegeScope) -> bool:
    """Whether all of a scope lies within another, dates aside; an empty part is all of it."""
    if wide is None:
        return False
    parts = ("site", "service", "procedures")
    return all(getattr(wide, part) in ("", getattr(narrow, part)) for part in parts)
