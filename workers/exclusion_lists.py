"""Fetches the exclusion lists of the register from where they are published, and puts each whole one in force."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import structlog

from canonical.credentials import VerificationSource
from canonical.errors import FasciaError, Malformed, Rejected
from canonical.exclusions import ExclusionLists, ListLoaded
from canonical.monitoring import ListsRefreshed
from canonical.people_ports import ClinicianRegister
from workers.verifiers import Sources

log = structlog.get_logger(__name__)


class ListFetcher:
    """:class:`canonical.monitoring.ListFetching`."""

    def __init__(self, register: ClinicianRegister, sources: Sources, lists: ExclusionLists) -> None:
        self._register, self._sources, self._lists = register, sources, lists

    async def refresh(self, as_of: datetime) -> ListsRefreshed:
        """Fetch every list that has an address. One that is not whole is told of, and the one before stays.

        Raises:
            Unavailable, Throttled: a source does not answer; the others are done, and are the same when it is repeated.
        """
        loaded: list[ListLoaded] = []
        trouble: list[str] = []
        away: FasciaError | None = None
        for source in await self._with_address(as_of):
            try:
                loaded.append(await self._one(source, as_of))
            except (Malformed, Rejected) as refused:
                trouble.append(f"{source.code}: {refused.message}")
                await self._lists.refused(source.code, refused.message, as_of)
                log.warning("exclusion list not taken", source=source.code, problem=refused.message, alert=True)
            except FasciaError as failed:
                away = failed
        if away is not None:
            raise away
        return ListsRefreshed(loaded=tuple(loaded), trouble="; ".join(trouble)[:300])

    async def _with_address(self, as_of: datetime) -> Sequence[VerificationSource]:
        sources = await self._register.verification_sources(as_of.date())
        return [one for one in sources if one.kind == "exclusion" and one.active and one.url]

    async def _one(self, source: VerificationSource, as_of: datetime) -> ListLoaded:
        client, file = self._sources.file_of(source)
        async with client:
            file_hash, rows = await file.fetch(as_of.date())
        return await self._lists.replace(source.code, rows, file_hash, "fascia", as_of)
