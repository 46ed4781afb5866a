"""A platform of its own to measure on: database, Temporal and REST door as `fascia up` starts them, in a folder that goes away."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from bench.cpu import STORE, TEMPORALS_STORE, Meter
from stack import postgres
from stack.part import Part, own_program
from stack.questions import connect, last_poll
from stack.supervisor import Stack, running
from store.authority import ERP, HOSPITAL, KINDS
from store.database import open_engine
from store.keys import NewKey, StoredKeys
from store.register import StoredRegister
from tests import build

WIDE = {"FASCIA_ERP_RATE": "10000"}  # the ERP's own limit of calls per second is not what is measured here
# A timer of its fires as late as this, a second unless said otherwise, for each of the times that are skipped: a played year is many.
PROMPT = {"history.timerProcessorMaxTimeShift": "10ms"}
STUB = "stub_erp"
PARTS = ("database", "temporal", "api")


def time_now() -> str:
    """When a part of the results was measured."""
    return datetime.now(UTC).isoformat(timespec="minutes")


@dataclass
class Stand:
    """The running platform and what a driver needs of it."""

    stack: Stack
    client: Client
    database: AsyncEngine
    key: str
    meter: Meter
    stub: str

    @property
    def api_url(self) -> str:
        return self.stack.addresses["FASCIA_API_URL"]

    @property
    def orders(self) -> Path:
        """Where the stub ERP shows its orders."""
        return self.stack.home.folder("orders")

    @property
    def temporals_store(self) -> str:
        """Where Temporal keeps its own state, as the state folder has it written down."""
        return str(self.stack.home.read("temporal-store.json")["store"])

    def door(self, callers: int) -> httpx.AsyncClient:
        """The REST door as so many callers at once reach it, under one key."""
        limits = httpx.Limits(max_connections=callers, max_keepalive_connections=callers)
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
        return httpx.AsyncClient(base_url=self.api_url, headers=headers, limits=limits, timeout=60, trust_env=False)

    async def serve(self, role: str, queue: str) -> None:
        """Start a worker in that role, until :meth:`rest`."""
        part = Part(
            name=role,
            argv=own_program("-m", "bench.worker", role),
            env={"PYTHONUNBUFFERED": "1", "BENCH_STUB_ERP": self.stub, "BENCH_ORDERS": str(self.orders)},
            ready=_Polls(self.stack, queue),
            stop_within=6.0,
        )
        await self.stack.add_part(part)

    async def rest(self, role: str) -> None:
        await self.stack.stop(role)


class _Polls:
    """Whether a worker just started asks for work on its queue; one that stopped stays listed, so newer polls count."""

    def __init__(self, stack: Stack, queue: str) -> None:
        self._settings, self._queue, self._began = stack.settings, queue, datetime.now(UTC)

    async def __call__(self) -> bool:
        client = await connect(self._settings)
        last = await last_poll(client, self._queue)
        return last is not None and last > self._began


@contextlib.asynccontextmanager
async def standing(
    home: Path,
    say: Callable[[str], None],
    env: Mapping[str, str] | None = None,
    parts: Sequence[str] = PARTS,
    *,
    time_skipping: bool = False,
) -> AsyncIterator[Stand]:
    """Start these parts, with the tests' hospital in the register and a key at the door; stop it all at the end."""
    wide = {**WIDE, **(env or {})}
    switches = PROMPT if time_skipping else None
    async with running(
        home, parts, env=wide, time_skipping=time_skipping, switches=switches, say=lambda news: say(news.text)
    ) as stack:
        client = await Client.connect(**stack.settings.temporal_connection(), data_converter=pydantic_data_converter)
        database = open_engine(stack.settings.database_url.get_secret_value())
        try:
            port = stack.port(STUB)
            await stack.add_part(Part(name=STUB, argv=own_program("-m", "bench.stub_erp", str(port))))
            new = NewKey(sender="surgery-app", facility=build.FACILITY, per_minute=1_000_000)
            _, secret = await StoredKeys(database).add(new)
            await _load(StoredRegister(database))
            yield Stand(stack, client, database, secret, meter(stack), f"http://127.0.0.1:{port}")
        finally:
            await database.dispose()


async def _load(register: StoredRegister) -> None:
    records = build.hospital()
    for kind, rules in KINDS.items():
        source = HOSPITAL if HOSPITAL in rules.makers else ERP
        report = await register.load(kind, [one for one in records if type(one) is rules.model], source, build.FACILITY)
        assert not report.refused, report.refused


def meter(stack: Stack, **others: str) -> Meter:
    """Reads the parts of a stack; ``others`` are databases of programs that are not the platform's."""

    def pids() -> dict[str, int]:
        found = {name: stack.pid(name) for name in stack.parts if name != postgres.NAME}
        return {name: pid for name, pid in found.items() if pid is not None} | {"driver": os.getpid()}

    def postmaster() -> int:
        pid = stack.pid(postgres.NAME)
        assert pid is not None
        return pid

    ours = {postgres.OWN_DATABASE: STORE, postgres.TEMPORAL_DATABASE: TEMPORALS_STORE}
    return Meter(pids, postmaster, ours | others)
