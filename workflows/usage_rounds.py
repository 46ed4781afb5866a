"""One round of a location's case: taken and judged, posted in the ERP, recorded; what is to be bought becomes a requisition's case."""

from __future__ import annotations

import asyncio
from datetime import datetime

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import (
    RawValue,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError

with workflow.unsafe.imports_passed_through():
    from activities.counts import CountActivities
    from activities.stock import StockActivities
    from canonical.purchasing import Requisition
    from canonical.stock import LocationOpened, Need, NeedStarted, Recorded, RoundKey, RoundRefusal, TakenRound
    from canonical.usage import LocationCase
    from workflows.case import CaseWorkflow, refusal
    from workflows.policies import OUTLIVES_US, ask_erp, own_store
    from workflows.procure_to_pay import ProcureToPay

PROCESS = SearchAttributeKey.for_keyword("FasciaProcess")
FACILITY = SearchAttributeKey.for_keyword("FasciaFacility")
REQUISITION = SearchAttributeKey.for_keyword("FasciaRequisition")
STATE = SearchAttributeKey.for_keyword("FasciaState")


class Rounds(CaseWorkflow):
    """The rounds of one location. A round that is begun again finds what it did, by its number."""

    process = "consumption_to_replenishment"
    place: LocationCase
    opened: LocationOpened

    def __init__(self) -> None:
        super().__init__()
        self._ending = ""

    def _carried(self) -> str:
        return self.place.model_dump_json()

    def _giving_up(self) -> bool:
        return bool(self._ending)

    def _give_up(self, reason: str) -> None:
        self._ending = reason

    def _key(self, number: int, as_of: datetime) -> RoundKey:
        return RoundKey(facility=self.place.facility, location=self.place.location, round=number, as_of=as_of)

    async def _take(self) -> TakenRound:
        key = self._key(self.place.round + 1, workflow.now())
        return await own_store(StockActivities.take, key, f"take round {key.round}")

    async def _count(self, taken: TakenRound, as_of: datetime) -> None:
        """Hold our books against the ERP's before anything is taken: what is judged next is judged by what is there."""
        what = f"what does the ERP have at {self.place.location}?"
        key = self._key(taken.round, as_of)
        counted = await ask_erp(CountActivities.count_in_erp, key, what, self.opened.step_timeout)
        await asyncio.gather(*(self._ask(need) for need in counted.needs if need.requisition))

    async def _done(self, taken: TakenRound, as_of: datetime) -> bool:
        """Carry a round out; whether the next one has something to do at once, woken or not."""
        key, refused = self._key(taken.round, as_of), 0
        if taken.lines or taken.supplies or taken.counts:
            what = f"post round {key.round}: {taken.lines} used, {taken.supplies} supplied, {taken.counts} counted"
            try:
                posted = await ask_erp(StockActivities.post_round, key, what, self.opened.step_timeout)
            except ActivityError as failed:
                return await self._closed(key, await self._refuse(key, failed))
            refused = posted.refused
        recorded = await own_store(StockActivities.record, key, f"record round {key.round}")
        moving = bool(taken.moved_to) and not refused  # until nothing is left; what is refused waits for the next wake
        return await self._closed(key, recorded) or moving

    async def _refuse(self, key: RoundKey, failed: ActivityError) -> Recorded:
        cause = failed.cause
        code = str(cause.details[0]) if isinstance(cause, ApplicationError) and cause.details else ""
        no = RoundRefusal(key=key, reason=refusal(failed)[:2000], code=code or "rejected")
        told: Recorded | None = await own_store(
            StockActivities.refuse, no, f"put aside what the ERP has not booked of round {key.round}"
        )
        return told or Recorded(round=key.round)  # in a history of before, the step said nothing

    async def _closed(self, key: RoundKey, recorded: Recorded) -> bool:
        """Ask for what is to be brought; whether the next round has something to bring at once."""
        self.place = self.place.model_copy(update={"round": key.round})
        await asyncio.gather(*(self._ask(need) for need in recorded.needs if need.requisition))
        return any(need.supply == "warehouse" for need in recorded.needs)

    async def _ask(self, need: Need) -> None:
        """Start what brings it; a requisition that is under way already is as good: our own store lets it begin once."""
        asked = Requisition.model_validate_json(need.requisition)
        attributes = {PROCESS: "procure_to_pay", FACILITY: asked.facility, REQUISITION: asked.number, STATE: "received"}
        try:
            child = await workflow.start_child_workflow(
                ProcureToPay.run,
                RawValue(Payload(metadata={"encoding": b"json/plain"}, data=need.requisition.encode())),
                id=asked.case_id,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                task_timeout=workflow.info().task_timeout,  # as this case was started with: the setting counts for both
                static_summary=f"Requisition {asked.number} from {asked.source} at {asked.facility}"[:200],
                search_attributes=TypedSearchAttributes([SearchAttributePair(k, v) for k, v in attributes.items()]),
                parent_close_policy=OUTLIVES_US["parent_close_policy"],
                cancellation_type=OUTLIVES_US["cancellation_type"],
            )
            child.add_done_callback(_not_our_end)
        except WorkflowAlreadyStartedError:
            pass
        note = NeedStarted(need=need.id, case=asked.case_id, as_of=workflow.now())
        await own_store(StockActivities.started, note, f"{asked.number} is under way")


def _not_our_end(child: asyncio.Task[object]) -> None:
    """How a requisition ends is its own matter; our own store tells the location of it."""
    if not child.cancelled():
        child.exception()
