"""What a person's word to a clinician's case comes to: pure, from the facts as they are to what is to be kept, or why it is refused.

Two people are two: who asked for something, or said yes first, is not the second. A withdrawal or a last day said here is an HR event
of our own, so that it is folded with what HR systems say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from canonical.base import Canonical
from canonical.credentials import BY_PEOPLE, HARD_STOPS, RULES_VERSION, CheckKind, Evidence, Privilege
from canonical.errors import Rejected
from canonical.onboarding import OnboardingFile, PersonWord
from canonical.onboarding_checks import after, begins, day_of, judged, stops, why_not_decide
from canonical.onboarding_rules import employment, not_noticed
from canonical.people import HrEvent, HrKind, onboarding_case, stable
from canonical.people_matching import MOST_AHEAD

OURS: Final = "fascia"  # the source of HR events that people say to a case
BY_WORD: Final = BY_PEOPLE | {"say-who-it-is", "request", "decide", "notice", "reinstate"}
"""Tasks that another word answers: saying done would leave what they are about as it is."""


class WordOutcome(Canonical):
    """What is to be kept of a word. None and empty: it says nothing of that.

    ``privileges``: as they then are, new ones among them; ``check``, ``subject``, ``evidence``: what a person verified; ``event``:
    what is folded with HR's; ``task``: the one that is done.
    """

    message: str
    privileges: tuple[Privilege, ...] = ()
    suspended: bool | None = None
    reinstating: str | None = None
    check: CheckKind | None = None
    subject: str = ""
    evidence: Evidence | None = None
    event: HrEvent | None = None
    task: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    file: OnboardingFile
    word: PersonWord
    by: str
    at: datetime

    def privilege(self, *states: str) -> Privilege:
        """The privilege the word names, in one of these states."""
        found = next((one for one in self.file.privileges if one.id == self.word.privilege), None)
        if found is None:
            raise _no(f"there is no privilege {self.word.privilege} here", "not-found")
        if found.state not in states:
            raise _no(f"privilege {found.id} is {found.state}")
        return found

    def at_all(self) -> None:
        """Somebody is employed, or to be."""
        state = employment(self.file, self.at)
        if state in ("withdrawn", "ended"):
            raise _no(f"the appointment is {state}")


def _no(why: str, code: str = "not-open") -> Rejected:
    return Rejected(why, code=code, system="store")


def outcome(file: OnboardingFile, word: PersonWord, by: str, as_of: datetime) -> WordOutcome:
    """What a word of an employee comes to. That nobody decides about themselves is checked by who knows their numbers.

    Raises:
        Rejected: it does not fit as things stand (not-found, not-allowed, not-open, conflict, data-invalid, data-missing).
    """
    return _RULES[word.verb](_Said(file, word, by, as_of))


def _verify(said: _Said) -> WordOutcome:
    word = said.word
    known = next((one for one in judged(said.file, said.at) if one.name == word.check), None)
    if known is None:
        raise _no(f"there is no check {word.check} here: it is not asked of this role", "not-found")
    by_source = known.known is not None and not known.known.by
    if word.outcome == "confirmed" and known.kind in HARD_STOPS and known.state == "refuted" and by_source:
        raise _no(f"the source of {word.check} says no: mend the record, and it is asked again", "not-allowed")
    if word.outcome == "confirmed" and not word.reference.strip():
        raise _no("by what was it verified? (--reference)", "data-missing")
    day = day_of(said.at)
    if word.expires_on is not None and word.expires_on < day:
        raise _no(f"it expired on {word.expires_on}", "data-invalid")
    evidence = Evidence(
        state="confirmed" if word.outcome == "confirmed" else "refuted",
        finding="by-person",
        source="person",
        verified_on=day,
        expires_on=word.expires_on,
        reference=word.reference,
    )
    said_so = f"{word.check} {word.outcome}"
    return WordOutcome(message=said_so, check=known.kind, subject=known.subject, evidence=evidence)


def _request(said: _Said) -> WordOutcome:
    scope, file, about = said.word.scope, said.file, said.file.appointment
    assert scope is not None
    said.at_all()
    if not file.role.clinical_role:
        raise _no("this role needs no privileges", "data-invalid")
    if scope.ends is not None and scope.ends < max(day_of(said.at), scope.starts or date.min):
        raise _no("the scope ends before it begins", "data-invalid")
    if scope.starts is not None and scope.starts - day_of(said.at) > MOST_AHEAD:
        raise _no("the scope begins more than five years ahead", "data-invalid")
    if any(one.state in ("requested", "seconded") and one.scope == scope for one in file.privileges):
        raise _no("this is before the committee already", "conflict")
    asked = Privilege(
        id=stable("request", onboarding_case(about.facility, about.person), said.word.id),
        person=about.person,
        facility=about.facility,
        scope=scope,
        requested_by=said.by,
        requested_at=said.at,
    )
    return WordOutcome(message=f"requested: {scope} ({asked.id})", privileges=(asked,))


def _approve(said: _Said) -> WordOutcome:
    """One of the committee says yes, then another: neither of them who asked."""
    one = said.privilege("requested", "seconded")
    said.at_all()
    if one.temporary:
        raise _no("these are temporary privileges: name the ones that were requested", "data-invalid")
    if one.requested_by == said.by:
        raise _no("who asked for it does not approve it", "not-allowed")
    if why := why_not_decide(judged(said.file, said.at)):
        raise _no(f"not yet: {why}")
    if one.state == "requested":
        return WordOutcome(message="one of two said yes", privileges=(_as(one, state="seconded", seconded_by=said.by),))
    if one.seconded_by == said.by:
        raise _no("the second yes is another person's", "not-allowed")
    starts = max(said.at, begins(one.scope.starts)) if one.scope.starts else said.at
    until = begins(years_on(day_of(starts), said.file.policy.privileged_years))
    until = min(until, after(one.scope.ends)) if one.scope.ends else until
    if until <= starts:
        raise _no("its dates are over")
    decided: dict[str, Any] = {"decided_by": said.by, "decided_at": said.at, "starts": starts, "until": until}
    granted = _as(one, state="granted", **decided)
    return WordOutcome(
        message=f"granted until {until:%Y-%m-%d}", privileges=(granted, *_no_longer_temporary(said, one, "granted"))
    )


def _reject(said: _Said) -> WordOutcome:
    one = said.privilege("requested", "seconded")
    rejected = _as(one, state="rejected", decided_by=said.by, decided_at=said.at)
    return WordOutcome(message="rejected", privileges=(rejected, *_no_longer_temporary(said, one, "rejected")))


def _no_longer_temporary(said: _Said, one: Privilege, why: str) -> tuple[Privilege, ...]:
    """What was given until the committee decides ends when it has."""
    return tuple(
        _as(each, state="ended", ended_at=said.at, ended_why=why)
        for each in said.file.privileges
        if each.id == temporary_of(one.id) and each.state in ("requested", "seconded", "granted")
    )


def temporary_of(privilege: str) -> str:
    """The name of the temporary privileges given until a request is decided: there is one."""
    return f"{privilege[:38]}-T"


def _temporary(said: _Said) -> WordOutcome:
    """Temporary privileges, once for a request: the stops are looked at, and two people say yes (MS.06.01.13)."""
    asked = said.privilege("requested", "seconded")
    said.at_all()
    if asked.temporary:
        raise _no("name the privileges that were requested", "data-invalid")
    if asked.requested_by == said.by:
        raise _no("who asked for it does not approve it", "not-allowed")
    if why := why_not_decide(judged(said.file, said.at), only_stops=True):
        raise _no(f"not yet: {why}")
    longest = said.file.policy.temporary_for
    length = min(timedelta(days=said.word.days), longest) if said.word.days else longest
    name = temporary_of(asked.id)
    known = next((one for one in said.file.privileges if one.id == name), None)
    if known is None:
        new: dict[str, Any] = {"id": name, "temporary": True, "state": "seconded", "seconded_by": said.by}
        new |= {"requested_at": said.at, "until": said.at + length}
        given = _as(asked, **new)
        return WordOutcome(message="one of two said yes to temporary privileges", privileges=(given,))
    if known.state != "seconded":
        raise _no(f"temporary privileges are given once: they are {known.state}; the committee decides")
    if known.seconded_by == said.by:
        raise _no("the second yes is another person's", "not-allowed")
    first = known.until - known.requested_at if known.until is not None else longest
    until = said.at + min(first, length)
    decided: dict[str, Any] = {"decided_by": said.by, "decided_at": said.at, "starts": said.at, "until": until}
    granted = _as(known, state="granted", **decided)
    return WordOutcome(message=f"temporary privileges until {until:%Y-%m-%d %H:%M} UTC", privileges=(granted,))


def _revoke(said: _Said) -> WordOutcome:
    one = said.privilege("granted", "requested", "seconded")
    ended = _as(one, state="ended", ended_at=said.at, ended_why="revoked")
    return WordOutcome(message="revoked", privileges=(ended,))


def _suspend(said: _Said) -> WordOutcome:
    said.at_all()
    if said.file.suspended:
        raise _no("suspended already")
    return WordOutcome(message="suspended", suspended=True, reinstating="")


def _reinstate(said: _Said) -> WordOutcome:
    if not said.file.suspended:
        raise _no("nobody suspended them; what stops them ends when it is mended")
    if stopped := stops(judged(said.file, said.at)):
        raise _no(f"not while this stands: {', '.join(stopped)}")
    if not said.file.reinstating:
        return WordOutcome(message="one of two said yes", reinstating=said.by)
    if said.file.reinstating == said.by:
        raise _no("the second yes is another person's", "not-allowed")
    return WordOutcome(message="reinstated", suspended=False, reinstating="")


def _withdraw(said: _Said) -> WordOutcome:
    said.at_all()
    event = _event(said, "delete", day_of(said.at))
    return WordOutcome(message="withdrawn: whatever was given is taken back", event=event)


def _leave(said: _Said) -> WordOutcome:
    said.at_all()
    on = said.word.on
    assert on is not None
    first = said.file.appointment.starts
    if first is not None and on < first:
        raise _no(f"the last day is before the first, {first}: who never began is withdrawn", "data-invalid")
    return WordOutcome(message=f"the last day is {on}", event=_event(said, "terminate", on))


def _event(said: _Said, kind: HrKind, effective: date) -> HrEvent:
    about = said.file.appointment
    return HrEvent(
        facility=about.facility,
        source=OURS,
        number=stable("word", onboarding_case(about.facility, about.person), said.word.id),  # ids are a case's own
        person=about.person,
        kind=kind,
        said_at=said.at,
        effective=effective,
        reason="by-word",
    )


def _noticed(said: _Said) -> WordOutcome:
    one = said.privilege("granted", "rejected", "ended")
    if not not_noticed(one) or one.decided_at is None:
        raise _no("there is no decision here the applicant has not heard of")
    late = said.at > one.decided_at + timedelta(days=said.file.policy.notice_within)
    message = "the applicant has been told" + (" after its time" if late else "")
    return WordOutcome(message=message, privileges=(_as(one, noticed_at=said.at),))


def _done(said: _Said) -> WordOutcome:
    task = next((one for one in said.file.tasks if one.id == said.word.task), None)
    if task is None:
        raise _no(f"there is no task {said.word.task} here", "not-found")
    if task.state != "open":
        raise _no("it is done already")
    if task.kind in BY_WORD:
        raise _no(f"a task of the kind {task.kind} is done by its own word", "data-invalid")
    late = task.due is not None and said.at > task.due
    return WordOutcome(message="done" + (" after its time" if late else ""), task=task.id)


def _as(one: Privilege, **fields: Any) -> Privilege:
    return one.changed(rules=RULES_VERSION, **fields)


def years_on(day: date, years: int) -> date:
    """The same day years later; the last of February is the 28th where there is no 29th."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


_RULES: Final[dict[str, Callable[[_Said], WordOutcome]]] = {
    "verify": _verify,
    "request": _request,
    "approve": _approve,
    "reject": _reject,
    "temporary": _temporary,
    "revoke": _revoke,
    "suspend": _suspend,
    "reinstate": _reinstate,
    "withdraw": _withdraw,
    "leave": _leave,
    "noticed": _noticed,
    "done": _done,
}
