"""Access given and taken on a real Temporal server with our own store: grants in flight, crossings, targets at their worst."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow

from activities.cases import CaseActivities
from canonical.access import BlockWord, Wanted
from canonical.errors import Rejected, Throttled, Unavailable
from stack.supervisor import Stack
from store.ids import now
from tests.access_house import CANARY, target
from tests.fakes.register import FakeRegister
from tests.workflows.access_desk import PATIENCE, Desk, workers_of
from workers.access_serving import serving_revocations
from workers.temporal import steps_of

pytestmark = pytest.mark.server


async def test_what_is_wanted_is_given_in_order_and_taken_in_reverse(desk: Desk, server: Stack) -> None:
    plan = target("plan", "scheduling", after=("idp",))
    await desk.house.open(target("idp", after=("payroll",)), plan, target("payroll", "erp"))
    await desk.house.works()
    order: list[str] = []

    def notes(code: str) -> Callable[[Wanted], None]:
        return lambda wanted: order.append(f"{code} {wanted.active}")

    for code in ("idp", "plan", "payroll"):
        desk.targets[code].on_write = notes(code)
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed", payroll="confirmed")
        assert desk.targets["idp"].accounts[desk.person].groups == ("clinical", "staff")
        await desk.house.becomes(state="ended")
        await desk.wake()
        await desk.until_states(idp="off", plan="off", payroll="off")
    assert order == ["payroll True", "idp True", "plan True", "idp False", "plan False", "payroll False"]


async def test_a_grant_held_in_flight_for_thirty_seconds_is_undone_the_moment_it_ends(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(target(timeout=120.0, settles_within=1.0), seen_off_apart=1)
    await desk.house.works()
    idp = desk.targets["idp"]
    idp.held = asyncio.Event()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until(lambda: f"on {desk.person}" in idp.calls, "the grant is not under way")
        handle = await desk.revoke()
        await asyncio.sleep(30)
        assert not idp.is_on(desk.person)
        state = await desk.house.state("idp")
        assert state.offs == 0, "a look while a grant is on its way confirms nothing"
        idp.held.set()
        await desk.until(lambda: desk.person in idp.accounts and not idp.is_on(desk.person), "it was not undone")
        await desk.until(lambda: bool(desk.told("access.crossed.v1")), "nobody was told that it crossed")
        assert "undone" in await desk.house.trace()
        assert not idp.is_on(desk.person)
        await handle.terminate("the rest takes as long as its time-out")


async def test_a_grant_carried_out_after_we_gave_up_is_found_and_taken_before_anything_is_confirmed(
    desk: Desk, server: Stack
) -> None:
    """Our client waits a second, the target carries it out four seconds later: two looks in between would both be off."""
    await desk.house.open(target(timeout=1.0, settles_within=6.0))
    await desk.house.works()
    idp = desk.targets["idp"]
    idp.late = 4.0
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until(lambda: f"on {desk.person}" in idp.calls, "the grant is not under way")
        handle = await desk.revoke()
        await desk.until(lambda: desk.person in idp.came_late, "the grant never came")
        assert (await desk.house.state("idp")).offs < 2
        result = await asyncio.wait_for(handle.result(), PATIENCE)
        assert result["business_state"] == "off everywhere"
        assert not idp.is_on(desk.person)


async def test_one_call_takes_all_access_within_seconds_and_says_what_was_confirmed(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"), target("plan", "scheduling"), target("ehr", "directory"), target("pay", "erp"))
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed", ehr="confirmed", pay="confirmed")
        began = datetime.now(UTC)
        handle = await desk.revoke()
        await desk.until(
            lambda: not any(desk.targets[code].is_on(desk.person) for code in ("idp", "plan", "ehr")), "on"
        )
        off_after = datetime.now(UTC) - began
        result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert off_after < timedelta(seconds=30)
    assert {one["line"]: one["state"] for one in result["lines"]} == dict.fromkeys(
        ("idp", "plan", "ehr", "pay"), "confirmed off"
    )
    (told,) = desk.told("revocation.confirmed.v1")
    assert (sorted(told["confirmed"].split()), told["missing"]) == (["ehr", "idp", "pay", "plan"], "")
    trace = await desk.house.trace()
    assert trace.index("blocked") < trace.index("confirmed off")
    assert desk.targets["idp"].calls.count(f"on {desk.person}") == 1


async def test_it_works_for_a_key_nobody_knows(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"))
    desk.targets["idp"].enable_by_hand(desk.person, "staff")
    async with workers_of(desk, server):
        handle = await desk.revoke(by_door=False)
        result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "off everywhere"
    assert not desk.targets["idp"].is_on(desk.person)


async def test_it_works_while_the_persons_own_case_is_stuck_and_nothing_else_is_served(
    desk: Desk, server: Stack
) -> None:
    """The workers of the other processes are not there at all."""
    await desk.house.open(target("idp"))
    await desk.house.works()
    desk.targets["idp"].enable_by_hand(desk.person, "staff", "clinical")
    own = steps_of([CaseActivities(desk.cases, FakeRegister())])
    async with serving_revocations(desk.client, server.settings, desk.steps, own):
        await desk.wake()  # nobody takes it up
        result = await asyncio.wait_for((await desk.revoke()).result(), PATIENCE)
    assert result["business_state"] == "off everywhere"
    assert not desk.targets["idp"].is_on(desk.person)


async def test_a_target_that_is_down_is_tried_until_it_is_off_and_escalated_meanwhile(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(target("idp"), target("plan", "scheduling"), escalate_after=600)
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        desk.targets["idp"].away = Unavailable("idp does not answer", system="idp")
        handle = await desk.revoke()
        await desk.until(lambda: not desk.targets["plan"].is_on(desk.person), "the one that is there is not held up")

        async def plan_is_confirmed() -> bool:
            return bool((await desk.house.state("plan")).offs >= 2)

        await desk.until(plan_is_confirmed, "plan is not confirmed off")
        await desk.house.escalates(after=5)
        await handle.signal("look_again", {})
        await desk.until(lambda: bool(desk.told("revocation.escalated.v1")), "nobody was told")
        (told,) = desk.told("revocation.escalated.v1")
        assert told["missing"] == "idp"
        change = desk.change()
        assert change is not None
        assert any("idp" in one.reason and "does not answer" in one.reason for one in change.attention)
        desk.targets["idp"].away = None
        result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "off everywhere" and result["attention"] == []
    assert not desk.targets["idp"].is_on(desk.person)


async def test_a_run_that_begins_when_the_doors_are_confirmed_takes_payroll_all_the_same(
    desk: Desk, server: Stack
) -> None:
    """A run that grew long goes on in another, and one stopped outside is begun again: what was confirmed is not tried anew."""
    await desk.house.open(target("idp"), target("pay", "erp"))
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", pay="confirmed")
        desk.targets["pay"].away = Unavailable("pay does not answer", system="pay")
        first = await desk.revoke()

        async def idp_is_confirmed() -> bool:
            return bool((await desk.house.state("idp")).offs >= 2)

        await desk.until(idp_is_confirmed, "idp is not confirmed off")
        await first.terminate("by somebody with Temporal's tools")
        desk.targets["pay"].away = None
        again = await desk.revoke(by_door=False, reason="", id="")
        result = await asyncio.wait_for(again.result(), PATIENCE)
    assert result["business_state"] == "off everywhere"
    assert not desk.targets["pay"].is_on(desk.person)


@pytest.mark.parametrize(
    "failure",
    [
        Throttled("slow down", retry_after=0.1, system="idp"),
        Rejected("it refuses", code="forbidden", system="idp"),
        ValueError("a mistake of ours"),
    ],
    ids=["throttled", "refused", "a bug"],
)
async def test_whatever_a_target_says_at_first_it_is_tried_again(desk: Desk, server: Stack, failure: Any) -> None:
    await desk.house.open(target("idp"))
    await desk.house.works()
    desk.targets["idp"].enable_by_hand(desk.person, "staff")
    desk.targets["idp"].failures = [failure, failure]
    async with workers_of(desk, server):
        result = await asyncio.wait_for((await desk.revoke()).result(), PATIENCE)
    assert result["business_state"] == "off everywhere"


async def test_after_a_block_nothing_is_given_whatever_is_said(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"))
    await desk.house.works()
    async with workers_of(desk, server):
        await asyncio.wait_for((await desk.revoke()).result(), PATIENCE)
        await desk.house.works("SGH", person=desk.person)
        await desk.wake()
        await desk.until(lambda: (one := desk.change("clinician_access")) is not None and one.revision > 0, "no look")
        await asyncio.sleep(1)
    assert f"on {desk.person}" not in desk.targets["idp"].calls


async def test_two_people_lift_a_block_and_access_follows_what_is_known_then(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"))
    await desk.house.works()
    word = BlockWord(person=desk.person, reason="it was another person", id="lift-1")
    async with workers_of(desk, server):
        await desk.wake()
        await asyncio.wait_for((await desk.revoke()).result(), PATIENCE)
        first = await desk.house.access.lift(word, "E-1", now())
        again = await desk.house.access.lift(word, "E-1", now())
        assert (first.lifted, again.lifted) == (False, False)
        assert (await desk.house.access.lift(word, "E-2", now())).lifted
        await desk.wake()
        await desk.until_states(idp="confirmed")
        late = await desk.revoke(by_door=False, reason="", id="")  # a wake that was on its way when it was lifted
        assert (await asyncio.wait_for(late.result(), PATIENCE))["business_state"] == "no block stands"
    assert desk.targets["idp"].is_on(desk.person)


async def test_an_account_enabled_by_hand_outside_is_found_reported_and_taken_again(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp", look_every=1))
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed")
        await desk.house.becomes(state="ended")
        await desk.wake()
        await desk.until_states(idp="off")
        desk.targets["idp"].enable_by_hand(desk.person, "clinical")
        await desk.until(lambda: bool(desk.told("access.enabled_outside.v1")), "nobody was told")
        await desk.until(lambda: not desk.targets["idp"].is_on(desk.person), "it stays on")


async def test_looks_that_find_what_is_wanted_change_nothing_anybody_reads(desk: Desk, server: Stack) -> None:
    """A case says that a target is being told while one is; a year of looks is no thousand changes of its words."""
    await desk.house.open(target("idp", look_every=1), target("plan", "scheduling", look_every=1))
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        await desk.until(lambda: desk.says("as wanted"), "it is never as wanted")
        stood = desk.change("clinician_access")
        calls = [len(desk.targets[code].calls) for code in ("idp", "plan")]

        def looked() -> bool:
            return all(
                len(desk.targets[code].calls) > before + 2 for code, before in zip(("idp", "plan"), calls, strict=True)
            )

        await desk.until(looked, "nobody looks")
        now = desk.change("clinician_access")
        assert stood is not None and now is not None and now.revision == stood.revision
        desk.targets["idp"].accounts[desk.person].active = False
        await desk.until(lambda: desk.targets["idp"].is_on(desk.person), "what was switched off outside stays off")


async def test_the_case_of_who_left_a_month_ago_ends_and_begins_again_for_each_look(desk: Desk, server: Stack) -> None:
    """An account switched on again outside, years later, is found by such a look and taken away."""
    await desk.house.open(target("idp"), target("plan", "scheduling"))
    await desk.house.works()
    async with workers_of(desk, server):
        handle = await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        await desk.house.becomes(state="ended")
        await desk.wake()
        await desk.until_states(idp="off", plan="off")
        await desk.house.left(days_ago=31)
        await desk.wake()
        ended = await asyncio.wait_for(handle.result(), PATIENCE)
        assert (ended["business_state"], ended["closed"]) == ("off everywhere", True)
        desk.targets["idp"].enable_by_hand(desk.person, "clinical")
        await desk.house.left(days_ago=32)
        await desk.wake()  # as the loop of wakes does when the next look is due
        await desk.until(lambda: bool(desk.told("access.enabled_outside.v1")), "nobody was told")
        await desk.until(lambda: not desk.targets["idp"].is_on(desk.person), "it stays on")


async def test_a_long_life_is_many_short_runs(desk: Desk, server: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends at eight hundred events; here the server says that sixty are many, as it says of thousands."""
    monkeypatch.setattr(
        workflow.Info, "is_continue_as_new_suggested", lambda run: run.get_current_history_length() > 60
    )
    runs: dict[str, int] = {}
    await desk.house.open(target("idp"))
    await desk.house.works()
    async with workers_of(desk, server):
        handle = await desk.wake()
        await desk.until_states(idp="confirmed")

        async def fourth() -> bool:
            await desk.wake()
            history = await handle.fetch_history()
            ours = [one for one in history.events if not one.HasField("workflow_execution_signaled_event_attributes")]
            runs[history.run_id] = len(ours)  # not the wakes that this test heaps up while a step is late
            return len(runs) == 4

        await desk.until(fourth, "one run for ever")
    assert max(runs.values()) < 120, runs
    assert desk.targets["idp"].calls.count(f"on {desk.person}") == 1, "and what stands is given once"


async def test_what_one_target_refuses_is_shown_and_holds_nothing_else_up(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"), target("pay", "erp"))
    await desk.house.works(privileged=False)
    desk.targets["pay"].failures = [Rejected("no such cost centre", code="cost-centre-missing", system="pay")]
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", pay="refused")
        await desk.until(lambda: desk.says("refused by 1"), "nobody sees that it is refused")
        change = desk.change("clinician_access")
        assert change is not None
        assert [(one.document, one.kind) for one in change.attention] == [("pay", "target-refused")]
        await desk.house.privilege()
        await desk.wake()
        groups = ("clinical", "staff")
        await desk.until(lambda: desk.targets["idp"].accounts[desk.person].groups == groups, "it stands still")


async def test_what_is_carried_out_twice_or_slowly_ends_as_wanted(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"))
    await desk.house.works(privileged=False)
    desk.targets["idp"].twice = True
    desk.targets["idp"].failures = [Unavailable("slow", system="idp"), Unavailable("slow", system="idp")]
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed")
    assert desk.targets["idp"].accounts[desk.person].groups == ("staff",)


async def test_workers_killed_in_the_middle_of_a_grant_leave_nothing_that_a_revocation_does_not_find(
    desk: Desk, server: Stack
) -> None:
    """The step that gave it never reads the block again: its mark stands, and no look before it settles counts."""
    await desk.house.open(target("idp", timeout=1.0, settles_within=10.0))
    await desk.house.works()
    wanted = await desk.house.access.begin(desk.person, "idp", now())  # a worker that ends here
    assert wanted.active
    async with workers_of(desk, server):
        handle = await desk.revoke()
        await desk.until_states(idp="off")
        desk.targets["idp"].enable_by_hand(desk.person, *wanted.groups)  # and what it sent is carried out
        result = await asyncio.wait_for(handle.result(), PATIENCE)
    assert result["business_state"] == "off everywhere"
    assert not desk.targets["idp"].is_on(desk.person)


async def test_no_name_is_in_any_history(desk: Desk, server: Stack) -> None:
    await desk.house.open(target("idp"))
    await desk.house.works()
    async with workers_of(desk, server):
        access = await desk.wake()
        await desk.until_states(idp="confirmed")
        revocation = await desk.revoke()
        await asyncio.wait_for(revocation.result(), PATIENCE)
        for handle in (access, revocation):
            assert CANARY not in await desk.history(handle)
    assert CANARY not in str(desk.cases.current) + str(desk.cases.events)
