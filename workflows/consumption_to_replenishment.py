"""What is used at a stock location becomes stock movements, charges and orders. One case per location, for years.

It goes by rounds. A round takes up to 200 usage events that wait in our own store, tells the ERP, records what it said, and asks
for what is to be brought. Only its number travels: from run to run, and outward as the first part of every key.

Woken by a signal without content when something waits. While more than one event a second arrives it comes by itself every
``fuller_after`` seconds (10), so that a round is fuller and nobody has to wake it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.cases import CaseActivities
    from activities.stock import StockActivities
    from canonical.base import case_parts
    from canonical.cases import CaseStatus, State
    from canonical.ports import Unmatched
    from canonical.stock import LocationOpening, TakenRound
    from canonical.usage import LocationCase
    from workflows.policies import own_store
    from workflows.usage_rounds import Rounds

BUSY = 1.0  # events a second
MOST_EVENTS = 800  # of a run's history: a worker that takes it over replays it in well under a second
NOBODY_KNOWS = (
    "a run under the name of a stock location that the register does not have: see it in the Temporal UI, load the location,"
    " or dismiss this"
)


@workflow.defn
class ConsumptionToReplenishment(Rounds):
    """The life of a stock location."""

    @workflow.run
    async def run(self, wire: RawValue) -> CaseStatus:
        """The process as one reads it."""
        return await self._lived(self._live(wire))

    async def _live(self, wire: RawValue) -> CaseStatus:
        if not await self._known(wire):
            return await self._nobody_knows()
        while not self._giving_up():
            seen, as_of = self._stirred, workflow.now()
            taken = await self._take()
            if taken.count_due:
                await self._count(taken, as_of)
                continue
            await self._show_how_busy(taken)
            again = not taken.empty and await self._done(taken, as_of)
            if taken.moved_to and taken.empty and self._stirred == seen:
                return await self._moved(taken)
            if self._long_enough():
                await self._go_on()
            if not again:
                await self._rest(taken, as_of, seen)
        return self._status()

    # -- whose case it is ----------------------------------------------------------------------------------------

    async def _known(self, wire: RawValue) -> bool:
        """Find out which location it is: by the case's own name, since anybody may start a run with any content."""
        place = _named(self.case)
        if place is None:
            return False
        self.place, self.facility = place, place.facility
        asked = LocationOpening(case=self.case, facility=place.facility, location=place.location, as_of=workflow.now())
        self.opened = await own_store(StockActivities.open_location, asked, "where does the location stand?")
        before = _read(wire) if workflow.info().continued_run_id else None
        # Only a run of ours goes on from another; where our own store says less, it was set back and is right.
        number = min(before.round, self.opened.round) if before else self.opened.round
        self.place = place.model_copy(update={"round": number})
        self.headline = f"stock of {self.opened.name or place.location}"
        return self.opened.known

    async def _nobody_knows(self) -> CaseStatus:
        """Nothing is taken, and a person is told."""
        self._say("unknown location", state=State.FAILED, next_action=NOBODY_KNOWS)
        workflow.set_current_details(f"**unknown location**: {NOBODY_KNOWS}")
        listed = Unmatched(
            id=f"run-{hashlib.sha256(self.case.encode()).hexdigest()[:20]}",
            kind="run",
            case=self.case,
            facility=self.facility,
            at=workflow.now(),
            reason=NOBODY_KNOWS,
        )
        await own_store(CaseActivities.list_unmatched, listed, "list a run that nobody knows")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=True)

    # -- how it stands -------------------------------------------------------------------------------------------

    async def _show_how_busy(self, taken: TakenRound) -> None:
        """Written when it changes only: a location has thousands of rounds a day."""
        state, action = "busy" if _busy(taken) else "in use", "posts what is used as it comes"
        if taken.moved_to:
            state, action = (
                f"moving to {taken.moved_to}",
                "hands its stock over; what the ERP refuses of it is tried again",
            )
        if state != self.business_state:
            self._say(state, state=State.ACKNOWLEDGED, owner="fascia", next_action=action)
            await self._record()

    async def _moved(self, taken: TakenRound) -> CaseStatus:
        """Its events, its stock and whatever still comes under its code are the other location's."""
        self._say(f"moved to {taken.moved_to}", state=State.RECONCILED, next_action="")
        await self._record(closed=True)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._status(closed=True)

    @workflow.signal(name="wake")
    def wake(self, raw: RawValue) -> None:
        """Something waits. Whatever was sent with it is not looked at."""
        self._stirred += 1

    # -- until there is more to do -------------------------------------------------------------------------------

    async def _rest(self, taken: TakenRound, since: datetime, seen: int) -> None:
        """Wait for the next wake; while much comes, for a fuller round, which needs no wake."""
        if taken.waiting and not taken.empty:
            return  # a round takes so many; the others are there already
        if _busy(taken) and taken.fuller_after:
            left = since + timedelta(seconds=taken.fuller_after) - workflow.now()
            if left > timedelta():
                await self._for(left)
            return
        await workflow.wait_condition(lambda: self._stirred != seen or self._giving_up())

    async def _for(self, left: timedelta) -> None:
        try:
            await workflow.wait_condition(self._giving_up, timeout=left, timeout_summary="a fuller round")
        except TimeoutError:
            return

    def _long_enough(self) -> bool:
        """Whether the history is as long as it may become."""
        info = workflow.info()
        return info.is_continue_as_new_suggested() or info.get_current_history_length() >= MOST_EVENTS

    async def _go_on(self) -> None:
        """In a new run, which looks at once what waits: a wake that came meanwhile is answered by that."""
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._giving_up():
            workflow.continue_as_new(self.place)


def _busy(taken: TakenRound) -> bool:
    return taken.per_second > BUSY


def _named(case: str) -> LocationCase | None:
    """The location a case's name is of; None where it is no such name."""
    parts = case_parts(case)
    if len(parts) != 3:
        return None
    try:
        place = LocationCase(facility=parts[1], location=parts[2])
    except ValidationError:
        return None
    return place if place.case_id == case else None


def _read(wire: RawValue) -> LocationCase | None:
    """What a run before said of where it stands."""
    try:
        return LocationCase.model_validate_json(wire.payload.data)
    except ValidationError:
        return None
