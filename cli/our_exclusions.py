"""Exclusion lists as the commands reach them: in our own store."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from canonical.cases import Actor
from cli.exclusion_views import EditionRow, ListLoadedRow
from store.acts import Act
from store.exclusions import StoredExclusions
from store.ids import now
from workers.wiring import Wiring


class OurExclusions:
    """:class:`cli.exclusion_views.Exclusions`."""

    def __init__(self, wiring: Wiring, operator: Actor) -> None:
        self._lists, self._operator = StoredExclusions(wiring.database), operator

    async def load(self, source: str, data: bytes, why: str, smaller: bool, dry_run: bool) -> ListLoadedRow:
        from formats import leie

        rows, file_hash = leie.read(data, now().date()), hashlib.sha256(data).hexdigest()
        act = Act(verb="exclusions load", about="", actor=self._operator, reason=why)
        loaded = await self._lists.replace(
            source, rows, file_hash, self._operator.id, now(), smaller=smaller, act=act, keep=not dry_run
        )
        return ListLoadedRow.model_validate(loaded.model_dump(exclude={"id"}))

    async def rows(self, limit: int) -> Sequence[EditionRow]:
        found = await self._lists.rows(now().date(), limit)
        return [EditionRow.model_validate(one.model_dump()) for one in found]
