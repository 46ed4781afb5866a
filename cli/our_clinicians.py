"""Clinicians' cases as the commands reach them: in our own store, and a person's word to their cases in Temporal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from canonical.cases import REASON_KEPT, Actor, Answer
from canonical.onboarding import PersonWord
from canonical.people import onboarding_case
from cli.clinician_views import ClinicianRow, ClinicianView
from cli.exits import not_allowed, not_found, wrong_usage
from store.clinician_lists import StoredClinicianLists
from store.ids import now
from workers.wiring import Wiring


class OurClinicians:
    """:class:`cli.clinician_views.Clinicians`; ``decider`` says who decides: a login, or the person behind a key with the one
    facility that they are somebody at."""

    def __init__(self, wiring: Wiring, decider: Callable[[], Awaitable[tuple[Actor, str]]]) -> None:
        self._wiring, self._decider = wiring, decider
        self._lists = StoredClinicianLists(wiring.database)

    async def rows(self, facility: str, headline: str, everything: bool, limit: int) -> Sequence[ClinicianRow]:
        found = await self._lists.rows(now(), facility=facility, headline=headline, everything=everything, limit=limit)
        return [ClinicianRow.model_validate(one.model_dump()) for one in found]

    async def facility_of(self, person: str, facility: str) -> str:
        sites = await self._lists.facilities(person)
        if facility and facility in sites:
            return facility
        if not sites or facility:
            raise not_found("case of the person", person, "see `fascia clinician list --all`")
        if len(sites) > 1:
            raise wrong_usage(f"{person} is at {', '.join(sites)}", "say which by --facility")
        return sites[0]

    async def show(self, facility: str, person: str) -> ClinicianView | None:
        view = await self._lists.seen(facility, person, now())
        return ClinicianView.model_validate(view.model_dump()) if view is not None else None

    async def say(self, facility: str, person: str, word: PersonWord) -> Answer:
        key = self._wiring.seal_key
        if not key:
            where = self._wiring.settings.secret_path("seal_key")
            raise not_allowed(f"there is no key to seal decisions with at {where}", "run `fascia up` once")
        actor, of = await self._decider()
        if of and of != facility:
            raise not_allowed(
                f"this key is one of {of}: its person is nobody at {facility}", "use a key of that facility"
            )
        word = word.model_copy(update={"actor": actor})
        if word.reason.strip():  # its text stays in our own store: Temporal keeps what it is given
            await self._wiring.cases.keep_reason(onboarding_case(facility, person), word.id, word.reason)
            word = word.model_copy(update={"reason": REASON_KEPT})
        return await self._wiring.people.engine.give(facility, person, word.sealed(facility, person, key))
