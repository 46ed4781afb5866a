"""What a person may reach, derived: least access once employed, clinical access only with privileges in force, nothing after.

Everything is as of a moment that is an argument; a day is a day of UTC. Nothing here knows whether somebody else has looked: an
employment whose last day is over gives nothing, also where nobody has noticed yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from typing import Final

from canonical.access import AccessTarget, Held, TargetKind, Wanted
from canonical.credentials import Privilege
from canonical.onboarding import OnboardingFile
from canonical.onboarding_checks import GOOD, NEVER, after, day_of, judged, stops
from canonical.onboarding_rules import ever_granted, is_taken_back
from canonical.people import ClinicianRecord

AT_WORK: Final = frozenset({"working", "away"})
TO_COME: Final = frozenset({"offered"})


def wanted(
    files: Sequence[OnboardingFile],
    blocked: bool,
    record: ClinicianRecord | None,
    target: AccessTarget,
    person: str,
    as_of: datetime,
) -> Wanted:
    """What is to stand in a target about a person: the union over the facilities it serves; nothing where a block stands."""
    blocked = blocked or any(file.blocked for file in files)
    of_it = [] if blocked else [file for file in files if target.facility in ("", file.appointment.facility)]
    past = tuple(one for one in (_past(file) for file in of_it) if one is not None) if target.kind == "erp" else ()
    of_it = [file for file in of_it if not _taken_back(file, target.kind, as_of)]
    held = tuple(one for one in (held_at(file, as_of) for file in of_it) if one is not None)
    active = any(_is_on(target.kind, one) for one in held)
    return Wanted(
        person=person,
        target=target.code,
        active=active,
        exists=bool(held),
        groups=tuple(sorted({group for one in held for group in one.groups})) if active else (),
        held=held if active else past,
        record=(record or ClinicianRecord()) if active else ClinicianRecord(),
    )


def held_at(file: OnboardingFile, as_of: datetime) -> Held | None:
    """What somebody is at one facility on a moment; None where they are nobody there, or no more."""
    about, day = file.appointment, day_of(as_of)
    to_come = about.state in TO_COME or (about.starts is not None and day < about.starts)
    over = about.ends_on is not None and day > about.ends_on
    if about.state not in AT_WORK | TO_COME or over:
        return None
    employed = not to_come
    in_force = tuple(one.scope for one in file.privileges if holds(one, as_of)) if employed else ()
    checks = judged(file, as_of)
    stopped = about.state == "away" or file.suspended or bool(stops(checks))
    verified = all(one.state in GOOD for one in checks)
    eligible = employed and not stopped and (bool(in_force) if file.role.clinical_role else verified)
    groups = (file.role.least if employed else ()) + (file.role.clinical if eligible else ())
    return Held(
        facility=about.facility,
        position=about.position,
        employed=employed,
        eligible=eligible,
        groups=tuple(sorted(set(groups))),
        privileges=in_force if eligible else (),
        starts=about.starts,
        ends=about.ends_on,
    )


def _taken_back(file: OnboardingFile, kind: TargetKind, as_of: datetime) -> bool:
    """Whether whatever was given here is taken back; who has worked with privileges stays employed until HR ends it."""
    return is_taken_back(file, as_of) and not (kind == "erp" and ever_granted(file))


def _past(file: OnboardingFile) -> Held | None:
    """Until when somebody was employed: payroll pays until then, whenever we hear of it."""
    about = file.appointment
    if about.ends_on is None:
        return None
    return Held(facility=about.facility, position=about.position, starts=about.starts, ends=about.ends_on)


def holds(one: Privilege, as_of: datetime) -> bool:
    """Whether a privilege may be used: granted, not over, and within the days of its scope."""
    day = day_of(as_of)
    begun = one.scope.starts is None or one.scope.starts <= day
    return one.holds(as_of) and begun and (one.scope.ends is None or day <= one.scope.ends)


def next_change(files: Iterable[OnboardingFile], as_of: datetime) -> datetime | None:
    """When the rules may say something else without anybody doing anything."""
    moments = [moment for file in files for moment in _moments(file)]
    return min((moment for moment in moments if as_of < moment < NEVER), default=None)


def _moments(file: OnboardingFile) -> Iterable[datetime]:
    about = file.appointment
    yield from _begins(about.starts, about.next_change)
    yield from _ends(about.ends_on)
    for one in file.privileges:
        yield from (moment for moment in (one.starts, one.until) if moment is not None)
        yield from _begins(one.scope.starts)
        yield from _ends(one.scope.ends)
    for check in file.verifications:
        yield from _ends(check.expires_on)


def _begins(*days: date | None) -> Sequence[datetime]:
    return [datetime.combine(day, time(), UTC) for day in days if day is not None]


def _ends(day: date | None) -> Sequence[datetime]:
    """The moment a last day is over."""
    return [after(day)] if day is not None else []


def _is_on(kind: TargetKind, held: Held) -> bool:
    match kind:
        case "erp":  # payroll prepares who is to come
            return True
        case "scheduling":
            return held.eligible
        case _:
            return held.employed
