"""The facets of a clinician's case: what moves beside each other, each with whose it is, since when and until when."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from canonical.access import TargetKind
from canonical.credentials import BY_PEOPLE
from canonical.onboarding import Facet, FacetName, OnboardingFile, TargetStanding
from canonical.onboarding_checks import GOOD, Check, stops

SIDES: Final[dict[FacetName, tuple[TargetKind, ...]]] = {
    "access": ("identity", "directory"),
    "payroll": ("erp",),
    "scheduling": ("scheduling",),
}
OWNERS: Final[dict[FacetName, str]] = {
    "access": "identity desk",
    "payroll": "payroll",
    "scheduling": "scheduling office",
}
COMMITTEE: Final = "credentials committee"


def facets(file: OnboardingFile, checks: Sequence[Check], state: str, as_of: datetime) -> tuple[Facet, ...]:
    """Every facet; ``state`` is the appointment's on that day."""
    identity = Facet(name="identity", state="matched", since=file.appointment.offered_at)
    over = state in ("withdrawn", "ended")
    sides = [_side(file, name, over=over) for name in SIDES]
    return (identity, _verification(file, checks, over=over), _privileges(file, as_of, over=over), *sides)


def all_confirmed(file: OnboardingFile) -> bool:
    """Whether they were seen to have what they need in every system that is told of them; what people do by hand is not waited for."""
    return all(one.state == "confirmed" and one.active for one in file.targets if one.kind != "manual")


def all_off(file: OnboardingFile) -> bool:
    """Whether nothing of them stands anywhere."""
    return all(one.gone for one in file.targets)


def _verification(file: OnboardingFile, checks: Sequence[Check], *, over: bool) -> Facet:
    open_ = [one for one in checks if one.state not in GOOD]
    stopped, by_people = stops(checks), [one for one in open_ if one.kind in BY_PEOPLE or one.state != "due"]
    since = max((one.known.checked_at for one in checks if one.known and one.known.checked_at), default=None)
    begun = since or file.appointment.offered_at
    if over:
        return Facet(name="verification", state="ended", since=since)
    reason = ", ".join(f"{one.name} {one.state}" for one in open_)
    owner = file.policy.owner if by_people else "fascia" if open_ else ""
    if stopped:
        said = "stopped"
    elif any(one.state == "possible" for one in open_):
        said = "a person says who it is"
    elif open_:
        said = f"{len(checks) - len(open_)} of {len(checks)} verified"
    else:
        said = "verified"
    due = _until(file, *BY_PEOPLE, "say-who-it-is", "missing", "stop", "look-at") if open_ else None
    return Facet(
        name="verification", state=said, owner=owner, since=begun, due=due, stops=bool(stopped), reason=reason[:2000]
    )


def _privileges(file: OnboardingFile, as_of: datetime, *, over: bool) -> Facet:
    held = [one for one in file.privileges if one.holds(as_of)]
    lasting = [one for one in held if not one.temporary]
    waiting = [one for one in file.privileges if one.state in ("requested", "seconded")]
    if over:
        return Facet(name="privileges", state="ended")
    if not file.role.clinical_role:
        return Facet(name="privileges", state="not needed")
    if held:
        said = "granted" if lasting else "temporary"
        until = min((one.until for one in (lasting or held) if one.until is not None), default=None)
        since = min((one.decided_at for one in held if one.decided_at is not None), default=None)
        reason = f"{len(waiting)} more before the committee" if waiting else ""
        return Facet(
            name="privileges", state=said, owner=COMMITTEE if waiting else "", since=since, due=until, reason=reason
        )
    if waiting:
        one = min(waiting, key=lambda each: each.requested_at)
        said = "one of two said yes" if one.state == "seconded" else "before the committee"
        due = _until(file, "decide") or one.requested_at + timedelta(days=file.policy.task_days)
        return Facet(name="privileges", state=said, owner=COMMITTEE, since=one.requested_at, due=due)
    last = max(file.privileges, key=lambda each: (each.requested_at, each.id), default=None)
    states = {"rejected": "refused by the committee", "granted": "granted, not begun"}
    said = "not asked for" if last is None else states.get(last.state, "ended")
    ended, until = last.ended_at if last else None, _until(file, "request")
    return Facet(name="privileges", state=said, owner=file.policy.owner, since=ended, due=until)


def _until(file: OnboardingFile, *kinds: str) -> datetime | None:
    """Until when the people it waits for have: the earliest of their open tasks of these kinds."""
    dues = (one.due for one in file.tasks if one.state == "open" and one.kind in kinds and one.due is not None)
    return min(dues, default=None)


def _side(file: OnboardingFile, name: FacetName, *, over: bool) -> Facet:
    """Access, payroll or scheduling: as the systems of that kind stand with this person."""
    mine = [one for one in file.targets if one.kind in SIDES[name]]
    since = max((one.since for one in mine if one.since is not None), default=None)
    if not mine:
        return Facet(name=name, state="no system is told")
    refused = [one for one in mine if one.state == "refused"]
    waiting = [one for one in mine if one.state == "waiting"]
    reason = "; ".join(f"{one.target}: {one.reason or one.state}" for one in (*refused, *waiting))
    if file.blocked or over:
        off = all(one.gone for one in mine)
        said = "off" if off else "being taken back"
        return Facet(name=name, state=said, owner="" if off else OWNERS[name], since=since, reason=reason[:2000])
    said = _in_words(mine, refused, waiting)
    owner = OWNERS[name] if refused or waiting else ""
    return Facet(name=name, state=said, owner=owner, since=since, stops=bool(refused), reason=reason[:2000])


def _in_words(
    mine: Sequence[TargetStanding], refused: Sequence[TargetStanding], waiting: Sequence[TargetStanding]
) -> str:
    if refused:
        return "refused"
    if waiting:
        return "waiting"
    if all(one.gone for one in mine):
        return "nothing given"
    return "confirmed" if all(one.state == "confirmed" for one in mine) else "being written"
