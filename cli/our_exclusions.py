"""Exclusion lists as the commands reach them: in our own store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from canonical.cases import Actor
from cli.exclusion_views import EditionRow, ListLoadedRow
from cli.exits import not_found
from store.acts import Act
from store.clinician_register import StoredClinicianRegister
from store.exclusions import StoredExclusions
from store.ids import now
from workers.wiring import Wiring

OIG: Final = "LEIE"  # what `--source` is left out for


class OurExclusions:
    """:class:`cli.exclusion_views.Exclusions`."""

    def __init__(self, wiring: Wiring, operator: Actor) -> None:
        self._lists, self._operator = StoredExclusions(wiring.database), operator
        self._sources = StoredClinicianRegister(wiring.database).verification_sources

    async def load(self, source: str, data: bytes, why: str, smaller: bool, dry_run: bool) -> ListLoadedRow:
        from formats import leie

        await self._known(source)
        rows, file_hash = leie.read(data, now().date()), hashlib.sha256(data).hexdigest()
        act = Act(verb="exclusions load", about="", actor=self._operator, reason=why)
        loaded = await self._lists.replace(
            source, rows, file_hash, self._operator.id, now(), smaller=smaller, act=act, keep=not dry_run
        )
        return ListLoadedRow.model_validate(loaded.model_dump(exclude={"id"}))

    async def _known(self, source: str) -> None:
        """A name nobody knows is a misspelt one: its edition would be kept beside the list it was meant for."""
        known = {one.code for one in await self._sources(now().date()) if one.kind == "exclusion"}
        known |= {OIG, *(one.source for one in await self._lists.editions())}
        if source not in known:
            raise not_found(
                "exclusion list", source, f"known are {', '.join(sorted(known))}; a new one is a verification_source"
            )

    async def rows(self, limit: int) -> Sequence[EditionRow]:
        found = await self._lists.rows(now().date(), limit)
        return [EditionRow.model_validate(one.model_dump()) for one in found]
