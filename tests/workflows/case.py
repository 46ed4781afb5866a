"""Drives one case in a test: starts it, decides, lets the supplier and the ERP speak, and looks at what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import TimeSkipper

from canonical.cases import Answer, Attention, CaseChange, CaseStatus, Decision
from canonical.purchasing import PurchaseOrder, Requisition, RequisitionLine
from canonical.seals import sealed_document
from canonical.steps import SupplierDocument
from tests import build
from tests.fakes.register import FakeRegister
from tests.fakes.store import FakeCases
from tests.workflows.ending import ended
from tests.workflows.outside import Outside

PATIENCE = 150.0  # a task that a worker has dropped comes again only after its time
SOON = timedelta(
    seconds=2
)  # task time-out of a case that is to hear of something while its step on our own store takes long


class Case:
    """Drives one requisition: starts it, decides, lets the supplier and the ERP speak, and looks at what became of it."""

    def __init__(self, client: Client, cases: FakeCases, register: FakeRegister, outside: Outside) -> None:
        self.client, self.cases, self.register, self.outside = client, cases, register, outside
        self.skipper = TimeSkipper(client)
        self.handle: WorkflowHandle[Any, CaseStatus] | None = None
        self.id = ""
        self.task_timeout = timedelta(seconds=5)

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
            task_timeout=self.task_timeout,
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
        await ended(self.client, {*self.cases.claims, *self.cases.current, self.id})

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
