"""A system that is gone for good while something of somebody stands there: their cases end once two people have said so."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from canonical.access import TargetWord
from canonical.errors import Rejected, Unavailable
from stack.supervisor import Stack
from store.database import transaction
from store.ids import now
from store.register_writing import alone
from store.tables import register
from store.target_words import say_in
from tests.access_house import target
from tests.workflows.access_desk import PATIENCE, Desk, workers_of

pytestmark = pytest.mark.server

PLAN = target("plan", "scheduling")


async def out_of_use(desk: Desk) -> None:
    async with transaction(desk.house.engine) as connection:
        await connection.execute(register.delete().where(register.c.code == "plan"))
    await desk.house.put_target(PLAN.model_copy(update={"active": False}))


async def looks_again(desk: Desk) -> None:
    await desk.house.becomes(changed_at=now() + timedelta(seconds=1))
    await desk.wake()


def parked(desk: Desk) -> list[str]:
    """What the case of access says of targets that needs a person."""
    change = desk.change("clinician_access")
    return [f"{one.kind} {one.document}" for one in change.attention] if change is not None else []


async def said_to_be_gone(desk: Desk) -> None:
    """By two, as their desk says it."""
    for by in ("E-1", "E-2"):
        async with transaction(desk.house.engine) as connection:
            await alone(connection, "access_target")
            taken = await say_in(connection, TargetWord(target="plan", reason="the vendor has closed"), by, now())
    assert taken.gone


async def test_a_revocation_that_tries_a_system_in_vain_ends_once_two_people_say_that_it_is_gone(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(target("idp"), PLAN)
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        desk.targets["plan"].away = Unavailable("no such host", system="plan")
        await out_of_use(desk)
        handle = await desk.revoke()
        await desk.until(lambda: bool(desk.told("revocation.escalated.v1")), "nobody was told that it is late")

        async def idp_is_confirmed() -> bool:
            return bool((await desk.house.state("idp")).offs >= 2)

        await desk.until(idp_is_confirmed, "idp is not confirmed off")
        assert not (await desk.house.access.revocation(desk.person, now())).confirmed
        await said_to_be_gone(desk)
        result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "off everywhere" and result["attention"] == []
    (told,) = desk.told("revocation.confirmed.v1")
    assert (told["confirmed"], told["missing"]) == ("idp", "")
    trace = await desk.house.trace()
    assert trace.index("gone with its system") < trace.index("confirmed off")


async def test_what_a_case_of_access_parked_about_it_ends_and_begins_again_when_it_is_in_use_again(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(target("idp"), PLAN)
    await desk.house.works()

    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        desk.targets["plan"].failures = [Rejected("it knows us no more", code="forbidden", system="plan")]
        await out_of_use(desk)
        await looks_again(desk)
        await desk.until(lambda: desk.says("refused by 1"), "nobody sees that it is refused")
        await said_to_be_gone(desk)
        await desk.wake()
        await desk.until_states(plan="off")

        await desk.until(lambda: not parked(desk), "it is parked for a system that is gone")
        assert desk.targets["plan"].is_on(desk.person), "nobody asked it"
        async with transaction(desk.house.engine) as connection:
            await connection.execute(register.delete().where(register.c.code == "plan"))
        await desk.house.put_target(PLAN)
        await looks_again(desk)
        await desk.until_states(plan="confirmed")


@pytest.mark.parametrize("refuses_when", ["given", "taken"])
async def test_what_a_case_of_access_parked_about_a_target_ends_when_it_was_seen_off_out_of_use(
    desk: Desk, server: Stack, refuses_when: str
) -> None:
    await desk.house.open(target("idp"), PLAN)
    await desk.house.works()
    async with workers_of(desk, server):
        if refuses_when == "given":
            desk.targets["plan"].failures = [Rejected("it knows us no more", code="forbidden", system="plan")]
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="refused" if refuses_when == "given" else "confirmed")
        if refuses_when == "taken":
            desk.targets["plan"].failures = [Rejected("it knows us no more", code="forbidden", system="plan")]
        else:
            await desk.until(lambda: parked(desk) == ["target-refused plan"], "nobody sees that it is refused")
        await out_of_use(desk)
        await looks_again(desk)
        if refuses_when == "taken":
            await desk.until(lambda: parked(desk) == ["target-refused plan"], "nobody sees that it is refused")
        await desk.until_states(plan="off")
        await desk.until(lambda: not parked(desk), "it is parked though nothing is to be done there")
        await desk.until(lambda: desk.says("as wanted"), "it does not rest")
    change = desk.change("clinician_access")
    assert change is not None and {one.line: one.state for one in change.lines}["plan"] == "off"
    assert not desk.targets["plan"].is_on(desk.person)


async def test_what_a_case_of_access_parked_about_a_target_out_of_use_ends_when_a_revocation_has_seen_it_off(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(target("idp"), PLAN)
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        desk.targets["plan"].away = Rejected("it knows us no more", code="forbidden", system="plan")
        await out_of_use(desk)
        await looks_again(desk)
        await desk.until(lambda: parked(desk) == ["target-refused plan"], "nobody sees that it is refused")
        handle = await desk.revoke()
        await desk.until(lambda: bool(desk.told("revocation.escalated.v1")), "nobody was told that it is late")
        assert parked(desk) == ["target-refused plan"]
        desk.targets["plan"].away = None
        result = await asyncio.wait_for(handle.result(), PATIENCE)
        assert result["business_state"] == "off everywhere"
        await desk.wake()  # as the loop of wakes does
        await desk.until(lambda: not parked(desk), "it is parked though it was confirmed off")
