"""People's words to a clinician's case: evidence, privileges with four eyes, suspension, leaving. Each once under its id.

Nobody decides about themselves, and two people are two: who asked for something, or said yes first, is not the second.
A withdrawal or a last day said here is an HR event of our own, so that it is folded with what HR systems say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from canonical.base import content_hash
from canonical.credentials import BY_PEOPLE, HARD_STOPS, RULES_VERSION, Evidence, Privilege
from canonical.errors import Rejected
from canonical.onboarding import OnboardingFile, PersonWord, PersonWordTaken
from canonical.onboarding_checks import after, begins, day_of, judged, stops, why_not_decide
from canonical.onboarding_rules import employment, not_noticed
from canonical.people import HrEvent, HrKind, onboarding_case, stable
from store.ids import new_id, now
from store.people_applying import apply_in
from store.people_reading import file_in
from store.people_tables import appointments, hr_events, person_numbers, person_tasks, person_words, privileges
from store.people_wakes import wake_access_in, wake_onboarding_in
from store.person_trace import Entry, note_in
from store.verifications import keep_in

OURS: Final = "fascia"  # the source of HR events that people say to a case
BY_WORD: Final = BY_PEOPLE | {"say-who-it-is", "request", "decide", "notice", "reinstate"}
"""Tasks that another word answers: saying done would leave what they are about as it is."""


@dataclass(frozen=True, slots=True)
class Said:
    """A word in the middle of being carried out."""

    connection: AsyncConnection
    file: OnboardingFile
    word: PersonWord
    by: str
    at: datetime

    @property
    def facility(self) -> str:
        return self.file.appointment.facility

    @property
    def person(self) -> str:
        return self.file.appointment.person

    def no(self, why: str, code: str = "not-open") -> Rejected:
        return Rejected(why, code=code, system="store")

    def privilege(self, *states: str) -> Privilege:
        """The privilege the word names, in one of these states."""
        found = next((one for one in self.file.privileges if one.id == self.word.privilege), None)
        if found is None:
            raise self.no(f"there is no privilege {self.word.privilege} here", "not-found")
        if found.state not in states:
            raise self.no(f"privilege {found.id} is {found.state}")
        return found

    async def change(self, privilege: str, **values: Any) -> None:
        values["rules"] = RULES_VERSION
        await self.connection.execute(update(privileges).where(privileges.c.id == privilege).values(values))

    async def appoint(self, **values: Any) -> None:
        mine = appointments.c.facility == self.facility, appointments.c.person == self.person
        await self.connection.execute(update(appointments).where(*mine).values(values))


async def take_in(
    connection: AsyncConnection, facility: str, person: str, word: PersonWord, by: str, as_of: datetime
) -> PersonWordTaken:
    """Carry a checked word out, wake whom it concerns, and note it; the same word again is answered as before.

    Raises:
        Rejected: it does not fit as things stand.
    """
    case = onboarding_case(facility, person)
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(case, 6))))
    content = content_hash(word, without=frozenset({"reason", "actor", "seal"}))
    asked = select(person_words).where(person_words.c.case == case, person_words.c.id == word.id)
    before = (await connection.execute(asked)).one_or_none()
    if before is not None:
        if before.hash != content or before.by != by:
            raise Rejected(f"word {word.id} was given with other content", code="conflict", system="store")
        return PersonWordTaken(taken=True, message=before.message)
    if word.verb != "verify":  # evidence is kept by a transaction that locks verifications first
        await apply_in(connection, facility, person, as_of)
    file = await file_in(connection, facility, person, as_of)
    if file is None:
        raise Rejected("this facility knows no such person", code="not-found", system="store")
    await _not_about_oneself(connection, person, by)
    said = Said(connection, file, word, by, as_of)
    message = await CARRY_OUT[word.verb](said)
    row = {"case": case, "id": word.id, "verb": word.verb, "hash": content, "by": by, "message": message, "at": as_of}
    await connection.execute(insert(person_words).values(row))
    await wake_onboarding_in(connection, facility, person, as_of)
    await wake_access_in(connection, person, as_of)
    about = word.privilege or word.check or word.task
    told = {"word": word.id, "as_of": as_of.isoformat()} | ({"outcome": word.outcome} if word.outcome else {})
    what = f"{word.verb}:{about}" if about else word.verb
    await note_in(connection, person, Entry(did="decided", what=what, by=by, facility=facility, content=told))
    return PersonWordTaken(taken=True, message=message)


async def _not_about_oneself(connection: AsyncConnection, person: str, by: str) -> None:
    mine = select(person_numbers.c.person).where(person_numbers.c.person == person, person_numbers.c.number == by)
    if by == person or await connection.scalar(mine.limit(1)) is not None:
        raise Rejected("nobody decides about themselves", code="not-allowed", system="store")


async def _verify(said: Said) -> str:
    word = said.word
    known = next((one for one in judged(said.file, said.at) if one.name == word.check), None)
    if known is None:
        raise said.no(f"{word.check} is not asked of this role", "not-found")
    by_source = known.known is not None and not known.known.by
    if word.outcome == "confirmed" and known.kind in HARD_STOPS and known.state == "refuted" and by_source:
        raise said.no(f"the source of {word.check} says no: mend the record, and it is asked again", "not-allowed")
    if word.outcome == "confirmed" and not word.reference.strip():
        raise said.no("by what was it verified? (--reference)", "data-missing")
    day = day_of(said.at)
    if word.expires_on is not None and word.expires_on < day:
        raise said.no(f"it expired on {word.expires_on}", "data-invalid")
    evidence = Evidence(
        state="confirmed" if word.outcome == "confirmed" else "refuted",
        finding="by-person",
        source="person",
        verified_on=day,
        expires_on=word.expires_on,
        reference=word.reference,
    )
    await keep_in(said.connection, said.person, known.kind, known.subject, evidence, said.at, by=said.by)
    return f"{word.check} {word.outcome}"


async def _request(said: Said) -> str:
    scope, file = said.word.scope, said.file
    assert scope is not None
    _at_all(said)
    if not file.role.clinical_role:
        raise said.no("this role needs no privileges", "data-invalid")
    if scope.ends is not None and scope.ends < max(day_of(said.at), scope.starts or date.min):
        raise said.no("the scope ends before it begins", "data-invalid")
    if any(one.state in ("requested", "seconded") and one.scope == scope for one in file.privileges):
        raise said.no("this is before the committee already", "conflict")
    name = stable("request", onboarding_case(said.facility, said.person), said.word.id)
    row = {"id": name, "person": said.person, "facility": said.facility, "scope": scope.model_dump(mode="json")}
    row |= {"state": "requested", "requested_by": said.by, "requested_at": said.at, "rules": RULES_VERSION}
    await said.connection.execute(insert(privileges).values(row))
    return f"requested: {scope} ({name})"


async def _approve(said: Said) -> str:
    """One of the committee says yes, then another: neither of them who asked."""
    one = said.privilege("requested", "seconded")
    _at_all(said)
    if one.temporary:
        raise said.no("these are temporary privileges: name the ones that were requested", "data-invalid")
    if one.requested_by == said.by:
        raise said.no("who asked for it does not approve it", "not-allowed")
    if why := why_not_decide(judged(said.file, said.at)):
        raise said.no(f"not yet: {why}")
    if one.state == "requested":
        await said.change(one.id, state="seconded", seconded_by=said.by)
        return "one of two said yes"
    if one.seconded_by == said.by:
        raise said.no("the second yes is another person's", "not-allowed")
    starts = max(said.at, begins(one.scope.starts)) if one.scope.starts else said.at
    until = begins(years_on(day_of(starts), said.file.policy.privileged_years))
    until = min(until, after(one.scope.ends)) if one.scope.ends else until
    if until <= starts:
        raise said.no("its dates are over")
    await said.change(one.id, state="granted", decided_by=said.by, decided_at=said.at, starts=starts, until=until)
    await _end_temporary(said, one, "granted")
    return f"granted until {until:%Y-%m-%d}"


async def _reject(said: Said) -> str:
    one = said.privilege("requested", "seconded")
    await said.change(one.id, state="rejected", decided_by=said.by, decided_at=said.at)
    await _end_temporary(said, one, "rejected")
    return "rejected"


async def _end_temporary(said: Said, one: Privilege, why: str) -> None:
    """What was given until the committee decides ends when it has."""
    mine = privileges.c.id == temporary_of(one.id), privileges.c.state.in_(["requested", "seconded", "granted"])
    ended = {"state": "ended", "ended_at": said.at, "ended_why": why}
    await said.connection.execute(update(privileges).where(*mine).values(ended))


def temporary_of(privilege: str) -> str:
    """The name of the temporary privileges given until a request is decided: there is one."""
    return f"{privilege[:38]}-T"


async def _temporary(said: Said) -> str:
    """Temporary privileges, once for a request: the stops are looked at, and two people say yes (MS.06.01.13)."""
    asked, policy = said.privilege("requested", "seconded"), said.file.policy
    _at_all(said)
    if why := why_not_decide(judged(said.file, said.at), only_stops=True):
        raise said.no(f"not yet: {why}")
    longest = policy.temporary_for
    length = min(timedelta(days=said.word.days), longest) if said.word.days else longest
    name = temporary_of(asked.id)
    known = next((one for one in said.file.privileges if one.id == name), None)
    if known is None:
        row = {"id": name, "person": said.person, "facility": said.facility, "temporary": True, "state": "seconded"}
        row |= {
            "scope": asked.scope.model_dump(mode="json"),
            "requested_by": asked.requested_by,
            "seconded_by": said.by,
        }
        row |= {"requested_at": said.at, "until": said.at + length, "rules": RULES_VERSION}
        await said.connection.execute(insert(privileges).values(row))
        return "one of two said yes to temporary privileges"
    if known.state != "seconded":
        raise said.no(f"temporary privileges are given once: they are {known.state}; the committee decides")
    if known.seconded_by == said.by:
        raise said.no("the second yes is another person's", "not-allowed")
    first = known.until - known.requested_at if known.until is not None else longest
    until = said.at + min(first, length)
    await said.change(name, state="granted", decided_by=said.by, decided_at=said.at, starts=said.at, until=until)
    return f"temporary privileges until {until:%Y-%m-%d %H:%M} UTC"


async def _revoke(said: Said) -> str:
    one = said.privilege("granted", "requested", "seconded")
    await said.change(one.id, state="ended", ended_at=said.at, ended_why="revoked")
    return "revoked"


async def _suspend(said: Said) -> str:
    _at_all(said)
    if said.file.suspended:
        raise said.no("suspended already")
    await said.appoint(suspended=True, suspended_why="by a person's word", reinstating="", changed_at=said.at)
    return "suspended"


async def _reinstate(said: Said) -> str:
    if not said.file.suspended:
        raise said.no("nobody suspended them; what stops them ends when it is mended")
    if stopped := stops(judged(said.file, said.at)):
        raise said.no(f"not while this stands: {', '.join(stopped)}")
    if not said.file.reinstating:
        await said.appoint(reinstating=said.by)
        return "one of two said yes"
    if said.file.reinstating == said.by:
        raise said.no("the second yes is another person's", "not-allowed")
    await said.appoint(suspended=False, suspended_why="", reinstating="", changed_at=said.at)
    return "reinstated"


async def _withdraw(said: Said) -> str:
    _at_all(said)
    await _hr_says(said, "delete", day_of(said.at))
    return "withdrawn: whatever was given is taken back"


async def _leave(said: Said) -> str:
    _at_all(said)
    on = said.word.on
    assert on is not None
    await _hr_says(said, "terminate", on)
    return f"the last day is {on}"


async def _hr_says(said: Said, kind: HrKind, effective: date) -> None:
    """An event of our own source, kept and folded like one of an HR system's."""
    event = HrEvent(
        facility=said.facility, source=OURS, number=said.word.id[:80], person=said.person, kind=kind, said_at=said.at,
        effective=effective, reason="by-word",
    )  # fmt: skip
    row: dict[str, Any] = {
        "id": new_id(), "facility": said.facility, "source": OURS, "number": event.number, "kind": kind,
        "hash": content_hash(event), "source_person": said.person, "person": said.person, "state": "matched",
        "content": event.model_dump(mode="json"), "effective": effective, "said_at": said.at, "at": now(),
        "changed_at": said.at, "decided_by": said.by,
    }  # fmt: skip
    await said.connection.execute(insert(hr_events).values(row))
    await apply_in(said.connection, said.facility, said.person, said.at)


async def _noticed(said: Said) -> str:
    one = said.privilege("granted", "rejected", "ended")
    if not not_noticed(one) or one.decided_at is None:
        raise said.no("there is no decision here the applicant has not heard of")
    await said.change(one.id, noticed_at=said.at)
    late = said.at > one.decided_at + timedelta(days=said.file.policy.notice_within)
    return "the applicant has been told" + (" after its time" if late else "")


async def _done(said: Said) -> str:
    task = next((one for one in said.file.tasks if one.id == said.word.task), None)
    if task is None:
        raise said.no(f"there is no task {said.word.task} here", "not-found")
    if task.state != "open":
        raise said.no("it is done already")
    if task.kind in BY_WORD:
        raise said.no(f"a task of the kind {task.kind} is done by its own word", "data-invalid")
    ended = {"state": "done", "done_at": said.at, "done_by": said.by, "outcome": said.word.outcome}
    await said.connection.execute(update(person_tasks).where(person_tasks.c.id == task.id).values(ended))
    late = task.due is not None and said.at > task.due
    return "done" + (" after its time" if late else "")


def _at_all(said: Said) -> None:
    state = employment(said.file, said.at)
    if state in ("withdrawn", "ended"):
        raise said.no(f"the appointment is {state}")


def years_on(day: date, years: int) -> date:
    """The same day years later; the last of February is the 28th where there is no 29th."""
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


CARRY_OUT: Final[dict[str, Callable[[Said], Awaitable[str]]]] = {
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
