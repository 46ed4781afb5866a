"""Questions the supervisor and the doctor put to the parts, at their addresses, whoever started them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import httpx

from workers.settings import Settings

PATIENCE = 3.0
TASK_QUEUE = "fascia"


async def port_answers(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    await writer.wait_closed()
    return True


def page_answers(url: str) -> Callable[[], Awaitable[bool]]:
    """Whether a web address answers with a page."""

    async def ask() -> bool:
        try:
            async with httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client:
                return (await client.get(url)).status_code < 400
        except httpx.HTTPError:
            return False

    return ask


async def last_poll(settings: Settings, task_queue: str = TASK_QUEUE) -> datetime | None:
    """When a worker last asked Temporal for work, or None when none did lately."""
    from temporalio.api.enums.v1 import TaskQueueType
    from temporalio.api.taskqueue.v1 import TaskQueue
    from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
    from temporalio.client import Client

    client = await Client.connect(**settings.temporal_connection())
    polls: list[datetime] = []
    for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
        found = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace, task_queue=TaskQueue(name=task_queue), task_queue_type=kind
            )
        )
        polls += [poller.last_access_time.ToDatetime(tzinfo=UTC) for poller in found.pollers]
    return max(polls, default=None)
