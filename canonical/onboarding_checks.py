"""What is to be verified of a clinician, how each verification stands on a day, and which of them stop everything.

A verification may be too old for a decision (NCQA CR 3: 120 days) and still good enough to go on working with: it is monitored
monthly. Days are UTC days, and a credential is good until the end of the day it expires on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, Literal

from canonical.credentials import BY_PEOPLE, HARD_STOPS, CheckDue, CheckKind, Verification
from canonical.employments import day_after
from canonical.onboarding import OnboardingFile

Judged = Literal["due", "confirmed", "aged", "expired", "possible", "refuted", "unknown", "missing"]
"""Not asked for yet; yes; yes, but too long ago for a decision; it ran out; a person says whether it is this person; the source says
no; the source has no such record; there is nothing to ask by (a prescriber without a DEA number)."""

GOOD: Final = frozenset({"confirmed", "aged"})
AGELESS: Final = frozenset(
    {"education"}
)  # what was earned once does not age: NCQA asks for it before the decision, no more
PER_STATE: Final = frozenset({"licence", "dea"})
UNKNOWN_STOPS: Final = (
    PER_STATE  # no record of a licence or registration is none; no record of an exclusion is none, too
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to be verified, and how it stands."""

    kind: CheckKind
    subject: str
    state: Judged
    known: Verification | None = None

    @property
    def name(self) -> str:
        """Its name within the person: ``licence:IL``."""
        return f"{self.kind}:{self.subject}" if self.subject else self.kind

    @property
    def stops(self) -> bool:
        """Whether nothing clinical may be done while it stands so."""
        if self.kind not in HARD_STOPS:
            return False
        unknown = self.state in ("unknown", "missing") and self.kind in UNKNOWN_STOPS
        return unknown or self.state in ("refuted", "expired")


def day_of(moment: datetime) -> date:
    """The UTC day a moment is in."""
    return moment.astimezone(UTC).date()


NEVER: Final = datetime.combine(date.max, time(), UTC)  # 9999-12-31: what has no end


def begins(day: date) -> datetime:
    """The first moment of a UTC day."""
    return datetime.combine(day, time(), UTC)


def after(day: date) -> datetime:
    """The first moment after a UTC day; :data:`NEVER` after the last there is."""
    return begins(day_after(day))


def practice_states(file: OnboardingFile) -> tuple[str, ...]:
    """The states whose licence and registration are needed: where patients are seen, or the facility's own."""
    return tuple(dict.fromkeys(file.appointment.position.practice_states)) or (file.policy.state,)


def needed(file: OnboardingFile) -> tuple[tuple[CheckKind, str], ...]:
    """What the role asks for, kind and state; of a prescriber the registration with the DEA too."""
    kinds: Sequence[CheckKind] = file.role.checks
    if file.role.prescriber and "dea" not in kinds:
        kinds = (*kinds, "dea")
    states = practice_states(file)
    return tuple((kind, state) for kind in dict.fromkeys(kinds) for state in (states if kind in PER_STATE else ("",)))


def judged(file: OnboardingFile, as_of: datetime) -> tuple[Check, ...]:
    """Everything the role asks for, as it stands on that day."""
    known = {(one.kind, one.subject): one for one in file.verifications}
    day = day_of(as_of)
    return tuple(
        Check(kind, subject, _state(file, known.get((kind, subject)), kind, day), known.get((kind, subject)))
        for kind, subject in needed(file)
    )


def _state(file: OnboardingFile, known: Verification | None, kind: CheckKind, day: date) -> Judged:
    state = known.state if known is not None else "due"
    if known is None or state == "due" or (state == "waived" and kind == "exclusion"):  # nobody waives an exclusion
        return "missing" if kind == "dea" and not file.dea_numbers else "due"
    if state == "waived":
        return "confirmed"
    if state != "confirmed":
        return state
    if known.expires_on is not None and known.expires_on < day:
        return "expired" if kind != "exclusion" else "aged"
    return "aged" if aged(known, file.policy.verified_within, day) else "confirmed"


def aged(known: Verification, within: int, day: date) -> bool:
    """Whether it is too old to decide by: it may be as old as ``within`` days, not a day more."""
    if known.kind in AGELESS:
        return False
    return known.verified_on is None or known.verified_on + timedelta(days=within) < day


def stops(checks: Sequence[Check]) -> tuple[str, ...]:
    """Why nothing clinical may be done: ``exclusion: refuted``, ``licence:IL: expired``."""
    return tuple(f"{one.name}: {one.state}" for one in checks if one.stops)


def to_ask(file: OnboardingFile, checks: Sequence[Check], *, undecided: bool, as_of: datetime) -> Iterator[CheckDue]:
    """What sources are to be asked now. ``since`` tells one asking from the next: the same thing is asked once for each.

    What ran out is asked for anew each day, since it may have been renewed; what the source denied, when something of the person has
    changed since; what is too old, where it is yet to be decided by.
    """
    begun = file.appointment.offered_at
    changes = [at for at in (file.appointment.changed_at, file.record_changed_at) if at is not None]
    changed = max(changes, default=None)
    for one in checks:
        if one.kind in BY_PEOPLE or one.state in ("confirmed", "missing"):
            continue
        asked = one.known.checked_at if one.known is not None and one.known.state != "waived" else None
        since: datetime | None = None
        if one.state == "due":
            since = begun if asked is None else changed
        elif one.state == "aged":
            since = begins(day_of(as_of)) if undecided else None
        elif one.state == "expired":
            since = begins(day_of(as_of))
        else:
            since = changed
        if since is not None and (asked is None or asked < since):
            yield CheckDue(kind=one.kind, subject=one.subject, since=since)


def why_not_decide(checks: Sequence[Check], *, only_stops: bool = False) -> str:
    """Why nothing can be granted by these, in words; empty where it can. ``only_stops``: of those alone that stop everything,
    as temporary privileges for a pressing need ask (Joint Commission MS.06.01.13).
    """
    lacking = [one for one in checks if one.state != "confirmed" and (one.kind in HARD_STOPS or not only_stops)]
    words = {
        "due": "is not verified yet",
        "aged": "was verified too long ago",
        "expired": "has expired",
        "possible": "waits for a person to say who it is",
        "refuted": "is denied by its source",
        "unknown": "is not known to its source",
        "missing": "is not on record",
    }
    return "; ".join(f"{one.name} {words[one.state]}" for one in lacking)


def moments(file: OnboardingFile, checks: Sequence[Check], *, undecided: bool, as_of: datetime) -> Iterator[datetime]:
    """When a verification will stand otherwise without anybody doing anything."""
    for one in checks:
        if one.known is None:
            continue
        if one.state in GOOD and one.known.expires_on is not None:
            yield after(one.known.expires_on)
        if one.state == "confirmed" and undecided and one.known.verified_on is not None and one.kind not in AGELESS:
            yield after(one.known.verified_on + timedelta(days=file.policy.verified_within))
        if one.state == "expired" and one.kind not in BY_PEOPLE:
            yield after(day_of(as_of))
