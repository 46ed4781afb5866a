"""How a clinician's case stands as of a moment: its headline, its facets, what is to be done, and when that may change by itself.

Pure: facts and a moment in, a standing out. The first line of this table that fits is the headline.

| what is so                                                                    | headline             |
|--------------------------------------------------------------------------------|----------------------|
| the offer was withdrawn, or the hire cancelled                                | withdrawn            |
| the employment has ended                                                      | terminated           |
| a revocation block stands, or a person suspended them                         | suspended            |
| a hard stop, where privileges were granted before or a source says no         | suspended            |
| privileges are in force, at work, and every system confirms it                | active               |
| privileges are in force                                                       | privileged           |
| temporary privileges are in force                                             | temporary privileges |
| the role needs no privileges, and all is verified: every system confirms it / not yet | active / provisional |
| all is verified, and the committee has not said no                            | committee pending    |
| the committee said no                                                         | provisional          |
| anything was verified, or is being verified past the first day of work        | in verification      |
| at work                                                                       | provisional          |
| else                                                                          | offer accepted       |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from canonical.credentials import BY_PEOPLE, Privilege
from canonical.onboarding import ExpiryWarning, Headline, OnboardingFile, OnboardingStanding, TaskDue
from canonical.onboarding_checks import GOOD, NEVER, Check, after, begins, day_of, judged, moments, stops, to_ask
from canonical.onboarding_facets import COMMITTEE, all_confirmed, all_off, facets

RULE_TASKS: Final = BY_PEOPLE | {
    "say-who-it-is", "missing", "stop", "look-at", "decide", "request", "re-privilege", "notice", "reinstate"
}  # fmt: skip
"""The kinds of tasks these rules ask for; one they ask for no more has answered itself."""
REPRIVILEGE_DAYS: Final = 90  # before privileges end, when they are to be asked for anew


def employment(file: OnboardingFile, as_of: datetime) -> str:
    """The appointment's state on that day: one that begins or ends on a day known before does so by itself."""
    appointment, day = file.appointment, day_of(as_of)
    if appointment.state == "withdrawn":
        return "withdrawn"
    if appointment.state == "ended" or (appointment.ends_on is not None and appointment.ends_on < day):
        return "ended"
    if appointment.state == "offered" and appointment.starts is not None and appointment.starts <= day:
        return "working"
    return appointment.state


def in_force(file: OnboardingFile, as_of: datetime) -> tuple[Privilege, ...]:
    """The privileges that may be used at that moment, had nothing stopped them."""
    return tuple(one for one in file.privileges if one.holds(as_of))


def undecided(file: OnboardingFile, as_of: datetime) -> bool:
    """Whether the committee has yet to decide of anything: then what is verified must also be recent enough."""
    open_ = any(one.state in ("requested", "seconded") and not one.temporary for one in file.privileges)
    return open_ or (file.role.clinical_role and not _granted_for_good(file, as_of))


def _granted_for_good(file: OnboardingFile, as_of: datetime) -> bool:
    return any(
        one.state == "granted" and not one.temporary and (one.until is None or as_of < one.until)
        for one in file.privileges
    )


def ever_granted(file: OnboardingFile) -> bool:
    """Whether this facility ever granted anything: what fails before that takes back all that was given."""
    return any(one.state == "granted" or (one.state == "ended" and one.decided_at) for one in file.privileges)


def why_stopped(file: OnboardingFile, as_of: datetime) -> tuple[str, ...]:
    """Why nothing clinical may be done or scheduled, in codes; empty where it may. What is stopped is so the same day."""
    found = list(stops(judged(file, as_of)))
    if file.blocked:
        found.insert(0, "revoked")
    if file.suspended:
        found.append("suspended")
    return tuple(found)


def is_taken_back(file: OnboardingFile, as_of: datetime) -> bool:
    """Whether everything given is to be taken back: withdrawn, ended, revoked, excluded, or verification failed before any grant."""
    if file.blocked or employment(file, as_of) in ("withdrawn", "ended"):
        return True
    return _denied(file, judged(file, as_of))


def _denied(file: OnboardingFile, checks: Sequence[Check]) -> bool:
    """A source says no: of an exclusion at any time (42 CFR 1001.1901: no federal programme pays for any work of theirs)."""
    refuted = {one.kind for one in checks if one.stops and one.state == "refuted"}
    return "exclusion" in refuted or (bool(refuted) and not ever_granted(file))


def headline(file: OnboardingFile, checks: Sequence[Check], as_of: datetime) -> Headline:
    """The case in two words; see the table above."""
    state = employment(file, as_of)
    if state in ("withdrawn", "ended"):
        return "withdrawn" if state == "withdrawn" else "terminated"
    verified = all(one.state in GOOD for one in checks)
    if file.blocked or file.suspended or _denied(file, checks):
        return "suspended"
    settled = not file.role.clinical_role and state != "offered"
    if stops(checks) and (ever_granted(file) or (settled and _worked(file))):
        return "suspended"
    full = [one for one in in_force(file, as_of) if not one.temporary]
    at_work = state == "working" and all_confirmed(file)
    if full:
        return "active" if at_work else "privileged"
    if in_force(file, as_of):
        return "temporary privileges"
    if not file.role.clinical_role and verified:
        return "active" if at_work else ("provisional" if state != "offered" else "offer accepted")
    if file.role.clinical_role and verified and all(one.state == "confirmed" for one in checks):
        return "provisional" if _said_no(file) else "committee pending"
    if any(one.known is not None and one.known.state != "due" for one in checks):
        return "in verification"
    return "provisional" if state in ("working", "away") else "offer accepted"


def _worked(file: OnboardingFile) -> bool:
    return any(one.state in ("written", "confirmed") and one.active for one in file.targets)


def _said_no(file: OnboardingFile) -> bool:
    """The last word of the committee was no, and nobody asked again."""
    asked = [one for one in file.privileges if not one.temporary]
    latest = max(asked, key=lambda one: (one.requested_at, one.id), default=None)
    return latest is not None and latest.state == "rejected"


def stand(file: OnboardingFile, as_of: datetime) -> OnboardingStanding:
    """How the case stands at that moment: see the table above for its headline."""
    checks, state = judged(file, as_of), employment(file, as_of)
    over = state in ("withdrawn", "ended")
    open_ = undecided(file, as_of) and not over
    tasks = () if over else tuple(_tasks(file, checks, as_of, decide=open_))
    waiting = [one for one in file.tasks if one.state == "open"]
    position = file.appointment.position
    return OnboardingStanding(
        headline=headline(file, checks, as_of),
        facets=facets(file, checks, state, as_of),
        checks=() if over or file.blocked else tuple(to_ask(file, checks, undecided=open_, as_of=as_of)),
        tasks=tasks,
        stopped=why_stopped(file, as_of),
        taken_back=is_taken_back(file, as_of),
        ended_privileges=tuple(one.id for one in file.privileges if _is_over(one, state, as_of)),
        notices_due=tuple(one.id for one in file.privileges if not_noticed(one)),
        role=position.role,
        department=position.department or "",
        cost_centre=position.cost_centre or "",
        open_tasks=len(waiting),
        overdue=sum(1 for one in waiting if one.due is not None and one.due <= as_of),
        next_at=min((one for one in _moments(file, checks, as_of, open_=open_) if as_of < one < NEVER), default=None),
        finished=over and all_off(file),
        policy=file.policy,
    )


def _is_over(one: Privilege, state: str, as_of: datetime) -> bool:
    """Whether a privilege is to be ended now: its time is over, or the employment is."""
    if one.state not in ("granted", "requested", "seconded"):
        return False
    return state in ("withdrawn", "ended") or (one.state == "granted" and one.until is not None and one.until <= as_of)


def not_noticed(one: Privilege) -> bool:
    """Whether the committee has decided and the applicant has not been told."""
    return not one.temporary and one.decided_at is not None and one.noticed_at is None and one.decided_by != ""


# ---- what people are to do -----------------------------------------------------------------------------------------------------


def _tasks(file: OnboardingFile, checks: Sequence[Check], as_of: datetime, *, decide: bool) -> Iterator[TaskDue]:
    policy = file.policy
    for one in checks:
        day, whose = _episode(one), {"owner": policy.owner, "days": policy.task_days}
        if one.state in ("possible", "missing") or one.stops:
            kind = {"possible": "say-who-it-is", "missing": "missing"}.get(one.state, "stop")
            yield TaskDue(kind=kind, subject=one.name, episode=f"{one.state}:{day}", **whose)
        elif one.state in ("unknown", "refuted"):
            yield TaskDue(kind="look-at", subject=one.name, episode=f"{one.state}:{day}", **whose)
        elif one.kind in BY_PEOPLE and (one.state in ("due", "expired") or (one.state == "aged" and decide)):
            yield TaskDue(kind=one.kind, subject=one.subject, episode=day, **whose)
    yield from _committees(file, checks, as_of, decide=decide)
    yield from _notices(file)
    if file.reinstating:
        yield TaskDue(kind="reinstate", episode=file.reinstating, owner=COMMITTEE, due=None)


def _episode(one: Check) -> str:
    """What tells this time from the next: until when it was good, or of which day the answer was."""
    if one.known is None:
        return ""
    if one.state == "expired" and one.known.expires_on is not None:
        return one.known.expires_on.isoformat()
    return one.known.verified_on.isoformat() if one.known.verified_on is not None else ""


def _committees(file: OnboardingFile, checks: Sequence[Check], as_of: datetime, *, decide: bool) -> Iterator[TaskDue]:
    """What waits for the committee, or to be put before it."""
    days = file.policy.task_days
    waiting = [one for one in file.privileges if one.state in ("requested", "seconded")]
    if all(one.state == "confirmed" for one in checks):
        for one in waiting:
            yield TaskDue(kind="decide", subject=one.id, owner=COMMITTEE, days=days)
    lasting = [one for one in waiting if not one.temporary]
    if decide and file.role.clinical_role and not lasting and not _said_no(file) and not _granted_for_good(file, as_of):
        ended = max((one.ended_at.isoformat() for one in file.privileges if one.ended_at), default="")
        yield TaskDue(kind="request", episode=ended, owner=file.policy.owner, days=days)
    for one in file.privileges:
        if not one.temporary and one.holds(as_of) and one.until is not None and not lasting and not _renewed(file, one):
            due = one.until - timedelta(days=REPRIVILEGE_DAYS)
            if due <= as_of:
                yield TaskDue(kind="re-privilege", subject=one.id, owner=file.policy.owner, due=one.until)


def _renewed(file: OnboardingFile, ending: Privilege) -> bool:
    """Whether the same scope is granted for longer."""
    return ending.until is not None and any(
        one.state == "granted"
        and one.scope.changed(starts=None, ends=None) == ending.scope.changed(starts=None, ends=None)
        and (one.until is None or one.until > ending.until)
        for one in file.privileges
    )


def _notices(file: OnboardingFile) -> Iterator[TaskDue]:
    for one in file.privileges:
        if not_noticed(one) and one.decided_at is not None:
            due = one.decided_at + timedelta(days=file.policy.notice_within)
            yield TaskDue(kind="notice", subject=one.id, owner=file.policy.owner, due=due)


# ---- what time does ----------------------------------------------------------------------------------------------------------


def warnings(file: OnboardingFile, as_of: datetime) -> tuple[ExpiryWarning, ...]:
    """What expires soon, with the least of the policy's days before that has been reached (90, 60, 30)."""
    day, found = day_of(as_of), []
    ends = [
        (one.name, one.known.expires_on) for one in judged(file, as_of) if one.known is not None and one.state in GOOD
    ]
    ends += [(f"privilege:{one.id}", day_of(one.until)) for one in in_force(file, as_of) if one.until is not None]
    for name, expires in ends:
        left = (expires - day).days if expires is not None else None
        reached = [days for days in file.policy.warn_days if left is not None and 0 <= left <= days]
        if expires is not None and reached:
            found.append(ExpiryWarning(name=name, expires=expires, days=min(reached)))
    return tuple(found)


def _moments(file: OnboardingFile, checks: Sequence[Check], as_of: datetime, *, open_: bool) -> Iterator[datetime]:
    appointment = file.appointment
    if appointment.next_change is not None:
        yield begins(appointment.next_change)
    if employment(file, as_of) in ("withdrawn", "ended"):
        return
    if appointment.starts is not None:
        yield begins(appointment.starts)
    if appointment.ends_on is not None:
        yield after(appointment.ends_on)
    for one in file.privileges:
        if one.state == "granted":
            yield from (moment for moment in (one.starts, one.until) if moment is not None)
            if one.until is not None and not one.temporary:
                yield one.until - timedelta(days=REPRIVILEGE_DAYS)
    yield from (one.due for one in file.tasks if one.state == "open" and one.due is not None)
    yield from moments(file, checks, undecided=open_, as_of=as_of)
