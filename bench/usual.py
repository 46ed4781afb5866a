"""The usual way of a requisition, many times at once: what one whole case of procure to pay costs, and whom."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import text
from temporalio.client import Client

from bench.figures import Round, Usual
from bench.probing import measured, requisition
from bench.stand import Stand, time_now
from canonical.cases import Answer, CaseStatus
from canonical.purchasing import PurchaseOrder
from canonical.seals import sealed_document
from canonical.steps import SupplierDocument
from tests import build

LOOKS = 0.1  # seconds between two looks at the read model, one for all cases
PATIENCE = 120.0
OPEN = text('select "case", parent, business_state from cases where not closed')


class Watch:
    """What the read model says of every open case: one question for all, so that waiting costs the platform little."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._states: dict[str, str] = {}
        self._children: dict[str, str] = {}
        self._looked = asyncio.Condition()

    @asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._look())
        try:
            yield
        finally:
            task.cancel()

    async def _look(self) -> None:
        while True:
            async with self._stand.database.connect() as connection:
                rows = list(await connection.execute(OPEN))
            async with self._looked:
                self._states = {row.case: row.business_state for row in rows}
                self._children |= {row.parent: row.case for row in rows if row.parent}
                self._looked.notify_all()
            await asyncio.sleep(LOOKS)

    async def until(self, case: str, state: str) -> None:
        """Wait until the case is said to be so."""
        await self._until(lambda: self._states.get(case) == state, f"{case} {state}")

    async def child(self, case: str, state: str) -> str:
        """The one order's case of a requisition's case, once it is so."""
        await self._until(lambda: self._states.get(self._children.get(case, "")) == state, f"order of {case} {state}")
        return self._children[case]

    async def _until(self, true: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE), self._looked:
                await self._looked.wait_for(true)
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE:.0f} s: {what}; open cases: {self._states}") from None


class Driver:
    """Plays the department, the manager, the supplier, the warehouse and the bank for one case."""

    def __init__(self, stand: Stand, door: httpx.AsyncClient, watch: Watch) -> None:
        self._client: Client = stand.client
        self._orders: Path = stand.orders
        self._door, self._watch = door, watch
        key = stand.stack.settings.seal_key
        assert key is not None
        self._seal = key.get_secret_value().encode()

    async def case(self, number: str) -> tuple[str, str]:
        """One case from the request to the end; the requisition's and the order's case."""
        one = requisition(number)
        answer = await self._door.post(
            "/v1/requisitions", content=one.model_dump_json(), headers={"Idempotency-Key": number}
        )
        assert answer.status_code == httpx.codes.ACCEPTED, answer.text
        case = one.case_id
        await self._watch.until(case, "pending approval")
        await self._approve(case)
        child = await self._watch.child(case, "sent to supplier")
        order = PurchaseOrder.model_validate_json((self._orders / f"{child.rpartition('/')[2]}.json").read_bytes())
        await self._say(order, functional=build.functional(order))
        await self._say(order, acknowledgement=build.answer(order))
        await self._say(order, ship_notice=build.ship_notice(order))
        await self._say(order, receipt=build.receipt(order))
        bill = build.invoice(order)
        await self._say(order, invoice=bill)
        await self._watch.until(child, "paid, waiting for bank")
        await self._say(order, payment=build.payment(order, bill))
        ended = await self._client.get_workflow_handle(case, result_type=CaseStatus).result()
        assert ended.business_state == "closed", ended
        return case, child

    async def _approve(self, case: str) -> None:
        decision = build.decision("approve", "E-MGR").sealed(case, self._seal)
        answer: Answer = await self._client.get_workflow_handle(case).execute_update(
            "decide", decision, id=decision.id, result_type=Answer
        )
        assert answer.taken, answer

    async def _say(self, order: PurchaseOrder, **document: Any) -> None:
        wrapped = SupplierDocument(message=build.unique("M"), key=build.unique("K"), **document)
        sealed = sealed_document(wrapped, order.case_id, self._seal)
        await self._client.get_workflow_handle(order.case_id).signal("document", sealed)


async def measure(
    stand: Stand, *, rounds: int, many: int, callers: int, say: Callable[[str], None], erp: str = "stub"
) -> Usual:
    """Rounds of so many cases, so many open at once."""
    found: list[Round] = []
    done: dict[str, str] = {}
    watch = Watch(stand)
    mark = f"{time.time_ns():x}"
    async with stand.door(callers) as door, watch.looking():
        driver = Driver(stand, door, watch)

        async def work(first: int, last: int) -> list[float]:
            waiting, took = iter(range(first, last)), []

            async def caller() -> None:
                for number in waiting:
                    began = time.perf_counter()
                    case, child = await driver.case(f"{mark}-{number}")
                    took.append(time.perf_counter() - began)
                    done[case] = child

            await asyncio.gather(*(caller() for _ in range(callers)))
            return took

        await work(0, callers)
        for number in range(rounds):
            first = callers + number * many
            one = await measured(stand.meter, many, partial(work, first, first + many))
            found.append(one)
            say(f"procure to pay, {erp} ERP, round {number + 1}: {one.rate:.2f}/s, {one.platform_ms:.0f} CPU ms each")
    return Usual(
        at=time_now(),
        temporals_store=stand.temporals_store,
        erp=erp,
        callers=callers,
        rounds=found,
        events=await _events(stand, done),
    )


async def _events(stand: Stand, done: dict[str, str]) -> dict[str, float]:
    """History events of a case, averaged over the last ones."""
    counted: dict[str, list[int]] = defaultdict(list)
    for case, child in list(done.items())[-10:]:
        for name, one in (("requisition", case), ("order", child)):
            counted[name].append((await stand.client.get_workflow_handle(one).describe()).history_length)
    return {name: sum(lengths) / len(lengths) for name, lengths in counted.items()}
