"""Ends what a test leaves running, so that it writes nothing into the next test's fakes: the workers are the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

WHY = "the test is over"
ON_ITS_WAY = 5.0  # seconds until the server has begun a child its parent had asked for before it was ended


async def ended(client: Client, names: Iterable[str]) -> None:
    """Terminate these cases and, of those that ran, the children they had asked for: one just begun has no claim yet."""
    for name in {*names} - {""}:
        handle = client.get_workflow_handle(name)
        try:
            await handle.terminate(WHY)
        except RPCError:
            continue  # it had ended by itself, and all it asked for was begun
        for child, begun in (await _asked_for(handle)).items():
            await _end_child(client, child, ON_ITS_WAY if not begun else 0.0)


async def _asked_for(handle: WorkflowHandle[Any, Any]) -> dict[str, bool]:
    """The children of a run, and whether each was begun, or refused."""
    children: dict[str, bool] = {}
    async for event in handle.fetch_history_events():
        if event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            children[event.start_child_workflow_execution_initiated_event_attributes.workflow_id] = False
        elif event.HasField("child_workflow_execution_started_event_attributes"):
            children[event.child_workflow_execution_started_event_attributes.workflow_execution.workflow_id] = True
        elif event.HasField("start_child_workflow_execution_failed_event_attributes"):
            children[event.start_child_workflow_execution_failed_event_attributes.workflow_id] = True
    return children


async def _end_child(client: Client, name: str, within: float) -> None:
    handle, give_up = client.get_workflow_handle(name), asyncio.get_running_loop().time() + within
    while True:
        with contextlib.suppress(RPCError):
            await handle.terminate(WHY)
            return
        if asyncio.get_running_loop().time() >= give_up:
            return
        await asyncio.sleep(0.05)
