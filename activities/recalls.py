"""Steps of a recall on our own store: find what holds or used it, see how it stands, take a person's word."""

from __future__ import annotations

from temporalio import activity

from canonical.cases import DecisionToCheck
from canonical.errors import Rejected
from canonical.ports import Cases
from canonical.recall import MAY_ANSWER, RecallAsked, RecallStanding, RecallTaken, RecallWordGiven, recall_case
from canonical.recall_ports import Recalls


class RecallActivities:
    """What a recall's case does in our own store. Its tasks stay there, however many: a case hears counts."""

    def __init__(self, recalls: Recalls, cases: Cases) -> None:
        self._recalls = recalls
        self._cases = cases

    @activity.defn
    async def match_recall(self, asked: RecallAsked) -> RecallStanding:
        """Find what holds or used it that was not found before, and open a task for each place."""
        return await self._recalls.match(asked.number, asked.as_of)

    @activity.defn
    async def recall_standing(self, asked: RecallAsked) -> RecallStanding:
        """How many tasks wait, and when the next is due."""
        return await self._recalls.standing(asked.number, asked.as_of)

    @activity.defn
    async def take_recall_word(self, given: RecallWordGiven) -> RecallTaken:
        """Check who gives a word, and carry it out; what is refused comes back with the reason, not as a failure."""
        try:
            facility = await self._recalls.facility_of(given.number, given.word, given.as_of)
            by = await self._by(given, facility)
            return await self._recalls.take(given.number, given.word, by, given.as_of)
        except Rejected as refused:
            return RecallTaken(taken=False, message=refused.message, code=refused.code)

    async def _by(self, given: RecallWordGiven, facility: str) -> str:
        """The employee who gives it, as decisions are checked."""
        request = DecisionToCheck(
            case=recall_case(given.number), facility=facility, decision=given.word.decision, as_of=given.as_of
        )
        checked = await self._cases.check(request)
        if not checked.verified or checked.why_not or checked.employee is None:
            why = checked.why_not or "identity not verified: give it by the fascia command"
            raise Rejected(why, code="not-allowed")
        if not MAY_ANSWER & set(checked.roles):
            allowed, has = ", ".join(sorted(MAY_ANSWER)), ", ".join(checked.roles) or "none"
            raise Rejected(f"{given.word.verb} is for the roles {allowed}, not for {has}", code="not-allowed")
        return checked.employee
