"""Plugs together what keeps stock: uses, counts, charges, recalls and the cases of stock locations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client

from activities.counts import CountActivities
from activities.recalls import RecallActivities
from activities.stock import StockActivities
from canonical.base import FacilityCode
from canonical.ports import Erp
from canonical.stock_ports import StockErp
from gateway.counts import CountTaker
from gateway.directory import Directory
from gateway.intake import Intake
from gateway.scan_door import ScanDoor
from gateway.usage import Procedures, UsageTaker
from store.cases import StoredCases
from store.charges import StoredCharges
from store.count_rounds import StoredCountRounds
from store.counts import StoredCounts
from store.erp_counts import StoredErpCounts
from store.journal import StoredJournal
from store.quotas import StoredQuotas
from store.recall_words import StoredRecalls
from store.register import StoredRegister
from store.scans import StoredScans
from store.usage import StoredUsage
from store.usage_rounds import StoredUsageBook
from store.usage_wakes import StoredUsagePlaces
from workers import temporal
from workers.loops.charges import ChargeWriter
from workers.loops.nightly_counts import NightlyCounts
from workers.loops.usage_wakes import UsageWakes
from workers.recalls import RecallEngine
from workers.settings import Settings
from workers.usage_waker import TemporalWaker


@dataclass
class StockParts:
    """What keeps stock in one process, each part made when first asked for; its fields are the process's own parts."""

    settings: Settings
    database: AsyncEngine
    client: Client
    seal_key: bytes
    cases: StoredCases
    register: StoredRegister
    journal: StoredJournal
    intake: Intake
    erp_for: Callable[[FacilityCode], Erp]
    facilities: Callable[[], Awaitable[list[str]]]

    @cached_property
    def usage_taker(self) -> UsageTaker:
        """Where uses go, whichever door they came by."""
        return UsageTaker(StoredUsage(self.database), self.intake, self.procedures)

    @cached_property
    def procedures(self) -> Procedures:
        """What encounters are kept by."""
        return Procedures(self.seal_key)

    @cached_property
    def usage_book(self) -> StoredUsageBook:
        """Rounds of stock locations, the counts that wait for them among them."""
        return StoredUsageBook(self.database, StoredCountRounds())

    @cached_property
    def counts(self) -> CountTaker:
        """Where counts of stock go."""
        return CountTaker(StoredCounts(self.database), self.intake)

    @cached_property
    def recalls(self) -> StoredRecalls:
        return StoredRecalls(self.database, self.cases.person)

    @cached_property
    def recall_engine(self) -> RecallEngine:
        """The cases of recalls in Temporal."""
        return RecallEngine(self.client, self.settings)

    @cached_property
    def waker(self) -> TemporalWaker:
        """Wakes the cases of locations, and starts them."""
        return TemporalWaker(self.client, self.settings)

    def usage_wakes(self) -> UsageWakes:
        """Wakes the locations that have something to do."""
        return UsageWakes(StoredUsagePlaces(self.database), self.waker)

    def nightly_counts(self) -> NightlyCounts:
        """Lets locations be compared with the ERP's books each night."""
        counts = StoredCounts(self.database)
        return NightlyCounts(counts, self.facilities, self.register.facility, self.settings.count_at)

    def charge_writer(self) -> ChargeWriter:
        """Writes what billing is to hear of what was used."""
        return ChargeWriter(StoredCharges(self.database), self.journal, self.register)

    def scan_door(self, directory: Directory) -> ScanDoor:
        """What stands behind the REST door of scanners."""
        allowance = StoredQuotas(self.database)
        return ScanDoor(self.intake, self.journal, directory, StoredScans(self.database), allowance=allowance)

    def count_activities(self) -> CountActivities:
        """The step that compares a location with the ERP's books."""
        return CountActivities(StoredErpCounts(self.database), self.erp_for)

    def stock_activities(self, erp_for: Callable[[FacilityCode], StockErp] | None = None) -> StockActivities:
        """The steps of a location's case: local ones on the processes' queue, the posting on the ERP's."""
        places = StoredUsagePlaces(self.database)
        return StockActivities(self.usage_book, places, self.register, erp_for or self.erp_for)

    def steps(self) -> dict[str, list[Callable[..., Any]]]:
        """The steps that each task queue serves of these."""
        stock = self.stock_activities()
        recalls = RecallActivities(self.recalls, self.cases)
        return {
            temporal.PROCESSES: [*temporal.steps_of([recalls]), *local_steps(stock)],
            temporal.ERP: [stock.post_round, self.count_activities().count_in_erp],
        }


def local_steps(stock: StockActivities) -> list[Callable[..., Any]]:
    """Its steps on our own store."""
    return [step for step in temporal.steps_of([stock]) if step != stock.post_round]
