"""Questions the supervisor and the doctor put to the parts, at their addresses, whoever started them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from stack.home import StackError
from workers.settings import Settings

if TYPE_CHECKING:
    from temporalio.client import Client  # heavy: loaded when first asked

PATIENCE = 3.0
TASK_QUEUE = "fascia"
REVOCATION_QUEUE = "revocation"
OLDEST_TEMPORAL = (1, 32, 0)


async def first_words(host: str, port: int) -> str:
    """What a server says of itself before it is asked anything, as SSH servers do; empty when nobody is there."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                return (await reader.readline()).decode(errors="replace").strip()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return ""


def port_listens(host: str, port: int) -> Callable[[], Awaitable[bool]]:
    """Whether somebody takes connections at an address; nothing is said to them."""

    async def ask() -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    return ask


def page_answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Whether a web address answers with a page."""

    async def ask() -> bool:
        try:
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                return (await client.get(url)).status_code < 400
        except httpx.HTTPError:
            return False

    return ask


async def temporal_version(settings: Settings) -> str:
    """What the server says of itself; raises when nobody answers."""
    from temporalio.api.workflowservice.v1 import GetClusterInfoRequest

    client = await connect(settings)
    return str((await client.workflow_service.get_cluster_info(GetClusterInfoRequest())).server_version)


def is_new_enough(version: str) -> bool:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3]) >= OLDEST_TEMPORAL


async def connect(settings: Settings) -> Client:
    from temporalio.client import Client

    return await Client.connect(**settings.temporal_connection())


def temporal_answers(settings: Settings) -> Callable[[], Awaitable[bool]]:
    """Whether the server answers; it listens some seconds before it does."""

    async def ask() -> bool:
        from temporalio.service import RPCError

        try:
            await temporal_version(settings)
        except (RPCError, RuntimeError):  # RuntimeError is the SDK's word for "no connection"
            return False
        return True

    return ask


async def last_poll(client: Client, task_queue: str = TASK_QUEUE) -> datetime | None:
    """When a worker last asked Temporal for work, or None when none did lately."""
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest

    polls: list[datetime] = []
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        found = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
            )
        )
        polls += [poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in found.pollers]
    return max(polls, default=None)


class WorkerPolls:
    """Whether a worker just started asks for work: one that died stays listed for minutes, so only newer polls count."""

    def __init__(self, settings: Settings, task_queue: str = TASK_QUEUE) -> None:
        self._settings, self._task_queue = settings, task_queue
        self._client: Client | None = None
        self._began: datetime | None = None

    async def __call__(self) -> bool:
        from temporalio.service import RPCError

        self._began = self._began or datetime.now(UTC)
        try:
            self._client = self._client or await connect(self._settings)
            last = await last_poll(self._client, self._task_queue)
        except (RPCError, RuntimeError):
            return False
        if last is None or last < self._began:
            return False
        self._began = None  # asked again, it is about another start
        return True


async def require_time_skipping(settings: Settings) -> None:
    """Tests of month-long waits need a server that can skip time: say so before they wait for months."""
    from temporalio.service import RPCError
    from temporalio.testing import TimeSkipper

    client = TimeSkipper(await connect(settings)).client
    try:
        handle = await client.start_workflow(
            "CanTimeBeSkipped",
            id=f"can-time-be-skipped/{uuid4()}",
            task_queue="nobody",
            run_timeout=timedelta(seconds=9),
        )
    except RPCError as error:
        raise StackError(
            f"this Temporal server cannot skip time ({error.message}); it needs 1.32 or later with "
            "frontend.WorkflowTimeSkippingEnabled"
        ) from error
    await handle.terminate("asked and answered")
