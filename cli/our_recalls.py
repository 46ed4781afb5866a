"""Recalls as the commands reach them: in our own store, and a person's word to their cases in Temporal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from canonical.cases import REASON_KEPT, Actor, Answer
from canonical.recall import RecallNotice, RecallWord, recall_case
from cli.exits import not_allowed, not_found
from cli.recall_views import ExpiringRow, RecallLoadRow, RecallRow, RecallView
from store.acts import Act
from store.expiry import StoredExpiry
from store.ids import now
from store.recalls import RecallLoaded
from workers.wiring import Wiring

LOOKED_AT: Final = 20  # notices of a file; of more, what they meet is seen in the list


def _row(loaded: RecallLoaded, found: RecallLoaded | None) -> RecallLoadRow:
    """A notice as it was kept, with what it meets."""
    row = loaded.model_dump()
    if found is not None:
        met = found.model_dump(include={"locations", "procedures", "other_uses", "units"})
        waits = any(met[name] for name in ("locations", "procedures", "other_uses"))
        row |= met | ({"state": "open"} if waits and loaded.state == "answered" and loaded.outcome != "same" else {})
    return RecallLoadRow.model_validate(row)


class OurRecalls:
    """:class:`cli.recall_views.Recalls`; ``decider`` says who decides: a login, or the person behind a key."""

    def __init__(self, wiring: Wiring, operator: Actor, decider: Callable[[], Awaitable[Actor]]) -> None:
        self._wiring, self._operator, self._decider = wiring, operator, decider

    async def load(self, notices: Sequence[RecallNotice], why: str, dry_run: bool) -> Sequence[RecallLoadRow]:
        act = Act(verb="recall load", about="", actor=self._operator, reason=why)
        found = {}
        if (
            len(notices) <= LOOKED_AT
        ):  # tasks are opened by its case, seconds later: what they will be about is said at once
            found = {
                one.number: one for one in await self._wiring.stock.recalls.load(notices, act, now(), dry_run=True)
            }
        if dry_run:
            loaded = list(found.values()) or await self._wiring.stock.recalls.load(notices, act, now(), dry_run=True)
        else:
            loaded = await self._wiring.stock.recalls.load(notices, act, now())
        return [_row(one, found.get(one.number)) for one in loaded]

    async def rows(self, everything: bool, limit: int) -> Sequence[RecallRow]:
        found = await self._wiring.stock.recalls.rows(everything=everything, at=now(), limit=limit)
        return [RecallRow.model_validate(one.model_dump()) for one in found]

    async def show(self, number: str, state: str, limit: int) -> RecallView | None:
        view = await self._wiring.stock.recalls.view(number, now())
        if view is None:
            return None
        tasks = await self._wiring.stock.recalls.tasks(number, state=state, limit=limit + 1)
        shown = view.model_dump(exclude={"scopes"}) | {"scopes": tuple(str(one) for one in view.scopes)}
        return RecallView.model_validate(shown | {"tasks": tuple(tasks[:limit]), "more": len(tasks) > limit})

    async def give(self, number: str, word: RecallWord) -> Answer:
        if await self._wiring.stock.recalls.view(number, now()) is None:
            raise not_found("recall", number, "see `fascia recall list --all`")
        key = self._wiring.seal_key
        if not key:
            where = self._wiring.settings.secret_path("seal_key")
            raise not_allowed(f"there is no key to seal decisions with at {where}", "run `fascia up` once")
        word = word.model_copy(update={"actor": await self._decider()})
        if word.reason.strip():  # its text stays in our own store: Temporal keeps what it is given
            await self._wiring.cases.keep_reason(recall_case(number), word.id, word.reason)
            word = word.model_copy(update={"reason": REASON_KEPT})
        return await self._wiring.stock.recall_engine.give(number, word.sealed(number, key))

    async def expiring(self, within: int, facility: str, location: str, limit: int) -> Sequence[ExpiringRow]:
        expiry = StoredExpiry(self._wiring.database)
        found = await expiry.expiring(now().date(), within=within, facility=facility, location=location, limit=limit)
        return [ExpiringRow.model_validate(one.model_dump()) for one in found]
