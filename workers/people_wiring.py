"""Plugs the processes about people together: clinicians' onboarding, their access, and its revocation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.access import AccessActivities
from adapters.registry import ErpAccess, TargetWays
from store.access import StoredAccess
from store.access_words import AccessDesk, Who
from store.clinician_register import StoredClinicianRegister
from store.directory import StoredDirectory
from store.errands import StoredErrands
from store.people_applying import apply_in
from store.people_inbox import StoredHrInbox
from store.people_wakes import StoredPeopleWakes
from workers import telemetry
from workers.access_targets import TargetsByRow
from workers.revocations import RevocationEngine
from workers.settings import SECRETS, Settings


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
    def access(self) -> StoredAccess:
        """What people may reach, and what stands in targets."""
        return StoredAccess(self.database, apply_in)

    @cached_property
    def access_desk(self) -> AccessDesk:
        """Where people's words about blocks go, whichever door they come by."""
        return AccessDesk(self.database, self.who)

    @cached_property
    def revocations(self) -> RevocationEngine:
        """The cases of revocations."""
        return RevocationEngine(self.client, self.settings)

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
