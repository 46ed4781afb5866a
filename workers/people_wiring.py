"""Plugs the processes about people together: clinicians' onboarding, their access, and its revocation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.access import AccessActivities
from activities.onboarding import OnboardingActivities
from adapters.registry import HR_SYSTEMS, ErpAccess, TargetWays
from canonical.access import Block, BlockWord
from canonical.cases import Actor
from canonical.hr_ports import HrSystem
from canonical.ports import Cases
from store.access import StoredAccess
from store.access_words import AccessDesk, Who
from store.clinician_register import StoredClinicianRegister
from store.directory import StoredDirectory
from store.errands import StoredErrands
from store.hr_away import StoredHrAway
from store.people import StoredPeople
from store.people_applying import apply_in
from store.people_inbox import StoredHrInbox
from store.people_wakes import StoredPeopleWakes
from workers import telemetry, temporal
from workers.access_targets import TargetsByRow
from workers.hr_asking import GuardedHr, Paced
from workers.loops.people_wakes import PeopleWakes
from workers.people_engine import PeopleEngine
from workers.settings import SECRETS, Settings
from workers.verification_wiring import VerificationParts


@dataclass
class PeopleParts:
    """The parts that know people, each made when first asked for."""

    settings: Settings
    database: AsyncEngine
    client: Client
    who: Who
    erp: Callable[[], ErpAccess]

    @cached_property
    def register(self) -> StoredClinicianRegister:
        """The register's rows about clinicians."""
        return StoredClinicianRegister(self.database)

    @cached_property
    def inbox(self) -> StoredHrInbox:
        """Where what HR systems say is kept."""
        return StoredHrInbox(self.database)

    @cached_property
    def wakes(self) -> StoredPeopleWakes:
        """Which of their cases are to look."""
        return StoredPeopleWakes(self.database)

    @cached_property
    def hr_system(self) -> HrSystem | None:
        """The HR system that is asked what changed; None where no address of one is set."""
        given, password = self.settings, self.settings.hr_password
        if not given.hr_url:
            return None
        access = ErpAccess(
            url=given.hr_url,
            database=given.hr_database,
            user=given.hr_user,
            password=password.get_secret_value() if password else "",
            timeout=given.hr_timeout,
            on_request=(telemetry.passes_trace_on(), Paced(given.hr_rate)),
        )
        return GuardedHr(HR_SYSTEMS[given.hr_kind](access))

    @cached_property
    def hr_away(self) -> StoredHrAway:
        """Since when it cannot be read."""
        return StoredHrAway(self.database, timedelta(seconds=self.settings.hr_away_after))

    @cached_property
    def people(self) -> StoredPeople:
        """What facilities' cases know of them."""
        return StoredPeople(self.database)

    @cached_property
    def engine(self) -> PeopleEngine:
        """Their cases in Temporal."""
        return PeopleEngine(self.client, self.settings)

    def waking(self) -> PeopleWakes:
        """Wakes the cases that are to look."""
        return PeopleWakes(self.wakes, self.engine)

    @cached_property
    def verification(self) -> VerificationParts:
        """Sources that verify, exclusion lists, the monthly monitoring."""
        return VerificationParts(self.settings, self.database, self.client, self.register)

    @cached_property
    def access(self) -> StoredAccess:
        """What people may reach, and what stands in targets."""
        return StoredAccess(self.database, apply_in)

    @cached_property
    def access_desk(self) -> AccessDesk:
        """Where people's words about blocks go, whichever door they come by."""
        return AccessDesk(self.database, self.who)

    @cached_property
    def targets(self) -> TargetsByRow:
        """What speaks to each target."""
        ways = TargetWays(
            secrets=self.settings.home / SECRETS,
            directory=StoredDirectory(self.database),
            errands=StoredErrands(self.database),
            erp=self.erp,
            on_request=(telemetry.passes_trace_on(),),
        )
        return TargetsByRow(ways)

    @cached_property
    def access_activities(self) -> AccessActivities:
        """The steps of access and of its revocation."""
        return AccessActivities(self.access, self.targets)

    def steps(self, cases: Cases) -> dict[str, Sequence[Callable[..., Any]]]:
        """The steps each task queue serves; those of targets and revocations are served by their own workers."""
        verifying = self.verification.steps()
        own = temporal.steps_of([OnboardingActivities(self.people, cases)])
        access = self.access_activities.access_standing
        return verifying | {temporal.PROCESSES: [*own, *verifying[temporal.PROCESSES], access]}

    async def block(self, word: BlockWord, actor: Actor, facility: str) -> Block:
        """For the REST door: commit a block in the word of a key's person, who is somebody at that facility."""
        return await self.access_desk.block(word, actor, facility)

    async def begin(self, person: str, call: str) -> None:
        """For the REST door: let its case take everything away."""
        await self.engine.revoke(person, call)

    async def gone_to(self, person: str) -> Sequence[str]:
        """For the REST door: whose the events are by now that made a key somebody."""
        return await self.access_desk.gone_to(person)

    async def close(self) -> None:
        """Give every connection back that was taken."""
        for part in ("verification", "targets", "hr_system"):
            if close := getattr(self.__dict__.get(part), "close", None):
                await close()
