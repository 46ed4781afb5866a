"""A verification as a step: whom it asks, what it keeps, and what it leaves as it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime

import pytest
from temporalio.testing import ActivityEnvironment

from activities.monitoring import MonitoringActivities
from activities.verification import VerificationActivities
from canonical.credentials import CheckKind, Evidence, VerificationSource
from canonical.errors import FasciaError, Rejected, Throttled, Unavailable
from canonical.monitoring import LicenceDue, MonitoringBatch
from canonical.onboarding import CheckAsked, CheckMade, OnboardingFile
from canonical.people import ClinicianRecord, Licence
from tests.fakes.monitoring import FakeClinicianRegister, FakeEverybody
from tests.fakes.verifiers import FakeVerifier

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
PERSON = "person-000000"


class OnePerson:
    """Who is verified, and what was kept of it."""

    def __init__(self, record: ClinicianRecord) -> None:
        self.record, self.kept = record, list[tuple[str, str, Evidence]]()

    async def record_of(self, person: str) -> ClinicianRecord:
        if person != PERSON:
            raise Rejected("nobody is known by this key", code="not-found")
        return self.record

    async def file(self, facility: str, person: str, as_of: datetime) -> OnboardingFile | None:
        return None

    async def verified(self, person: str, kind: CheckKind, subject: str, evidence: Evidence, as_of: datetime) -> None:
        self.kept.append((kind, subject, evidence))


class House:
    """One person and some sources, each of them in memory."""

    def __init__(self, *sources: VerificationSource) -> None:
        self.person = OnePerson(ClinicianRecord(licences=(Licence(state="IL", number="036-1"),)))
        self.sources = {source.code: FakeVerifier(source.kind, source.code) for source in sources}
        self.register = FakeClinicianRegister(*sources)
        self.steps = VerificationActivities(self.person, self.register, lambda row: self.sources[row.code])

    async def verify(self, kind: CheckKind = "licence", subject: str = "IL") -> CheckMade:
        asked = CheckAsked(facility="NGH", person=PERSON, kind=kind, subject=subject, as_of=NOON)
        return await self.steps.verify(asked)


def source(code: str, kind: CheckKind = "licence", state: str = "", **fields: object) -> VerificationSource:
    return VerificationSource.model_validate(
        {"code": code, "kind": kind, "state": state, "adapter": "licence_board"} | fields
    )


async def test_a_check_says_that_it_is_at_it_while_its_source_thinks() -> None:
    house, said, beats = House(source("ALL")), asyncio.Event(), asyncio.Event()
    house.sources["ALL"].knows("036-1")
    house.sources["ALL"].thinks = said
    step = ActivityEnvironment()
    step.on_heartbeat = lambda *_: beats.set()
    asked = CheckAsked(facility="NGH", person=PERSON, kind="licence", subject="IL", as_of=NOON)
    check = asyncio.create_task(step.run(house.steps.verify, asked))
    await asyncio.wait_for(beats.wait(), 60)
    assert not check.done()
    said.set()
    assert (await check).state == "confirmed"


async def test_the_board_of_the_state_is_asked_and_its_answer_kept() -> None:
    house = House(source("IDFPR", state="IL"), source("DSPS", state="WI"), source("ALL"))
    house.sources["IDFPR"].knows("036-1", expires=date(2028, 7, 31))
    assert await house.verify() == CheckMade(state="confirmed", finding="active")
    assert [verifier.asked for verifier in house.sources.values()] == [1, 0, 0]
    ((kind, subject, evidence),) = house.person.kept
    assert (kind, subject, evidence.source, evidence.expires_on) == ("licence", "IL", "IDFPR", date(2028, 7, 31))


async def test_a_state_without_a_board_of_its_own_has_the_one_of_all_states() -> None:
    house = House(source("DSPS", state="WI"), source("ALL"))
    house.sources["ALL"].knows("036-1")
    assert (await house.verify()).state == "confirmed"


async def test_without_a_source_a_person_looks() -> None:
    house = House(source("IDFPR", state="IL", active=False))
    assert await house.verify() == CheckMade(state="unknown", finding="no-source")
    assert house.person.kept[0][2].state == "unknown"


@pytest.mark.parametrize("kind", ["board", "education", "reference"])
async def test_what_people_verify_is_asked_of_nobody_and_nothing_is_kept(kind: CheckKind) -> None:
    house = House(source("IDFPR"))
    assert await house.verify(kind, "") == CheckMade(state="due", finding="by-people")
    assert house.person.kept == []


@pytest.mark.parametrize("failure", [Unavailable("down"), Throttled("slow"), Rejected("who?", code="unauthenticated")])
async def test_a_source_that_does_not_answer_leaves_everything_as_it_was(failure: FasciaError) -> None:
    house = House(source("IDFPR", state="IL"))
    house.sources["IDFPR"].failure = failure
    with pytest.raises(type(failure)):
        await house.verify()
    assert house.person.kept == []


async def test_a_record_with_nothing_to_ask_by_is_unknown_with_the_reason() -> None:
    house = House(source("NPPES", "npi"))
    assert await house.verify("npi", "") == CheckMade(state="unknown", finding="data-missing")


async def test_every_exclusion_list_is_asked_and_the_worst_holds() -> None:
    house = House(source("LEIE", "exclusion"), source("SAM", "exclusion"), source("IL-LIST", "exclusion", "IL"))
    house.person.record = ClinicianRecord(npi="1234567893")
    for code, finding in (("LEIE", "active"), ("SAM", "active"), ("IL-LIST", "excluded")):
        house.sources[code].knows("1234567893", finding)
    assert await house.verify("exclusion", "") == CheckMade(state="refuted", finding="excluded")


async def test_a_key_nobody_has_is_refused() -> None:
    house = House(source("IDFPR"))
    house.person.record_of = Rejecting().record_of  # type: ignore[method-assign]
    with pytest.raises(Rejected):
        await house.verify()


class Rejecting:
    async def record_of(self, person: str) -> ClinicianRecord:
        raise Rejected("nobody is known by this key", code="not-found")


# ---- the same of many, once a month


def monthly(many: int, *sources: VerificationSource) -> tuple[FakeEverybody, FakeVerifier, MonitoringActivities]:
    everybody, board = FakeEverybody(many), FakeVerifier("licence", "IDFPR")
    for person in everybody.people:
        board.knows(person)
    verifier_for: Callable[[VerificationSource], FakeVerifier] = lambda _: board  # noqa: E731
    register = FakeClinicianRegister(*(sources or (source("IDFPR", state="IL"),)))
    return everybody, board, MonitoringActivities(everybody, register, verifier_for, everybody)


async def test_a_batch_asks_once_about_each_licence() -> None:
    everybody, board, steps = monthly(30)
    made = await steps.ask_batch(MonitoringBatch(as_of=NOON, many=20))
    rest = await steps.ask_batch(MonitoringBatch(as_of=NOON, after=made.after, many=20))
    assert (made.many, made.after, rest.many, rest.after) == (20, "person-000019/IL", 10, "")
    assert board.asked == 30
    assert {answer.evidence.state for answer in everybody.answers.values()} == {"confirmed"}


async def test_a_batch_while_the_board_is_down_owes_everybody_and_changes_nothing() -> None:
    everybody, board, steps = monthly(10)
    board.failure = Unavailable("IDFPR did not answer", system="IDFPR")
    made = await steps.ask_batch(MonitoringBatch(as_of=NOON))
    assert (made.many, made.owed, made.trouble) == (0, 10, "IDFPR did not answer")
    assert everybody.answers == {}


async def test_a_board_that_asks_for_a_moments_patience_gets_it() -> None:
    everybody, board, steps = monthly(3)
    ask, told = board.check, list[int]()

    async def later(*arguments: object) -> Evidence:
        told.append(1)
        if len(told) <= 3:
            raise Throttled("in line", retry_after=0.01)
        return await ask(*arguments)  # type: ignore[arg-type]

    board.check = later  # type: ignore[method-assign,assignment]
    assert (await steps.ask_batch(MonitoringBatch(as_of=NOON))).owed == 0
    assert len(everybody.answers) == 3


async def test_a_board_that_keeps_everybody_in_line_is_owed_and_the_answers_of_others_are_kept() -> None:
    """Else the step would run out of its time, keep nothing, and be made again for ever."""
    everybody, board, _ = monthly(20)
    busy = FakeVerifier("licence", "OHIO")
    busy.failure = Throttled("in line", retry_after=0.2)
    register = FakeClinicianRegister(source("IDFPR", state="IL"), source("OHIO", state="OH"))
    in_ohio = set(everybody.people[:10])
    ask = everybody.licences

    async def of_two_states(batch: MonitoringBatch, states: Sequence[str] | None) -> list[LicenceDue]:
        due = await ask(batch, states)
        return [one.changed(state="OH") if one.person in in_ohio else one for one in due]

    everybody.licences = of_two_states  # type: ignore[method-assign]
    steps = MonitoringActivities(
        everybody, register, lambda of: busy if of.code == "OHIO" else board, everybody, batch_for=3.0
    )
    made = await steps.ask_batch(MonitoringBatch(as_of=NOON))
    assert (made.many, made.owed) == (10, 10)
    assert busy.asked <= 6 * 16, "as long as the batch has time, and no longer"
    assert set(everybody.answers) == set(everybody.people) - in_ohio


async def test_a_board_that_does_not_know_us_makes_nobodys_licence_unknown() -> None:
    everybody, board, steps = monthly(3)
    board.failure = Throttled("does not accept our credentials", retry_after=300, code="unauthenticated")
    assert (await steps.ask_batch(MonitoringBatch(as_of=NOON))).owed == 3
    assert everybody.answers == {}
