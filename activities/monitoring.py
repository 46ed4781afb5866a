"""Steps of the monthly look at everybody, some hundreds at a time: hold them against the lists, ask the boards, note how far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from temporalio import activity

from activities.beating import beating
from activities.verification import FOR_A_PERSON, sources_of
from canonical.credentials import ClinicianRole, Evidence, VerificationSource
from canonical.errors import FasciaError, Rejected, Throttled
from canonical.monitoring import (
    BatchAsked,
    BatchHeld,
    LicenceAnswer,
    LicenceDue,
    ListFetching,
    ListsRefreshed,
    Monitoring,
    MonitoringBatch,
    MonitoringStart,
)
from canonical.people_ports import ClinicianRegister, Verifier
from canonical.verifying import worst

BATCH_FOR: Final = (
    600.0  # seconds a batch waits in line; who was not asked by then is owed, and what was answered is kept
)
AT_ONCE: Final = 6  # questions to the boards of a state that are open; below what one source is asked at a time
IN_LINE: Final = 30.0  # seconds we wait when told to; longer, and it is owed until the next pass
TIMES: Final = 20


class MonitoringActivities:
    """What a monitoring run does in our own store and with the sources. It hears counts."""

    def __init__(
        self,
        monitoring: Monitoring,
        register: ClinicianRegister,
        verifier_for: Callable[[VerificationSource], Verifier],
        lists: ListFetching,
        batch_for: float = BATCH_FOR,
    ) -> None:
        self._monitoring, self._register = monitoring, register
        self._verifier_for, self._lists = verifier_for, lists
        self._batch_for = batch_for

    @activity.defn
    async def refresh_lists(self, start: MonitoringStart) -> ListsRefreshed:
        """Fetch the exclusion lists. One that is empty, cut off or does not come leaves the one before in force."""
        assert start.as_of is not None
        return await self._lists.refresh(start.as_of)

    @activity.defn
    async def hold_batch(self, batch: MonitoringBatch) -> BatchHeld:
        """Hold the next people against the exclusion lists of the register."""
        sources = sources_of(await self._register.verification_sources(batch.as_of.date()), "exclusion", "")
        return await self._monitoring.hold(batch, [source.code for source in sources])

    @activity.defn
    async def ask_batch(self, batch: MonitoringBatch) -> BatchAsked:
        """Ask about the next licences; what a source does not answer is owed, and changes nothing that is known."""
        known = await self._register.verification_sources(batch.as_of.date())
        sources = [one for one in known if one.kind == "licence" and one.active]
        everywhere = any(not source.state for source in sources)
        states = None if everywhere else sorted({source.state for source in sources})
        due = await self._monitoring.licences(batch, states)
        if not due:
            return BatchAsked()
        gates = {
            one.state: asyncio.Semaphore(AT_ONCE) for one in due
        }  # who waits for one board is in nobody else's way
        troubles = set[str]()
        until = asyncio.get_running_loop().time() + self._batch_for
        day = batch.as_of.date()
        roles = {code: await self._register.clinician_role(code, day) for code in {one.role for one in due}}

        async def ask(one: LicenceDue) -> LicenceAnswer | None:
            async with gates[one.state]:
                role = roles[one.role] or ClinicianRole(code="unknown")
                try:
                    of_state = sources_of(sources, "licence", one.state)
                    evidence = worst([await self._patiently(each, one, role, batch, until) for each in of_state])
                except FasciaError as failed:
                    troubles.add(failed.message[:200])
                    return None
                return LicenceAnswer(person=one.person, state=one.state, evidence=evidence)

        async with beating():
            answers = [answer for answer in await asyncio.gather(*(ask(one) for one in due)) if answer is not None]
        differing = await self._monitoring.keep(answers, batch.as_of) if answers else 0
        return BatchAsked(
            after=f"{due[-1].person}/{due[-1].state}" if len(due) == batch.many else "",
            many=len(answers),
            owed=len(due) - len(answers),
            differing=differing,
            trouble="; ".join(sorted(troubles))[:300],
        )

    @activity.defn
    async def note_monitoring(self, start: MonitoringStart) -> None:
        """Note how far the run has come."""
        await self._monitoring.note(start)

    async def _patiently(
        self, source: VerificationSource, one: LicenceDue, role: ClinicianRole, batch: MonitoringBatch, until: float
    ) -> Evidence:
        """What one source says; in line for it as long as that is worth it, and the batch has time."""
        clock = asyncio.get_running_loop()
        for _ in range(TIMES):
            if clock.time() >= until:
                break
            try:
                return await self._verifier_for(source).check(one.record, one.state, role, batch.as_of)
            except Throttled as slow:
                if slow.retry_after > IN_LINE or clock.time() + slow.retry_after >= until:
                    raise
                await asyncio.sleep(slow.retry_after)
            except Rejected as refused:
                if refused.code not in FOR_A_PERSON:
                    raise
                told = {"detail": refused.message[:300], "source": source.code, "verified_on": batch.as_of.date()}
                return Evidence.model_validate({"state": "unknown", "finding": refused.code} | told)
        raise Throttled(f"{source.code} keeps us in line", retry_after=IN_LINE, system=source.code)
