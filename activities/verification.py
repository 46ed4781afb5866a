"""Steps that verify clinicians: read the record, ask the sources of that kind, keep what they say. Nothing of it travels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from temporalio import activity

from activities.beating import beating
from canonical.credentials import BY_PEOPLE, CheckKind, ClinicianRole, Evidence, VerificationSource
from canonical.errors import Rejected
from canonical.onboarding import CheckAsked, CheckMade, OnboardingFile
from canonical.people import ClinicianRecord
from canonical.people_ports import ClinicianRegister, Verifier
from canonical.verifying import worst

FOR_A_PERSON: Final = frozenset(
    {"data-missing", "check-digit", "data-invalid", "too-many"}
)  # refusals that a mended record answers


class KnownPeople(Protocol):
    """What verifying needs of :class:`canonical.people_ports.People`."""

    async def record_of(self, person: str) -> ClinicianRecord: ...
    async def file(self, facility: str, person: str, as_of: datetime) -> OnboardingFile | None: ...
    async def verified(
        self, person: str, kind: CheckKind, subject: str, evidence: Evidence, as_of: datetime
    ) -> None: ...


class VerificationActivities:
    """Verifications by the sources the register names; ``verifier_for`` gives what asks one of them."""

    def __init__(
        self, people: KnownPeople, register: ClinicianRegister, verifier_for: Callable[[VerificationSource], Verifier]
    ) -> None:
        self._people, self._register, self._verifier_for = people, register, verifier_for

    @activity.defn
    async def verify(self, asked: CheckAsked) -> CheckMade:
        """Ask what is to be asked of one person and keep it. Made again it asks again: the source's newest answer holds.

        What no source answers is kept as unknown with the reason, so that a person's task says what is missing.

        Raises:
            Unavailable, Throttled: a source did not answer: nothing is kept, the step is repeated.
            Rejected: nobody is known by this key.
        """
        if asked.kind in BY_PEOPLE:
            return CheckMade(state="due", finding="by-people")
        async with beating():
            record = await self._people.record_of(asked.person)
            file = await self._people.file(asked.facility, asked.person, asked.as_of)
            role = file.role if file is not None else ClinicianRole(code="unknown")
            known = await self._register.verification_sources(asked.as_of.date())
            sources = sources_of(known, asked.kind, asked.subject)
            evidence = await self.ask(sources, record, asked.subject, role, asked.as_of)
            await self._people.verified(asked.person, asked.kind, asked.subject, evidence, asked.as_of)
        return CheckMade(state=evidence.state, finding=evidence.finding)

    async def ask(
        self,
        sources: Sequence[VerificationSource],
        record: ClinicianRecord,
        subject: str,
        role: ClinicianRole,
        as_of: datetime,
    ) -> Evidence:
        """What these sources say together: the worst of it."""
        if not sources:
            detail = "no source of the register answers this: a person looks"
            return Evidence(state="unknown", finding="no-source", detail=detail, verified_on=as_of.date())
        return worst([await self._one(source, record, subject, role, as_of) for source in sources])

    async def _one(
        self, source: VerificationSource, record: ClinicianRecord, subject: str, role: ClinicianRole, as_of: datetime
    ) -> Evidence:
        try:
            return await self._verifier_for(source).check(record, subject, role, as_of)
        except Rejected as refused:
            if refused.code not in FOR_A_PERSON:
                raise
            return Evidence(
                state="unknown",
                finding=refused.code,
                detail=refused.message[:300],
                source=source.code,
                verified_on=as_of.date(),
            )


def sources_of(sources: Sequence[VerificationSource], kind: str, subject: str) -> list[VerificationSource]:
    """Whom to ask: every exclusion list; of other kinds those of the state, and only without one those of all states."""
    of_kind = [source for source in sources if source.kind == kind and source.active]
    if kind == "exclusion":
        return of_kind
    of_state = [source for source in of_kind if source.state and source.state == subject]
    return of_state or [source for source in of_kind if not source.state]
