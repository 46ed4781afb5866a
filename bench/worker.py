"""Workers to measure, each a process of its own: the probe wired like the real one, its bare twin, the real processes on stubs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.erp import ErpActivities
from activities.supplier import SupplierActivities
from bench.probe import BARE, BARE_ERP, TABLE, Bare, BareSteps, CallStep, Probe
from canonical.erp_steps import ErpReceipt
from canonical.purchasing import PurchaseOrder
from canonical.stock import OnHand, StockPosted, StockPosting
from tests.workflows.outside import Outside
from workers import logs, settings, telemetry, temporal
from workers.failures import Failures
from workers.loops.pace import forever
from workers.settings import Settings
from workers.temporal import PASSED_THROUGH, runtime, serving, steps_of
from workers.wiring import wired

SAME_SANDBOX = SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)


@asynccontextmanager
async def probe(given: Settings) -> AsyncIterator[None]:
    """The probe, with every part of ours around it that a real case has."""
    async with wired(given, lazy=False) as parts:
        steps = dict(parts.steps()) | {"erp": steps_of([CallStep(os.environ["BENCH_STUB_ERP"])])}
        failures = [Failures(parts.cases.trouble)]
        async with serving(parts.client, given, workflows=[Probe], steps=steps, interceptors=failures):
            yield


@asynccontextmanager
async def bare(given: Settings) -> AsyncIterator[None]:
    """The same steps on a plain client: the same sandbox, kinds of activity and cache, and nothing else of ours."""
    database = create_async_engine(given.database_url.get_secret_value(), pool_size=given.database_pool)
    async with AsyncExitStack() as open_parts:
        open_parts.push_async_callback(database.dispose)
        async with database.begin() as connection:
            await connection.execute(text(TABLE))
        client = await Client.connect(
            **given.temporal_connection(), data_converter=pydantic_data_converter, runtime=runtime()
        )
        own = Worker(
            client,
            task_queue=BARE,
            workflows=[Bare],
            activities=steps_of([BareSteps(database)]),
            workflow_runner=SandboxedWorkflowRunner(restrictions=SAME_SANDBOX),
            max_cached_workflows=given.max_cached_workflows,
        )
        erp = Worker(client, task_queue=BARE_ERP, activities=steps_of([CallStep(os.environ["BENCH_STUB_ERP"])]))
        for worker in (own, erp):
            await open_parts.enter_async_context(worker)
        yield


class _Shown(Outside):
    """An ERP whose orders the driver can read, as a supplier would have them from the 850."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    async def create_purchase_order(self, order: PurchaseOrder) -> ErpReceipt:
        (self._folder / f"{order.number}.json").write_text(order.model_dump_json(), encoding="utf-8")
        return await super().create_purchase_order(order)


@asynccontextmanager
async def usual(given: Settings) -> AsyncIterator[None]:
    """The real processes and store; an ERP and suppliers in this very process that answer at once."""
    outside = _Shown(Path(os.environ["BENCH_ORDERS"]))
    async with wired(given, lazy=False) as parts:
        steps = dict(parts.steps()) | {
            "erp": steps_of([ErpActivities(lambda _: outside)]),
            "supplier": steps_of([SupplierActivities(lambda _: outside, parts.register)]),
        }
        failures = [Failures(parts.cases.trouble)]
        async with serving(parts.client, given, workflows=parts.workflows(), steps=steps, interceptors=failures):
            yield


BOOKED = "booked.jsonl"  # in the folder of orders: each document's key, and what it changed of each item


class _Yes:
    """An ERP that books whatever it is told."""

    async def post_stock(self, posting: StockPosting) -> StockPosted:
        system = {"system": "stub", "kind": "erp_stock", "state": "done"}
        receipt = ErpReceipt(id=posting.key, number=posting.key, key=posting.key, **system)
        return StockPosted(receipts=(receipt,))

    async def on_hand(self, facility: str, location: str, as_of: datetime) -> Sequence[OnHand]:
        return ()


class _Books(_Yes):
    """One that also writes down what it booked, so that its stock can be counted."""

    def __init__(self, file: Path) -> None:
        self._file = file

    async def post_stock(self, posting: StockPosting) -> StockPosted:
        moved = Counter[str]()
        for line in posting.lines:
            moved[line.item] += line.quantity if line.back else -line.quantity
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps([posting.key, moved]) + "\n")
        return await super().post_stock(posting)


@asynccontextmanager
async def usage(given: Settings, outside: _Yes | None = None) -> AsyncIterator[None]:
    """The cases of stock locations and the loop that wakes them, on the real store; an ERP in this very process that says yes."""
    said = outside or _Yes()
    async with wired(given, lazy=False) as parts, asyncio.TaskGroup() as group:
        stock, erp, stop = parts.stock.stock_activities(lambda _: said), temporal.ERP, asyncio.Event()
        steps = dict(parts.steps()) | {erp: [stock.post_round]}
        failures = [Failures(parts.cases.trouble)]
        async with serving(parts.client, given, workflows=parts.workflows(), steps=steps, interceptors=failures):
            group.create_task(forever("usage wakes", given.usage_interval, parts.stock.usage_wakes().once, stop))
            try:
                yield
            finally:
                stop.set()


@asynccontextmanager
async def year(given: Settings) -> AsyncIterator[None]:
    """The same, on an ERP whose stock can be counted."""
    async with usage(given, _Books(Path(os.environ["BENCH_ORDERS"]) / BOOKED)):
        yield


async def main(name: str) -> None:
    """Serve until told to stop."""
    given = settings.load()
    logs.start(given.log_level, name)
    telemetry.start(given, name)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with SERVED[name](given):
        await stop.wait()


SERVED = {"probe": probe, "bare": bare, "usual": usual, "usage": usage, "year": year}

if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
