"""The first half of a requisition's way: claimed for one case only, read, checked against the register, completed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.cases import CaseActivities
    from activities.register import RegisterActivities
    from canonical.base import Money, case_parts
    from canonical.calendar import BusinessCalendar
    from canonical.cases import Attention, DocumentRef, LineState, State
    from canonical.purchasing import Requisition
    from canonical.steps import Claimed, ClaimRequest, Enriched, EnrichRequest
    from workflows.decisions import DecidedCase
    from workflows.policies import own_store
    from workflows.requisition_state import RequisitionProgress

CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Checks(DecidedCase):
    """Claim, read, check."""

    process = "procure_to_pay"

    def __init__(self) -> None:
        super().__init__()
        self.facility = _facility_of(self.case)
        self.progress = RequisitionProgress()
        self.enriched: Enriched | None = None
        self._released = 0

    def _carried(self) -> str:
        carried = {
            "lines": self.lines,
            "held_by": self.held_by,
            "parked": list(self.attention),
            "answers": self._lasting_answers(),
        }
        return self.progress.model_copy(update=carried).model_dump_json()

    def _calendar(self) -> BusinessCalendar:
        return self.enriched.calendar if self.enriched else BusinessCalendar()

    def _giving_up(self) -> bool:
        return bool(self.progress.cancelling)

    def _give_up(self, reason: str) -> None:
        self.progress.cancelling = reason

    def _gave_up(self) -> bool:
        return bool(self.progress.refused or self.progress.cancelling)

    def _tell(self, kind: str, key: str, /, **data: str) -> None:
        """A business event about this requisition."""
        asked = self.progress.requisition
        about = {"number": case_parts(self.case)[-1]}
        if asked is not None:
            about = {
                "number": asked.number,
                "source": asked.source,
                "department": asked.department,
                "cost_centre": asked.cost_centre,
                "amount": str(self.amount) if self.amount else "",
            }
        self._publish(kind, key, about | data)

    def _tell_overdue(self, key: str, data: dict[str, str]) -> None:
        self._tell("requisition.attention_overdue", key, **data)

    @property
    def _requisition(self) -> Requisition:
        if self.progress.requisition is None:
            raise ApplicationError("the requisition is not read yet", type="NotOpen")
        return self.progress.requisition

    @property
    def _enriched(self) -> Enriched:
        if self.enriched is None:
            raise ApplicationError("the requisition is not checked yet", type="NotOpen")
        return self.enriched

    # -- claim ---------------------------------------------------------------------------------------------------

    async def _claimed(self, wire: RawValue) -> bool:
        """Claim the case for this requisition; False when another case has it, or a person gave up on what was sent."""
        encoding = wire.payload.metadata.get("encoding", b"").decode("ascii", "replace")
        claimed = await self._claim(wire.payload.data, encoding)
        while claimed.outcome in ("unreadable", "misnamed"):
            if not await self._readable(claimed):
                return False
            if self.progress.requisition is None:  # told to look again: perhaps the right one has come under this name
                claimed = await self._claim(wire.payload.data, encoding)
                if claimed.outcome == "claimed":
                    self._log("what could not be read is superseded by what came under its number")
            else:
                claimed = await self._claim(self._requisition.model_dump_json().encode(), "json/plain")
        if claimed.outcome in ("duplicate", "conflict"):
            self._another_has_it(claimed)
            return False
        reset = claimed.outcome == "claimed" and self.progress.requisition is None
        if claimed.carried and (reset or claimed.outcome == "resumed"):
            self.progress = RequisitionProgress.model_validate_json(claimed.carried)
            self.held_by, self.lines = self.progress.held_by, list(self.progress.lines)
            self._answers = dict(self.progress.answers)
            self._parked_before = list(self.progress.parked)
        if self.progress.requisition is None:
            self.progress.requisition = claimed.requisition
        self._begin(claimed)
        self._ready = True
        return True

    def _another_has_it(self, claimed: Claimed) -> None:
        """Nothing is written to the case: it is another run's, or another process's."""
        self._ready = True
        first = claimed.first or claimed.case
        self.business_state, self.state = claimed.outcome, State.FAILED
        self.next_action = claimed.reason or f"see {first}"
        workflow.set_current_details(
            f"**{claimed.outcome}**{f': {claimed.reason}' if claimed.reason else f' of {first}'}"
        )

    def _begin(self, claimed: Claimed) -> None:
        requisition = self._requisition
        self.facility = requisition.facility
        emergency = ", emergency" if requisition.emergency else ""
        self.headline = (
            f"requisition {requisition.number} of {requisition.department}: {len(requisition.lines)} line(s){emergency}"
        )
        self.lines = self.lines or [
            LineState(
                line=line.id,
                requisition_line=line.id,
                item=line.item or "",
                state="asked",
                ordered=line.quantity.value,
                unit=line.quantity.unit,
            )
            for line in requisition.lines
        ]
        self._note(
            DocumentRef(
                kind="requisition",
                number=requisition.number,
                system=requisition.source,
                state=State.RECEIVED,
                message=claimed.message,
                lines=tuple(line.id for line in requisition.lines),
            )
        )
        self._tell(
            "requisition.received",
            "received",
            needed_by=requisition.needed_by.isoformat() if requisition.needed_by else "",
            emergency="true" if requisition.emergency else "false",
            lines=str(len(requisition.lines)),
        )

    async def _claim(self, data: bytes, encoding: str) -> Claimed:
        request = ClaimRequest(
            case=self.case,
            run=workflow.info().first_execution_run_id,
            data=data,
            encoding=encoding,
            as_of=workflow.now(),
        )
        claimed = await own_store(CaseActivities.claim, request, "claim the requisition")
        self.generation, self.revision = claimed.generation, max(self.revision, claimed.revision)
        return claimed

    async def _readable(self, claimed: Claimed) -> bool:
        """What cannot be read waits: for a person's readable one in its place, for the right one by another door, or the end."""
        if claimed.requisition is not None:
            self.facility = claimed.requisition.facility
        self.progress.requisition = None
        problem = claimed.problem or Attention(kind="parse", reason="the requisition cannot be read")
        self._park(problem.model_copy(update={"verbs": ("correct", "cancel", "reject"), "document": "requisition"}))
        self._note(DocumentRef(kind="requisition", number="unreadable", state=State.FAILED, message=claimed.message))
        self.headline, self._ready = "a requisition that cannot be read", True
        self._say(
            "needs attention",
            state=State.RECEIVED,
            owner="support",
            next_action="correct it (a whole requisition), or cancel",
        )
        while not self._gave_up() and self.progress.requisition is None and not self._looking_again:
            seen = self._stirred
            await self._record()
            await self._stir(seen, None, "")
        self._looking_again = False
        self.attention = []
        return not self._gave_up()

    # -- check ---------------------------------------------------------------------------------------------------

    async def _look_up(self) -> Enriched:
        """Validate and complete it from the register, as of now."""
        request = EnrichRequest(requisition=self._requisition, as_of=workflow.now())
        found = await own_store(RegisterActivities.enrich, request, "check against the register")
        self.enriched, self.policy, self.amount = found, found.policy, found.amount
        return found

    async def _checked(self) -> bool:
        """Check it, again after each correction, until nothing stands in the way."""
        while not self._gave_up():
            found = await self._look_up()
            self._complete_lines(found)
            problems = [p for p in found.problems if not self._overrun_is_accepted(p)]
            if not problems and not self.held_by:
                self.state = State.ENRICHED
                self._parked_before = []
                return True
            await self._until_corrected(problems)
        return False

    async def _until_corrected(self, problems: Sequence[Attention]) -> None:
        """Park what stands in the way until a person's word lets it be checked again."""
        self.attention = []
        for problem in problems:
            self._park(problem)
        if self.held_by:
            self._say("on hold", owner="buyer", next_action="resume when it may go on")
        else:
            owner = "finance" if all("accept" in p.verbs for p in problems) else "buyer"
            action = f"correct it, then it is checked again: {problems[0].reason}"
            self._say("needs attention", state=State.VALIDATED, owner=owner, next_action=action)
        await self._until_released()
        self.attention = []

    def _overrun_is_accepted(self, problem: Attention) -> bool:
        return "accept" in problem.verbs and self._overrun_accepted(self._enriched.amount)

    def _overrun_accepted(self, amount: Money) -> bool:
        """Finance let this amount through above the budget; a larger one is asked about again."""
        accepted = self.progress.overrun_accepted
        return accepted is not None and amount.amount <= accepted

    async def _until_released(self) -> None:
        """Wait until a person's word lets the check run again, or ends it."""
        released = self._released
        while self._released == released and not self._gave_up():
            seen = self._stirred
            await self._record()
            await self._stir(seen, None, "")

    def _complete_lines(self, found: Enriched) -> None:
        asked = {line.id: line for line in self._requisition.lines}
        self.lines = [
            LineState(
                line=line.requisition_line,
                requisition_line=line.requisition_line,
                item=line.line.item if line.line else asked[line.requisition_line].item or "",
                state="needs attention" if line.problems else "checked",
                ordered=line.line.quantity.value if line.line else asked[line.requisition_line].quantity.value,
                unit=line.line.quantity.unit if line.line else asked[line.requisition_line].quantity.unit,
            )
            for line in found.lines
        ]


def _facility_of(case: str) -> str:
    """The facility a case's name says, so that a decision finds its person also where nothing else could be read."""
    parts = case_parts(case)
    return parts[1] if len(parts) == 4 and CODE.fullmatch(parts[1]) else ""
