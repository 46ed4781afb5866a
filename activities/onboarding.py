"""Steps of a clinician's case on our own store: see how it stands, take a person's word. Keys and codes go in and out."""

from __future__ import annotations

from temporalio import activity

from canonical.cases import DecisionToCheck
from canonical.errors import Rejected
from canonical.onboarding import MAY_SAY, OnboardingStanding, PersonAsked, PersonWordGiven, PersonWordTaken
from canonical.people import onboarding_case
from canonical.people_ports import People
from canonical.ports import Cases

COMMITTEES = frozenset({"approve", "reject", "temporary"})  # who may is for the facility's policy to say


class OnboardingActivities:
    """What a clinician's case does in our own store. Who the person is stays there: a case hears keys, codes and dates."""

    def __init__(self, people: People, cases: Cases) -> None:
        self._people = people
        self._cases = cases

    @activity.defn
    async def person_standing(self, asked: PersonAsked) -> OnboardingStanding:
        """Bring into force what is due, and say how the case stands."""
        return await self._people.standing(asked.facility, asked.person, asked.as_of)

    @activity.defn
    async def take_person_word(self, given: PersonWordGiven) -> PersonWordTaken:
        """Check who gives a word, and carry it out; what is refused comes back with the reason, not as a failure."""
        try:
            by = await self._by(given)
            return await self._people.take(given.facility, given.person, given.word, by, given.as_of)
        except Rejected as refused:
            return PersonWordTaken(taken=False, message=refused.message, code=refused.code)

    async def _by(self, given: PersonWordGiven) -> str:
        """The employee who gives it, as decisions are checked."""
        word = given.word
        case = onboarding_case(given.facility, given.person)
        request = DecisionToCheck(case=case, facility=given.facility, decision=word.decision, as_of=given.as_of)
        checked = await self._cases.check(request)
        if not checked.verified or checked.why_not or checked.employee is None:
            why = checked.why_not or "identity not verified: give it by the fascia command"
            raise Rejected(why, code="not-allowed")
        allowed = set(MAY_SAY[word.verb])
        if word.verb in COMMITTEES:
            file = await self._people.file(given.facility, given.person, given.as_of)
            allowed = set(file.policy.approvers) if file is not None else allowed
        if not allowed & set(checked.roles):
            has = ", ".join(checked.roles) or "none"
            raise Rejected(
                f"{word.verb} is for the roles {', '.join(sorted(allowed))}, not for {has}", code="not-allowed"
            )
        return checked.employee
