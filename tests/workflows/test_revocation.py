"""Access given and taken on a real Temporal server with our own store: grants in flight, crossings, targets at their worst."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete
from temporalio.client import Client, WorkflowHandle
from temporalio.common import Priority, WorkflowIDConflictPolicy

from activities.access import AccessActivities
from activities.cases import CaseActivities
from canonical.access import AccessCase, Block, BlockWord, RevocationStart, Wanted
from canonical.cases import CaseChange, Trouble
from canonical.errors import Rejected, Throttled, Unavailable
from canonical.events import EVENTS
from stack.supervisor import Stack
from store import migrate
from store.access_rows import all_targets_in
from store.database import open_engine, transaction
from store.ids import now
from store.people_tables import people
from tests.access_house import CANARY, AccessHouse, target
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases
from tests.fakes.targets import FakeTargets
from workers.access_serving import serving_access
from workers.failures import Failures
from workers.temporal import connect, serving, steps_of

pytestmark = pytest.mark.server
PATIENCE = 40.0


class Desk:
    """One person's access among fakes of targets; the store and Temporal are real."""

    def __init__(self, client: Client, house: AccessHouse, targets: FakeTargets, cases: FakeCases) -> None:
        self.client, self.house, self.targets, self.cases = client, house, targets, cases
        self.steps = AccessActivities(house.access, targets)

    @property
    def person(self) -> str:
        return self.house.person

    async def wake(self) -> WorkflowHandle[Any, Any]:
        start = AccessCase(person=self.person)
        return await self.client.start_workflow(
            "ClinicianAccess",
            start,
            id=start.case_id,
            task_queue="fascia",
            start_signal="look_again",
            start_signal_args=[{}],
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def revoke(self, *, by_door: bool = True, **fields: Any) -> WorkflowHandle[Any, Any]:
        """One call, as a door makes it: the block first."""
        told = {"person": self.person, "by": "E-HR", "reason": "left in anger", "id": f"call-{self.person}"} | fields
        if by_door:
            await self.house.access.block(Block.model_validate(told | {"since": now()}))
        start = RevocationStart.model_validate(told)
        return await self.client.start_workflow(
            "ClinicianRevocation",
            start,
            id=start.case_id,
            task_queue="revocation",
            priority=Priority(priority_key=1),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )

    async def until(self, holds: Callable[[], Awaitable[bool] | bool], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + PATIENCE
        while asyncio.get_running_loop().time() < deadline:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"{what}: {await self.house.states()}, {self.change()!r}")

    async def until_states(self, **states: str) -> None:
        async def holds() -> bool:
            found = await self.house.states()
            return all(found.get(code) == state for code, state in states.items())

        await self.until(holds, f"not {states}")

    def change(self, process: str = "clinician_revocation") -> CaseChange | None:
        return self.cases.current.get(f"{process}/{self.person}")

    def told(self, kind: str) -> list[dict[str, str]]:
        return [one.data for one in self.cases.events.values() if one.type == kind]

    async def history(self, handle: WorkflowHandle[Any, Any]) -> str:
        return (await handle.fetch_history()).to_json()


@asynccontextmanager
async def workers_of(desk: Desk, server: Stack) -> AsyncIterator[None]:
    """Workers as they are served for real."""

    async def trouble(_: Trouble) -> None: ...

    async def rows() -> Any:
        async with transaction(desk.house.engine) as connection:
            return await all_targets_in(connection)

    own = steps_of([CaseActivities(desk.cases, FakeRegister())])
    local = [*own, desk.steps.access_standing]
    from workflows.clinician_access import ClinicianAccess

    async with (
        serving(
            desk.client,
            server.settings,
            workflows=[ClinicianAccess],
            steps={"fascia": local},
            interceptors=[Failures(trouble)],
        ),
        serving_access(
            desk.client, server.settings, desk.steps, own, rows, interceptors=[Failures(trouble)], look_every=0.5
        ),
    ):
        yield


@pytest.fixture
async def desk(server: Stack, workers: Any) -> AsyncIterator[Desk]:
    await workers.stop()  # those of other tests serve the same queue without these steps
    engine = open_engine(server.database_url(), pool=20)
    await migrate.upgrade(engine)
    async with transaction(engine) as connection:
        for table in people.metadata.sorted_tables:
            await connection.execute(delete(table))
    house = AccessHouse(engine)
    cases = FakeCases(register=FakeRegister(), seal_key=b"x")
    desk = Desk(await connect(server.settings), house, FakeTargets(), cases)
    yield desk
    for process in ("clinician_access", "clinician_revocation"):
        try:
            await desk.client.get_workflow_handle(f"{process}/{desk.person}").terminate("the test is over")
        except Exception:
            continue
    await engine.dispose()
    for event in cases.events.values():
        EVENTS[event.type].model_validate(event.data)


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
    await desk.house.open(target(timeout=40.0, settles_within=1.0), seen_off_apart=1)
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
        await desk.until(lambda: idp.is_on(desk.person), "the grant never came")
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
    assert off_after < timedelta(seconds=10)
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

    async def nothing() -> Any:
        return []

    own = steps_of([CaseActivities(desk.cases, FakeRegister())])
    async with serving_access(desk.client, server.settings, desk.steps, own, nothing):
        await desk.wake()  # nobody takes it up
        result = await asyncio.wait_for((await desk.revoke()).result(), PATIENCE)
    assert result["business_state"] == "off everywhere"
    assert not desk.targets["idp"].is_on(desk.person)


async def test_a_target_that_is_down_is_tried_until_it_is_off_and_escalated_meanwhile(
    desk: Desk, server: Stack
) -> None:
    await desk.house.open(target("idp"), target("plan", "scheduling"), escalate_after=15)
    await desk.house.works()
    async with workers_of(desk, server):
        await desk.wake()
        await desk.until_states(idp="confirmed", plan="confirmed")
        desk.targets["idp"].away = Unavailable("idp does not answer", system="idp")
        handle = await desk.revoke()
        await desk.until(lambda: not desk.targets["plan"].is_on(desk.person), "the one that is there is not held up")
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
    await desk.house.open(target("idp", timeout=1.0, settles_within=2.0))
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
