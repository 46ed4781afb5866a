"""Ways one person's access goes, given and taken: recorded as histories that later code must still replay.

Targets of these stories answer within a second, so that what is waited for is short.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
from temporalio import workflow

from canonical.access import BlockWord
from canonical.errors import Rejected, Unavailable
from store.ids import now
from tests.access_house import target
from tests.workflows.access_desk import PATIENCE, Desk

Story = Callable[[Desk], Awaitable[None]]
QUICK: dict[str, Any] = {"timeout": 1.0, "settles_within": 1.0}


async def access_given_changed_and_taken(desk: Desk) -> None:
    plan = target("plan", "scheduling", after=("idp",), **QUICK)
    await desk.house.open(target("idp", look_every=2, **QUICK), plan)
    await desk.house.works(privileged=False)
    await desk.wake()
    await desk.until_states(idp="confirmed")
    assert desk.targets["idp"].accounts[desk.person].groups == ("staff",)
    await desk.house.privilege()
    await desk.wake()
    await desk.until_states(idp="confirmed", plan="confirmed")
    await desk.house.becomes(state="ended", ends_on=date(2026, 1, 2))
    await desk.wake()
    await desk.until_states(idp="off", plan="off")
    desk.targets["idp"].enable_by_hand(desk.person, "clinical")
    await desk.until(lambda: bool(desk.told("access.enabled_outside.v1")), "nobody was told")
    await desk.until(lambda: not desk.targets["idp"].is_on(desk.person), "it stays on")


async def access_that_is_as_wanted_for_long(desk: Desk) -> None:
    """Looks that find nothing new, one of two at a time and both together, and one that finds something."""
    await desk.house.open(target("idp", look_every=1, **QUICK), target("plan", "scheduling", look_every=1, **QUICK))
    await desk.house.works()
    await desk.wake()
    await desk.until_states(idp="confirmed", plan="confirmed")
    before = len(desk.targets["idp"].calls)
    await desk.until(lambda: len(desk.targets["idp"].calls) > before + 3, "nobody looks")
    desk.targets["idp"].accounts[desk.person].active = False
    await desk.until(lambda: desk.targets["idp"].is_on(desk.person), "what was switched off outside stays off")


async def access_that_waits_for_what_a_target_lacks(desk: Desk) -> None:
    plan = target("plan", "scheduling", after=("idp",), **QUICK)
    await desk.house.open(target("idp", **QUICK), plan, target("pay", "erp", **QUICK))
    await desk.house.works()
    desk.targets["pay"].failures = [Rejected("no such cost centre", code="cost-centre-missing", system="pay")]
    desk.targets["idp"].failures = [Unavailable("away", system="idp")]
    await desk.wake()
    await desk.until_states(idp="confirmed", plan="confirmed", pay="refused")
    await desk.until(lambda: bool((one := desk.change("clinician_access")) and one.attention), "nobody is shown it")


async def access_whose_case_becomes_long(desk: Desk) -> None:
    await desk.house.open(target("idp", **QUICK))
    await desk.house.works(privileged=False)
    await desk.wake()
    await desk.until_states(idp="confirmed")
    await desk.until(lambda: desk.says("as wanted"), "the first run does not say so")
    first = desk.run_of("clinician_access")
    with _too_long(30):  # while no step is under way, so that it goes on with the task that says so
        async with asyncio.timeout(PATIENCE):
            while desk.run_of("clinician_access") == first:
                await desk.wake()
                await asyncio.sleep(0.3)
    await desk.house.privilege()
    await desk.wake()
    await desk.until(lambda: desk.targets["idp"].accounts[desk.person].groups == ("clinical", "staff"), "not given")
    await desk.house.becomes(state="ended", ends_on=date(2026, 1, 2))
    await desk.wake()
    await desk.until_states(idp="off")
    await desk.until(lambda: desk.says("off everywhere"), "the second run does not say so")


async def a_revocation_as_usual(desk: Desk) -> None:
    keys = target("keys", "manual", after=("idp",), **QUICK)
    await desk.house.open(target("idp", **QUICK), target("plan", "scheduling", **QUICK), keys)
    await desk.house.works()
    await desk.wake()
    await desk.until_states(idp="confirmed", plan="confirmed", keys="confirmed")
    await _off_everywhere(desk)


async def a_revocation_that_a_grant_crossed(desk: Desk) -> None:
    await desk.house.open(target("idp", timeout=8.0, settles_within=1.0))
    await desk.house.works()
    idp = desk.targets["idp"]
    idp.held = asyncio.Event()
    await desk.wake()
    await desk.until(lambda: f"on {desk.person}" in idp.calls, "the grant is not under way")
    await desk.revoke()
    await desk.until_states(idp="off")
    idp.held.set()
    await desk.until(lambda: bool(desk.told("access.crossed.v1")), "nobody was told that it crossed")
    await _off_everywhere(desk)
    assert not idp.is_on(desk.person)


async def a_revocation_of_a_target_that_is_down(desk: Desk) -> None:
    await desk.house.open(target("idp", **QUICK), target("plan", "scheduling", **QUICK), escalate_after=5)
    await desk.house.works()
    await desk.wake()
    await desk.until_states(idp="confirmed", plan="confirmed")
    desk.targets["idp"].away = Unavailable("idp does not answer", system="idp")
    await desk.revoke()
    await desk.until(lambda: bool(desk.told("revocation.escalated.v1")), "nobody was told")
    desk.targets["idp"].away = None
    await _off_everywhere(desk)


async def a_revocation_of_a_key_nobody_knows(desk: Desk) -> None:
    await desk.house.open(target("idp", **QUICK))
    desk.targets["idp"].enable_by_hand(desk.person, "staff")
    handle = await desk.revoke(by_door=False)
    result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "off everywhere" and not desk.targets["idp"].is_on(desk.person)


async def a_revocation_that_is_lifted(desk: Desk) -> None:
    await desk.house.open(target("idp", **QUICK))
    await desk.house.works()
    desk.targets["idp"].away = Unavailable("idp does not answer", system="idp")
    handle = await desk.revoke()
    await desk.until(lambda: f"off {desk.person}" in desk.targets["idp"].calls, "it was not tried")
    word = BlockWord(person=desk.person, reason="it was another person", id="lift-1")
    for by in ("E-1", "E-2"):
        await desk.house.access.lift(word, by, now())
    await handle.signal("look_again", {})
    result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "lifted"


async def a_revocation_whose_case_becomes_long(desk: Desk) -> None:
    await desk.house.open(target("idp", **QUICK))
    await desk.house.works()
    desk.targets["idp"].enable_by_hand(desk.person, "staff")
    desk.targets["idp"].away = Unavailable("idp does not answer", system="idp")
    handle = await desk.revoke()
    await desk.until(lambda: desk.run_of("clinician_revocation") != "", "it does not stand")
    first = desk.run_of("clinician_revocation")
    with _too_long(20):
        async with asyncio.timeout(PATIENCE):
            while desk.run_of("clinician_revocation") == first:
                await desk.client.get_workflow_handle(handle.id).signal("look_again", {})
                await asyncio.sleep(0.5)
    desk.targets["idp"].away = None
    await _off_everywhere(desk)


async def _off_everywhere(desk: Desk) -> None:
    """Everything of the one call is confirmed; a repeat of it finds the same case."""
    handle = await desk.revoke()
    result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "off everywhere", f"{datetime.now(UTC)}: {result}"


@contextmanager
def _too_long(events: int) -> Iterator[None]:
    """The server says that a history of more than so many events has become long."""
    with pytest.MonkeyPatch.context() as patched:
        said = "is_continue_as_new_suggested"
        patched.setattr(workflow.Info, said, lambda info: info.get_current_history_length() > events)
        yield


STORIES: tuple[Story, ...] = (
    access_given_changed_and_taken,
    access_that_is_as_wanted_for_long,
    access_that_waits_for_what_a_target_lacks,
    access_whose_case_becomes_long,
    a_revocation_as_usual,
    a_revocation_that_a_grant_crossed,
    a_revocation_of_a_target_that_is_down,
    a_revocation_of_a_key_nobody_knows,
    a_revocation_that_is_lifted,
    a_revocation_whose_case_becomes_long,
)
