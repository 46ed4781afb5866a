"""With a key the commands work through the REST door: here our real door, with what stands behind it in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from canonical.cases import Actor, Correction, Decision, seal_is_valid
from canonical.errors import FasciaError, Rejected
from canonical.ports import Unmatched
from cli import house as way_in
from cli.app import run
from cli.door import DoorHouse
from cli.exits import exit_for
from cli.house import CaseFilter, KeyRequest, MessageFilter
from gateway.intake import Intake
from gateway.lookups import Caller
from gateway.rest import Doors, make_app
from tests import build
from tests.fakes.store import FakeCases
from tests.gateway.fakes import (
    ORDER_CASE,
    FakeEngine,
    FakeKeys,
    FakeLookups,
    FakeQuotas,
    FakeUnmatched,
    NotingJournal,
    stands,
)

PERSON = Caller(key="key-2", sender="e-buy", facility="NGH", person="E-BUY", roles=("buyer",), per_minute=1000)
SYSTEM = Caller(key="key-1", sender="orplan", facility="NGH", per_minute=1000)
SLOW = Caller(key="key-4", sender="slow", facility="NGH", person="E-BUY", per_minute=1)


class Behind:
    """The door and what stands behind it."""

    def __init__(self) -> None:
        self.engine = FakeEngine()
        journal = NotingJournal()
        self.cases = FakeCases(journal)
        self.app = make_app(
            Doors(
                intake=Intake(journal, self.cases, self.engine),
                cases=self.cases,
                engine=self.engine,
                keys=FakeKeys(person=PERSON, system=SYSTEM, slow=SLOW),
                quotas=FakeQuotas(),
                lookups=FakeLookups(self.cases),
                unmatched=FakeUnmatched(self.cases),
                seal_key=build.SEAL_KEY,
            )
        )

    def by(self, key: str) -> DoorHouse:
        """The house of somebody with this key."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return DoorHouse(
            httpx.AsyncClient(transport=transport, base_url="http://door", headers={"Authorization": f"Bearer {key}"})
        )


@pytest.fixture
async def behind() -> Behind:
    made = Behind()
    await made.cases.record(stands(ORDER_CASE))
    return made


async def test_a_decision_is_that_of_the_keys_person_and_sealed_by_the_door(behind: Behind) -> None:
    house = behind.by("person")
    decision = Decision(
        verb="correct",
        line="1",
        reason="a reason",
        revision=3,
        id="d-1",
        actor=await house.whoami(),
        correction=Correction(cost_centre="CC-4200"),
    )
    answer = await house.decide(ORDER_CASE, decision)
    [(case, given)] = behind.engine.decided
    assert answer.taken and case == ORDER_CASE
    assert given.actor == Actor(id="E-BUY", known_by="api_key") and seal_is_valid(given, case, build.SEAL_KEY)
    assert (given.verb, given.line, given.revision) == ("correct", "1", 3)
    assert given.correction == decision.correction


async def test_the_same_decision_twice_is_one(behind: Behind) -> None:
    house = behind.by("person")
    for _ in range(2):
        await house.decide(ORDER_CASE, Decision(verb="approve", id="d-1"))
    assert len({given.id for _, given in behind.engine.decided}) == 1


@pytest.mark.parametrize(("refused", "ends"), [("changed", 5), ("not-open", 5), ("not-allowed", 4)])
async def test_why_a_case_refuses_reaches_the_person(behind: Behind, refused: str, ends: int) -> None:
    behind.engine.refuses = refused
    with pytest.raises(FasciaError, match="the case has changed") as told:
        await behind.by("person").decide(ORDER_CASE, Decision(verb="approve", id="d-1"))
    assert exit_for(told.value) == ends


@pytest.mark.parametrize(
    ("key", "ends", "said"),
    [("nobody", 4, "not valid"), ("system", 4, "belongs to no person"), ("slow", 7, "a minute")],
)
async def test_a_key_does_what_it_is_for(behind: Behind, key: str, ends: int, said: str) -> None:
    house = behind.by(key)
    with pytest.raises(FasciaError, match=said) as told:
        for number in range(2):
            await house.decide(ORDER_CASE, Decision(verb="approve", id=f"d-{number}"))
    assert exit_for(told.value) == ends


async def test_what_does_not_fit_is_told_with_its_path(behind: Behind) -> None:
    with pytest.raises(FasciaError) as told:
        await behind.by("person").decide(
            ORDER_CASE, Decision(verb="approve", id="d-1", line="1").model_copy(update={"line": "not a line"})
        )
    assert exit_for(told.value) == 2 and getattr(told.value, "path", "") == "line"


async def test_temporal_away_is_told_as_such(behind: Behind) -> None:
    behind.engine.away = True
    with pytest.raises(FasciaError) as told:
        await behind.by("person").decide(ORDER_CASE, Decision(verb="approve", id="d-1"))
    assert exit_for(told.value) == 7


async def test_a_door_that_is_not_there_is_told_as_such() -> None:
    house = DoorHouse(httpx.AsyncClient(base_url="http://127.0.0.1:9", trust_env=False))
    with pytest.raises(FasciaError, match="does not answer") as told:
        await house.cases(CaseFilter(), 10)
    assert exit_for(told.value) == 7


async def test_cases_are_found_and_shown_through_the_door(behind: Behind) -> None:
    house = behind.by("person")
    assert ORDER_CASE in {row.case for row in await house.cases(CaseFilter(process="purchase_order"), 1)}
    assert [row.case for row in await house.find(ORDER_CASE)] == [ORDER_CASE]
    view = await house.case(ORDER_CASE)
    assert view is not None and (view.revision, view.business_state) == (3, "sent to supplier")
    assert view.decisions[0].actor == "E-MGR"
    assert await house.find("purchase_order/NGH/PO-0") == []


async def test_the_register_is_looked_up_through_the_door(behind: Behind) -> None:
    house = behind.by("person")
    assert [row.code for row in await house.register("item", "", "ITM-1001", 10)] == ["ITM-1001"]
    assert [row.code for row in await house.register("supplier", "", "", 10)] == ["ALPINE"]
    assert await house.register("item", "", "ITM-9", 10) == []


async def test_a_document_is_attached_or_set_aside_through_the_door(behind: Behind) -> None:
    held = Unmatched(id="u-1", kind="invoice", facility="NGH", at=datetime.now(UTC), document='{"key": "k"}')
    await behind.cases.put_unmatched(held)
    await behind.cases.put_unmatched(held.model_copy(update={"id": "u-2"}))
    behind.engine.open.add(ORDER_CASE)
    house = behind.by("person")
    assert {row.id for row in await house.unmatched("open", "", 10)} == {"u-1", "u-2"}
    assert (await house.attach("u-1", ORDER_CASE, "typo", True)).state == "open"
    assert (await house.attach("u-1", ORDER_CASE, "typo", False)).case == ORDER_CASE
    assert behind.engine.delivered[0][1].attached_by == "E-BUY"
    assert (await house.dismiss("u-2", "a test file", False)).state == "set_aside"
    with pytest.raises(Rejected):
        await house.attach("u-9", ORDER_CASE, "", False)


@pytest.mark.parametrize(
    "ask",
    [
        lambda house: house.messages(MessageFilter(), 1),
        lambda house: house.message("m"),
        lambda house: house.keys(1),
        lambda house: house.add_keys([KeyRequest(sender="s", facility="NGH")]),
        lambda house: house.resume(ORDER_CASE, ""),
        lambda house: house.history(ORDER_CASE, ""),
        lambda house: house.load_from_erp("NGH", False),
    ],
)
async def test_what_the_door_does_not_do_is_not_allowed(behind: Behind, ask: Callable[[DoorHouse], object]) -> None:
    with pytest.raises(FasciaError, match="the REST door does not do this") as told:
        await ask(behind.by("person"))  # type: ignore[misc]
    assert exit_for(told.value) == 4


def test_a_whole_command_works_through_the_door(capsys: pytest.CaptureFixture[str]) -> None:
    made = Behind()

    @asynccontextmanager
    async def opened() -> AsyncIterator[DoorHouse]:
        await made.cases.record(stands(ORDER_CASE))
        yield made.by("person")

    before = way_in.open_by(opened)
    try:
        assert run(["case", "approve", ORDER_CASE, "--json"]) == 0
    finally:
        way_in.open_by(before)
    assert '"message": "approve taken"' in capsys.readouterr().out
    assert made.engine.decided[0][1].revision == 3
