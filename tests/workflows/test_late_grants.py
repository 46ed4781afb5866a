"""Grants whose end nobody heard of, and that are carried out long after: none of them outlives what took all access."""

from __future__ import annotations

import asyncio

import pytest

from stack.supervisor import Stack
from tests.access_house import target
from tests.workflows.access_desk import PATIENCE, Desk, workers_of

pytestmark = pytest.mark.server
SLOW = target(timeout=1.0, settles_within=15.0)  # two looks that would confirm are 6 s apart


async def test_a_grant_that_crossed_a_block_unheard_and_comes_after_it_was_undone_is_taken_before_anything_is_confirmed(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(SLOW)
    await desk.house.works()
    idp = desk.targets["idp"]
    idp.late = 12.0
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until(lambda: f"on {desk.person}" in idp.calls, "the grant is not under way")
        handle = await desk.revoke()
        await desk.until(lambda: bool(desk.told("access.crossed.v1")), "it did not cross")
        assert idp.came_late or not idp.is_on(desk.person)
        await desk.until(lambda: desk.person in idp.came_late, "the grant never came")
        assert not desk.told("revocation.confirmed.v1")
        assert (await asyncio.wait_for(handle.result(), PATIENCE))["business_state"] == "off everywhere"
    assert not idp.is_on(desk.person)


async def test_a_grant_that_was_tried_again_and_given_may_come_once_more_and_is_waited_for(
    desk: Desk, server: Stack
) -> None:
    """The first try is on its way for twelve seconds, the second was heard of after three."""
    await desk.house.open(SLOW)
    await desk.house.works()
    idp = desk.targets["idp"]
    idp.late = 12.0
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until(lambda: f"on {desk.person}" in idp.calls, "the grant is not under way")
        idp.late = None
        await desk.until_states(idp="confirmed")
        handle = await desk.revoke()
        await desk.until(lambda: not idp.is_on(desk.person), "still on")
        await desk.until(lambda: desk.person in idp.came_late, "the first try never came")
        assert not desk.told("revocation.confirmed.v1")
        assert (await asyncio.wait_for(handle.result(), PATIENCE))["business_state"] == "off everywhere"
    assert not idp.is_on(desk.person)
