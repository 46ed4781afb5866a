"""A process among fakes, on a real Temporal server that can skip time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RawValue
from temporalio.testing import TimeSkipper

from activities.cases import CaseActivities
from activities.erp import ErpActivities
from activities.register import RegisterActivities
from activities.supplier import SupplierActivities
from canonical.cases import Answer, CaseStatus, Decision
from canonical.purchasing import PurchaseOrder, Requisition
from canonical.steps import OrdersRequest, SupplierDocument
from stack.supervisor import Stack, running
from tests import build
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases
from tests.workflows.outside import Outside
from workers.failures import Failures
from workers.temporal import connect, serving, steps_of
from workflows.procure_to_pay import ProcureToPay
from workflows.purchase_order import PurchaseOrderCase

PATIENCE = 30.0


@pytest.fixture(scope="session")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """A Temporal server of the tests' own."""
    async with running(tmp_path_factory.mktemp("server"), ("database", "temporal"), time_skipping=True) as stack:
        yield stack


class OwnNumbers(FakeCases):
    """Our own store in memory, with order numbers that no other test on the same server has."""

    async def order_numbers(self, request: OrdersRequest, groups: Sequence[str]) -> Sequence[str]:
        for group in groups:
            self.numbers.setdefault((request.case, group), build.unique("PO"))
        return [self.numbers[request.case, group] for group in groups]


class Case:
    """Drives one requisition: starts it, decides, lets the supplier and the ERP speak, and looks at what became of it."""

    def __init__(self, client: Client, cases: FakeCases, register: FakeRegister, outside: Outside) -> None:
        self.client, self.cases, self.register, self.outside = client, cases, register, outside
        self.skipper = TimeSkipper(client)
        self.handle: WorkflowHandle[Any, CaseStatus] | None = None
        self.id = ""

    async def start(self, requisition: Requisition, *, skipping: bool = False) -> None:
        await self.start_raw(requisition.case_id, requisition.model_dump_json().encode(), skipping=skipping)

    async def start_raw(self, case: str, data: bytes, *, skipping: bool = False) -> None:
        client = self.skipper.client if skipping else self.client
        self.id = case
        wire = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data))
        self.handle = await client.start_workflow(
            "ProcureToPay",
            wire,
            id=case,
            task_queue="fascia",
            result_type=CaseStatus,
            task_timeout=timedelta(seconds=5),
        )

    def state(self, case: str | None = None) -> str:
        change = self.cases.current.get(case or self.id)
        return change.business_state if change else ""

    async def until(self, state: str, case: str | None = None) -> None:
        """Wait until the read model says so."""
        try:
            async with asyncio.timeout(PATIENCE):
                while self.state(case) != state:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            change = self.cases.current.get(case or self.id)
            raise AssertionError(f"{case or self.id} is {change!r}, not {state}") from None

    async def orders(self) -> list[PurchaseOrder]:
        """The orders the requisition became, in order of their numbers."""
        await self.until("ordered")
        placed = [
            held for steps in self.outside.documents.values() for name, held in steps if name.startswith("create")
        ]
        wanted = self.cases.current[self.id].lines
        numbers = {line.order for line in wanted}
        async with asyncio.timeout(PATIENCE):
            while {order.number for order in placed} < numbers:
                await asyncio.sleep(0.02)
                placed = [
                    held
                    for steps in self.outside.documents.values()
                    for name, held in steps
                    if name.startswith("create")
                ]
        return sorted((order for order in placed if order.number in numbers), key=lambda order: order.number)

    async def order(self) -> PurchaseOrder:
        """The one order, once it is with its supplier."""
        (order,) = await self.orders()
        await self.until("sent to supplier", order.case_id)
        return order

    async def say(self, order: PurchaseOrder, key: str | None = None, **document: Any) -> None:
        """A document reaches the order's case, as our doors deliver it."""
        wrapped = SupplierDocument(message=build.unique("M"), key=key or build.unique("K"), **document)
        await self.client.get_workflow_handle(order.case_id).signal("document", wrapped)

    async def decide(self, verb: str, by: str = "E-BUY", case: str | None = None, **fields: Any) -> Answer:
        return await self.give(build.decision(verb, by, **fields), case)

    async def give(self, decision: Decision, case: str | None = None, *, seal: bool = True) -> Answer:
        name = case or self.id
        sealed = decision.sealed(name, build.SEAL_KEY) if seal else decision
        answer: Answer = await self.client.get_workflow_handle(name).execute_update(
            "decide", sealed, id=decision.id, result_type=Answer
        )
        return answer

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


@pytest.fixture
async def policy() -> dict[str, Any]:
    """Fields of the facility's policy a test wants otherwise."""
    return {}


@pytest.fixture
async def case(server: Stack, policy: dict[str, Any]) -> AsyncIterator[Case]:
    """A hospital of its own for each test."""
    client = await connect(server.settings)
    register = FakeRegister(*build.hospital(**policy))
    cases = OwnNumbers(register=register, seal_key=build.SEAL_KEY)
    outside = Outside()
    steps: dict[str, Sequence[Callable[..., Any]]] = {
        "fascia": steps_of([CaseActivities(cases, register), RegisterActivities(register)]),
        "erp": steps_of([ErpActivities(lambda _: outside)]),
        "supplier": steps_of([SupplierActivities(lambda _: outside, register)]),
    }
    async with serving(
        client,
        server.settings,
        workflows=[ProcureToPay, PurchaseOrderCase],
        steps=steps,
        interceptors=[Failures(cases.trouble)],
    ):
        yield Case(client, cases, register, outside)
