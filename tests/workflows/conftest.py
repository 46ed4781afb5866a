"""A process among fakes, on a real Temporal server that can skip time."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from activities.cases import CaseActivities
from activities.erp import ErpActivities
from activities.register import RegisterActivities
from activities.supplier import SupplierActivities
from canonical.base import read_strictly
from canonical.cases import Answer, Attention, CaseChange, CaseStatus, Decision, Trouble
from canonical.events import EVENTS
from canonical.purchasing import PurchaseOrder, Requisition, RequisitionLine
from canonical.seals import sealed_document
from canonical.steps import SupplierDocument
from stack.supervisor import Stack, running
from tests import build, proof
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases
from tests.workflows.outside import Outside
from workers.failures import Failures
from workers.temporal import connect, serving, steps_of
from workflows.procure_to_pay import ProcureToPay
from workflows.purchase_order import PurchaseOrderCase

PATIENCE = 75.0  # a task that a worker has dropped comes again only after its time
HERE = Path(__file__).parent
# How many runs the workers remember. With none, every step of a process is replayed; but the SDK then has room for one run at a
# time, and drops the task of a case that waits for a step on our own store when another case's task comes: it comes again
# after its time-out, and such steps are taken twice.
REMEMBERED, REPLAYED = 100, 0
WHOLE_SUITE = 100  # fewer were asked for by file or name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever drives a process is tested once more with every step replayed, by ``make prove``."""
    chosen = any("cached" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "cached" in metafunc.fixturenames and not chosen:
        replayed = pytest.param(REPLAYED, marks=pytest.mark.prove, id="replayed")
        metafunc.parametrize("cached", [pytest.param(REMEMBERED, id=pytest.HIDDEN_PARAM), replayed])


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is replayed comes after all else of this folder, so that the workers begin again only once."""
    ours = [place for place, item in enumerate(items) if item.path.parent == HERE]
    for place, item in zip(ours, sorted((items[place] for place in ours), key=_is_replayed), strict=True):
        items[place] = item


class Replays:
    """Counts the tests that ran with every step replayed, and notes in the proof that all of them passed."""

    def __init__(self) -> None:
        self.began = datetime.now(UTC)
        self.expected: set[str] = set()
        self.passed: set[str] = set()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        if not session.config.option.keyword:  # a part of them proves nothing of the whole
            self.expected = {item.nodeid for item in session.items if item.path.parent == HERE and _is_replayed(item)}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid in self.expected and (report.skipped or (report.when == "call" and report.passed)):
            self.passed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        if len(self.expected) >= WHOLE_SUITE and self.passed == self.expected:
            proof.note("the processes among fakes", f"{len(self.passed)} tests, every step replayed", "-", self.began)


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Replays())


def _is_replayed(item: pytest.Item) -> bool:
    spec = getattr(item, "callspec", None)
    return spec is not None and spec.params.get("cached") == REPLAYED


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A Temporal server of the tests' own."""
    async with running(tmp_path_factory.mktemp("server"), ("database", "temporal"), time_skipping=True) as stack:
        yield stack


class OwnNumbers(FakeCases):
    """Our own store in memory, with order numbers that no other test on the same server has."""

    def next_number(self) -> str:
        return build.unique("PO")


class Case:
    """Drives one requisition: starts it, decides, lets the supplier and the ERP speak, and looks at what became of it."""

    def __init__(self, client: Client, cases: FakeCases, register: FakeRegister, outside: Outside) -> None:
        self.client, self.cases, self.register, self.outside = client, cases, register, outside
        self.skipper = TimeSkipper(client)
        self.handle: WorkflowHandle[Any, CaseStatus] | None = None
        self.id = ""

    async def start(self, requisition: Requisition, *, skipping: bool = False) -> None:
        await self.start_raw(requisition.case_id, requisition.model_dump_json().encode(), skipping=skipping)

    async def start_raw(self, case: str, data: bytes, *, skipping: bool = False, encoding: str = "json/plain") -> None:
        await self.start_with(case, [data], skipping=skipping, encoding=encoding)

    async def start_with(
        self, case: str, arguments: Sequence[bytes], *, skipping: bool = False, encoding: str = "json/plain"
    ) -> None:
        client = self.skipper.client if skipping else self.client
        self.id = case
        wires = [RawValue(Payload(metadata={"encoding": encoding.encode()}, data=data)) for data in arguments]
        self.handle = await client.start_workflow(
            "ProcureToPay",
            args=wires,
            id=case,
            task_queue="fascia",
            result_type=CaseStatus,
            task_timeout=timedelta(seconds=5),
        )

    def state(self, case: str | None = None) -> str:
        change = self.cases.current.get(case or self.id)
        return change.business_state if change else ""

    async def until(self, state: str, case: str | None = None) -> None:
        """Wait until the read model says so. Of a state that passes by itself a busy machine may see nothing."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.state(case) != state:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            change = self.cases.current.get(case or self.id)
            raise AssertionError(f"{case or self.id} is {change!r}, not {state}") from None

    async def orders(self, state: str = "ordered") -> list[PurchaseOrder]:
        """The orders the requisition became, in order of their numbers."""
        await self.until(state)
        numbers = {line.order for line in self.change().lines}
        async with asyncio.timeout(PATIENCE):
            while {order.number for order in self.placed()} != numbers:
                await asyncio.sleep(0.02)
        return sorted(self.placed(), key=lambda order: order.number)

    def placed(self) -> list[PurchaseOrder]:
        """The orders of this requisition that the ERP holds."""
        steps = [step for steps in self.outside.documents.values() for step in steps]
        return [held for name, held in steps if name.startswith("create") and held.requisition == self.id]

    async def order(self, state: str = "ordered", *, now: str = "sent to supplier") -> PurchaseOrder:
        """The one order, once it is with its supplier."""
        (order,) = await self.orders(state)
        await self.until(now, order.case_id)
        return order

    async def approved_order(self, *lines: RequisitionLine, skipping: bool = False, **fields: Any) -> PurchaseOrder:
        """A requisition that needs one approval, given; its one order is with the supplier."""
        await self.start(build.requisition(*lines, **fields), skipping=skipping)
        await self.until("pending approval")
        await self.decide("approve", by="E-MGR")
        return await self.order()

    async def ended(self, order: PurchaseOrder) -> CaseStatus:
        """How the order's case ended."""
        handle = self.client.get_workflow_handle(order.case_id, result_type=CaseStatus)
        async with asyncio.timeout(PATIENCE):
            status: CaseStatus = await handle.result()
        return status

    def told(self, case: str | None = None) -> list[str]:
        """The business events of a case, by type, in the order they were told."""
        return [event.type for event in self.cases.events.values() if event.case == (case or self.id)]

    def change(self, case: str | None = None) -> CaseChange:
        """The case as the read model has it."""
        return self.cases.current[case or self.id]

    def lines(self, order: PurchaseOrder) -> list[str]:
        return [line.state for line in self.change(order.case_id).lines]

    async def parked(self, kind: str = "", case: str | None = None, *, document: str = "", line: str = "") -> Attention:
        """Wait until the read model shows something parked, of this kind, document or line."""
        for _ in range(int(PATIENCE / 0.02)):
            shown = self.cases.current.get(case or self.id)
            for one in shown.attention if shown else ():
                fits = kind in ("", one.kind) and line in ("", one.line) and (one.document or "").startswith(document)
                if fits:
                    return one
            await asyncio.sleep(0.02)
        raise AssertionError(
            f"nothing like {kind} {document} {line} is parked: {self.cases.current.get(case or self.id)!r}"
        )

    async def parked_for(self, order: PurchaseOrder, verbs: tuple[str, ...]) -> Attention:
        """Wait until the order has something parked that these verbs answer."""
        async with asyncio.timeout(PATIENCE):
            while not (found := [a for a in self.change(order.case_id).attention if a.verbs == verbs]):
                await asyncio.sleep(0.02)
        return found[0]

    async def unproven(self, order: PurchaseOrder, count: int) -> None:
        """Wait until so many documents without a valid seal are shown on the order."""
        async with asyncio.timeout(PATIENCE):
            while sum(one.kind == "unproven" for one in self.change(order.case_id).attention) < count:
                await asyncio.sleep(0.02)

    async def refused(self, verb: str, by: str = "E-BUY", case: str | None = None, **fields: Any) -> tuple[str, str]:
        """A decision the case refuses: the type and the words."""
        with pytest.raises(WorkflowUpdateFailedError) as refusal:
            await self.decide(verb, by, case, **fields)
        cause = refusal.value.cause
        assert isinstance(cause, ApplicationError)
        return cause.type or "", cause.message

    async def signal(self, name: str, *what: Any, case: str | None = None) -> None:
        await self.client.get_workflow_handle(case or self.id).signal(name, args=list(what))

    async def skip(self, duration: timedelta, case: str | None = None) -> None:
        """Let business time pass for a case that was started skipping."""
        async with asyncio.timeout(PATIENCE):
            await self.skipper.fast_forward(self.client.get_workflow_handle(case or self.id), duration)

    async def say(self, order: PurchaseOrder, key: str | None = None, message: str = "", **document: Any) -> None:
        """A document reaches the order's case, as our doors deliver it."""
        wrapped = SupplierDocument(message=message or build.unique("M"), key=key or build.unique("K"), **document)
        sealed = sealed_document(wrapped, order.case_id, build.SEAL_KEY)
        await self.client.get_workflow_handle(order.case_id).signal("document", sealed)

    async def decide(self, verb: str, by: str = "E-BUY", case: str | None = None, **fields: Any) -> Answer:
        return await self.give(build.decision(verb, by, **fields), case)

    async def give(self, decision: Decision, case: str | None = None, *, seal: bool = True) -> Answer:
        name = case or self.id
        sealed = decision.sealed(name, build.SEAL_KEY) if seal else decision
        answer: Answer = await self.client.get_workflow_handle(name).execute_update(
            "decide", sealed, id=decision.id, result_type=Answer
        )
        return answer

    async def stop(self) -> None:
        """Stop whatever of this test still runs."""
        for name in {*self.cases.claims, *self.cases.current, self.id} - {""}:
            with contextlib.suppress(RPCError):
                await self.client.get_workflow_handle(name).terminate("the test is over")

    async def result(self) -> CaseStatus:
        assert self.handle is not None
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.handle.result()
        except TimeoutError:
            stand = [(c.case, c.business_state, c.attention) for c in self.cases.current.values()]
            raise AssertionError(f"{self.id} has not ended: {stand!r}") from None

    async def events(self, *cases: str) -> int:
        """How many history events these cases have, theirs and no others."""
        return sum([len((await self.client.get_workflow_handle(name).fetch_history()).events) for name in cases])

    async def failed_tasks(self, case: str) -> int:
        history = await self.client.get_workflow_handle(case).fetch_history()
        return sum(1 for event in history.events if event.HasField("workflow_task_failed_event_attributes"))

    async def owned_by(self, owner: str, case: str | None = None) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.change(case).owner != owner:
                await asyncio.sleep(0.02)

    async def unreadable(self, reason: str) -> None:
        """Wait until something that does not fit was kept, with this reason."""
        async with asyncio.timeout(PATIENCE):
            while not any(reason in why for _, _, why in self.cases.unreadable):
                await asyncio.sleep(0.02)

    async def shows(self, decision: str, case: str | None = None) -> None:
        """Wait until the case's log of decisions says so."""
        async with asyncio.timeout(PATIENCE):
            while not any(decision in c.decision for c in self.cases.changes if c.case == (case or self.id)):
                await asyncio.sleep(0.02)

    async def asked(self, verb: str) -> None:
        """Wait until a case has begun to check who gives such a decision."""
        async with asyncio.timeout(PATIENCE):
            while not any(checked.decision.verb == verb for checked in self.cases.checked):
                await asyncio.sleep(0.02)

    async def documents(self, order: PurchaseOrder, step: str, count: int) -> None:
        """Wait until such a step was carried out so many times."""
        async with asyncio.timeout(PATIENCE):
            while self.outside.steps(order.number).count(step) < count:
                await asyncio.sleep(0.02)

    async def told_of(self, kind: str, **data: str) -> None:
        """Wait until other systems were told this."""
        async with asyncio.timeout(PATIENCE):
            while not any(e.type == kind and e.data.items() >= data.items() for e in self.cases.events.values()):
                await asyncio.sleep(0.02)

    async def until_received(self, order: PurchaseOrder, count: int) -> None:
        """Wait until the order's one line shows so many received."""
        async with asyncio.timeout(PATIENCE):
            while self.change(order.case_id).lines[0].received != count:
                await asyncio.sleep(0.02)

    async def on_hold(self, order: PurchaseOrder) -> int:
        """Wait until the order is on hold; the revision that shows it."""
        await self.until("on hold", order.case_id)
        return self.change(order.case_id).revision

    async def generation(self, order: PurchaseOrder, generation: int) -> None:
        """Wait until the order's successor has opened."""
        async with asyncio.timeout(PATIENCE):
            while not await self._opened(order.case_id, generation):
                await asyncio.sleep(0.02)

    async def parked_by(self, order: PurchaseOrder, generation: int) -> Attention:
        """What this run of the order has parked first."""
        async with asyncio.timeout(PATIENCE):
            while not (
                found := [
                    c.attention[0]
                    for c in self.cases.changes
                    if c.case == order.case_id and c.generation == generation and c.attention
                ]
            ):
                await asyncio.sleep(0.02)
        return found[0]

    async def runs(self, order: PurchaseOrder, count: int) -> None:
        """Wait until the order's case has shown itself from so many runs."""
        async with asyncio.timeout(PATIENCE):
            while len({change.run for change in self.cases.changes if change.case == order.case_id}) < count:
                await asyncio.sleep(0.02)

    async def running(self, generation: int) -> None:
        """Wait until the requisition's successor has said how it stands."""
        async with asyncio.timeout(PATIENCE):
            while not any(c.case == self.id and c.generation == generation for c in self.cases.changes):
                await asyncio.sleep(0.02)

    async def _opened(self, case: str, generation: int) -> bool:
        held = self.cases.claims[case]
        return held.generation == generation and held.run is not None

    async def overdue(self, what: str) -> None:
        """Wait until it was told that nobody approved in time, and what follows."""
        async with asyncio.timeout(PATIENCE):
            while not any(e.data.get("what") == what and e.case == self.id for e in self.cases.events.values()):
                await asyncio.sleep(0.02)

    async def deliver(self, order: PurchaseOrder, *, bill: bool = True) -> None:
        """The usual way: confirmed, accepted, shipped, received, billed, paid."""
        await self.say(order, functional=build.functional(order))
        await self.say(order, acknowledgement=build.answer(order))
        await self.say(order, ship_notice=build.ship_notice(order))
        await self.say(order, receipt=build.receipt(order))
        if bill:
            await self.pay(order, build.invoice(order))

    async def pay(self, order: PurchaseOrder, bill: Any) -> None:
        await self.say(order, invoice=bill)
        await self.until("paid, waiting for bank", order.case_id)
        await self.say(order, payment=build.payment(order, bill))


class Stand:
    """Whatever stands behind the workers' steps now: each test puts its own fakes here, the workers stay."""

    def __init__(self) -> None:
        self.behind: Any = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)


class Workers:
    """The workers of all tests; begun again only when a test wants other settings."""

    def __init__(self, server: Stack, client: Client) -> None:
        self._server, self._client = server, client
        self.cases, self.register, self.outside = Stand(), Stand(), Stand()
        self._serving: AsyncExitStack | None = None
        self._cached: int | None = None

    async def serve(self, cached: int) -> None:
        if self._cached == cached:
            return
        await self.stop()
        steps: dict[str, Sequence[Callable[..., Any]]] = {
            "fascia": steps_of([CaseActivities(self.cases, self.register), RegisterActivities(self.register)]),
            "erp": steps_of([ErpActivities(lambda _: self.outside)]),
            "supplier": steps_of([SupplierActivities(lambda _: self.outside, self.register)]),
        }
        settings = self._server.settings.model_copy(update={"max_cached_workflows": cached})
        self._serving, self._cached = AsyncExitStack(), cached
        workflows = [ProcureToPay, PurchaseOrderCase]
        interceptors = [Failures(self._trouble)]
        await self._serving.enter_async_context(
            serving(self._client, settings, workflows=workflows, steps=steps, interceptors=interceptors)
        )

    async def _trouble(self, trouble: Trouble) -> None:
        await self.cases.trouble(trouble)

    async def stop(self) -> None:
        serving, self._serving, self._cached = self._serving, None, None
        if serving is not None:
            await serving.aclose()


@pytest.fixture(scope="session")
async def workers(server: Stack) -> AsyncIterator[Workers]:
    """Workers that serve every test of the session."""
    workers = Workers(server, await connect(server.settings))
    yield workers
    await workers.stop()


@pytest.fixture
def policy() -> dict[str, Any]:
    """Fields of the facility's policy a test wants otherwise."""
    return {}


@pytest.fixture
async def case(server: Stack, workers: Workers, policy: dict[str, Any], cached: int) -> AsyncIterator[Case]:
    """A hospital of its own for each test; what a test leaves open is stopped, so that the next does not see it."""
    register = FakeRegister(*build.hospital(**policy))
    cases, outside = OwnNumbers(register=register, seal_key=build.SEAL_KEY), Outside()
    workers.cases.behind, workers.register.behind, workers.outside.behind = cases, register, outside
    await workers.serve(cached)
    case = Case(await connect(server.settings), cases, register, outside)
    yield case
    await case.stop()
    for event in cases.events.values():  # what is told is what is published, whatever a test was about
        read_strictly(EVENTS[event.type], json.dumps(event.data))
