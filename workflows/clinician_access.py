"""What one person may reach, everywhere: the one writer of every target, for as long as we know the person.

What is wanted, what stands and what is due is derived in our own store each time it looks. Each target has a step of its own, so one
that is slow or down holds up no other; a step reads what is wanted, and whether a block stands, before it writes and again after.
Its history holds keys, codes and counts.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.access import AccessActivities
    from canonical.access import AccessAsked, AccessCase, AccessStanding, TargetAsked, TargetDone, TargetDue
    from canonical.access_plan import ENABLED_OUTSIDE
    from canonical.calendar import BusinessCalendar
    from canonical.cases import Attention, CaseStatus, LineState, State
    from canonical.people import OWNER, PersonKey
    from workflows.case import CaseWorkflow
    from workflows.policies import own_store, tell_target

EVERYWHERE = "all"  # the facility of a case that is of all of them
TAKES_FIRST = Priority(priority_key=2)
GIVES = Priority(priority_key=3)
LOOKS = Priority(priority_key=4)
MOST_EVENTS = 800  # of a run's history: whoever takes it over replays it in well under a second
MOST_EVENTS_BEFORE = 1000  # of a run begun before looks went quietly
AFTER_A_FAULT = timedelta(seconds=30)  # when a step of ours ended without a word: what it would have kept is not there


@workflow.defn(name="ClinicianAccess")
class ClinicianAccess(CaseWorkflow):
    """One person's access. Its id is ``clinician_access/<person key>``."""

    process = "clinician_access"

    def __init__(self) -> None:
        super().__init__()
        self.person: PersonKey = ""
        self._standing = AccessStanding()
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._told: dict[str, str] = {}
        self._quietly = False  # a look that finds what stands as it should changes no word, and waits for the others
        self._ended_outside = False

    @workflow.run
    async def run(self, raw: RawValue) -> CaseStatus:
        """The process as one reads it."""
        return await self._lived(self._live(raw))

    async def _live(self, raw: RawValue) -> CaseStatus:
        self._begin(raw)
        while not self._ended_outside:
            seen = self._stirred
            await self._look()
            if not self._standing.known:
                break
            for due in self._standing.due:
                if due.target not in self._under_way:
                    self._under_way[due.target] = asyncio.create_task(self._do(due))
            self._say_how_it_stands()
            if self._standing.finished and not self._under_way and self._stirred == seen:
                await self._record(closed=True)  # off for long: the loop of wakes begins another run for the next look
                if self._stirred == seen:
                    break
                self._dirty = True  # woken meanwhile: it is open
                continue
            await self._record()
            if self._is_long():
                await self._go_on(seen)
                continue
            await self._stir(seen, self._standing.next_at, "the next look at this person's access")
        await self._settled()
        return self._status(closed=not self._standing.known or self._standing.finished)

    def _begin(self, raw: RawValue) -> None:
        try:
            start = AccessCase.model_validate_json(raw.payload.data)
        except ValidationError:
            start = None
        if start is None or start.case_id != self.case:
            raise ApplicationError(f"{self.case} is not the case of this person", type="Misnamed", non_retryable=True)
        self.person, self.facility = start.person, EVERYWHERE
        self.generation, self.revision = start.generation, start.revision
        self._parked_before, self._told = list(start.parked), dict.fromkeys(start.told, ENABLED_OUTSIDE)
        self._quietly = workflow.patched("looks-go-quietly")
        self.headline = f"access of {self.person}"
        self._ready = True

    async def _look(self) -> None:
        asked = AccessAsked(person=self.person, as_of=workflow.now())
        self._standing = await own_store(AccessActivities.access_standing, asked, "what is due of this person's access")

    async def _do(self, due: TargetDue) -> None:
        """One write or look, from beginning to end; then the case looks again."""
        asked = TargetAsked(person=self.person, target=due.target, do=due.do, as_of=workflow.now())
        step = AccessActivities.look_target if due.do == "look" else AccessActivities.write_target
        first = LOOKS if due.do == "look" else TAKES_FIRST if due.takes else GIVES
        found_anew = True
        what = f"{'look at' if due.do == 'look' else 'take away in' if due.takes else 'write'} {due.target}"
        try:
            done: TargetDone = await tell_target(step, asked, what, due.seconds, first)
            if done.crossed:
                self._tell("access.crossed", f"{due.target}/{workflow.now().isoformat()}", due.target)
            found_anew = due.do != "look" or not self._stands_as(done)
        except ActivityError:
            await workflow.sleep(AFTER_A_FAULT, summary=f"before {due.target} is tried again")
        del self._under_way[due.target]
        if found_anew or not self._under_way or not self._quietly:  # else the last of those under way stirs
            self._stirred += 1

    def _stands_as(self, done: TargetDone) -> bool:
        """Whether a look found nothing else than what is known."""
        found = (done.target, done.state, done.active, done.finding)
        return any(found == (one.target, one.state, one.active, one.finding) for one in self._standing.targets)

    # -- how it stands -------------------------------------------------------------------------------------------

    def _say_how_it_stands(self) -> None:
        now = self._standing
        lines = [LineState(line=one.target, item=one.kind, state=_state(one.state, one.active)) for one in now.targets]
        if self.lines != lines:
            self.lines, self._dirty = lines, True
        under_way = any(one.do != "look" or not self._quietly for one in now.due)
        if now.blocked:
            words, state = ("blocked, off everywhere" if now.all_off else "blocked, being taken away"), State.FAILED
        elif under_way:
            words, state = "being told", State.SUBMITTED
        elif now.refused:
            words, state = f"refused by {len(now.refused)}", State.FAILED
        elif now.waiting:
            words, state = f"{len(now.waiting)} wait for others", State.SUBMITTED
        elif now.all_off:
            words, state = ("off everywhere" if now.targets else "nothing given"), State.RECONCILED
        else:
            words, state = "as wanted", State.POSTED
        if self.business_state != words:
            self._say(words, state=state, owner=OWNER if now.refused else "fascia")
        for one in now.targets:
            refused = one.reason if one.state == "refused" else ""
            self._attend(one.target, "target-refused", refused)
            outside = (
                "switched on again outside: we took it away, and it was on" if one.finding == ENABLED_OUTSIDE else ""
            )
            if outside and self._told.get(one.target) != one.finding:
                self._tell("access.enabled_outside", f"{one.target}/{workflow.now().isoformat()}", one.target)
            self._told[one.target] = one.finding

    def _attend(self, document: str, kind: str, reason: str) -> None:
        known = next((one for one in self.attention if one.document == document), None)
        if not reason and known is not None:
            self._unpark(document=document)
        elif reason and known is None:
            self._park(Attention(kind=kind, reason=reason, document=document))
        elif known is not None and known.reason != reason:  # the same thing in other words: its clock goes on
            self.attention[self.attention.index(known)] = known.model_copy(update={"reason": reason})
            self._dirty = True

    def _tell(self, event: str, key: str, target: str) -> None:
        self._publish(event, key, {"person": self.person, "target": target})

    def _calendar(self) -> BusinessCalendar:
        return BusinessCalendar()  # around the clock

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        self._publish("access.attention_overdue", key, data | {"person": self.person})

    def _is_long(self) -> bool:
        """A run of years is many short ones. While a step is under way (one may stand in its target's queue for minutes) it looks on:
        to end it would wait for that step, and nothing else would be taken away meanwhile.
        """
        info = workflow.info()
        if info.is_continue_as_new_suggested():
            return True
        most = MOST_EVENTS if self._quietly else MOST_EVENTS_BEFORE
        many = info.get_current_history_length() >= most and not self._under_way
        return many and (self._quietly or workflow.patched("a-run-ends-at-a-thousand-events"))

    # -- going on ------------------------------------------------------------------------------------------------

    async def _settled(self) -> None:
        await asyncio.gather(*self._under_way.values())
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _go_on(self, seen: int) -> None:
        """In a new run, once no step is under way: it looks first, so a wake that came meanwhile is answered."""
        await self._settled()
        if not self._ended_outside:
            workflow.continue_as_new(self._carried_start())

    def _carried(self) -> str:
        return self._carried_start().model_dump_json()

    def _carried_start(self) -> AccessCase:
        return AccessCase(
            person=self.person,
            generation=self.generation,
            revision=self.revision,
            told=tuple(sorted(code for code, finding in self._told.items() if finding == ENABLED_OUTSIDE)),
            parked=tuple(self.attention),
        )

    def _give_up(self, reason: str) -> None:
        """Access is not given or taken by Temporal's tools: only this run ends, and the next wake begins another."""
        self._ended_outside = True

    def _giving_up(self) -> bool:
        return self._ended_outside


def _state(state: str, active: bool) -> str:
    return f"{state}, on" if active and state not in ("confirmed",) else state
