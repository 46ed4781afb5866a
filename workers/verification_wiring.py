"""Plugs verification and monitoring together: sources, exclusion lists, the steps that ask them and the Schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.monitoring import MonitoringActivities
from activities.verification import VerificationActivities
from canonical.people_ports import ClinicianRegister
from store.credential_warnings import StoredCredentialWarnings
from store.exclusions import StoredExclusions
from store.monitoring import StoredMonitoring
from store.people import StoredPeople
from store.source_states import StoredSourceStates
from workers import telemetry, temporal
from workers.exclusion_lists import ListFetcher
from workers.loops.expiry import ExpiryWarnings
from workers.monitoring_schedule import MonitoringSchedule
from workers.settings import SECRETS, Settings
from workers.verifiers import Sources


@dataclass
class VerificationParts:
    """The parts that verify, each made when first asked for."""

    settings: Settings
    database: AsyncEngine
    client: Client
    register: ClinicianRegister

    @cached_property
    def exclusions(self) -> StoredExclusions:
        """The exclusion lists we hold."""
        return StoredExclusions(self.database)

    @cached_property
    def sources(self) -> Sources:
        """The sources of the register, as they are asked."""
        states = StoredSourceStates(self.database)
        secrets = self.settings.home / SECRETS
        return Sources(secrets, states, self.exclusions, [telemetry.passes_trace_on()])

    @cached_property
    def verification(self) -> VerificationActivities:
        """The step a case asks by."""
        return VerificationActivities(StoredPeople(self.database), self.register, self.sources.verifier_for)

    @cached_property
    def monitoring(self) -> MonitoringActivities:
        """The steps of the monthly run."""
        fetcher = ListFetcher(self.register, self.sources, self.exclusions)
        return MonitoringActivities(StoredMonitoring(self.database), self.register, self.sources.verifier_for, fetcher)

    def steps(self) -> dict[str, Sequence[Callable[..., Any]]]:
        """The steps each task queue serves: those on our own store beside the processes."""
        monthly = self.monitoring
        return {
            temporal.PROCESSES: [monthly.hold_batch, monthly.note_monitoring],
            temporal.VERIFICATION: [self.verification.verify, monthly.refresh_lists, monthly.ask_batch],
        }

    def schedule(self) -> MonitoringSchedule:
        """The monthly Schedule."""
        return MonitoringSchedule(self.client, temporal.PROCESSES)

    def warnings(self) -> ExpiryWarnings:
        """Warns of credentials that expire, once a day."""
        return ExpiryWarnings(StoredCredentialWarnings(self.database), what="credentials come near their expiry")

    async def close(self) -> None:
        """Give every connection back."""
        if "sources" in self.__dict__:
            await self.sources.close()
