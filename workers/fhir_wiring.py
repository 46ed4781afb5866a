"""Plugs together what FHIR clients ask, and what their subscriptions are sent."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from gateway.beside import Beside
from gateway.directory import Directory
from gateway.fhir_door import FhirDoor
from gateway.fhir_shelf import Shelf
from gateway.fhir_tasks import Tasks
from store.cases import StoredCases
from store.fulfilment import StoredFulfilment
from store.journal import StoredJournal
from store.quotas import StoredQuotas
from store.unmatched import StoredUnmatched
from workers.answers import FulfilmentOfRequests
from workers.notifications import Notifier


@dataclass
class FhirParts:
    """What speaks FHIR in one process; its fields are the process's own parts."""

    database: AsyncEngine
    cases: StoredCases
    journal: StoredJournal
    directory: Directory
    beside: Beside
    seal_key: bytes
    api_url: str

    def notifier(self) -> Notifier:
        """Writes what subscribers are sent."""
        stored = StoredFulfilment(self.database, self.cases)
        tasks = Tasks(Shelf(self.journal, self.beside), self.journal, FulfilmentOfRequests(stored))
        return Notifier(self.directory, tasks, stored, self.api_url)

    def door(self) -> FhirDoor:
        """What stands behind the FHIR door."""
        listing, allowance = StoredUnmatched(self.database), StoredQuotas(self.database)
        became = FulfilmentOfRequests(StoredFulfilment(self.database, self.cases))
        return FhirDoor(
            self.journal, self.directory, listing, secret=self.seal_key, allowance=allowance, fulfilment=became
        )
