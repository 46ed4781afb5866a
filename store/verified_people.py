"""What a step that verifies somebody reads and keeps: who it is, what the role asks, what the source said."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.credentials import CheckKind, Evidence
from canonical.errors import Rejected
from canonical.onboarding import OnboardingFile
from canonical.people import ClinicianRecord
from store.database import transaction
from store.people_reading import file_in, record_in
from store.verifications import keep_in


class StoredVerified:
    """The part of :class:`canonical.people_ports.People` that verifying needs."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def record_of(self, person: str) -> ClinicianRecord:
        """Who it is.

        Raises:
            Rejected: nobody is known by this key.
        """
        async with transaction(self._engine) as connection:
            record = await record_in(connection, person)
        if record is None:
            raise Rejected("nobody is known by this key", code="not-found", system="store")
        return record

    async def file(self, facility: str, person: str, as_of: datetime) -> OnboardingFile | None:
        """The facts as they stand."""
        async with transaction(self._engine) as connection:
            return await file_in(connection, facility, person, as_of)

    async def verified(self, person: str, kind: CheckKind, subject: str, evidence: Evidence, as_of: datetime) -> None:
        """Keep what a source answered."""
        async with transaction(self._engine) as connection:
            await keep_in(connection, person, kind, subject, evidence, as_of)
