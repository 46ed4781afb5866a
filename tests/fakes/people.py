"""People in memory: the port :class:`canonical.people_ports.People`, for tests that need no database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from canonical.access import AccessTarget
from canonical.appointments import fold
from canonical.base import content_hash
from canonical.credentials import CheckKind, ClinicianPolicy, ClinicianRole, Evidence, Privilege, Verification
from canonical.employments import Told
from canonical.errors import Rejected
from canonical.onboarding import (
    OnboardingFile,
    OnboardingStanding,
    PersonTask,
    PersonWord,
    PersonWordTaken,
    TargetStanding,
)
from canonical.onboarding_rules import RULE_TASKS, employment, stand
from canonical.people import ClinicianRecord, HrEvent, stable
from canonical.person_records import record_of
from canonical.person_word_rules import outcome

PERSON = "person-4711"


@dataclass
class Filed:
    """All of one person at one facility."""

    events: list[HrEvent] = field(default_factory=list)
    verifications: dict[tuple[str, str], Verification] = field(default_factory=dict)
    privileges: dict[str, Privilege] = field(default_factory=dict)
    tasks: dict[str, PersonTask] = field(default_factory=dict)
    targets: dict[str, TargetStanding] = field(default_factory=dict)
    words: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    suspended: bool = False
    reinstating: str = ""
    blocked: bool = False
    changed_at: datetime | None = None


class FakePeople:
    """Everything is there to be looked at. ``systems``: those that are told; ``looks``: how often a case asked how it stands."""

    def __init__(self, facility: str = "NGH") -> None:
        self.facility = facility
        self.filed: dict[str, Filed] = {}
        self.roles: dict[str, ClinicianRole] = {}
        self.rules = ClinicianPolicy(facility=facility)
        self.systems: list[AccessTarget] = []
        self.looks = 0

    def hear(self, *events: HrEvent, at: datetime, person: str = PERSON) -> str:
        """What HR says of somebody."""
        held = self.filed.setdefault(person, Filed())
        held.events.extend(events)
        held.changed_at = at
        return person

    async def standing(self, facility: str, person: str, as_of: datetime) -> OnboardingStanding:
        self.looks += 1
        file = await self.file(facility, person, as_of)
        if file is None:
            return OnboardingStanding(known=False)
        held, standing = self.filed[person], stand(file, as_of)
        why = "left" if employment(file, as_of) in ("withdrawn", "ended") else "time"
        for name in standing.ended_privileges:
            ended = {"state": "ended", "ended_at": as_of, "ended_why": why}
            held.privileges[name] = held.privileges[name].changed(**ended)
        wanted = {stable("task", one.kind, one.subject, one.episode): one for one in standing.tasks}
        for name, one in wanted.items():
            told = one.model_dump(exclude={"episode", "days"}) | {"id": name, "person": person, "facility": facility}
            told |= {"due": one.due_when(as_of)}
            held.tasks.setdefault(name, PersonTask.model_validate(told | {"opened_at": as_of}))
        for name, task in held.tasks.items():
            if task.state == "open" and task.kind in RULE_TASKS and name not in wanted:
                held.tasks[name] = task.changed(state="done", done_at=as_of, done_by="fascia")
        again = await self.file(facility, person, as_of)
        assert again is not None
        return stand(again, as_of)

    async def file(self, facility: str, person: str, as_of: datetime) -> OnboardingFile | None:
        held = self.filed.get(person)
        if held is None or facility != self.facility:
            return None
        told = [Told.of(f"{place:04}", one) for place, one in enumerate(held.events)]
        appointment = fold(facility, person, told, as_of.date()).appointment
        if appointment is None:
            return None
        role = self.roles.get(appointment.position.role) or ClinicianRole(code=appointment.position.role or "unknown")
        absent = [TargetStanding(target=one.code, kind=one.kind, state="absent") for one in self.systems]
        return OnboardingFile(
            appointment=appointment,
            role=role,
            policy=self.rules,
            verifications=tuple(held.verifications.values()),
            privileges=tuple(held.privileges.values()),
            tasks=tuple(held.tasks.values()),
            targets=tuple(held.targets.get(one.target, one) for one in absent),
            blocked=held.blocked,
            suspended=held.suspended,
            reinstating=held.reinstating,
            dea_numbers=len((await self.record_of(person)).dea),
            record_changed_at=held.changed_at,
        )

    async def record_of(self, person: str) -> ClinicianRecord:
        if person not in self.filed:
            raise Rejected("nobody is known by this key", code="not-found")
        return record_of(self.filed[person].events, max(one.effective for one in self.filed[person].events))

    async def take(self, facility: str, person: str, word: PersonWord, by: str, as_of: datetime) -> PersonWordTaken:
        file = await self.file(facility, person, as_of)
        if file is None:
            raise Rejected("this facility knows no such person", code="not-found")
        held = self.filed[person]
        content = content_hash(word, without=frozenset({"reason", "actor", "seal"}))
        if word.id in held.words:
            known, who, message = held.words[word.id]
            if (known, who) != (content, by):
                raise Rejected(f"word {word.id} was given with other content", code="conflict")
            return PersonWordTaken(taken=True, message=message)
        if by == person or by in {one.person for one in held.events}:
            raise Rejected("nobody decides about themselves", code="not-allowed")
        said = outcome(file, word, by, as_of)
        if said.evidence is not None and said.check is not None:
            self._keep(person, said.check, said.subject, said.evidence, as_of, by)
        held.privileges |= {one.id: one for one in said.privileges}
        held.suspended = held.suspended if said.suspended is None else said.suspended
        held.reinstating = held.reinstating if said.reinstating is None else said.reinstating
        if said.task:
            held.tasks[said.task] = held.tasks[said.task].changed(state="done", done_at=as_of, done_by=by)
        if said.event is not None:
            held.events.append(said.event)
        held.words[word.id] = (content, by, said.message)
        return PersonWordTaken(taken=True, message=said.message)

    async def verified(self, person: str, kind: CheckKind, subject: str, evidence: Evidence, as_of: datetime) -> None:
        self._keep(person, kind, subject, evidence, as_of, "")

    def _keep(self, person: str, kind: CheckKind, subject: str, evidence: Evidence, at: datetime, by: str) -> None:
        told: dict[str, Any] = evidence.model_dump(exclude={"hits"}) | {"person": person, "kind": kind, "by": by}
        told |= {"subject": subject, "checked_at": at}
        self.filed[person].verifications[kind, subject] = Verification.model_validate(told)

    async def tasks(self, facility: str, person: str) -> Sequence[PersonTask]:
        return sorted(self.filed[person].tasks.values(), key=lambda one: (one.state != "open", one.id))
