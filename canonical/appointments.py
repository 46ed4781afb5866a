"""What the HR events about somebody at a facility come to on a day: offered, working, away, ended, and in which position.

Events are taken in the order their HR system said them (``said_at``), whatever order they came in; which employment an event is
about follows from that. Within an employment each change holds from its ``effective`` day, so that one said today for last month does
not undo one that was said for next month. A termination's ``effective`` is the last day of work. Days are days of UTC.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import Final, Literal

from pydantic import Field

from canonical.base import Canonical, FacilityCode
from canonical.employments import AWAY, BACK, Employment, Told, day_after, employments
from canonical.onboarding import Appointment, EmploymentState
from canonical.people import ClinicianRecord, HrEvent, PersonKey, Position, PrivilegeScope

EventState = Literal["matched", "applied", "superseded"]


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


LISTED: Final = ("licences", "dea", "certificates")
"""What is verified of a record, and somebody has several of: with others, a hard stop may follow."""


def may_change_access(event: HrEvent, stands: Appointment, known: ClinicianRecord) -> bool:
    """Whether what an event says beside its kind may take access away from somebody who stands so: another role or state of
    practice, another first or last day, other credentials. The same said again changes nothing.
    """
    said, held = event.position, stands.position
    position = (said.role and said.role != held.role) or (
        said.practice_states and set(said.practice_states) != set(held.practice_states)
    )
    days = (said.starts and said.starts != stands.starts) or (said.ends and said.ends != stands.ends_on)
    after = event.record.over(known, event.kind)
    others = any(set(getattr(after, one)) != set(getattr(known, one)) for one in LISTED)
    return bool(position or days) or others or (after.npi, after.taxonomy) != (known.npi, known.taxonomy)


def in_order(events: Iterable[Told]) -> list[Told]:
    """As their HR systems said them; ids decide between those of one moment, a hire before all else of it."""
    return sorted(events, key=lambda one: (one.said_at, one.kind != "hire", one.id))


def fold(facility: FacilityCode, person: PersonKey, events: Sequence[Told], as_of: date) -> Folded:
    """What the events of one person at one facility come to on a day. The same for the same events in any order."""
    spells, waiting, grants = employments(in_order(events))
    states: dict[str, EventState] = {one.id: "superseded" for one in events}
    revokes = [one for one in in_order(events) if one.kind == "revoke"]
    for one in (*grants, *revokes):
        states[one.id] = "applied" if one.kind == "grant" or one.effective <= as_of else "matched"
    left = tuple(one.id for one in waiting if one.kind in ("update", *AWAY, *BACK))
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


def standing(events: Sequence[Told]) -> Callable[[date], tuple[str, Position]]:
    """How somebody stands by these events, and in which position, for any day: folded once, asked for as many days as one likes.

    The state is empty where nobody was hired. The same as :func:`fold` says of each of these days.
    """
    spells, waiting, _ = employments(in_order(events))
    never = "ended" if any(one.kind == "terminate" for one in waiting) else ""
    positions = {id(spell): _positions(spell) for spell in spells}

    def on(day: date) -> tuple[str, Position]:
        if not spells:
            return never, Position()
        spell = next((one for one in spells if not one.over(day)), spells[-1])
        from_days, found = positions[id(spell)]
        counted = bisect_right(from_days, max(spell.last_counted(day), spell.starts))
        return _state(spell, day)[0], found[counted]

    return on


def _positions(spell: Employment) -> tuple[list[date], list[Position]]:
    """The days from which each change holds, and the position before the first and after each."""
    changes, found = spell.changes(), [spell.base]
    for one in changes:
        found.append(one.position.over(found[-1]))
    return [spell.from_day(one) for one in changes], found


def _of_spells(
    facility: str, person: str, spells: Sequence[Employment], day: date, states: dict[str, EventState]
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


def _appointment(facility: str, person: str, spell: Employment, day: date) -> Appointment:
    state, why = _state(spell, day)
    return Appointment(
        person=person,
        facility=facility,
        state=state,
        position=spell.position(spell.last_counted(day)),
        offered_at=spell.hire.said_at,
        starts=spell.starts,
        ends_on=spell.last_day,
        ended_why=why,
        next_change=None if spell.over(day) else _next(spell, day),
    )


def _state(spell: Employment, day: date) -> tuple[EmploymentState, str]:
    """How an employment stands on a day, and why."""
    if spell.withdrawn is not None:
        return "withdrawn", spell.withdrawn.reason
    if spell.over(day):
        return "ended", spell.ended.reason if spell.ended else "contract-ended"
    if day < spell.starts:
        return "offered", ""
    return ("away" if any(one.holds(day) for one in spell.away) else "working"), ""


def _next(spell: Employment, day: date) -> date | None:
    last = spell.last_day
    days = [spell.starts, *(spell.from_day(one) for one in spell.said), *(one.first for one in spell.away)]
    days += [one.until for one in spell.away if one.until is not None]
    days += [day_after(last)] if last is not None else []
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


def _states_of(spell: Employment, day: date, states: dict[str, EventState]) -> None:
    """What each event of an employment is on a day. One whose every word was said anew since is superseded."""
    said_since: set[str] = set()
    counted, over = spell.last_counted(day), spell.over(day)
    later: EventState = "superseded" if over else "matched"
    for one in reversed(spell.changes()):
        says = {name for name in Position.model_fields if getattr(one.position, name) not in ("", None, ())}
        if one.id in spell.overtaken:
            continue
        if spell.from_day(one) > counted:
            states[one.id] = "applied" if one is spell.hire else later
            continue
        anew = one.kind == "update" and says and says <= said_since
        states[one.id] = "superseded" if anew else "applied"
        said_since |= says
    for end in (spell.ended, spell.withdrawn):
        if end is not None:
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
