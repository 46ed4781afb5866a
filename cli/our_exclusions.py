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
        if dry_run:
            before = next((one for one in await self._lists.editions() if one.source == source), None)
            outcome = "same" if before is not None and before.file_hash == file_hash else "new"
            many = before.rows if before is not None else 0
            return ListLoadedRow(source=source, outcome=outcome, rows=len(rows), before=many, file_hash=file_hash)
        act = Act(verb="exclusions load", about="", actor=self._operator, reason=why)
        by = self._operator.id
        loaded = await self._lists.replace(source, rows, file_hash, by, now(), smaller=smaller, act=act)
        return ListLoadedRow.model_validate(loaded.model_dump(exclude={"id"}))

    async def rows(self, limit: int) -> Sequence[EditionRow]:
        found = await self._lists.rows(now().date(), limit)
        return [EditionRow.model_validate(one.model_dump()) for one in found]
