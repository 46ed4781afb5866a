"""People as the commands reach them: in our own store; a name is read, and a match decided, by somebody the register knows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from canonical.cases import Actor
from cli.exits import Stop, not_found
from cli.people_views import (
    HrEventFilter,
    HrEventRow,
    HrEventView,
    Matched,
    PeopleFilter,
    PersonRow,
    PersonView,
    TraceEntry,
    TraceView,
)
from store.people_deciding import StoredPeopleDecisions
from store.people_listing import OPEN, StoredPeopleLists
from workers.wiring import Wiring

MAY_MATCH: Final = frozenset({"hr", "medical_staff", "admin"})
"""Who says whose an event is, and may read who somebody is."""


class OurPeople:
    """:class:`cli.people_views.PeopleDesk` over our own store; ``decider`` says who decides for a facility, or that nobody may."""

    def __init__(self, wiring: Wiring, decider: Callable[[str], Awaitable[Actor]]) -> None:
        self._decider = decider
        self._lists = StoredPeopleLists(wiring.database)
        self._decisions = StoredPeopleDecisions(wiring.database)

    async def rows(self, which: PeopleFilter, limit: int) -> Sequence[PersonRow]:
        found = await self._lists.people(**which.model_dump(), limit=limit)
        return [PersonRow.model_validate(row) for row in found]

    async def show(self, person: str, names: bool) -> PersonView | None:
        by = await self._reader(await self._lists.facilities_of(person)) if names else ""
        found = await self._lists.person(person, by)
        return PersonView.model_validate(found) if found is not None else None

    async def _reader(self, facilities: Sequence[str]) -> str:
        """Somebody of any of these facilities who may."""
        for facility in facilities[:-1]:
            try:
                return (await self._decider(facility)).id
            except Stop:
                continue
        return (await self._decider(facilities[-1] if facilities else "")).id

    async def events(self, which: HrEventFilter, limit: int) -> Sequence[HrEventRow]:
        states = OPEN if which.state == "open" else (which.state,) if which.state else ()
        named = which.model_dump(exclude={"state"})
        return [HrEventRow.model_validate(row) for row in await self._lists.events(states=states, **named, limit=limit)]

    async def event(self, event: str, names: bool) -> HrEventView | None:
        facility = await self._lists.facility_of(event)
        if facility is None:
            return None
        by = await self._decider(facility) if names else None
        return HrEventView.model_validate(await self._lists.event(event, by))

    async def match(self, event: str, same: str, whole_number: bool, why: str) -> Matched:
        by = await self._decider(await self._facility(event))
        await self._decisions.match(event, by, why, same=same, whole_number=whole_number)
        return await self._became(event)

    async def dismiss(self, event: str, why: str) -> Matched:
        await self._decisions.dismiss(event, await self._decider(await self._facility(event)), why)
        return await self._became(event)

    async def _facility(self, event: str) -> str:
        facility = await self._lists.facility_of(event)
        if facility is None:
            raise not_found("HR event", event, "see `fascia person events`")
        return facility

    async def _became(self, event: str) -> Matched:
        view = await self.event(event, names=False)
        return Matched(event=event, state=view.state if view else "", person=view.person if view else "")

    async def trace(self, person: str) -> TraceView | None:
        found = await self._lists.trace(person)
        if found is None:
            return None
        rows, last, broken = found
        entries = tuple(TraceEntry.model_validate(row.model_dump()) for row in rows)
        return TraceView(person=person, whole=broken is None, broken_at=broken, last=last, entries=entries)
