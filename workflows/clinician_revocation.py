"""All access taken from one person at once: by one call, on its own task queue, whatever else is stuck or was never begun.

Its first act is a block in our own store: from then on nobody writes any access. Then each target is written off and looked at until
it was seen off twice, further apart than the longest time-out of any client of ours, and after whatever grant may still be on its
way. It keeps trying, escalates, and says what is confirmed and what is not. It ends when all of it is, or two people lift the block.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.common import Priority, RawValue
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import ValidationError

    from activities.access import AccessActivities
    from canonical.access import (
        BY_HAND,
        REVOKED_FIRST,
        AccessAsked,
        Block,
        OffSeen,
        RevocationStanding,
        RevocationStart,
        TargetAsked,
    )
    from canonical.calendar import BusinessCalendar
    from canonical.cases import Attention, CaseStatus, LineState, State
    from canonical.people import PersonKey
    from workflows.case import CaseWorkflow
    from workflows.policies import own_store, take_back

EVERYWHERE = "all"
OWNER = "support"
LOOK_EVERY = timedelta(seconds=30)  # at which targets there are, and whether the block still stands
AGAIN_FIRST = timedelta(seconds=1)
AGAIN_WITHIN = timedelta(seconds=15)
TOP = Priority(priority_key=1)
OPENS_DOORS = ("identity", "scheduling", "directory")


@workflow.defn(name="ClinicianRevocation")
class ClinicianRevocation(CaseWorkflow):
    """One person's revocation. Its id is ``clinician_revocation/<person key>``."""

    process = "clinician_revocation"

    def __init__(self) -> None:
        super().__init__()
        self.person: PersonKey = ""
        self._standing = RevocationStanding(blocked=False)
        self._start: RevocationStart | None = None
        self._taking: dict[str, asyncio.Task[None]] = {}
        self._offs: dict[str, OffSeen] = {}
        self._tried: set[str] = set()
        self._escalated = False
        self._told_confirmed = False
        self._going_on = False
        self._ended_outside = False

    @workflow.run
    async def run(self, raw: RawValue) -> CaseStatus:
        """The process as one reads it."""
        return await self._lived(self._live(raw))

    async def _live(self, raw: RawValue) -> CaseStatus:
        start = self._begin(raw)
        if start.id or start.reason:  # a wake alone blocks nobody: the block it was for may have been lifted meanwhile
            block = Block(
                person=start.person, since=workflow.now(), by=start.by, reason=start.reason or "revoked", id=start.id
            )
            await own_store(AccessActivities.commit_block, block, "block all access")
        while not self._ended_outside:
            seen = self._stirred
            await self._look()
            if not self._standing.blocked:
                break
            self._take()
            self._say_how_it_stands()
            await self._record()
            if self._standing.confirmed and all(one.confirmed for one in self._standing.targets):
                break
            if workflow.info().is_continue_as_new_suggested():
                await self._go_on()
            await self._stir(seen, self._next_look(), "is all of it off?")
        return await self._end()

    def _begin(self, raw: RawValue) -> RevocationStart:
        try:
            start = RevocationStart.model_validate_json(raw.payload.data)
        except ValidationError:
            start = None
        if start is None or start.case_id != self.case:
            raise ApplicationError(f"{self.case} is not the case of this person", type="Misnamed", non_retryable=True)
        self._start, self.person, self.facility = start, start.person, EVERYWHERE
        self.generation, self.revision = start.generation, start.revision
        self._parked_before = list(start.parked)
        self.headline = f"revocation of {self.person}"
        self._ready = True
        return start

    async def _look(self) -> None:
        asked = AccessAsked(person=self.person, as_of=workflow.now())
        self._standing = await own_store(AccessActivities.revocation_standing, asked, "what is seen off")

    def _next_look(self) -> datetime:
        late = self._standing.escalate_at
        soon = workflow.now() + LOOK_EVERY
        return min(late, soon) if late is not None and not self._escalated and late > workflow.now() else soon

    # -- taking it back ------------------------------------------------------------------------------------------

    def _take(self) -> None:
        """Every target that opens doors at once; then, once each of those was tried, payroll and what people bring back.

        What was confirmed in an earlier run is not tried in this one, and is not waited for.
        """
        doors = {one.target for one in self._standing.targets if one.kind in OPENS_DOORS and not one.confirmed}
        for one in sorted(self._standing.targets, key=lambda one: REVOKED_FIRST.index(one.kind)):
            now = one.kind in OPENS_DOORS or doors <= self._tried
            if now and not one.confirmed and one.target not in self._taking:
                self._taking[one.target] = asyncio.create_task(self._until_seen_off(one))

    async def _until_seen_off(self, seen: OffSeen) -> None:
        """Write it off, and look until that is confirmed; ends early when the block is lifted."""
        target, failures = seen.target, 0
        while not self._over():
            asked = TargetAsked(
                person=self.person, target=target, do="off", as_of=workflow.now(), apart=self._standing.apart
            )
            try:
                seen = await take_back(AccessActivities.off_target, asked, f"take away in {target}", seen.seconds, TOP)
                failures = failures + 1 if not seen.answered or seen.times == 0 else 0
            except ActivityError:
                seen, failures = seen.changed(answered=False, reason="a step of ours failed"), failures + 1
            self._offs[target] = seen
            self._tried.add(target)
            self._stirred += 1
            if seen.confirmed or not seen.stands:
                break
            await self._pause(self._again(seen, failures), target)
        self._taking.pop(target, None)
        self._stirred += 1

    def _again(self, seen: OffSeen, failures: int) -> timedelta:
        """Until the next try: soon, and more seldom while it fails or is on; after a look that counted, when the next one does."""
        if not seen.answered or seen.times == 0:
            wait = min(AGAIN_FIRST * (1 << min(max(failures, 1) - 1, 4)), AGAIN_WITHIN)
            if seen.answered and seen.waits_until is not None:
                wait = min(max(seen.waits_until - workflow.now(), wait), AGAIN_WITHIN)
            return wait
        return timedelta(seconds=self._standing.apart)  # from now, which is after the look before

    async def _pause(self, wait: timedelta, target: str) -> None:
        try:
            await workflow.wait_condition(self._over, timeout=wait, timeout_summary=f"before the next look at {target}")
        except TimeoutError:
            return

    def _over(self) -> bool:
        return self._ended_outside or self._going_on or not self._standing.blocked

    # -- how it stands -------------------------------------------------------------------------------------------

    def _say_how_it_stands(self) -> None:
        now = self._standing
        of_ours = [one for one in now.targets if one.kind not in BY_HAND]
        missing = [one for one in of_ours if not one.confirmed]
        lines = [LineState(line=one.target, item=one.kind, state=_words(one)) for one in now.targets]
        if self.lines != lines:
            self.lines, self._dirty = lines, True
        words = "off everywhere" if now.confirmed else f"{len(of_ours) - len(missing)} of {len(of_ours)} confirmed off"
        state = State.RECONCILED if now.confirmed else State.SUBMITTED
        if self.business_state != words:
            self._say(words, state=state, owner=OWNER, due=now.escalate_at, next_action="" if now.confirmed else "look")
        names = {"confirmed": _codes(one for one in of_ours if one.confirmed), "missing": _codes(missing)}
        late = now.escalate_at is not None and workflow.now() >= now.escalate_at
        if missing and late:
            reason = "; ".join(f"{one.target}: {self._why(one)}" for one in missing)[:1500]
            self._attend(f"not confirmed off: {reason}")
            if not self._escalated:
                self._escalated = True
                self._publish("revocation.escalated", f"{self._since()}", {"person": self.person} | names)
        elif not missing:
            self._attend("")
            if not self._told_confirmed:
                self._told_confirmed = True
                said = {"person": self.person} | names | {"seconds": self._took()}
                self._publish("revocation.confirmed", f"{self._since()}", said)

    def _why(self, one: OffSeen) -> str:
        heard = self._offs.get(one.target, one)
        if heard.reason:
            return heard.reason
        if one.waits_until is not None and one.waits_until > workflow.now():
            return "a grant may still be on its way"
        return "seen off once" if one.times else "not seen off yet"

    def _attend(self, reason: str) -> None:
        known = next((one for one in self.attention if one.document == "revocation"), None)
        if not reason:
            if known is not None:
                self._unpark(document="revocation")
        elif known is None:
            self._park(Attention(kind="revocation", reason=reason, document="revocation"))
        elif known.reason != reason:  # the same thing in other words: its clock goes on
            self.attention[self.attention.index(known)] = known.model_copy(update={"reason": reason})
            self._dirty = True

    def _since(self) -> str:
        return self._standing.since.isoformat() if self._standing.since else ""

    def _took(self) -> str:
        since = self._standing.since
        return f"{(workflow.now() - since).total_seconds():.1f}" if since else ""

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        self._publish("revocation.attention_overdue", key, data | {"person": self.person})

    def _calendar(self) -> BusinessCalendar:
        return BusinessCalendar()  # around the clock

    # -- ends ----------------------------------------------------------------------------------------------------

    async def _end(self) -> CaseStatus:
        lifted = not self._standing.blocked
        await asyncio.gather(*self._taking.values())
        if lifted:
            self._say("lifted" if self.lines or self._offs else "no block stands", state=State.RECONCILED)
        await workflow.wait_condition(workflow.all_handlers_finished)
        if not self._ended_outside:
            await self._record(closed=True)
        return self._status(closed=not self._ended_outside)

    async def _go_on(self) -> None:
        """In a new run: what was seen off is in our own store. Steps under way are waited for, and no next one begins."""
        self._going_on = True
        if self._taking:
            await workflow.wait(list(self._taking.values()), timeout=AGAIN_WITHIN.total_seconds() * 4)
        workflow.continue_as_new(self._carried_start())

    def _carried(self) -> str:
        return self._carried_start().model_dump_json()

    def _carried_start(self) -> RevocationStart:
        """Without the call: the block it was for is committed, and may be lifted."""
        return RevocationStart(
            person=self.person, generation=self.generation, revision=self.revision, parked=tuple(self.attention)
        )

    def _give_up(self, reason: str) -> None:
        """Temporal's tools lift no block: only this run ends, and the next wake begins another."""
        self._ended_outside = True

    def _giving_up(self) -> bool:
        return self._ended_outside


def _words(one: OffSeen) -> str:
    if one.confirmed:
        return "asked back" if one.kind in BY_HAND else "confirmed off"
    return f"seen off {one.times} of 2" if one.times else "not seen off"


def _codes(targets: Iterable[OffSeen]) -> str:
    return " ".join(one.target for one in targets)
