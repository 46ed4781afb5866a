"""Plugs the processes about people together: clinicians' onboarding, their access, and its revocation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from adapters.registry import HR_SYSTEMS, ErpAccess
from canonical.hr_ports import HrSystem
from store.clinician_register import StoredClinicianRegister
from store.people_inbox import StoredHrInbox
from store.people_wakes import StoredPeopleWakes
from workers import telemetry
from workers.settings import Settings


@dataclass
class PeopleParts:
    """The parts that know people, each made when first asked for."""

    settings: Settings
    database: AsyncEngine
    client: Client

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
            on_request=(telemetry.passes_trace_on(),),
        )
        return HR_SYSTEMS[given.hr_kind](access)
