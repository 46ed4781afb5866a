"""The register's rows about clinicians: roles, rules of facilities, sources that verify, systems that are told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import AccessTarget
from canonical.credentials import ClinicianPolicy, ClinicianRole, VerificationSource
from store.database import transaction
from store.register_reading import all_current, current


class StoredClinicianRegister:
    """The rows as they are in force on a day."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def clinician_policy(self, facility: str, as_of: date) -> ClinicianPolicy:
        """The rules of a facility on a day; the platform's own where it has none."""
        async with transaction(self._engine) as connection:
            found = await current(connection, ClinicianPolicy, "clinician_policy", facility, facility, as_of)
        if found is None or (found.valid_to is not None and as_of > found.valid_to):
            return ClinicianPolicy(facility=facility)
        return found

    async def clinician_role(self, code: str, as_of: date) -> ClinicianRole | None:
        """What a role asks and gives; None where nobody has said."""
        async with transaction(self._engine) as connection:
            return await current(connection, ClinicianRole, "clinician_role", "", code, as_of)

    async def access_targets(self, as_of: date) -> Sequence[AccessTarget]:
        """Every system that is told of people, also one that was put out of use: what was given there is to be taken away."""
        async with transaction(self._engine) as connection:
            return await all_current(connection, AccessTarget, "access_target", [""], as_of)

    async def verification_sources(self, as_of: date) -> Sequence[VerificationSource]:
        """Every source that is asked."""
        async with transaction(self._engine) as connection:
            found = await all_current(connection, VerificationSource, "verification_source", [""], as_of)
        return [source for source in found if source.active]
