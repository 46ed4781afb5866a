"""A target that refused and was put out of use: its line stays until nothing is to be done there, and then it says so."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from canonical.access import AccessStanding, TargetLine, TargetSeen, TargetWord
from store.database import transaction
from store.ids import now
from store.people_tables import people
from store.person_trace import TraceRow, broken_at, trace_in
from store.register_writing import alone
from store.tables import register
from store.target_words import say_in
from tests.access_house import OFF, ON, AccessHouse, target

PLAN = target("plan", "scheduling")


class Refused(AccessHouse):
    """Somebody has access in ``plan``, which was put out of use and refuses that it be taken away."""

    async def begins(self) -> None:
        await self.open(target("idp"), PLAN)
        await self.works()
        wanted = await self.access.begin(self.person, "plan", now())
        await self.access.wrote(self.person, "plan", wanted, ON.changed(as_wanted=True), now())
        await self.row_is(active=False)
        await self.refuses()

    async def row_is(self, *, active: bool) -> None:
        await self.no_row()
        await self.put_target(PLAN.model_copy(update={"active": active}))

    async def no_row(self) -> None:
        async with transaction(self.engine) as connection:
            await connection.execute(register.delete().where(register.c.code == "plan"))

    async def refuses(self) -> None:
        await self.access.refused(self.person, "plan", "forbidden", "it knows us no more", now())

    async def takes(self, seen: TargetSeen = OFF) -> None:
        """The case of access writes it off, and the target says what stands there then."""
        none = await self.access.wanted(self.person, "plan", now())
        await self.access.wrote(self.person, "plan", none, seen, now())

    async def standing(self) -> AccessStanding:
        return await self.access.standing(self.person, now())

    async def line(self) -> TargetLine | None:
        """As the case shows it; a case keeps what it parked while it is shown nothing."""
        return next((one for one in (await self.standing()).targets if one.target == "plan"), None)

    async def gone(self) -> None:
        for by in ("E-1", "E-2"):
            async with transaction(self.engine) as connection:
                await alone(connection, "access_target")
                taken = await say_in(connection, TargetWord(target="plan", reason="closed"), by, now())
        assert taken.gone

    async def entries(self) -> Sequence[TraceRow]:
        async with transaction(self.engine) as connection:
            rows = await trace_in(connection, self.person)
            kept = (await connection.execute(people.select().where(people.c.person == self.person))).one()
        assert broken_at(self.person, rows, kept.links, kept.link) is None
        return [one for one in rows if one.what == "plan"]

    async def is_woken(self) -> bool:
        async with transaction(self.engine) as connection:
            kept = (await connection.execute(people.select().where(people.c.person == self.person))).one()
        return kept.woken_at is not None


@pytest.fixture
async def house(engine: AsyncEngine) -> Refused:
    house = Refused(engine)
    await house.begins()
    return house


async def test_once_it_was_seen_off_its_line_says_off_and_nothing_is_due_there(house: Refused) -> None:
    await house.takes()
    for _ in range(2):
        standing = await house.standing()
        assert "plan" not in {one.target for one in standing.due} and standing.refused == ()
        (line,) = [one for one in standing.targets if one.target == "plan"]
        assert (line.kind, line.state, line.active, line.reason) == ("scheduling", "off", False, "")


async def test_while_something_may_stand_there_it_is_never_off(house: Refused) -> None:
    line = await house.line()
    assert line is not None and (line.state, line.reason) == ("refused", "forbidden: it knows us no more")
    await house.takes(ON)
    line = await house.line()
    assert line is not None and (line.state, line.active) == ("written", True)
    await house.refuses()
    assert (await house.standing()).refused == ("plan",)


async def test_while_a_grant_may_still_come_there_it_is_looked_for(house: Refused) -> None:
    await house.row_is(active=True)
    await house.access.begin(house.person, "plan", now())
    await house.row_is(active=False)
    await house.refuses()
    await house.takes()
    standing = await house.standing()
    assert standing.next_at is not None and "plan" in {one.target for one in standing.targets}
    assert (await house.state("plan")).asked_at is not None


async def test_of_a_blocked_person_it_is_shown_off_once_two_looks_have_confirmed_it(house: Refused) -> None:
    await house.block()
    await house.takes()
    assert await house.line() is None, "the case keeps what it parked"
    await house.look(code="plan")
    assert await house.line() is None, "one look is none"
    await house.look(code="plan", later=21)
    line = await house.line()
    assert line is not None and line.state == "off"


async def test_the_case_of_access_looks_when_a_revocation_has_seen_it_off(house: Refused) -> None:
    await house.block()
    await house.look(code="plan")
    await house.standing()
    for code, woken in (("idp", False), ("plan", True)):
        await house.look(code=code, later=21)
        assert await house.is_woken() is woken, code


async def test_what_was_off_before_a_block_came_is_not_waited_for(house: Refused) -> None:
    await house.takes()
    await house.block()
    line = await house.line()
    assert line is not None and line.state == "off"


@pytest.mark.parametrize("by", ["the case", "a revocation"])
async def test_the_trace_says_which_refusal_ended_once_also_while_no_look_counts(house: Refused, by: str) -> None:
    if by == "a revocation":
        await house.row_is(active=True)
        await house.access.begin(house.person, "plan", now())
        await house.row_is(active=False)
        await house.block()
        await house.refuses()
        assert (await house.look(code="plan")).times == 0, "the grant may still be on its way"
        await house.look(code="plan", later=10)
    else:
        await house.takes()
    (entry,) = [one for one in await house.entries() if "refused before" in one.content]
    assert (entry.did, entry.content["state"]) == ("wrote" if by == "the case" else "seen off", "off")
    assert entry.content["refused before"] == "forbidden: it knows us no more"


async def test_once_two_people_say_that_it_is_gone_its_line_says_so_and_the_trace(house: Refused) -> None:
    await house.gone()
    line = await house.line()
    assert line is not None and (line.state, line.finding) == ("off", "system-gone")
    (entry,) = [one for one in await house.entries() if one.did == "gone with its system"]
    assert (entry.content["state"], entry.content["refused before"]) == ("refused", "forbidden: it knows us no more")


async def test_of_a_target_the_register_has_no_more_the_line_comes_with_the_word_that_it_is_gone(
    house: Refused,
) -> None:
    await house.no_row()
    assert await house.line() is None, "nobody looks there, and something may stand: the case keeps what it parked"
    await house.gone()
    line = await house.line()
    assert line is not None and (line.kind, line.state, line.finding) == ("scheduling", "off", "system-gone")


async def test_what_was_seen_off_and_then_left_the_register_is_shown_off(house: Refused) -> None:
    await house.takes()
    await house.no_row()
    line = await house.line()
    assert line is not None and line.state == "off"


async def test_in_use_again_it_is_planned_as_any_other(house: Refused) -> None:
    await house.takes()
    await house.row_is(active=True)
    standing = await house.standing()
    assert [one.target for one in standing.targets].count("plan") == 1
    assert "plan" in {one.target for one in standing.due}
