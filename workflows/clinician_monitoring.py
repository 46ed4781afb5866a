"""Once a month everybody is held against the exclusion lists and every licence is asked about, some hundreds of people at a time.

A run fixes the editions it holds people against; where one is replaced in the middle, everybody is held against the new one, those
before too. A licence whose board does not answer is owed: what is known of it stays, and it is asked about again until the board
does. What lapses is seen by the case of its person, which the step's own transaction wakes.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.monitoring import MonitoringActivities
    from canonical.monitoring import MonitoringBatch, MonitoringStart
    from workflows.policies import own_store, search_store

VERIFICATION = "verification"  # the task queue of the steps that ask sources
PEOPLE, LICENCES = 500, 50  # of one step: a second of our own store's work, a minute of a board's
FETCH_FOR = timedelta(hours=2)  # then the edition before has to do, and the run says so
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=5), timedelta(hours=6)
DOUBLINGS = 12  # far beyond the longest; without an end, a month of a source that is down is more than a duration holds
GIVE_UP = timedelta(days=25)  # the next month's run takes over what is still owed
_SOURCE = RetryPolicy(initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=10))


@workflow.defn(name="ClinicianMonitoring")
class ClinicianMonitoring:
    """One monthly run. Its id begins with ``clinician_monitoring``, the rest is its Schedule's."""

    def __init__(self) -> None:
        self._now = MonitoringStart()

    @workflow.run
    async def run(self, raw: RawValue) -> MonitoringStart:
        """The process as one reads it."""
        self._now = self._begun(raw)
        if self._now.phase == "lists":
            await self._fetch_lists()
        if self._now.phase == "exclusions":
            await self._hold_everybody()
        if self._now.phase == "licences":
            await self._ask_boards()
        return self._now

    @workflow.query
    def standing(self) -> MonitoringStart:
        """How far it has come, in counts."""
        return self._now

    def _begun(self, raw: RawValue) -> MonitoringStart:
        try:
            start = MonitoringStart.model_validate_json(raw.payload.data, extra="forbid")
        except ValidationError as wrong:
            first: Any = wrong.errors(include_input=False, include_url=False)[0]
            path = ".".join(str(part) for part in first["loc"]) or "document"
            raise ApplicationError(f"{path}: {first['msg']}", type="Malformed", non_retryable=True) from None
        return start.changed(run=start.run or workflow.info().workflow_id, as_of=start.as_of or workflow.now())

    async def _fetch_lists(self) -> None:
        await self._note()
        trouble = ""
        try:
            fetched = await workflow.execute_activity_method(
                MonitoringActivities.refresh_lists,
                self._now,
                task_queue=VERIFICATION,
                start_to_close_timeout=timedelta(minutes=15),
                schedule_to_close_timeout=FETCH_FOR,
                retry_policy=_SOURCE,
                summary="fetch the exclusion lists",
            )
            trouble = fetched.trouble
        except ActivityError:
            trouble = "the exclusion lists could not be fetched: the editions before are held on to"
        self._now = self._now.changed(lists_trouble=trouble[:300])
        await self._go_on("exclusions")

    async def _hold_everybody(self) -> None:
        while True:
            batch = MonitoringBatch(as_of=self._as_of, after=self._now.after, lists=self._now.lists, many=PEOPLE)
            held = await search_store(MonitoringActivities.hold_batch, batch, "hold people against the exclusion lists")
            if self._now.lists and held.lists != self._now.lists:
                self._now = self._now.changed(lists=held.lists, after="", people=0, again=self._now.again + 1)
                continue
            counts = {"held": self._now.held + held.many, "people": self._now.people + held.many}
            counts["differing"] = self._now.differing + held.differing
            self._now = self._now.changed(lists=held.lists, after=held.after, **counts)
            if not held.after:
                break
            self._continue_if_long()
        await self._go_on("licences")

    async def _ask_boards(self) -> None:
        while True:
            batch = MonitoringBatch(as_of=self._as_of, after=self._now.after, many=LICENCES)
            asked = await workflow.execute_activity_method(
                MonitoringActivities.ask_batch,
                batch,
                task_queue=VERIFICATION,
                start_to_close_timeout=timedelta(minutes=30),
                heartbeat_timeout=timedelta(minutes=3),
                retry_policy=_SOURCE,
                summary="ask the boards about licences",
            )
            counts = {"asked": self._now.asked + asked.many, "owed": self._now.owed + asked.owed}
            trouble = asked.trouble or self._now.trouble
            counts["differing"] = self._now.differing + asked.differing
            self._now = self._now.changed(after=asked.after, trouble=trouble, **counts)
            if not asked.after and not await self._again():
                break
            self._continue_if_long()
        await self._go_on("done")

    async def _again(self) -> bool:
        """At the end of a pass: whether another is to follow for what is owed, once some time has passed."""
        if not self._now.owed:
            self._now = self._now.changed(trouble="")
            return False
        if workflow.now() - self._as_of > GIVE_UP:
            return False
        await self._note()
        await workflow.sleep(min(FIRST_WAIT * 2 ** min(self._now.passes, DOUBLINGS), LONGEST_WAIT))
        self._now = self._now.changed(owed=0, passes=self._now.passes + 1, after="")
        return True

    def _continue_if_long(self) -> None:
        if workflow.info().is_continue_as_new_suggested():
            workflow.continue_as_new(self._now)

    @property
    def _as_of(self) -> Any:
        return self._now.as_of

    async def _go_on(self, phase: str) -> None:
        self._now = self._now.changed(phase=phase, after="")
        await self._note()

    async def _note(self) -> None:
        await own_store(MonitoringActivities.note_monitoring, self._now, "how far monitoring has come")
